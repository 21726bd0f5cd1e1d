"""Stop the arm at once; it stays still until `vla reset`.

The exit code is 0 only when the safety monitor has confirmed the stop.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(options: argparse.Namespace) -> int:
    """Publish on the stop topic, which any node may use, until the monitor's state says that the arm is stopped."""
    from vla_ros.cli.emergency_stop import GIVE_UP_S, EmergencyStop
    from vla_ros.cli.graph import Graph

    with Graph("vla_estop") as graph:
        stop = EmergencyStop(graph, say=lambda text: print(text, flush=True))
        stop.send()
        graph.spin_until(lambda: stop.confirmed is not None, 2 * GIVE_UP_S, meanwhile=stop.poll)
    return 0 if stop.confirmed else 1
