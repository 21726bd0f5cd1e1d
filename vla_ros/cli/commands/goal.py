"""Send a goal in plain words to a running graph and follow it.

Ctrl-C cancels the goal; the space bar is the emergency stop. The exit code is 0 only when the goal was verified.
"""

from __future__ import annotations

import argparse

from vla_ros.cli.numbers import number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The instruction and its time limit."""
    parser.add_argument("instruction", nargs="+", help='as "put the red cube in the blue bowl"')
    parser.add_argument("--time-limit", type=number(0.0, above=True), default=0.0, metavar="S", help="seconds (default: the planner's)")


def run(options: argparse.Namespace) -> int:
    """Follow the goal to its end."""
    from vla_ros.cli.graph import Graph
    from vla_ros.cli.run_goal import follow_goal

    with Graph("vla_goal") as graph:
        result = follow_goal(graph, " ".join(options.instruction), options.time_limit, say=lambda text: print(text, flush=True))
    return 0 if result.verified else 1
