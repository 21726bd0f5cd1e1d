# Which ROS 2 this checkout uses, and how it is kept apart from any other. Sourced by setup.sh and env.sh; defines functions only.
# A mode is "wheels" or "system <distribution>"; VLA_ROS_ROOT is the top of the checkout.

# The folders of ROS that this shell has been pointed at, without those of the checkout; one a line.
foreign_prefixes() {
  local prefix
  tr ':;' '\n\n' <<<"${AMENT_PREFIX_PATH:-}:${CMAKE_PREFIX_PATH:-}:${COLCON_PREFIX_PATH:-}" | while read -r prefix; do
    [[ -z $prefix || $prefix == "$VLA_ROS_ROOT"/* ]] || printf '%s\n' "$prefix"
  done | sort -u
}

# Prints the mode for a new environment: "system" where a usable ROS 2 is sourced (Jazzy or newer, its rclpy importable), else "wheels".
# VLA_ROS_USE=wheels or VLA_ROS_USE=system overrules what is found.
choose_mode() {
  local usable=wheels
  if [[ ${ROS_VERSION:-} == 2 && ! ${ROS_DISTRO:-} < jazzy && -n $(foreign_prefixes) ]]; then
    python3 -c 'import rclpy' 2>/dev/null && usable=system
  fi
  case ${VLA_ROS_USE:-$usable} in
    system) echo "system ${ROS_DISTRO:-unknown}" ;;
    *) echo wheels ;;
  esac
}

# Prints a colon list without the entries that lie in one of the given folders.
without_folders() { # list, folder...
  local list=$1 entry folder kept=
  shift
  while read -r entry; do
    [[ -n $entry ]] || continue
    for folder in "$@"; do [[ $entry != "$folder" && $entry != "$folder"/* ]] || continue 2; done
    kept+=:$entry
  done < <(tr ':' '\n' <<<"$list")
  printf '%s' "${kept#:}"
}

# Removes every trace of a sourced ROS from this shell.
leave_ros() {
  local folders=(/opt/ros "$VLA_ROS_ROOT") folder variable
  while read -r folder; do folders+=("$folder"); done < <(foreign_prefixes)
  for variable in PATH PYTHONPATH LD_LIBRARY_PATH; do
    export "$variable=$(without_folders "${!variable:-}" "${folders[@]}")"
    [[ -n ${!variable} ]] || unset "$variable" # an empty one would mean: the working folder
  done
  unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PKG_CONFIG_PATH RMW_IMPLEMENTATION
  unset ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION ROS_ETC_DIR ROS_PACKAGE_PATH
}

# Points this shell to one ROS and to no other; fails where that ROS cannot be found.
enter_ros() { # mode
  local distribution=${1#system }
  if [[ $1 == wheels ]]; then
    leave_ros
    export AMENT_PREFIX_PATH=$VLA_ROS_ROOT/.venv CMAKE_PREFIX_PATH=$VLA_ROS_ROOT/.venv RMW_IMPLEMENTATION=rmw_fastrtps_cpp
  elif [[ ${ROS_DISTRO:-} != "$distribution" ]]; then
    leave_ros
    if [[ ! -f /opt/ros/$distribution/setup.bash ]]; then
      echo "This checkout was set up with ROS 2 $distribution, which is not sourced here. Source it, or run: VLA_ROS_USE=wheels make setup" >&2
      return 1
    fi
    . "/opt/ros/$distribution/setup.bash"
  fi
}
