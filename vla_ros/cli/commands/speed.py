"""Set the speed override of all motion: 0 (stands still) to 1 (as the experts ask).

At 0 what is followed is given up. When it is raised, a goal that is still running goes on with fresh chunks: cancel it first where that
is not meant.
"""

from __future__ import annotations

import argparse

from vla_ros.cli.numbers import number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The scale."""
    parser.add_argument("scale", type=number(0.0, 1.0), help="0 to 1")


def run(options: argparse.Namespace) -> int:
    """Ask the safety monitor."""
    from vla_ros.cli.graph import Graph
    from vla_ros.ros.interfaces import SET_SPEED

    with Graph("vla_speed") as graph:
        response = graph.call(SET_SPEED, scale=options.scale)
    print(response.message)
    return 0 if response.success else 1
