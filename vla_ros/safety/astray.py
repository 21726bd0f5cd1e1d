"""An arm that stands still off its command: it was pushed, or it has braked on its own when commands did not arrive."""

from __future__ import annotations

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.safety.inputs import ANCHOR_STEP_RAD, Measured

LASTS_NS = 300_000_000  # until it counts


class Astray:
    """Asked at each tick."""

    def __init__(self, at_rest_radps: float) -> None:
        self._at_rest_radps = at_rest_radps
        self._since_ns = 0  # 0: it is where it was told to be, or it moves

    def forget(self) -> None:
        """What was seen so far does not count."""
        self._since_ns = 0

    def off_rad(self, measured: Measured, commanded: Array, now_ns: int) -> float:
        """How far the resting arm is off, once that has lasted for a while; else 0."""
        off_rad = float(np.abs(measured.positions - commanded).max())
        if off_rad <= ANCHOR_STEP_RAD or measured.speed_radps > self._at_rest_radps:
            self._since_ns = 0
            return 0.0
        self._since_ns = self._since_ns or now_ns
        if now_ns - self._since_ns < LASTS_NS:
            return 0.0
        self._since_ns = 0
        return off_rad
