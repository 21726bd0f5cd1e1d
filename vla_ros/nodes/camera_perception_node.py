"""camera_perception: colour images in; a policy-ready image and the health of each camera out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from vla_ros.core.scene import CameraHealth
from vla_ros.core.scheduling import Urgency
from vla_ros.core.stamps import NS_PER_S
from vla_ros.data.images import jpeg_encode
from vla_ros.perception.camera import CameraMonitor, CameraMonitorConfig, policy_image
from vla_ros.perception.motion_in_view import robot_moves_in_view
from vla_ros.robots import load_robot
from vla_ros.robots.values import WORLD_FRAME
from vla_ros.ros.conversions.images import ImageView, compressed_to_msg, image_to_cdr
from vla_ros.ros.conversions.robot import joint_state_from_msg
from vla_ros.ros.conversions.scene import health_to_msg
from vla_ros.ros.inbox import Inbox, Latest
from vla_ros.ros.interfaces import CAMERA_HEALTH, COLOR_COMPRESSED, COLOR_IMAGE, JOINT_STATES, POLICY_IMAGE
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run

REPORT_PERIOD_S = 0.2
MOVING_RADPS = 0.05
JPEG_QUALITY = 95


@dataclass(frozen=True)
class CameraPerceptionConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    camera: str = parameter("front", "whose image becomes policy-ready")
    size: int = parameter(256, "edge of the policy-ready image; the rest is padded", unit="px")
    rate: float = parameter(10.0, "of policy-ready images", unit="Hz", low=0.5, high=30.0)
    check_rate: float = parameter(10.0, "of images whose health is judged, for each camera", unit="Hz", low=1.0, high=30.0)


class _Watch:
    """One camera: its monitor and what was last said of it."""

    def __init__(self, name: str, rate_hz: float, is_fixed: bool) -> None:
        self.name = name
        self.is_fixed = is_fixed
        # On the hand the fingers, and what they hold, stand still in the picture as dirt does.
        self.monitor = CameraMonitor(CameraMonitorConfig(camera=name, rate_hz=rate_hz, watch_dirt=is_fixed))
        self.inbox: Inbox
        self.said: CameraHealth | None = None
        self.judged_ns = 0
        self.made_ns = 0


class CameraPerceptionNode(VlaNode):
    """Looks at the newest image of each camera at the configured rate; those between are not decoded."""

    def __init__(self) -> None:
        super().__init__("camera_perception")
        self.config = declare(self, CameraPerceptionConfig)

    def setup(self) -> None:
        """One monitor for each camera of the robot; its images, the joint states and the outputs."""
        cv2.setNumThreads(1)  # the other processes need the other core
        self._arm = load_robot(self.config.robot)
        robot = self._arm.config
        fixed = {robot.base_frame, WORLD_FRAME}
        self._joints = Latest(self, JOINT_STATES, joint_state_from_msg)
        self._image = self.publish_on(POLICY_IMAGE)
        self._compressed = {name: self.publish_on(COLOR_COMPRESSED.at(camera=name)) for name in robot.cameras}
        self._health = self.publish_on(CAMERA_HEALTH)
        self._watches = [
            _Watch(camera.name, min(camera.rate_hz, self.config.check_rate), camera.parent in fixed) for camera in robot.cameras.values()
        ]
        for watch in self._watches:
            watch.inbox = Inbox(self, COLOR_IMAGE.at(camera=watch.name))
        self.every(1.0 / self.config.check_rate, self._look)
        self.every(REPORT_PERIOD_S, self._report)

    def _robot_now_ns(self) -> int:
        """Stamp of the newest joint states: the robot's time, without listening to /clock."""
        joints = self._joints.get()
        return joints.stamp_ns if joints is not None else 0

    def _is_moving(self, watch: _Watch) -> bool:
        """Whether something of the robot moves in the camera's view."""
        joints = self._joints.get()
        if joints is None:
            return False
        camera = self._arm.config.cameras[watch.name]
        if watch.is_fixed:
            return robot_moves_in_view(self._arm, camera, joints)
        return float(np.abs(np.nan_to_num(joints.velocities)).max(initial=0.0)) > MOVING_RADPS

    def _look(self) -> None:
        for watch in self._watches:
            for letter in watch.inbox.take():
                self._on_image(watch, ImageView.of(letter.cdr))

    def _on_image(self, watch: _Watch, view: ImageView) -> None:
        stamp_ns = view.stamp_ns
        if stamp_ns < watch.judged_ns - NS_PER_S:  # the simulator was restarted
            watch.judged_ns = watch.made_ns = 0
        is_due = stamp_ns - watch.made_ns >= 0.9 / self.config.rate * NS_PER_S
        image = view.colour()
        watch.judged_ns = stamp_ns
        self._say(watch, watch.monitor.update(image, stamp_ns, max(self._robot_now_ns(), stamp_ns), robot_moving=self._is_moving(watch)))
        if is_due:
            watch.made_ns = stamp_ns
            self._pass_on(watch.name, image, stamp_ns, view.frame_id)

    def _pass_on(self, camera: str, image: Any, stamp_ns: int, frame_id: str) -> None:
        self._compressed[camera].publish(compressed_to_msg(jpeg_encode(image, JPEG_QUALITY), "jpeg", stamp_ns, frame_id))
        if camera == self.config.camera:
            small = policy_image(image, (self.config.size, self.config.size))
            self._image.publish(image_to_cdr(small, "rgb8", stamp_ns, frame_id))

    def _say(self, watch: _Watch, health: CameraHealth) -> None:
        """Publishes a change at once; what stays as it is goes out with the periodic report."""
        if watch.said is None or (watch.said.fault, watch.said.usable) != (health.fault, health.usable):
            self._health.publish(health_to_msg(health))
            self._log(f"camera {watch.name}: {health.fault.name}: {health.detail}", health.usable)
        watch.said = health

    def _log(self, text: str, usable: bool) -> None:
        if usable:  # rclpy allows one severity for each line of code
            self.get_logger().info(text)
        else:
            self.get_logger().warning(text)

    def _report(self) -> None:
        for watch in self._watches:
            if watch.said is None:
                continue
            health = watch.monitor.poll(self._robot_now_ns())
            self._say(watch, health)
            self._health.publish(health_to_msg(health))


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(CameraPerceptionNode, urgency=Urgency.BACKGROUND)
