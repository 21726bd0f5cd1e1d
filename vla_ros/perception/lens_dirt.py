"""Dirt on a lens: a patch of the image that stays dark or smeared while the rest of the picture changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_ros.perception.image_measures import GRID, ImageMeasures


@dataclass(frozen=True)
class DirtConfig:
    """Grey levels 0-255."""

    interval_s: float = 0.5  # between two pictures that are compared
    changed_levels: float = 2.5  # mean difference of a patch that has changed
    others_changed: int = 2  # patches that have to change for the rest to count as changing
    dark_ratio: float = 0.5  # of the patch's own reference
    smeared_ratio: float = 0.3  # the same for texture; only told while nearly all the picture moves
    moving_ratio: float = 0.6  # part of the patches that change when the camera itself moves
    intervals: int = 4  # in a row, then it is dirt
    learn_intervals: int = 3  # before anything can be told
    gain: float = 0.15  # of the references, per interval


class LensDirt:
    """Remembers how each patch usually looks, and counts for how long it has not changed."""

    def __init__(self, config: DirtConfig) -> None:
        self._config = config
        self._mean = np.zeros(GRID)
        self._texture = np.zeros(GRID)
        self._count = np.zeros(GRID, dtype=int)
        self._alive = np.zeros(GRID, dtype=bool)  # patches that have been seen to change with the camera's motion
        self._learned = 0
        self._last: NDArray[np.int16] | None = None
        self._last_ns = 0
        self._moving = False

    def update(self, m: ImageMeasures, stamp_ns: int, robot_moving: bool) -> int:
        """How many patches are dirty after this image.

        A dark arm that has come to rest in view looks like dirt: intervals count only while the robot moves or the camera does.
        """
        self._moving |= robot_moving
        if self._last is None or stamp_ns - self._last_ns >= self._config.interval_s * 1e9:
            if self._last is not None:
                self._compare(m, self._last)
            self._last, self._last_ns = m.small, stamp_ns
            self._moving = robot_moving
        return int((self._count >= self._config.intervals).sum())

    def _compare(self, m: ImageMeasures, before: NDArray[np.int16]) -> None:
        c = self._config
        rows, columns = GRID
        difference = np.abs(m.small - before)
        change = difference.reshape(rows, difference.shape[0] // rows, columns, -1).mean(axis=(1, 3))
        changed = change > c.changed_levels
        camera_moves = changed.mean() > c.moving_ratio
        suspicious = np.zeros(GRID, dtype=bool)
        if self._learned >= c.learn_intervals:
            suspicious = (m.patch_mean < c.dark_ratio * self._mean) & (self._mean > 20)
            if camera_moves:
                suspicious |= self._alive & (m.patch_texture < c.smeared_ratio * self._texture)
        if suspicious.mean() > 0.5:
            suspicious[:] = False  # all of the picture: the light has changed
        if changed.sum() >= c.others_changed and (self._moving or camera_moves):
            self._count = np.where(suspicious & ~changed, self._count + 1, np.where(suspicious, self._count, 0))
        self._count[~suspicious] = 0
        if camera_moves:
            self._alive |= changed
        self._learn(m, ~suspicious)

    def _learn(self, m: ImageMeasures, usual: NDArray[np.bool_]) -> None:
        gain = 1.0 / (self._learned + 1) if self._learned < 1 / self._config.gain else self._config.gain
        self._mean[usual] += gain * (m.patch_mean - self._mean)[usual]
        self._texture[usual] += gain * (m.patch_texture - self._texture)[usual]
        self._learned += 1
