"""Time for a path: jerk-limited motion along each straight segment, at rest at the waypoints, by Ruckig."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ruckig import InputParameter, Result, Ruckig, Trajectory

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array
from vla_ros.robots import JointLimits


@dataclass(frozen=True)
class LimitShares:
    """Shares (0-1] of the joint limits. The defaults are what the gate follows without slowing down (config/safety/panda.yaml)."""

    velocity: float = 0.45
    acceleration: float = 0.2
    jerk: float = 0.02


@dataclass(frozen=True)
class TimedTrajectory:
    """Samples of a motion that starts and ends at rest; arrays [n] and [n, dof], ``times_s`` from 0."""

    times_s: Array
    positions: Array
    velocities: Array
    accelerations: Array

    @property
    def duration_s(self) -> float:
        """Until it rests."""
        return float(self.times_s[-1])


def time_path(waypoints: Array, limits: JointLimits, shares: LimitShares | None = None, dt_s: float = 0.05) -> TimedTrajectory:
    """The path through ``waypoints`` [n, dof], sampled every ``dt_s``; straight between the waypoints, inside the shares of the limits.

    Raises MotionError for waypoints or shares that mean nothing.
    """
    shares = shares or LimitShares()
    waypoints = np.asarray(waypoints, dtype=float)
    if waypoints.ndim != 2 or len(waypoints) < 1 or not np.all(np.isfinite(waypoints)):
        raise MotionError(f"A path needs finite waypoints [n, joints]; got shape {waypoints.shape}.")
    for name, share in (("velocity", shares.velocity), ("acceleration", shares.acceleration), ("jerk", shares.jerk)):
        if not 0.0 < share <= 1.0:
            raise MotionError(f"The share of the {name} limits must be above 0 and at most 1, got {share}.")
    parts = [_still(waypoints[0])]
    start_s = 0.0
    for a, b in pairwise(waypoints):
        part = _segment(a, b, limits, shares, dt_s)
        parts.append(TimedTrajectory(part.times_s[1:] + start_s, part.positions[1:], part.velocities[1:], part.accelerations[1:]))
        start_s = start_s + part.duration_s
    columns = ("times_s", "positions", "velocities", "accelerations")
    return TimedTrajectory(*(np.concatenate([getattr(part, column) for part in parts]) for column in columns))


def _still(q: Array) -> TimedTrajectory:
    zeros = np.zeros((1, len(q)))
    return TimedTrajectory(np.zeros(1), q[None, :], zeros, zeros)


def _segment(a: Array, b: Array, limits: JointLimits, shares: LimitShares, dt_s: float) -> TimedTrajectory:
    """From rest at ``a`` to rest at ``b`` in a whole number of ``dt_s``: one profile along the line, so that all joints move together."""
    way = b - a
    length = float(np.abs(way).max())
    if length < 1e-9:
        return _still(a)
    direction = way / length
    used = np.maximum(np.abs(direction), 1e-9)
    profile = InputParameter(1)
    profile.current_position, profile.target_position = [0.0], [length]
    profile.max_velocity = [float(np.min(shares.velocity * limits.velocity_radps / used))]
    profile.max_acceleration = [float(np.min(shares.acceleration * limits.acceleration_radps2 / used))]
    profile.max_jerk = [float(np.min(shares.jerk * limits.jerk_radps3 / used))]
    trajectory = Trajectory(1)
    result = Ruckig(1).calculate(profile, trajectory)
    if result not in (Result.Working, Result.Finished):
        raise MotionError(f"Ruckig could not time the segment of {length:.4f} rad ({result}).")
    steps = max(int(np.ceil(trajectory.duration / dt_s)), 1)
    stretch = trajectory.duration / (steps * dt_s)  # slower by less than one step, so that the samples end exactly at rest
    samples = np.array([trajectory.at_time(i * dt_s * stretch) for i in range(steps + 1)])[:, :, 0]
    samples[-1] = (length, 0.0, 0.0)
    along = direction[None, :]
    return TimedTrajectory(
        np.arange(steps + 1, dtype=np.float64) * dt_s,
        a + samples[:, :1] * along,
        samples[:, 1:2] * stretch * along,
        samples[:, 2:3] * stretch**2 * along,
    )
