"""The curve that a ros2_control joint_trajectory_controller makes of a trajectory's points.

Between two points it is a line (positions only), a cubic (positions and velocities) or a quintic (positions, velocities and
accelerations): the rule of ``joint_trajectory_controller::Trajectory::interpolate_between_points``. The simulator plays messages with it
and the tests judge on it what a real arm would be asked to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array

if TYPE_CHECKING:
    from vla_ros.robots import JointLimits


class JointSpline:
    """Positions [n, dof], with velocities and accelerations of the same shape if given, over ``times_s`` [n] (increasing).

    Raises MotionError for shapes that do not agree, times that do not increase, values that are not finite, or accelerations without
    velocities (the controller has no rule for them).
    """

    def __init__(self, times_s: Array, positions: Array, velocities: Array | None = None, accelerations: Array | None = None) -> None:
        self.times_s = np.asarray(times_s, dtype=float)
        positions = np.asarray(positions, dtype=float)
        velocities = None if velocities is None else np.asarray(velocities, dtype=float)
        accelerations = None if accelerations is None else np.asarray(accelerations, dtype=float)
        _check(self.times_s, positions, velocities, accelerations)
        zeros = np.zeros_like(positions[-1])
        self._start = positions[0]
        self._end = (
            positions[-1],
            zeros if velocities is None else velocities[-1],
            zeros if accelerations is None else accelerations[-1],
        )
        self._coefficients = _coefficients(np.diff(self.times_s), positions, velocities, accelerations)

    @property
    def dof(self) -> int:
        """Number of joints."""
        return int(self._start.shape[0])

    @property
    def duration_s(self) -> float:
        """From the first point to the last."""
        return float(self.times_s[-1] - self.times_s[0])

    def sample(self, t_s: float) -> tuple[Array, Array, Array]:
        """Position, velocity and acceleration [dof] at ``t_s`` (on the clock of ``times_s``).

        From the last point on it is that point, before the first one the first position at rest.
        """
        if t_s >= self.times_s[-1]:
            return self._end
        if t_s < self.times_s[0]:
            zeros = np.zeros_like(self._start)
            return self._start, zeros, zeros
        i = int(np.searchsorted(self.times_s, t_s, side="right")) - 1
        dt = t_s - self.times_s[i]
        c = self._coefficients[i]
        position = c[0] + dt * (c[1] + dt * (c[2] + dt * (c[3] + dt * (c[4] + dt * c[5]))))
        velocity = c[1] + dt * (2 * c[2] + dt * (3 * c[3] + dt * (4 * c[4] + dt * 5 * c[5])))
        acceleration = 2 * c[2] + dt * (6 * c[3] + dt * (12 * c[4] + dt * 20 * c[5]))
        return position, velocity, acceleration

    def sample_many(self, times_s: Array) -> tuple[Array, Array, Array]:
        """The same for many times [m]: three arrays [m, dof]."""
        times_s = np.asarray(times_s, dtype=float)
        before, after = times_s < self.times_s[0], times_s >= self.times_s[-1]
        if len(self._coefficients) == 0:
            c = np.zeros((len(times_s), 6, self.dof))
            dt = np.zeros((len(times_s), 1))
        else:
            i = np.clip(np.searchsorted(self.times_s, times_s, side="right") - 1, 0, len(self._coefficients) - 1)
            c = self._coefficients[i]
            dt = (times_s - self.times_s[i])[:, None]
        position = c[:, 0] + dt * (c[:, 1] + dt * (c[:, 2] + dt * (c[:, 3] + dt * (c[:, 4] + dt * c[:, 5]))))
        velocity = c[:, 1] + dt * (2 * c[:, 2] + dt * (3 * c[:, 3] + dt * (4 * c[:, 4] + dt * 5 * c[:, 5])))
        acceleration = 2 * c[:, 2] + dt * (6 * c[:, 3] + dt * (12 * c[:, 4] + dt * 20 * c[:, 5]))
        for array, first, last in zip((position, velocity, acceleration), (self._start, 0.0, 0.0), self._end, strict=True):
            array[before] = first
            array[after] = last
        return position, velocity, acceleration


@dataclass(frozen=True)
class Peaks:
    """The largest use of each limit along a curve; 1 is the limit itself. ``position`` is measured from the middle of the range."""

    position: float
    velocity: float
    acceleration: float

    @property
    def worst(self) -> float:
        """The largest of them."""
        return max(self.position, self.velocity, self.acceleration)


def judge(spline: JointSpline, limits: JointLimits, dt: float = 0.001) -> Peaks:
    """How much of the joint limits the curve uses, every ``dt`` seconds (1 kHz, the rate of Franka's interface) and at its points."""
    grid = np.arange(spline.times_s[0], spline.times_s[-1], dt)
    return judge_samples(*spline.sample_many(np.concatenate([grid, spline.times_s])), limits)


def judge_samples(position: Array, velocity: Array, acceleration: Array, limits: JointLimits) -> Peaks:
    """The same for sampled arrays [m, dof]."""
    low, high = np.asarray(limits.position_min_rad), np.asarray(limits.position_max_rad)
    middle, half = (low + high) / 2, (high - low) / 2
    return Peaks(
        float(np.max(np.abs(position - middle) / half)),
        float(np.max(np.abs(velocity) / limits.velocity_radps)),
        float(np.max(np.abs(acceleration) / limits.acceleration_radps2)),
    )


def _check(times_s: Array, positions: Array, velocities: Array | None, accelerations: Array | None) -> None:
    if positions.ndim != 2 or len(positions) == 0:
        raise MotionError(f"A trajectory needs positions [points, joints] with at least one point; got shape {positions.shape}.")
    if times_s.shape != (len(positions),):
        raise MotionError(f"A trajectory of {len(positions)} points needs as many times; got shape {times_s.shape}.")
    if velocities is None and accelerations is not None:
        raise MotionError("A trajectory with accelerations needs velocities too: the controller has no interpolation for it.")
    for name, array in (("times", times_s), ("positions", positions), ("velocities", velocities), ("accelerations", accelerations)):
        if array is None:
            continue
        if name != "times" and array.shape != positions.shape:
            raise MotionError(f"The trajectory's {name} have shape {array.shape}, its positions {positions.shape}; they must agree.")
        if not np.all(np.isfinite(array)):
            raise MotionError(f"The trajectory's {name} are not finite.")
    if np.any(np.diff(times_s) <= 0):
        i = int(np.argmax(np.diff(times_s) <= 0))
        later = f"point {i + 1} ({times_s[i + 1]} s) does not follow point {i} ({times_s[i]} s)"
        raise MotionError(f"The trajectory's times must increase; {later}.")


def _coefficients(T: Array, p: Array, v: Array | None, a: Array | None) -> Array:
    """[n - 1, 6, dof] coefficients of each segment's polynomial in the time since its first point; ``T`` [n - 1] are the durations."""
    c = np.zeros((len(T), 6, p.shape[1]))
    T = T[:, None]
    step = p[1:] - p[:-1]
    c[:, 0] = p[:-1]
    if v is None:
        c[:, 1] = step / T
        return c
    v0, v1 = v[:-1], v[1:]
    c[:, 1] = v0
    if a is None:
        c[:, 2] = (3 * step - (2 * v0 + v1) * T) / T**2
        c[:, 3] = (-2 * step + (v0 + v1) * T) / T**3
        return c
    a0, a1 = a[:-1], a[1:]
    c[:, 2] = a0 / 2
    c[:, 3] = (20 * step - (12 * v0 + 8 * v1) * T - (3 * a0 - a1) * T**2) / (2 * T**3)
    c[:, 4] = (-30 * step + (16 * v0 + 14 * v1) * T + (3 * a0 - 2 * a1) * T**2) / (2 * T**4)
    c[:, 5] = (12 * step - 6 * (v0 + v1) * T - (a0 - a1) * T**2) / (2 * T**5)
    return c
