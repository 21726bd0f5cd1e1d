"""Stop the arm at once; it stays still until `vla reset`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(options: argparse.Namespace) -> int:
    """Publish on the stop topic, which any node may use, and have the service confirm it."""
    from vla_ros.cli.graph import Graph
    from vla_ros.ros.interfaces import ESTOP

    with Graph("vla_estop") as graph:
        response = graph.call(ESTOP)
    print(response.message)
    return 0 if response.success else 1
