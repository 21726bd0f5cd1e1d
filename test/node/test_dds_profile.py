"""What config/fastdds.xml and config/fastdds_images.xml make of nodes: looked at from without, with real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from rclpy.utilities import get_rmw_implementation_identifier

from vla_ros.ros.domain import free_domain_id
from vla_ros.ros.image_transport import image_profile
from vla_ros.ros.this_machine import WANTED

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.skipif("fastrtps" not in get_rmw_implementation_identifier(), reason="needs Fast DDS"),
    pytest.mark.skipif(os.environ.get(WANTED) != "true", reason="another profile, or a network, was chosen"),
]

NODE = """
import rclpy
rclpy.init()
node = rclpy.create_node("looked_at")
print("ready", flush=True)
rclpy.spin(node)
"""
CAREFUL_NODE = """
import rclpy
from vla_ros.core.errors import ConfigError
from vla_ros.ros.this_machine import require_this_machine
rclpy.init()
node = rclpy.create_node("careful")
try:
    require_this_machine()
    print("ready", flush=True)
except ConfigError as error:
    print(error, flush=True)
"""
TALKER = """
import time
import rclpy
from rclpy.qos import QoSProfile
from std_msgs.msg import UInt64
rclpy.init()
node = rclpy.create_node("talker")
publisher = node.create_publisher(UInt64, "numbers", QoSProfile(depth=50))
number = 0
while True:
    number += 1
    publisher.publish(UInt64(data=number))
    time.sleep(0.1)
"""
LISTENER = """
import rclpy
from rclpy.qos import QoSProfile
from std_msgs.msg import UInt64
rclpy.init()
node = rclpy.create_node("listener")
node.create_subscription(UInt64, "numbers", lambda message: print(message.data, flush=True), QoSProfile(depth=50))
rclpy.spin(node)
"""
PACKETS = 30_000  # more than the receive buffer holds
PAUSE_S = 0.4
LATER = 12  # messages on, of which about half were said in the pause
SOON_S = 1.5  # Fast DDS as it comes tells of a lost message, and lets later ones pass, after up to 3 s


@contextmanager
def process(code: str, domain: int, **environment: str) -> Iterator[subprocess.Popen[str]]:
    own = {**os.environ, "ROS_DOMAIN_ID": str(domain), **environment}
    with subprocess.Popen([sys.executable, "-c", code], env=own, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def read_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def opened(pid: int) -> list[str]:
    return [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]


def threads(pid: int) -> set[str]:
    return {(task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()}


def udp_sockets(pid: int) -> list[tuple[str, int]]:
    """(local address as Linux writes it, port)"""
    inodes = {link[len("socket:[") : -1] for link in opened(pid) if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    locals_ = [row[1].split(":") for row in rows if row[9] in inodes]
    return [(address, int(port, 16)) for address, port in locals_]


def test_a_node_without_raw_images_uses_no_shared_memory_and_no_thread_that_reads_descriptions_of_types() -> None:
    """Shared memory could leave it unheard when it was killed and started again; dds.tls.replies crashed nodes while a graph started."""
    with process(NODE, free_domain_id()) as node:
        assert read_line(node) == "ready"
        assert not [path for path in opened(node.pid) if "fastdds" in path]
        assert any(name.startswith("dds.udp") for name in threads(node.pid)), threads(node.pid)
        assert not [name for name in threads(node.pid) if name.startswith(("dds.tls", "dds.shm"))]


def test_a_node_with_raw_images_uses_shared_memory_and_udp() -> None:
    with process(NODE, free_domain_id(), FASTDDS_DEFAULT_PROFILES_FILE=image_profile()) as node:
        assert read_line(node) == "ready"
        assert [path for path in opened(node.pid) if "fastdds" in path]
        assert any(name.startswith("dds.udp") for name in threads(node.pid)), threads(node.pid)


def test_a_node_whose_profile_cannot_be_read_does_not_go_out_on_the_network(tmp_path: Path) -> None:
    broken = tmp_path / "broken.xml"
    broken.write_text(Path(os.environ["FASTDDS_DEFAULT_PROFILES_FILE"]).read_text().replace("heartbeat_period", "heart"))
    with process(CAREFUL_NODE, free_domain_id(), FASTDDS_DEFAULT_PROFILES_FILE=str(broken)) as node:
        assert "must be heard on this machine only" in "".join(node.stdout or ())
    with process(CAREFUL_NODE, free_domain_id()) as node:
        assert read_line(node) == "ready"


def test_a_lost_message_holds_up_those_after_it_only_shortly() -> None:
    domain = free_domain_id()
    with process(LISTENER, domain) as listener, process(TALKER, domain):
        read_line(listener)
        ports = [port for _, port in udp_sockets(listener.pid) if 7400 <= port < 32768]
        assert ports
        flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        before = int(read_line(listener))
        os.kill(listener.pid, signal.SIGSTOP)
        for _ in range(PACKETS):
            for port in ports:
                flood.sendto(bytes(64), ("127.0.0.1", port))
        time.sleep(PAUSE_S)  # what the talker says meanwhile finds no room
        os.kill(listener.pid, signal.SIGCONT)
        since_s = time.monotonic()
        while int(read_line(listener)) < before + LATER:
            pass
        silent_s = time.monotonic() - since_s
        flood.close()
        assert silent_s < SOON_S, f"silent for another {silent_s:.1f} s"
