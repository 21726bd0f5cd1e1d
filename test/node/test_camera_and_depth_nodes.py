"""Images on their way over DDS, and what the perception nodes say of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from ros_harness import Heard, Peer, Ros, wait_until

from vla_ros.core.errors import PerceptionError
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import CameraFault
from vla_ros.nodes.depth_perception_node import DepthPerceptionNode
from vla_ros.robots import load_robot_config
from vla_ros.robots.values import CameraConfig
from vla_ros.ros.conversions.frames import transforms_to_msg
from vla_ros.ros.conversions.images import camera_from_info, camera_info_to_msg, image_to_cdr
from vla_ros.ros.conversions.robot import joint_state_to_msg
from vla_ros.ros.image_transport import IMAGE_PROFILE, PROFILE, image_profile
from vla_ros.ros.interfaces import (
    CAMERA_HEALTH,
    COLOR_IMAGE,
    COLOR_INFO,
    DEPTH_IMAGE,
    HEARTBEAT,
    JOINT_STATES,
    OBJECTS,
    POLICY_IMAGE,
    TF_STATIC,
)

WANTED = f"raw images need: {PROFILE}=${IMAGE_PROFILE} pytest {Path(__file__).name}"
pytestmark = [pytest.mark.node, pytest.mark.skipif(os.environ.get(PROFILE) != image_profile(), reason=WANTED)]

ROBOT = load_robot_config("panda")
FRONT = ROBOT.cameras["front"]
RATE_HZ = 30.0


class FakeCamera:
    """Joint states and, while it is on, images of ``front`` at 30 Hz; the noise of a sensor is in them."""

    def __init__(self, peer: Peer) -> None:
        self.is_on, self.is_black = True, False
        self.sent = 0
        self._rng = np.random.default_rng(0)
        shape = (FRONT.height_px, FRONT.width_px, 3)
        coarse = self._rng.integers(40, 200, (48, 64, 3))
        self._scene = np.kron(coarse, np.ones((shape[0] // 48, shape[1] // 64, 1))).astype(np.uint8)
        self._noise = self._rng.integers(0, 8, (8, *shape), dtype=np.uint8)
        self._images = peer.publisher(COLOR_IMAGE.at(camera="front"))
        self._joints = peer.publisher(JOINT_STATES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            due_s += 1.0 / RATE_HZ
            stamp_ns = time.time_ns()
            self._joints.publish(joints_message(stamp_ns))
            if self.is_on:
                image = np.zeros_like(self._scene) if self.is_black else self._scene + self._noise[self.sent % 8]
                self._images.publish(image_to_cdr(image, "rgb8", stamp_ns, FRONT.frame))
                self.sent += 1


def joints_message(stamp_ns: int) -> Any:
    names = (*ROBOT.arm_joints, *ROBOT.finger_joints)
    zeros = np.zeros(len(names))
    return joint_state_to_msg(JointState(stamp_ns, names, np.array([*ROBOT.home_rad, 0.02, 0.02]), zeros, zeros))


@pytest.fixture
def camera(ros: Ros) -> Iterator[tuple[FakeCamera, list[Heard], list[Heard]]]:
    """A camera in this process and camera_perception in another: the images take the way between processes."""
    process = ros.process("camera_perception")
    peer = ros.peer()
    health, images = peer.listen(CAMERA_HEALTH, matched=True), peer.listen(POLICY_IMAGE, matched=True)
    fake = FakeCamera(peer)
    yield fake, health, images
    fake.close()
    assert process.is_running, process.output


def fault_of(health: list[Heard], fault: CameraFault) -> Any:
    return wait_until(
        lambda: next((h.message for h in reversed(health[-3:]) if h.message.camera == "front" and h.message.fault == fault), None),
        f"{fault.name} of the front camera",
    )


def test_images_pass_between_processes_and_faults_are_told(camera: tuple[FakeCamera, list[Heard], list[Heard]]) -> None:
    fake, health, images = camera
    assert fault_of(health, CameraFault.OK).usable
    before, since_s = len(images), time.monotonic()
    wait_until(lambda: len(images) > before + 10, "policy images")
    assert images[-1].monotonic_s - since_s < 2.5, "10 images at 10 Hz"
    assert (images[-1].message.width, images[-1].message.height, images[-1].message.encoding) == (256, 256, "rgb8")
    fake.is_black = True
    black = fault_of(health, CameraFault.BLACK)
    assert not black.usable
    assert black.detail
    fake.is_black = False
    assert fault_of(health, CameraFault.OK).usable
    fake.is_on = False
    late = fault_of(health, CameraFault.LATE)
    assert not late.usable
    assert "old" in late.detail
    fake.is_on = True
    assert fault_of(health, CameraFault.OK).usable


class FakeScene:
    """Colour and depth of a red cube on a table, computed from its corners, with what else depth_perception needs."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._camera = replace(FRONT, fx=1.1 * FRONT.fx, fy=1.1 * FRONT.fy, cx=FRONT.cx + 15, cy=FRONT.cy - 10)  # as camera_info says
        colour, depth = red_cube_on_a_table(self._camera)
        self._colour, self._depth = peer.publisher(COLOR_IMAGE.at(camera="front")), peer.publisher(DEPTH_IMAGE.at(camera="front"))
        self._joints = peer.publisher(JOINT_STATES)
        frames = peer.publisher(TF_STATIC)
        frames.publish(
            transforms_to_msg([("world", ROBOT.base_frame, np.eye(4)), ("world", FRONT.frame, FRONT.T_parent_camera)], time.time_ns())
        )
        self._info = peer.publisher(COLOR_INFO.at(camera="front"))
        self._pictures = colour, depth
        self._timer = peer.node.create_timer(0.1, self._publish)

    def _publish(self) -> None:
        stamp_ns = time.time_ns()
        self._joints.publish(joints_message(stamp_ns))
        self._info.publish(camera_info_to_msg(self._camera, stamp_ns))
        self._colour.publish(image_to_cdr(self._pictures[0], "rgb8", stamp_ns, FRONT.frame))
        self._depth.publish(image_to_cdr(self._pictures[1], "16UC1", stamp_ns, FRONT.frame))


CUBE_M, EDGE_M = np.array([0.5, -0.1, 0.0225]), 0.045


def red_cube_on_a_table(camera: CameraConfig) -> tuple[np.ndarray, np.ndarray]:
    """Casts a ray through every pixel at the plane z = 0 and at the cube's box; the arm is not drawn."""
    v, u = np.mgrid[: camera.height_px, : camera.width_px]
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u, dtype=float)], axis=-1)  # depth 1 m
    T = np.asarray(camera.T_parent_camera)
    eye, rays = T[:3, 3], rays @ T[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        table_m = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.inf)
        slabs = np.stack([(CUBE_M + side * EDGE_M / 2 - eye) / rays for side in (-1, 1)])
    near_m, far_m = slabs.min(axis=0).max(axis=-1), slabs.max(axis=0).min(axis=-1)
    on_cube = (near_m < far_m) & (near_m > 0) & (near_m < table_m)
    depth_m = np.where(on_cube, near_m, table_m)
    depth_mm = np.where(depth_m < 5.0, depth_m * 1000, 0).astype(np.uint16)
    colour = np.full((*depth_mm.shape, 3), 150, np.uint8)
    colour[on_cube] = (200, 20, 20)
    return colour, depth_mm


def test_a_cube_that_is_seen_is_published_where_it_is(ros: Ros) -> None:
    ros.spin(DepthPerceptionNode)
    peer = ros.peer()
    scenes = peer.listen(OBJECTS, matched=True)
    FakeScene(peer)
    found = wait_until(lambda: next((o for h in scenes[-2:] for o in h.message.objects), None), "an object")
    assert (found.id, found.name) == ("cube_1", "red cube")
    at = found.pose.pose.position
    np.testing.assert_allclose([at.x, at.y, at.z], CUBE_M, atol=0.006)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"width": 1280, "height": 720}, "1280 x 720 pixels; its configuration says 640 x 480"),
        ({"k": [0.0] * 9}, "no focal length"),
        ({"d": [-0.3, 0.1, 0.0, 0.0, 0.0]}, "Send rectified images"),
    ],
)
def test_intrinsics_that_cannot_be_used_are_refused_with_the_reason(change: dict[str, Any], says: str) -> None:
    message = camera_info_to_msg(FRONT, 1)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(PerceptionError, match=says):
        camera_from_info(FRONT, message)


def test_a_lens_that_hardly_bends_is_taken_as_straight() -> None:
    message = camera_info_to_msg(FRONT, 1)
    message.d = [0.001, 0.0, 0.0, 0.0, 0.0]
    assert camera_from_info(FRONT, message).fx == FRONT.fx


def test_nothing_is_seen_and_nothing_said_without_a_place_of_the_camera(ros: Ros) -> None:
    """Without the static frame of the camera no image can be placed; the node says so and lives."""
    spun = ros.spin(DepthPerceptionNode)
    peer = ros.peer()
    scenes, heartbeats = peer.listen(OBJECTS, matched=True), peer.listen(HEARTBEAT, matched=True)
    colour, depth = peer.publisher(COLOR_IMAGE.at(camera="front")), peer.publisher(DEPTH_IMAGE.at(camera="front"))
    joints = peer.publisher(JOINT_STATES)
    stamp_ns = time.time_ns()
    joints.publish(joints_message(stamp_ns))
    colour.publish(image_to_cdr(np.zeros((480, 640, 3), np.uint8), "rgb8", stamp_ns, FRONT.frame))
    depth.publish(image_to_cdr(np.zeros((480, 640), np.uint16), "16UC1", stamp_ns, FRONT.frame))
    before = len(heartbeats)
    wait_until(lambda: len(heartbeats) > before + 2, "heartbeats")
    assert scenes == []
    assert spun.spins
