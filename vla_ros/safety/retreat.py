"""The way back: where the arm went lately, to go back along when it has met something."""

from __future__ import annotations

from collections import deque

import numpy as np

from vla_ros.core.geometry import Array

STEP_RAD = 0.01  # of the joint that moved most, between two postures that are kept
STEP_S = 0.05  # for each of them on the way back
KEPT = 64


class Trail:
    """Commanded postures [dof] rad, the newest last."""

    def __init__(self) -> None:
        self._postures: deque[Array] = deque(maxlen=KEPT)

    def note(self, position: Array) -> None:
        """Where the arm is told to be now."""
        if not self._postures or _apart_rad(self._postures[-1], position) >= STEP_RAD:
            self._postures.append(np.array(position, dtype=float))

    def clear(self) -> None:
        """The arm was moved by others: the way does not lead to where it is."""
        self._postures.clear()

    def back(self, position: Array, way_rad: float) -> Array | None:
        """[n, dof] from ``position`` back until the joint that moves most has gone ``way_rad``; None where no way is known.

        What is gone back is not part of the trail any more: another way back must not lead to where this one begins.
        """
        rows, left_rad = [np.array(position, dtype=float)], way_rad
        while self._postures and left_rad > 0:
            posture = self._postures.pop()
            step_rad = _apart_rad(rows[-1], posture)
            if step_rad >= STEP_RAD / 2:
                rows.append(rows[-1] + min(left_rad / step_rad, 1.0) * (posture - rows[-1]))
                left_rad -= step_rad
        return np.array(rows) if len(rows) > 1 else None


def _apart_rad(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max())
