"""What config/fastdds.xml makes of a node: looked at from within."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

import rclpy
from rclpy.context import Context
from rclpy.utilities import get_rmw_implementation_identifier

from vla_ros.ros.domain import free_domain_id

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="threads have names in /proc"),
    pytest.mark.skipif("fastrtps" not in get_rmw_implementation_identifier(), reason="needs Fast DDS"),
]


def test_a_node_has_no_thread_that_reads_descriptions_of_types() -> None:
    """dds.tls.replies crashed nodes while a graph started."""
    context = Context()
    rclpy.init(context=context, domain_id=free_domain_id())
    try:
        node = rclpy.create_node("threads", context=context)
        names = {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
        node.destroy_node()
    finally:
        context.shutdown()
    assert any(name.startswith("dds.") for name in names), names
    assert not [name for name in names if name.startswith("dds.tls")]
