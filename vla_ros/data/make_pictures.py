"""Makes video.mp4 and timeline.png of a finished run:  python -m vla_ros.data.make_pictures RUN_FOLDER [--robot panda]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vla_ros.core.errors import VlaRosError
from vla_ros.data.artefacts import make_artefacts
from vla_ros.data.bag_signals import read_run_signals
from vla_ros.data.run_folder import RunFolder
from vla_ros.robots.config import load_robot_config

FRONT_TOPIC = "/camera/front/color/image_raw/compressed"
WRIST_TOPIC = "/camera/wrist/color/image_raw/compressed"


def make_pictures(folder: RunFolder, robot_name: str) -> list[str]:
    """A sentence for each picture that could not be made. Raises VlaRosError for a bag or robot that cannot be read."""
    robot = load_robot_config(robot_name)
    signals = read_run_signals(folder.bag, robot.arm_joints, robot.finger_joints)
    return make_artefacts(folder, signals, robot.limits, FRONT_TOPIC, WRIST_TOPIC)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when both were made."""
    parser = argparse.ArgumentParser(prog="make_pictures", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--robot", default="panda")
    options = parser.parse_args(arguments)
    try:
        problems = make_pictures(RunFolder(options.run), options.robot)
    except VlaRosError as error:
        problems = [str(error)]
    for problem in problems:
        sys.stderr.write(problem + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
