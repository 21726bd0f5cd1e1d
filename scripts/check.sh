#!/usr/bin/env bash
# The checks of this checkout, quiet where all is well: `check.sh lint`, `check.sh test`, or both.
. "$(dirname "${BASH_SOURCE[0]}")/env.sh" || exit
set -u  # colcon's set-up files do not stand it
cd "$VLA_ROS_ROOT" || exit

quietly() { # name, command...: prints the command's output only when it fails
  local name=$1 started=$SECONDS output
  shift
  if output=$("$@" 2>&1); then
    printf 'ok    %-14s %ds\n' "$name" "$((SECONDS - started))"
  else
    printf 'FAIL  %-14s %s\n%s\n' "$name" "$*" "$output"
    failed=yes
  fi
}

lint() {
  quietly ruff ruff check --quiet .
  quietly mypy mypy --no-error-summary
  quietly import-linter lint-imports --no-logo
}

tests() {
  # Most tests skip themselves where there is no rclpy; here there is one, and one that cannot be imported must not pass for none.
  if ! python -c 'import rclpy'; then
    echo "FAIL  pytest         rclpy cannot be imported, and most tests would be skipped; run: ./vla doctor" >&2
    return 1
  fi
  # A misuse of a message's fields is an error in tests; in operation that check costs too much.
  local -x ROS_PYTHON_CHECK_FIELDS=1
  # Coverage costs half of a test's time again, so it is measured of the gate alone, by these. The floor: [tool.coverage.report].
  local gate_tests=(test/unit/test_safety_{blind_zones,chunk_checks,config,contact,deadman,floors,foresight,gate,horizon,inputs,motion,moving_things,stop_file,surroundings,sweep_proof,chunk_desk,tcp_rows,tcp_speed,unexplained,witness}.py) result=0
  pytest --quiet --cov --cov-report= "${gate_tests[@]}" || result=$?
  # Raw images need the profile of the nodes that handle them, and a process has one profile.
  local image_tests=test/node/test_camera_and_depth_nodes.py
  FASTDDS_DEFAULT_PROFILES_FILE=$VLA_ROS_IMAGE_PROFILES pytest --quiet "$image_tests" || result=$?
  pytest --quiet "${gate_tests[@]/#/--ignore=}" --ignore="$image_tests" && return "$result"
}

failed=no
for part in "$@"; do
  case $part in
    lint) lint ;;
    test) tests || failed=yes ;;
    *) echo "check.sh: '$part' is neither lint nor test" >&2; exit 2 ;;
  esac
done
[[ $failed == no ]]
