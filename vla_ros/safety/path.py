"""A chunk as a smooth path over its rows: positions with two continuous derivatives, and how fast the rows may be consumed."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from vla_ros.core.geometry import Array

VELOCITY_SHARE = 0.95  # of the operational velocity for following the path; the rest is for corrections
ACCELERATION_SHARE = 0.6  # of the operational acceleration for the path's own curvature
PACE_SHARE = 0.3  # of the operational acceleration for changing the pace along the path
PACE_CAP_PER_S = 20.0  # fastest change of the pace where the path itself stands
LOOK_S = 0.05  # between two looks at how fast the TCP would be, at most


@dataclass(frozen=True)
class PathPoint:
    """Where a path is at a row; derivatives are by row."""

    position: Array  # [dof] rad
    slope: Array  # [dof] rad/row
    curvature: Array  # [dof] rad/row2


@dataclass(frozen=True)
class Tightest:
    """Which limit a path comes nearest to, or is slowed by."""

    joint: int
    by_acceleration: bool


class ChunkPath:
    """The natural cubic spline through ``rows`` [n, dof] (rad) that lie ``dt_s`` apart.

    The *pace* is the speed of consumption: 1 plays the rows as the expert meant them. ``velocity`` ([dof], or [n - 1, dof] from row to row)
    and ``acceleration`` [dof] are the operational limits: the pace is capped where the path would break them, and so that it can always
    fall to 0 by the last row.
    """

    def __init__(self, rows: Array, dt_s: float, velocity: Array, acceleration: Array) -> None:
        self.rows = np.asarray(rows, dtype=float)
        self.dt_s = dt_s
        self.last_row = float(len(self.rows) - 1)
        bend = _second_derivatives(self.rows)
        linear = np.diff(self.rows, axis=0) - (2 * bend[:-1] + bend[1:]) / 6
        self._coefficients = np.empty((len(linear), 4, self.rows.shape[1]))
        for power, values in enumerate((self.rows[:-1], linear, bend[:-1] / 2, np.diff(bend, axis=0) / 6)):
            self._coefficients[:, power] = values
        caps, self._gain, self.tightest = self._limits(linear, bend, velocity, acceleration)
        self._cap, self._reach = self._paces(caps)

    def looks(self) -> tuple[Array, Array, float]:
        """Postures [m, dof] rad along the path, velocities there at a pace of 1 [m, dof] rad/s, and the s between them at that pace.

        They are passed LOOK_S apart at most, or there are two for each row.
        """
        rows = self._look_rows()
        i = np.minimum(rows.astype(int), len(self._coefficients) - 1)
        x = (rows - i)[:, None]
        c0, c1, c2, c3 = self._coefficients[i].swapaxes(0, 1)
        slopes = c1 + x * (2 * c2 + x * (3 * c3))
        return c0 + x * (c1 + x * (c2 + x * c3)), slopes / self.dt_s, rows[1] * self.dt_s

    def under(self, most: Array) -> ChunkPath:
        """The same path, no faster than ``most`` [m] at this one's looks and between them."""
        rows, segments = self._look_rows(), np.arange(len(self._coefficients))
        assert len(most) == len(rows)
        around = np.empty((len(segments), 2), dtype=int)  # the last look before each segment, and the one after the first behind it
        around[:, 0] = np.searchsorted(rows, segments + 1e-9) - 1
        around[:, 1] = np.searchsorted(rows, segments + 1 - 1e-9) + 1
        lowest = np.minimum.reduceat(np.concatenate([most, [np.inf]]), around.ravel())[::2]
        path = copy.copy(self)
        path._cap, path._reach = self._paces(np.minimum(self._cap, lowest))
        return path

    def _look_rows(self) -> Array:
        """[m] evenly spaced."""
        segments = len(self._coefficients)
        at_full_pace = math.ceil(segments * self.dt_s / LOOK_S)
        looks = max(at_full_pace, min(math.ceil(at_full_pace / max(min(self._cap), 0.01)), 2 * segments))
        return np.asarray(np.arange(looks + 1) * (segments / looks), dtype=float)

    def at(self, row: float) -> PathPoint:
        """The path at a fractional row (clamped to its ends)."""
        i = min(max(int(row), 0), len(self._coefficients) - 1)
        x = min(max(row - i, 0.0), 1.0)
        powers = np.array([[1.0, x, x * x, x * x * x], [0.0, 1.0, 2 * x, 3 * x * x], [0.0, 0.0, 2.0, 6 * x]])
        return PathPoint(*(powers @ self._coefficients[i]))

    def pace_at(self, row: float) -> tuple[float, float]:
        """(highest pace at ``row``, largest change of the pace per second there)."""
        i = min(int(row), len(self._cap) - 1)
        gain = self._gain[i]
        to_next = max(i + 1 - row, 0.0) * self.dt_s
        return min(self._cap[i], (self._reach[i + 1] ** 2 + 2 * gain * to_next) ** 0.5), gain

    def entry_pace(self, row: float, velocity: Array) -> float:
        """The pace at which the path moves most like an arm with ``velocity`` [dof] that enters it at ``row``."""
        slope = self.at(row).slope / self.dt_s
        square = float(slope @ slope)
        return 0.0 if square < 1e-9 else min(max(float(velocity @ slope) / square, 0.0), 1.0)

    @property
    def slowest_cap(self) -> float:
        """The lowest pace that the operational limits force anywhere on the path."""
        return min(self._cap)

    def _limits(self, linear: Array, bend: Array, velocity: Array, acceleration: Array) -> tuple[Array, list[float], Tightest]:
        """For each segment the cap on the pace and on its change; and which limit is the nearest anywhere."""
        middle = linear + bend[:-1] / 2 + np.diff(bend, axis=0) / 8
        end = linear + (bend[:-1] + bend[1:]) / 2
        speed = np.maximum(np.maximum(np.abs(linear), np.abs(middle)), np.abs(end)) / self.dt_s
        curve = np.maximum(np.abs(bend[:-1]), np.abs(bend[1:])) / self.dt_s**2
        with np.errstate(divide="ignore", invalid="ignore"):
            by_speed = np.fmin(VELOCITY_SHARE * velocity / speed, np.inf)  # 0 / 0: what does not move has no limit
            by_curve = np.sqrt(ACCELERATION_SHARE * acceleration / curve)
            gain = np.minimum(np.min(PACE_SHARE * acceleration / speed, axis=1), PACE_CAP_PER_S)
        lowest = np.minimum(by_speed, by_curve)
        segment, joint = np.unravel_index(int(lowest.argmin()), lowest.shape)
        tightest = Tightest(int(joint), bool(by_curve[segment, joint] < by_speed[segment, joint]))
        return np.minimum(lowest.min(axis=1), 1.0), gain.tolist(), tightest

    def _paces(self, caps: Array) -> tuple[list[float], list[float]]:
        """The caps, and for each row the pace from which all caps after it can be kept."""
        cap, gain = caps.tolist(), self._gain
        reach = [0.0] * (len(cap) + 1)
        for i in range(len(cap) - 1, -1, -1):
            reach[i] = min(cap[i], (reach[i + 1] ** 2 + 2 * gain[i] * self.dt_s) ** 0.5)
        return cap, reach


def _second_derivatives(rows: Array) -> Array:
    """[n, dof] second derivatives (by row) of the natural cubic spline: its tridiagonal system."""
    n = len(rows)
    bend = np.zeros_like(rows)
    if n < 3:
        return bend
    wanted = 6 * (rows[2:] - 2 * rows[1:-1] + rows[:-2])
    bend[1:-1] = lapack.dptsv(np.full(n - 2, 4.0), np.ones(max(n - 3, 1)), wanted)[2]  # 4 on the diagonal, 1 beside it: never singular
    return bend
