"""Stop the arm at once; it stays still until `vla reset`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(options: argparse.Namespace) -> int:
    """Publish on the stop topic, which any node may use, and have the service confirm it."""
    from vla_ros.cli.graph import Graph
    from vla_ros.ros.interfaces import ESTOP, ESTOP_TOPIC, load_type
    from vla_ros.ros.qos import profile

    with Graph("vla_estop") as graph:
        publisher = graph.node.create_publisher(load_type(ESTOP_TOPIC.type), ESTOP_TOPIC.name, profile(ESTOP_TOPIC.qos))
        publisher.publish(load_type(ESTOP_TOPIC.type)())
        response = graph.call(ESTOP)
    print(response.message)
    return 0 if response.success else 1
