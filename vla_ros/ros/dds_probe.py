"""Tries the middleware as the cameras use it: `publish` sends images until it is ended, `subscribe` wants some to arrive.

Run by `vla doctor` in two processes. An image is larger than Fast DDS's own shared-memory segment, so that this fails where the
profile is missing although small messages would get through.
"""

from __future__ import annotations

import array
import sys
import time

import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from vla_ros.ros.image_transport import hearing_images

TOPIC = "dds_probe"
WIDTH_PX, HEIGHT_PX = 640, 480
RATE_HZ = 30.0
WANTED = 15
TIMEOUT_S = 12.0


def publish(node: Node) -> int:
    """Send images for the time that a subscriber would wait."""
    publisher = node.create_publisher(Image, TOPIC, qos_profile_sensor_data)
    image = Image(width=WIDTH_PX, height=HEIGHT_PX, encoding="rgb8", step=WIDTH_PX * 3)
    image.data = array.array("B", bytes(WIDTH_PX * HEIGHT_PX * 3))
    end_s = time.monotonic() + 2.0 * TIMEOUT_S
    while time.monotonic() < end_s:
        publisher.publish(image)
        time.sleep(1.0 / RATE_HZ)
    return 0


def subscribe(node: Node) -> int:
    """Wait for images; fails when too few have come in time."""
    arrived_s: list[float] = []
    node.create_subscription(Image, TOPIC, lambda image: arrived_s.append(time.monotonic()), qos_profile_sensor_data)
    end_s = time.monotonic() + TIMEOUT_S
    while len(arrived_s) < WANTED and time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=0.1)
    if len(arrived_s) < WANTED:
        sys.exit(f"{len(arrived_s)} of {WANTED} images of {WIDTH_PX}x{HEIGHT_PX} arrived within {TIMEOUT_S:.0f} s")
    rate_hz = (len(arrived_s) - 1) / (arrived_s[-1] - arrived_s[0])
    print(f"images of {WIDTH_PX}x{HEIGHT_PX} arrive in another process at {rate_hz:.0f} Hz")
    return 0


def main() -> int:
    """Run the part named on the command line."""
    with hearing_images():
        rclpy.init()
        node = rclpy.create_node(f"dds_probe_{sys.argv[1]}")
    return publish(node) if sys.argv[1] == "publish" else subscribe(node)


if __name__ == "__main__":
    sys.exit(main())
