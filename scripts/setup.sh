#!/usr/bin/env bash
# Prepares this checkout: Debian packages, a Python environment in .venv, and a colcon build in build/ and install/.
# It can be run again at any time and does only what is missing. Nothing outside the checkout is touched but Debian packages,
# and those only as root; otherwise the command is printed. Logs: log/setup/.
#
#   PYTHON=python3.12            the interpreter for .venv (default: the first that fits)
#   setup.sh --debian-packages   names the Debian packages and does nothing
#   VLA_ROS_USE=wheels           do not use the ROS 2 that is sourced (or "system": use it)
set -euo pipefail
VLA_ROS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$VLA_ROS_ROOT"
. scripts/environment.bash

DEBIAN_PACKAGES=(python3-venv python3-dev g++ cmake make libegl1 libgl1 libgl1-mesa-dri)
PYTHONS=(python3 python3.13 python3.12 python3.11)
UNDERLAY=(tf2_msgs control_msgs vision_msgs)
LOGS=$VLA_ROS_ROOT/log/setup
export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$VLA_ROS_ROOT/.cache} # pip's
STARTED=$SECONDS
STEPS=5
step_number=0

step() { # title: one line for each part of the work, with the seconds since the start
  step_number=$((step_number + 1))
  printf '[%d/%d] %4ds  %s\n' "$step_number" "$STEPS" "$((SECONDS - STARTED))" "$1"
}

fail() { # sentence, what to do
  printf '\nSetup stopped: %s\n  %s\n' "$1" "$2" >&2
  exit 1
}

logged() { # name, hint, command...: quiet when it succeeds
  local log=$LOGS/$1.log hint=$2
  shift 2
  "$@" >"$log" 2>&1 && return
  printf '\n--- the end of %s\n' "$log" >&2
  tail -n 25 "$log" >&2
  fail "'${*:0:3} ...' failed." "$hint"
}

find_python() { # prints an interpreter from 3.11 to 3.13
  local candidate
  for candidate in ${PYTHON:-"${PYTHONS[@]}"}; do
    command -v "$candidate" >/dev/null || continue
    "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue
    command -v "$candidate"
    return
  done
  return 1
}

check_machine() {
  [[ $(uname -s) == Linux ]] || fail "this is $(uname -s); ROS 2 wheels exist for Linux only." "Use Debian 12 or newer, or Ubuntu 24.04 or newer."
  if [[ $MODE != wheels ]]; then
    python=$(command -v python3) # rclpy is compiled for this one and no other
    return
  fi
  [[ $(uname -m) == x86_64 ]] || fail "ROS 2 wheels exist for x86_64 only; this is $(uname -m)." \
    "Install ROS 2 (Jazzy or newer) from its own packages, run 'source /opt/ros/<distribution>/setup.bash' and then this again."
  python=$(find_python) || fail "no Python from 3.11 to 3.13 found${PYTHON:+ at PYTHON=$PYTHON}." \
    "Install one (Debian 12: 3.11, Ubuntu 24.04: 3.12, Debian 13: 3.13), or name it: PYTHON=/path/to/python3.12 make setup"
}

check_debian_packages() {
  command -v dpkg-query >/dev/null || { echo "        not a Debian system: a C++ compiler, CMake, make, Python headers and Mesa's EGL must be there already"; return; }
  local package missing=()
  for package in "${DEBIAN_PACKAGES[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $(id -u) != 0 ]]; then
    fail "Debian packages are missing: ${missing[*]}" "Run:  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  echo "        installing ${missing[*]}"
  logged apt-update "Is the network there? See log/setup/apt-update.log." apt-get update
  logged apt-install "See log/setup/apt-install.log." env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

python_id() { "$python" -c 'import sys; print(sys.executable, sys.version.split()[0])'; }

environment_hash() { { echo "$VLA_ROS_ROOT $MODE"; python_id; cat requirements/*.txt scripts/requirements.py; } | sha256sum; }

build_hash() {
  { environment_hash
    cat scripts/setup.sh scripts/executable.in CMakeLists.txt package.xml
    find msg srv action underlay -type f | sort | xargs cat
    find vla_ros launch config urdf -type f ! -name '*.pyc' | sort
  } | sha256sum
}

is_current() { [[ -f $1 && $(cat "$1") == "$2" ]]; } # stamp file, hash

make_venv() { # a new .venv where there is none or it was made for another Python, folder or ROS
  local made_for options=()
  made_for="$VLA_ROS_ROOT $MODE $(python_id)"
  if [[ ! -x .venv/bin/python ]] || { [[ -f .venv/made_for ]] && ! is_current .venv/made_for "$made_for"; }; then
    rm -rf .venv build install
    [[ $MODE == wheels ]] || options=(--system-site-packages)
    logged venv "Is python3-venv installed for $python?" "$python" -m venv "${options[@]}" .venv
  fi
  echo "$made_for" >.venv/made_for
  echo "$MODE" >.venv/ros_mode
}

pip_install() { # log name, groups of requirements
  local name=$1
  shift
  "$VLA_ROS_ROOT/.venv/bin/python" scripts/requirements.py select --ros "${MODE%% *}" --into "$LOGS/$name" "$@"
  logged "pip-$name" "Is the network there? Run it again: what was fetched is kept. Log: log/setup/pip-$name.log" \
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
    -r "$LOGS/$name.requirements.txt" -c "$LOGS/$name.constraints.txt"
}

install_ros() { # what the build needs; the larger rest comes while it runs
  pip_install ros ros
  logged mend "See log/setup/mend.log." .venv/bin/python scripts/requirements.py mend-cmake
}

absent_interfaces() { # the interface packages of underlay/ that no prefix provides
  local package prefix
  for package in "${UNDERLAY[@]}"; do
    while read -r prefix; do
      [[ ! -d $prefix/share/$package ]] || continue 2
    done < <([[ $MODE == wheels ]] && echo "$VLA_ROS_ROOT/.venv" || foreign_prefixes)
    echo "underlay/$package"
  done
}

run_colcon() {
  # Told the number of jobs, colcon leaves out its own limit on the machine's load, at which make would wait for pip beside it.
  local -x MAKEFLAGS
  MAKEFLAGS=-j$(nproc)
  local arguments=(--log-base log build --symlink-install --event-handlers console_direct- --paths . "$@"
    --cmake-args "-DPython3_EXECUTABLE=$VLA_ROS_ROOT/.venv/bin/python" --no-warn-unused-cli)
  if [[ $MODE != wheels ]]; then
    PATH="$VLA_ROS_ROOT/.venv/bin:$PATH" VIRTUAL_ENV="$VLA_ROS_ROOT/.venv" colcon "${arguments[@]}"
  else
    env -i HOME="${HOME:-/tmp}" LANG=C.UTF-8 MAKEFLAGS="$MAKEFLAGS" PATH="$VLA_ROS_ROOT/.venv/bin:/usr/local/bin:/usr/bin:/bin" AMENT_PREFIX_PATH="$VLA_ROS_ROOT/.venv" \
      CMAKE_PREFIX_PATH="$VLA_ROS_ROOT/.venv" .venv/bin/colcon "${arguments[@]}" -DVLA_ROS_CPP_INTERFACES=OFF
  fi
}

build() {
  [[ $MODE == wheels ]] || command -v colcon >/dev/null || fail "colcon is not installed." "Run:  sudo apt-get install python3-colcon-common-extensions"
  local packages
  mapfile -t packages < <(absent_interfaces)
  logged build "See log/latest_build/. Start afresh with: make clean && make setup" run_colcon "${packages[@]}"
  find install -xtype l -delete # links to files that are gone
}

stop_background() { # a job that runs beside the build ignores Ctrl-C by itself
  local pid child
  for pid in $(jobs -p); do
    for child in $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) "$pid"; do kill "$child" 2>/dev/null || true; done
  done
}

settle_mode() { # once made, an environment keeps its ROS; VLA_ROS_USE changes it
  local sourced
  sourced=$(choose_mode)
  MODE=$(cat .venv/ros_mode 2>/dev/null || echo "$sourced")
  [[ -z ${VLA_ROS_USE:-} ]] || MODE=$sourced
  enter_ros "$MODE" || exit 1
}

main() {
  mkdir -p "$LOGS"
  exec 9>"$LOGS/lock"
  flock -n 9 || { echo "Another setup runs in this checkout; waiting for it."; flock 9; }
  settle_mode
  check_machine
  local environment build_state rest=
  environment=$(environment_hash)
  build_state=$(build_hash)
  if is_current .venv/stamp "$environment" && is_current build/stamp "$build_state"; then return; fi

  step "this machine: $(uname -m), $("$python" --version), ROS 2 $([[ $MODE == wheels ]] && echo 'from wheels, apart from any other' || echo "${MODE#system }, as sourced")"
  step "Debian packages"
  check_debian_packages
  if is_current .venv/stamp "$environment"; then
    step "Python environment in .venv: unchanged"
    step "build"
  else
    step "Python environment in .venv: ROS 2 and build tools"
    make_venv
    [[ $MODE != wheels ]] || install_ros
    step "build, and meanwhile the libraries (PyTorch with CUDA is most of it; several GB the first time)"
    trap stop_background EXIT
    pip_install libraries base stack dev &
    rest=$!
  fi
  local built=yes
  is_current build/stamp "$build_state" || (build) || built=no
  [[ -z $rest ]] || wait "$rest"
  echo "$environment" >.venv/stamp
  [[ $built == yes ]] || exit 1
  echo "$build_state" >build/stamp
  step "ready after $((SECONDS - STARTED)) s"
}

if [[ ${1:-} == --debian-packages ]]; then
  printf '%s\n' "${DEBIAN_PACKAGES[@]}"
else
  main
fi
