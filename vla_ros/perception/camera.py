"""Is a camera's image fit to act on? And the image in the form that policies take."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import PerceptionError
from vla_ros.core.scene import CameraFault, CameraHealth
from vla_ros.core.stamps import s_from_ns
from vla_ros.perception.alarm import Alarm
from vla_ros.perception.image_measures import GRID, ImageMeasures, measure
from vla_ros.perception.lens_dirt import DirtConfig, LensDirt


@dataclass(frozen=True)
class CameraMonitorConfig:
    """Limits in pairs: the first raises a fault, the second clears it. Grey levels 0-255, times in s."""

    camera: str
    rate_hz: float = 30.0  # that the camera should have
    max_age_s: tuple[float, float] = (0.25, 0.15)
    min_rate: tuple[float, float] = (0.4, 0.6)  # of rate_hz, over the last second
    max_future_s: float = 0.1  # a stamp farther ahead of now belongs to another clock
    black_bright: tuple[float, float] = (20.0, 30.0)  # 99th percentile of the image
    saturated_part: tuple[float, float] = (0.35, 0.25)  # of the pixels at the top of the range
    blur_ratio: tuple[float, float] = (0.4, 0.6)  # sharpness per the camera's own reference
    blur_absolute: float = 0.03  # sharpness of a lens that was never in focus (about 3 px of blur)
    frozen_s: float = 0.5  # identical content for this long ...
    frozen_moving_s: float = 0.3  # ... with the robot moving in view for this long, or with a sensor known to be noisy
    noisy_images: int = 30  # that differed in a row while nothing moved: the sensor is noisy
    raise_s: float = 0.1
    raise_blur_s: float = 0.3
    clear_s: float = 0.5
    unusable: tuple[CameraFault, ...] = (
        CameraFault.BLACK,
        CameraFault.FROZEN,
        CameraFault.BLURRED,
        CameraFault.SATURATED,
        CameraFault.LATE,
    )  # DIRTY is reported, but the rest of the picture is good
    watch_dirt: bool = True  # False for a camera on the hand: fingers and what they hold stand still in its picture, as dirt does
    dirt: DirtConfig = field(default_factory=DirtConfig)


ORDER = (CameraFault.LATE, CameraFault.BLACK, CameraFault.FROZEN, CameraFault.SATURATED, CameraFault.BLURRED, CameraFault.DIRTY)


class CameraMonitor:
    """Watches one camera. Call ``update`` for each image, and ``poll`` in between when none comes."""

    def __init__(self, config: CameraMonitorConfig) -> None:
        self._config = config
        self._restart()

    def _restart(self) -> None:
        c = self._config
        slow = {CameraFault.BLURRED: c.raise_blur_s, CameraFault.FROZEN: 0.0, CameraFault.DIRTY: 0.0, CameraFault.LATE: 0.0}
        self._alarms = {fault: Alarm(slow.get(fault, c.raise_s), c.clear_s) for fault in ORDER}
        self._details: dict[CameraFault, str] = {}
        self._stamps: deque[int] = deque(maxlen=256)
        self._first_ns = 0
        self._last_ns = 0
        self._repeated_since_ns: int | None = None
        self._freeze = _Freeze(c)
        self._dirt = LensDirt(c.dirt)
        self._sharpness = float("nan")  # reference

    def update(self, image: NDArray[np.uint8], stamp_ns: int, now_ns: int, *, robot_moving: bool = False) -> CameraHealth:
        """Judges one RGB image [h, w, 3]. ``robot_moving``: a moving part of the robot is in this camera's view.

        Raises PerceptionError when it is not an image.
        """
        check_image(image, self._config.camera)
        if self._stamps and stamp_ns < self._last_ns - 1_000_000_000:
            self._restart()  # time has jumped back: the simulation was restarted
        if not self._stamps:
            self._first_ns = stamp_ns
        repeated = bool(self._stamps) and stamp_ns <= self._last_ns
        self._note_repeat(repeated, now_ns)
        if not repeated:
            self._judge(measure(image), stamp_ns, robot_moving)
            self._stamps.append(stamp_ns)
            self._last_ns = stamp_ns
        return self.poll(now_ns)

    def poll(self, now_ns: int) -> CameraHealth:
        """The camera's health now; notices that no image has come."""
        age_s, rate_hz = s_from_ns(now_ns - self._last_ns) if self._stamps else float("inf"), self._rate(now_ns)
        self._judge_time(age_s, rate_hz, now_ns)
        fault = next((f for f in ORDER if self._alarms[f].active), CameraFault.OK)
        rate = f"{rate_hz:.1f} images/s" if len(self._stamps) > 1 else "the first image"
        detail = self._details.get(fault, f"{rate}, newest {age_s * 1e3:.0f} ms old")
        return CameraHealth(self._last_ns, self._config.camera, fault, fault not in self._config.unusable, detail, age_s, rate_hz)

    def _rate(self, now_ns: int) -> float:
        recent = [s for s in self._stamps if s > now_ns - 1_000_000_000]
        if len(recent) < 2:
            return float(len(recent))
        since_ns = max(now_ns - 1_000_000_000, self._first_ns)
        return (len(recent) - 1) / max(s_from_ns(max(now_ns, recent[-1]) - max(recent[0], since_ns)), 1e-3)

    def _judge_time(self, age_s: float, rate_hz: float, now_ns: int) -> None:
        c = self._config
        started = bool(self._stamps) and now_ns - self._first_ns > 1_000_000_000
        slow, quick = (rate_hz < c.min_rate[0] * c.rate_hz, rate_hz > c.min_rate[1] * c.rate_hz) if started else (False, True)
        future = age_s < -c.max_future_s
        bad = age_s > c.max_age_s[0] or slow or future
        if bad:
            words = f"newest image is {age_s:.2f} s old (limit {c.max_age_s[0]} s)"
            if future:
                words = f"stamp lies {-age_s:.2f} s in the future (limit {c.max_future_s} s): do camera and computer share a clock?"
            elif age_s <= c.max_age_s[0]:
                words = f"{rate_hz:.1f} images/s (at least {c.min_rate[0] * c.rate_hz:.1f})"
            self._details[CameraFault.LATE] = words
        self._alarms[CameraFault.LATE].update(bad, age_s < c.max_age_s[1] and quick and not future, now_ns)

    def _note_repeat(self, repeated: bool, now_ns: int) -> None:
        if not repeated:
            self._repeated_since_ns = None
        elif self._repeated_since_ns is None:
            self._repeated_since_ns = now_ns
        elif now_ns - self._repeated_since_ns > self._config.frozen_s * 1e9:
            self._details[CameraFault.FROZEN] = f"the same stamp has been sent for {s_from_ns(now_ns - self._repeated_since_ns):.1f} s"
            self._alarms[CameraFault.FROZEN].update(True, False, now_ns)

    def _judge(self, m: ImageMeasures, stamp_ns: int, robot_moving: bool) -> None:
        c = self._config
        self._set(CameraFault.BLACK, m.bright < c.black_bright[0], m.bright > c.black_bright[1], stamp_ns,
                  f"99 % of the pixels are below {m.bright:.0f} of 255 (limit {c.black_bright[0]:.0f})")  # fmt: skip
        self._set(CameraFault.SATURATED, m.clipped > c.saturated_part[0], m.clipped < c.saturated_part[1], stamp_ns,
                  f"{m.clipped:.0%} of the pixels are at the top of the range (limit {c.saturated_part[0]:.0%})")  # fmt: skip
        frozen, words = self._freeze.update(m.checksum, stamp_ns, robot_moving)
        self._set(CameraFault.FROZEN, frozen, not self._freeze.same, stamp_ns, words)
        if m.bright >= c.black_bright[1] and m.clipped < c.saturated_part[1]:
            self._judge_blur(m.sharpness, stamp_ns)
            dirty = self._dirt.update(m, stamp_ns, robot_moving) if c.watch_dirt else 0
            self._set(CameraFault.DIRTY, dirty > 0, dirty == 0, stamp_ns,
                      f"{dirty} of {GRID[0] * GRID[1]} patches stay dark or smeared while the rest changes: clean the lens")  # fmt: skip

    def _judge_blur(self, sharpness: float, stamp_ns: int) -> None:
        """Against the running reference; an image without texture says nothing."""
        c = self._config
        if not np.isfinite(sharpness):
            return
        if not np.isfinite(self._sharpness):
            self._sharpness = max(sharpness, c.blur_absolute / c.blur_ratio[0])
        ratio = sharpness / self._sharpness
        bad = ratio < c.blur_ratio[0]
        if not bad and not self._alarms[CameraFault.BLURRED].active:
            self._sharpness = max(self._sharpness + 0.02 * (sharpness - self._sharpness), c.blur_absolute / c.blur_ratio[0])
        words = f"edges are {ratio:.0%} as sharp as usual (limit {c.blur_ratio[0]:.0%})"
        self._set(CameraFault.BLURRED, bad, ratio > c.blur_ratio[1], stamp_ns, words)

    def _set(self, fault: CameraFault, bad: bool, good: bool, stamp_ns: int, words: str) -> None:
        if bad:
            self._details[fault] = words
        self._alarms[fault].update(bad, good, stamp_ns)


class _Freeze:
    """Identical content with stamps that move on.

    A noiseless (simulated) camera before a still scene rightly sends identical images. So identity counts only when the
    robot has moved in view meanwhile, or when this sensor has been seen to give different images of a still scene.
    """

    def __init__(self, config: CameraMonitorConfig) -> None:
        self._config = config
        self._checksum: int | None = None
        self._since_ns = 0
        self._last_ns = 0
        self._moving_ns = 0
        self._differing = 0  # still images in a row that differed
        self.same = False

    def update(self, checksum: int, stamp_ns: int, robot_moving: bool) -> tuple[bool, str]:
        c = self._config
        if checksum != self._checksum:
            was_run = self.same
            self._differing = 0 if was_run else self._differing + (0 if robot_moving else 1)
            self._checksum, self._since_ns, self._last_ns, self._moving_ns, self.same = checksum, stamp_ns, stamp_ns, 0, False
            return False, ""
        self.same = True
        self._moving_ns += stamp_ns - self._last_ns if robot_moving else 0
        self._last_ns = stamp_ns
        noisy = self._differing >= c.noisy_images
        long_enough = stamp_ns - self._since_ns >= c.frozen_s * 1e9
        frozen = long_enough and (noisy or self._moving_ns >= c.frozen_moving_s * 1e9)
        why = "its sensor is noisy" if noisy else "the robot moved"
        return frozen, f"identical images for {s_from_ns(stamp_ns - self._since_ns):.1f} s although {why}"


def check_image(image: NDArray[np.uint8], camera: str) -> None:
    """Raises PerceptionError unless ``image`` is uint8 [h, w, 3] of at least 32 pixels a side."""
    right_kind = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
    if not right_kind or image.shape[2] != 3 or min(image.shape[:2]) < 32:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise PerceptionError(
            f"Image of camera '{camera}': expected uint8 [height, width, 3] in RGB, at least 32 pixels a side, got {got}."
        )


def policy_image(image: NDArray[np.uint8], size_px: tuple[int, int] = (256, 256)) -> NDArray[np.uint8]:
    """RGB [h, w, 3] as uint8 [size_px[0], size_px[1], 3] without distortion (size_px is height, width).

    The whole picture, centred, with black bars where it does not fill the frame. Reduced by averaging (no aliasing). Raises PerceptionError
    for a wrong image.
    """
    check_image(image, "policy input")
    (height, width), (out_height, out_width) = image.shape[:2], size_px
    scale = min(out_height / height, out_width / width)
    new = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = cv2.resize(image, new, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    v, u = (resized.shape[0] - out_height) // 2, (resized.shape[1] - out_width) // 2
    result = np.zeros((out_height, out_width, 3), dtype=np.uint8)
    result[-v : -v + resized.shape[0], -u : -u + resized.shape[1]] = resized
    return result
