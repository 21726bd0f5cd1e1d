"""Finishes a run's folder: video.mp4, timeline.png, and in result.json the measures and the files there are.

python -m vla_ros.evaluation.finish_run RUN_FOLDER [--robot panda]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vla_ros.core.errors import VlaRosError
from vla_ros.core.scheduling import Urgency, prepare_process
from vla_ros.data.artefacts import make_artefacts
from vla_ros.data.bag_signals import read_run_signals
from vla_ros.data.run_folder import RunFolder
from vla_ros.evaluation.measures import Measures, measure
from vla_ros.robots import load_robot

FRONT_TOPIC = "/camera/front/color/image_raw/compressed"
WRIST_TOPIC = "/camera/wrist/color/image_raw/compressed"


def finish_run(folder: RunFolder, robot_name: str) -> list[str]:
    """A sentence for each thing that could not be made.

    result.json is changed last and always, so that whoever waits for its ``measures`` knows that nothing more will come. A folder without
    it, as of an episode that was recorded without a goal, is left without.
    """
    problems: list[str] = []
    measures: Measures | None = None
    try:
        arm = load_robot(robot_name)
        signals = read_run_signals(folder.bag, arm.config.arm_joints, arm.config.gripper.binding)
        problems += make_artefacts(folder, signals, arm.config.limits, FRONT_TOPIC, WRIST_TOPIC)
        measures = measure(signals, arm.config.limits, arm.config.workspace, arm.fk)
    except VlaRosError as error:
        problems.append(str(error))
    try:
        if folder.result.exists():
            folder.add_to_result(measures=measures)
    except VlaRosError as error:
        problems.append(str(error))
    return problems


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when everything was made."""
    parser = argparse.ArgumentParser(prog="finish_run", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--robot", default="panda")
    options = parser.parse_args(arguments)
    problems = finish_run(RunFolder(options.run), options.robot)
    for problem in problems:
        sys.stderr.write(problem + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    prepare_process(Urgency.LEISURE)  # the next goal must not feel it
    sys.exit(main())
