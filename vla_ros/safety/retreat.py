"""The way back: where the arm went lately, to go back along when it has met something."""

from __future__ import annotations

from collections import deque

import numpy as np

from vla_ros.core.geometry import Array

STEP_RAD = 0.01  # of the joint that moved most, between two postures that are kept
STEP_S = 0.05  # for each of them on the way back
KEPT = 64
WORSE = 1.5  # times the push at which the way back began: it leads into something


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


class Retreat:
    """When the arm goes back, by at most ``way_rad`` of the joint that moves most. A push is a share of the allowed one."""

    def __init__(self, way_rad: float) -> None:
        self.trail = Trail()
        self._way_rad = way_rad
        self._pushed_by = 0.0  # at which the arm began to go back; 0: it has not
        self._met = False  # the arm was under way when it was pushed: only then did it run into something

    @property
    def is_due(self) -> bool:
        """It ran into something, and has not gone back from it."""
        return self._met and not self._pushed_by

    def pushed(self, *, under_way: bool) -> None:
        """A push has begun."""
        self._met = under_way

    def forget(self) -> None:
        """Another push is another matter."""
        self._pushed_by = 0.0

    def once_more(self) -> None:
        """Somebody asks for it while the push lasts."""
        self._met, self._pushed_by = True, 0.0

    def begin(self, push: float, position: Array, *, allowed: bool) -> Array | None:
        """[n, dof] the way from ``position``; None where none is known. Not ``allowed``: it is given up, as done."""
        self._pushed_by = max(push, 1.0)
        return self.trail.back(position, self._way_rad) if allowed and self._way_rad else None

    def is_worse(self, push: float) -> bool:
        """The way back leads into something."""
        return push > WORSE * self._pushed_by


def _apart_rad(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max())
