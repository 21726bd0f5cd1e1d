"""Bring the arm home, around what is seen; the monitor has the last word."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(options: argparse.Namespace) -> int:
    """Plan and move."""
    from vla_ros.cli.move import move_to
    from vla_ros.core.outcomes import MoveKind

    return move_to(MoveKind.HOME)
