"""Open or close the gripper where the arm stands."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do and for which robot."""
    parser.add_argument("what", choices=("open", "close"))
    parser.add_argument("--robot", default="panda", help="name in config/robots")


def run(options: argparse.Namespace) -> int:
    """Send the width that this robot's gripper has when open or closed."""
    from vla_ros.cli.move import move_to
    from vla_ros.core.outcomes import MoveKind
    from vla_ros.robots.config import load_robot_config

    gripper = load_robot_config(options.robot).gripper
    return move_to(MoveKind.GRIPPER, gripper.width_open_m if options.what == "open" else gripper.width_closed_m)
