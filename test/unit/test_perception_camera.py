"""The camera monitor: each fault is noticed, a healthy camera raises none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vla_ros.core.errors import PerceptionError
from vla_ros.core.scene import CameraFault
from vla_ros.perception.camera import CameraMonitor, CameraMonitorConfig, policy_image

STEP_NS = 33_333_333
START_NS = 5_000_000_000
NOISE = np.random.default_rng(0).normal(0, 2.0, (5, 480, 640, 3)).round().astype(np.int16)  # shown in turn


def picture(arm_x: int = 300) -> np.ndarray:
    """A table, a few things on it, and an arm that reaches in from above at column ``arm_x``."""
    image = np.full((480, 640, 3), (158, 153, 145), np.uint8)
    cv2.rectangle(image, (0, 0), (639, 60), (20, 20, 25), -1)
    cv2.rectangle(image, (150, 250), (190, 290), (210, 20, 20), -1)
    cv2.rectangle(image, (420, 300), (460, 340), (20, 150, 30), -1)
    cv2.circle(image, (300, 360), 50, (20, 40, 210), 12)
    cv2.rectangle(image, (arm_x, 0), (arm_x + 70, 220), (235, 235, 240), -1)
    cv2.rectangle(image, (arm_x + 10, 150), (arm_x + 60, 215), (60, 60, 65), -1)
    return image


class Feed:
    """Feeds a monitor with frames 1/30 s apart and keeps what it said."""

    def __init__(self, **config: object) -> None:
        self.monitor = CameraMonitor(CameraMonitorConfig(camera="front", **config))  # type: ignore[arg-type]
        self.stamp_ns = START_NS
        self.faults: list[CameraFault] = []

    def show(self, image: np.ndarray, *, noise: float = 2.0, moving: bool = False, delay_ns: int = 20_000_000):
        self.stamp_ns += STEP_NS
        if noise:
            grain = NOISE[len(self.faults) % len(NOISE)]
            image = cv2.add(image, grain if noise > 1 else grain // 2, dtype=cv2.CV_8U)
        self.health = self.monitor.update(image, self.stamp_ns, self.stamp_ns + delay_ns, robot_moving=moving)
        self.faults.append(self.health.fault)
        return self.health

    def healthy(self, frames: int = 45, **options: object) -> None:
        for i in range(frames):
            self.show(picture(250 + 4 * (i % 30)), moving=True, **options)  # type: ignore[arg-type]


def test_a_healthy_noisy_camera_raises_nothing() -> None:
    feed = Feed()
    feed.healthy(240)
    assert set(feed.faults) == {CameraFault.OK}
    assert feed.health.usable
    assert feed.health.camera == "front"
    assert feed.health.rate_hz == pytest.approx(30, abs=1.5)
    assert feed.health.age_s == pytest.approx(0.02)


def test_a_still_scene_of_a_noiseless_camera_is_not_frozen() -> None:
    feed = Feed()
    for _ in range(150):
        feed.show(picture(), noise=0)
    assert set(feed.faults) == {CameraFault.OK}


def test_identical_images_while_the_robot_moves_are_frozen_and_recover() -> None:
    feed = Feed()
    feed.healthy(noise=0)
    for _ in range(24):
        feed.show(picture(), noise=0, moving=True)
    assert feed.health.fault is CameraFault.FROZEN
    assert not feed.health.usable
    assert "robot moved" in feed.health.detail
    feed.healthy(30, noise=0)
    assert feed.health.fault is CameraFault.OK


def test_identical_images_of_a_sensor_known_to_be_noisy_are_frozen_even_when_nothing_moves() -> None:
    feed = Feed()
    for _ in range(40):
        feed.show(picture())
    for _ in range(24):
        feed.show(picture(), noise=0)
    assert feed.health.fault is CameraFault.FROZEN
    assert "noisy" in feed.health.detail


def test_one_repeated_frame_is_no_fault() -> None:
    feed = Feed()
    feed.healthy()
    feed.show(picture(), noise=0, moving=True)
    feed.show(picture(), noise=0, moving=True)
    feed.healthy(10)
    assert set(feed.faults) == {CameraFault.OK}


def test_the_same_stamp_again_and_again_is_frozen() -> None:
    feed = Feed()
    feed.healthy()
    for i in range(30):
        health = feed.monitor.update(picture(), feed.stamp_ns, feed.stamp_ns + (i + 1) * STEP_NS // 4)
    health = feed.monitor.update(picture(), feed.stamp_ns, feed.stamp_ns + 700_000_000)
    assert health.fault is CameraFault.LATE
    assert not health.usable
    feed.stamp_ns += 700_000_000
    assert feed.show(picture()).fault in (CameraFault.LATE, CameraFault.FROZEN)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda image: image // 40, CameraFault.BLACK),
        (lambda image: np.clip(image.astype(int) * 3, 0, 255).astype(np.uint8), CameraFault.SATURATED),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 3), CameraFault.BLURRED),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 8), CameraFault.BLURRED),
    ],
)
def test_a_spoiled_picture_is_named_and_recovers(spoil, fault: CameraFault) -> None:
    feed = Feed()
    feed.healthy()
    for i in range(20):
        feed.show(spoil(picture(250 + 4 * (i % 30))), moving=True, noise=1.0)
    assert feed.health.fault is fault
    assert not feed.health.usable
    assert feed.health.detail
    feed.healthy(12)
    assert feed.health.fault is fault, "a fault clears only after half a second of good images"
    feed.healthy(20)
    assert feed.health.fault is CameraFault.OK


def test_a_single_bad_frame_is_no_fault() -> None:
    feed = Feed()
    feed.healthy()
    feed.show(np.zeros((480, 640, 3), np.uint8))
    feed.healthy(5)
    assert set(feed.faults) == {CameraFault.OK}


def test_a_plain_view_is_not_blurred() -> None:
    feed = Feed()
    feed.healthy()
    for _ in range(60):
        feed.show(np.full((480, 640, 3), 140, np.uint8))
    assert set(feed.faults) == {CameraFault.OK}


def test_dirt_on_the_lens_is_noticed_while_the_robot_moves() -> None:
    feed = Feed()
    feed.healthy(90)
    for i in range(120):
        image = picture(250 + 4 * (i % 30))
        cv2.rectangle(image, (470, 380), (639, 479), (25, 25, 25), -1)
        feed.show(image, moving=True)
    assert feed.health.fault is CameraFault.DIRTY
    assert feed.health.usable, "most of the picture is still good"


def test_a_camera_on_the_hand_does_not_take_what_is_held_for_dirt() -> None:
    feed = Feed(watch_dirt=False)
    feed.healthy(60)
    for i in range(90):
        image = picture(250 + 4 * (i % 30))
        cv2.rectangle(image, (470, 380), (639, 479), (25, 25, 25), -1)
        feed.show(image, moving=True)
    assert set(feed.faults) == {CameraFault.OK}


def test_an_arm_that_comes_to_rest_in_view_is_not_dirt() -> None:
    feed = Feed()
    feed.healthy(90)
    for i in range(120):
        image = picture(480)
        cv2.rectangle(image, (480, 0), (560, 220), (30, 30, 30), -1)
        cv2.circle(image, (100, 100 + 2 * (i % 60)), 6, (200, 0, 0), -1)
        feed.show(image)
    assert CameraFault.DIRTY not in feed.faults


def test_silence_and_old_images_are_late() -> None:
    feed = Feed()
    feed.healthy()
    assert feed.monitor.poll(feed.stamp_ns + 100_000_000).fault is CameraFault.OK
    late = feed.monitor.poll(feed.stamp_ns + 300_000_000)
    assert late.fault is CameraFault.LATE
    assert not late.usable
    assert "old" in late.detail
    old = Feed()
    for _ in range(10):
        old.show(picture(), delay_ns=400_000_000)
    assert old.health.fault is CameraFault.LATE


def test_a_low_rate_and_a_foreign_clock_are_late() -> None:
    slow = Feed()
    for i in range(20):
        slow.stamp_ns += 4 * STEP_NS
        slow.show(picture(250 + i))
    assert slow.health.fault is CameraFault.LATE
    assert "images/s" in slow.health.detail
    ahead = Feed()
    assert ahead.show(picture(), delay_ns=-2_000_000_000).fault is CameraFault.LATE
    assert "future" in ahead.health.detail


def test_time_that_jumps_back_starts_afresh() -> None:
    feed = Feed()
    feed.healthy()
    feed.stamp_ns = 0
    feed.healthy(40)
    assert feed.health.fault is CameraFault.OK


@pytest.mark.parametrize("bad", [None, np.zeros((480, 640), np.uint8), np.zeros((480, 640, 3), np.float32), np.zeros((4, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(bad) -> None:
    with pytest.raises(PerceptionError, match="expected uint8"):
        CameraMonitor(CameraMonitorConfig(camera="front")).update(bad, 1, 1)


def test_policy_images_keep_proportions() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, :320] = 200
    padded = policy_image(image)
    assert padded.shape == (256, 256, 3)
    assert padded.dtype == np.uint8
    assert not padded[:32].any()
    assert not padded[-32:].any()
    assert padded[40, 10, 0] == 200
    assert policy_image(np.full((40, 40, 3), 9, np.uint8), (64, 96)).shape == (64, 96, 3)
