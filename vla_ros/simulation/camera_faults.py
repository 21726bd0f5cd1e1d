"""What faults do to images. Each effect is one that perception's camera health is to find."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.stamps import ns_from_s
from vla_ros.simulation.cameras import CameraImage
from vla_ros.simulation.faults import FaultKind, Faults

_SPOT_RADIUS = 0.09  # of dirt, as a fraction of the image's height
_DIRT_RGB = (58, 50, 42)


class CameraFaults:
    """Stands between the renderer and whoever gets the images."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._frozen: dict[str, CameraImage] = {}
        self._waiting: dict[str, deque[CameraImage]] = {}
        self._dirt: dict[tuple[int, int, float], NDArray[np.bool_]] = {}

    def deliver(self, image: CameraImage, now_ns: int) -> list[CameraImage]:
        """The images of this camera to hand out at ``now_ns``, oldest first: usually just ``image``."""
        image = self._frozen_or(image, now_ns)
        for fault in self._faults.active(now_ns, target=image.camera):
            if fault.kind == FaultKind.CAMERA_BLACK:
                image = _blind(image)
            elif fault.kind == FaultKind.CAMERA_BLURRED:
                image = replace(image, colour=cv2.GaussianBlur(image.colour, (0, 0), max(fault.amount, 0.1)).astype(np.uint8))
            elif fault.kind == FaultKind.CAMERA_SATURATED:
                bright = np.minimum(image.colour.astype(np.float32) * fault.amount + 40, 255)
                image = replace(image, colour=bright.astype(np.uint8))
            elif fault.kind == FaultKind.CAMERA_DIRTY:
                image = self._dirty(image, fault.amount)
        return self._due(image, now_ns)

    def _frozen_or(self, image: CameraImage, now_ns: int) -> CameraImage:
        """While frozen: the last good picture under the new stamp, as a hung driver sends it."""
        if not self._faults.active(now_ns, FaultKind.CAMERA_FROZEN, target=image.camera):
            self._frozen[image.camera] = image
            return image
        last = self._frozen.setdefault(image.camera, image)
        return replace(last, stamp_ns=image.stamp_ns)

    def _due(self, image: CameraImage, now_ns: int) -> list[CameraImage]:
        queue = self._waiting.setdefault(image.camera, deque())
        queue.append(image)
        late = self._faults.active(now_ns, FaultKind.CAMERA_LATE, target=image.camera)
        delay_ns = ns_from_s(max((fault.amount for fault in late), default=0.0))
        due = []
        while queue and queue[0].stamp_ns + delay_ns <= now_ns:
            due.append(queue.popleft())
        return due

    def _dirty(self, image: CameraImage, fraction: float) -> CameraImage:
        height, width, _ = image.colour.shape
        key = (height, width, fraction)
        if key not in self._dirt:
            self._dirt[key] = _spots(height, width, fraction)
        colour = image.colour.copy()
        colour[self._dirt[key]] = _DIRT_RGB
        return replace(image, colour=colour)


def _blind(image: CameraImage) -> CameraImage:
    depth = None if image.depth_mm is None else np.zeros_like(image.depth_mm)
    return replace(image, colour=np.zeros_like(image.colour), depth_mm=depth)


def _spots(height: int, width: int, fraction: float) -> NDArray[np.bool_]:
    """[h, w] True where dirt covers the lens: round spots, the same ones every time, until ``fraction`` of it is covered."""
    rng = np.random.default_rng(0)
    mask = np.zeros((height, width), np.uint8)
    while mask.mean() < min(fraction, 1.0):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(mask, centre, int(height * _SPOT_RADIUS * rng.uniform(0.5, 1.5)), (1.0,), -1)
    return mask.astype(bool)
