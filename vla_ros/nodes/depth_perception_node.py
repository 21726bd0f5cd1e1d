"""depth_perception: colour and depth in; objects, obstacles and points out."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
from rclpy.serialization import deserialize_message

from vla_ros.core.robot_state import ContactState, JointState
from vla_ros.core.stamps import NS_PER_MS, NS_PER_S
from vla_ros.perception.pipeline import DepthPerception, PerceptionResult
from vla_ros.robots import load_robot
from vla_ros.ros.conversions.arrays import ns_from_cdr
from vla_ros.ros.conversions.images import colour_from_msg, depth_mm_from_msg, points_to_msg
from vla_ros.ros.conversions.robot import contact_from_msg, joint_state_from_msg
from vla_ros.ros.conversions.scene import detections_to_msg, scene_to_msg
from vla_ros.ros.interfaces import (
    COLOR_IMAGE,
    CONTACT,
    DEPTH_IMAGE,
    DETECTIONS,
    JOINT_STATES,
    OBJECT_MARKERS,
    OBJECTS,
    OBSTACLES,
    POINTS,
    load_type,
)
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.markers import object_markers
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run
from vla_ros.ros.tf import StaticFrames

JOINT_HISTORY = 60  # joint states kept, so that the arm can be removed as it stood when the image was taken
FARTHEST_JOINTS_NS = 30 * NS_PER_MS


@dataclass(frozen=True)
class DepthPerceptionNodeConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    camera: str = parameter("front", "the RGB-D camera, as the robot's configuration names it")
    rate: float = parameter(10.0, "of images that are looked at", unit="Hz", low=0.5, high=30.0)


class DepthPerceptionNode(VlaNode):
    """Images are paired by stamp in the callbacks; the newest pair is worked on in a thread of its own."""

    def __init__(self) -> None:
        super().__init__("depth_perception")
        self.config = declare(self, DepthPerceptionNodeConfig)

    def setup(self) -> None:
        """Connects images, joints and contact, and starts the thread that looks at pairs. Raises ConfigError for an unknown robot."""
        cv2.setNumThreads(1)  # the other processes need the other core
        self.arm = load_robot(self.config.robot)
        camera = self.arm.config.cameras[self.config.camera]
        self._camera = camera
        self._frames = StaticFrames(self)
        self._pipeline: DepthPerception | None = None
        self._joints: deque[JointState] = deque(maxlen=JOINT_HISTORY)
        self._contact: ContactState | None = None
        self._newest: dict[str, bytes] = {}  # serialized: most images are never looked at
        self._last_ns = 0
        self._pair: tuple[bytes, bytes] | None = None
        self._work = threading.Condition()
        self._stopping = False
        self._objects, self._detections, self._markers = (
            self.publish_on(OBJECTS),
            self.publish_on(DETECTIONS),
            self.publish_on(OBJECT_MARKERS),
        )
        self._points, self._obstacles = self.publish_on(POINTS), self.publish_on(OBSTACLES)
        self.subscribe_to(JOINT_STATES, lambda m: self._joints.append(joint_state_from_msg(m)))
        self.subscribe_to(CONTACT, self._on_contact)
        self._image_type = load_type(COLOR_IMAGE.type)
        self.subscribe_to(COLOR_IMAGE.at(camera=camera.name), partial(self._on_image, "colour"), raw=True)
        self.subscribe_to(DEPTH_IMAGE.at(camera=camera.name), partial(self._on_image, "depth"), raw=True)
        self._thread = threading.Thread(target=self._loop, name="depth", daemon=True)
        self._thread.start()

    def teardown(self) -> None:
        """Ends the thread."""
        if hasattr(self, "_thread"):
            with self._work:
                self._stopping = True
                self._work.notify()
            self._thread.join(timeout=2.0)

    def _on_contact(self, message: Any) -> None:
        self._contact = contact_from_msg(message)

    def _on_image(self, kind: str, cdr: bytes) -> None:
        """Hands a pair of one stamp to the thread, at most at the configured rate."""
        self._newest[kind] = cdr
        stamp_ns = ns_from_cdr(cdr)
        if len(self._newest) < 2 or any(ns_from_cdr(other) != stamp_ns for other in self._newest.values()):
            return
        if stamp_ns < self._last_ns:  # the simulator was restarted
            self._last_ns = 0
        if stamp_ns - self._last_ns < (1.0 / self.config.rate - 0.005) * NS_PER_S:
            return
        self._last_ns = stamp_ns
        with self._work:
            self._pair = (self._newest["colour"], self._newest["depth"])
            self._work.notify()

    def _loop(self) -> None:
        update = self._guarded(self._update)
        while True:
            with self._work:
                self._work.wait_for(lambda: self._pair is not None or self._stopping)
                if self._stopping:
                    return
                pair, self._pair = self._pair, None
            if pair is not None:
                update(*pair)

    def _update(self, colour_cdr: bytes, depth_cdr: bytes) -> None:
        stamp_ns = ns_from_cdr(colour_cdr)
        joints = self._joints_at(stamp_ns)
        if joints is None:
            return
        if self._pipeline is None:
            T_base_camera = self._frames.lookup(self.arm.config.base_frame, self._camera.frame)
            self._pipeline = DepthPerception(
                self.arm, replace(self._camera, parent=self.arm.config.base_frame, T_parent_camera=T_base_camera)
            )
        colour, depth = (deserialize_message(cdr, self._image_type) for cdr in (colour_cdr, depth_cdr))
        result = self._pipeline.update(colour_from_msg(colour), depth_mm_from_msg(depth), stamp_ns, joints, self._contact)
        self._publish(result, stamp_ns)

    def _joints_at(self, stamp_ns: int) -> JointState | None:
        """The joints measured nearest to the image; None when there are none near enough."""
        nearest = min(list(self._joints), key=lambda j: abs(j.stamp_ns - stamp_ns), default=None)
        return nearest if nearest is not None and abs(nearest.stamp_ns - stamp_ns) <= FARTHEST_JOINTS_NS else None

    def _publish(self, result: PerceptionResult, stamp_ns: int) -> None:
        base = self.arm.config.base_frame
        self._objects.publish(scene_to_msg(result.scene))
        self._obstacles.publish(points_to_msg(result.obstacles.points_m, stamp_ns, base))
        if self._detections.get_subscription_count():
            self._detections.publish(detections_to_msg(result.scene))
        if self._points.get_subscription_count():
            self._points.publish(points_to_msg(result.obstacles.points_m, stamp_ns, base, result.obstacles.rgb))
        if self._markers.get_subscription_count():
            self._markers.publish(object_markers(result.scene))


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(DepthPerceptionNode)
