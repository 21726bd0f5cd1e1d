"""depth_perception: colour and depth in; objects, obstacles and points out."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import cv2
from rclpy.serialization import deserialize_message

from vla_ros.core.robot_state import JointState
from vla_ros.core.scheduling import Urgency
from vla_ros.core.stamps import NS_PER_MS
from vla_ros.perception.pipeline import DepthPerception, PerceptionResult
from vla_ros.robots import load_robot
from vla_ros.ros.conversions.arrays import ns_from_cdr
from vla_ros.ros.conversions.images import ImageView, camera_from_info, points_to_msg
from vla_ros.ros.conversions.robot import contact_from_msg, joint_state_from_msg
from vla_ros.ros.conversions.scene import detections_to_msg, scene_to_msg
from vla_ros.ros.inbox import Inbox, Latest
from vla_ros.ros.interfaces import (
    COLOR_IMAGE,
    COLOR_INFO,
    CONTACT,
    DEPTH_IMAGE,
    DETECTIONS,
    FORGET,
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

IMAGES_KEPT = 3  # until they are looked at: colour and depth of one stamp do not come together
JOINT_HISTORY = 60  # joint states kept, so that the arm can be removed as it stood when the image was taken
FARTHEST_JOINTS_NS = 30 * NS_PER_MS


@dataclass(frozen=True)
class DepthPerceptionNodeConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    camera: str = parameter("front", "the RGB-D camera, as the robot's configuration names it")
    rate: float = parameter(10.0, "of images that are looked at", unit="Hz", low=0.5, high=30.0)


class DepthPerceptionNode(VlaNode):
    """A thread of its own looks at the newest pair of images of one stamp."""

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
        self._info = Latest(self, COLOR_INFO.at(camera=camera.name), lambda message: message)
        self._pipeline: DepthPerception | None = None
        self._joints: deque[JointState] = deque(maxlen=JOINT_HISTORY)
        self._new_joints = Inbox(self, JOINT_STATES, depth=JOINT_HISTORY)
        self._joints_type = load_type(JOINT_STATES.type)
        self._contact = Latest(self, CONTACT, contact_from_msg)
        self._colour = Inbox(self, COLOR_IMAGE.at(camera=camera.name), depth=IMAGES_KEPT)
        self._depth = Inbox(self, DEPTH_IMAGE.at(camera=camera.name), depth=IMAGES_KEPT)
        self._objects, self._detections, self._markers = (
            self.publish_on(OBJECTS),
            self.publish_on(DETECTIONS),
            self.publish_on(OBJECT_MARKERS),
        )
        self._points, self._obstacles = self.publish_on(POINTS), self.publish_on(OBSTACLES)
        self.serve(FORGET, self._on_forget)
        self._forget = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="depth", daemon=True)
        self._thread.start()

    def teardown(self) -> None:
        """Ends the thread."""
        if hasattr(self, "_thread"):
            self._stop.set()
            self._thread.join(timeout=2.0)

    def _on_forget(self, _: Any, response: Any) -> Any:
        self._forget.set()
        response.success, response.message = True, "All objects are forgotten; what is seen from now on counts."
        return response

    def _loop(self) -> None:
        """Looks at the newest pair of images at the configured rate."""
        update = self._guarded(self._update)
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + 1.0 / self.config.rate, time.monotonic())
            update()

    def _update(self) -> None:
        self._joints.extend(joint_state_from_msg(deserialize_message(letter.cdr, self._joints_type)) for letter in self._new_joints.take())
        pair = self._newest_pair()
        if pair is None:
            return
        stamp_ns = ns_from_cdr(pair[0])
        joints = self._joints_at(stamp_ns)
        if joints is None:
            return
        if self._pipeline is None and (info := self._intrinsics()) is not None:
            T_base_camera = self._frames.lookup(self.arm.config.base_frame, self._camera.frame)
            camera = replace(camera_from_info(self._camera, info), parent=self.arm.config.base_frame, T_parent_camera=T_base_camera)
            self._pipeline = DepthPerception(self.arm, camera)
        if self._pipeline is None:
            return
        if self._forget.is_set():
            self._forget.clear()
            self._pipeline.reset()
        colour, depth = (ImageView.of(cdr) for cdr in pair)
        result = self._pipeline.update(colour.colour(), depth.depth_mm(), stamp_ns, joints, self._contact.get())
        self._publish(result, stamp_ns)

    def _intrinsics(self) -> Any:
        """CameraInfo of the camera; None, and a warning after a while, as long as none has come."""
        info = self._info.get()
        if info is None:
            self.get_logger().warning(
                f"Nothing has come on {self._info.topic.name}: without intrinsics nothing is seen.",
                throttle_duration_sec=5.0,
                skip_first=True,
            )
        return info

    def _newest_pair(self) -> tuple[bytes, bytes] | None:
        """Serialized colour and depth of one stamp, the newest that are both there."""
        colour = {ns_from_cdr(letter.cdr): letter.cdr for letter in self._colour.take()}
        depth = {ns_from_cdr(letter.cdr): letter.cdr for letter in self._depth.take()}
        stamps = colour.keys() & depth.keys()
        return (colour[max(stamps)], depth[max(stamps)]) if stamps else None

    def _joints_at(self, stamp_ns: int) -> JointState | None:
        """The joints measured nearest to the image; None when there are none near enough."""
        nearest = min(self._joints, key=lambda j: abs(j.stamp_ns - stamp_ns), default=None)
        return nearest if nearest is not None and abs(nearest.stamp_ns - stamp_ns) <= FARTHEST_JOINTS_NS else None

    def _publish(self, result: PerceptionResult, stamp_ns: int) -> None:
        base = self.arm.config.base_frame
        self._objects.publish(scene_to_msg(result.scene))
        if self._obstacles.get_subscription_count():
            self._obstacles.publish(points_to_msg(result.obstacles.points_m, stamp_ns, base))
        if self._detections.get_subscription_count():
            self._detections.publish(detections_to_msg(result.scene))
        if self._points.get_subscription_count():
            self._points.publish(points_to_msg(result.obstacles.points_m, stamp_ns, base, result.obstacles.rgb))
        if self._markers.get_subscription_count():
            self._markers.publish(object_markers(result.scene))


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(DepthPerceptionNode, urgency=Urgency.BACKGROUND)
