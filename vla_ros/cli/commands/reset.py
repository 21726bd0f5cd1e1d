"""End a latched stop, when the arm is at rest and the monitor's self-test passes."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(options: argparse.Namespace) -> int:
    """Ask the safety monitor."""
    from vla_ros.cli.graph import Graph
    from vla_ros.ros.interfaces import RESET

    with Graph("vla_reset") as graph:
        response = graph.call(RESET)
    print(response.message)
    return 0 if response.success else 1
