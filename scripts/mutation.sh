#!/usr/bin/env bash
# Mutation testing of the gate's core with the quick unit tests; mutants/ keeps what is known, so that it can be interrupted and run again.
# `mutation.sh [PATTERN...]`: all mutants that were not tried yet, or those whose names match, for example 'vla_ros.safety.braking.*'.
# Settings: [tool.mutmut] in pyproject.toml. Results: docs/reference/mutation.md.
. "$(dirname "${BASH_SOURCE[0]}")/env.sh" || exit
set -eu
cd "$VLA_ROS_ROOT"

if ! python -c 'import mutmut' 2>/dev/null; then
  python -m pip install --quiet --disable-pip-version-check -r requirements/mutation.txt -c requirements/constraints.txt
fi
export PYTHONPATH=$VLA_ROS_ROOT/scripts:${PYTHONPATH:-}
nice -n 19 python -m mutmut run --max-children 1 "$@"
python -m mutmut results
