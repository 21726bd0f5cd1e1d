"""Moves the commanded state along a path, one tick at a time, inside the operational limits.

A cascade of position, velocity and acceleration loops with feed-forward: without saturation all three poles lie at ``POLE_RADPS``
(critically damped). Each stage is clamped, so that whatever path it is given the acceleration, the jerk and (looking ahead over the time
it takes to bring the acceleration back to 0) the velocity stay inside the limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.safety.braking import MotionState
from vla_ros.safety.path import ChunkPath

POLE_RADPS = 20.0
LAG_FREE_RAD = 0.01  # distance to the path up to which the pace is kept
LAG_STOP_RAD = 0.05  # distance at which the path waits for the arm
SETTLED_RAD = 2e-4  # the end is reached: the arm is set to rest from here by a stop
CREEP_PACE = 0.02  # slowest pace, so that the last row is reached in finite time


@dataclass(frozen=True)
class Progress:
    """Where on the path the command is: fractional row and pace (1: as the expert meant it)."""

    row: float
    pace: float = 0.0


VelocityRange = Callable[[Array], tuple[Array, Array]]  # position [dof] -> lowest and highest velocity [dof]


class Tracker:
    """One tick is ``tick_s``; limits are [dof]."""

    def __init__(self, velocity: VelocityRange, acceleration: Array, jerk: Array, tick_s: float) -> None:
        self._velocity = velocity
        self._acceleration = acceleration
        self._step = jerk * tick_s
        self._jerk = jerk
        self._tick_s = tick_s

    def advance(self, state: MotionState, path: ChunkPath, progress: Progress, speed: float) -> tuple[MotionState, Progress]:
        """The state and the progress one tick later; ``speed`` (0-1) is the override."""
        h = self._tick_s
        here = path.at(progress.row)
        rate = progress.pace / path.dt_s
        error = here.position - state.position
        target_velocity = here.slope * rate
        target_acceleration = here.curvature * rate**2

        later = self._progress(path, progress, float(np.abs(error).max()), speed)
        ahead = path.at(later.row)
        ahead_rate = later.pace / path.dt_s
        ahead_acceleration = ahead.curvature * ahead_rate**2
        along = (later.pace - progress.pace) / (h * path.dt_s)
        push = here.slope * along

        low, high = self._velocity(state.position)
        velocity_wish = np.minimum(np.maximum(target_velocity + (POLE_RADPS / 3) * error, low), high)
        acceleration_wish = target_acceleration + push + POLE_RADPS * (velocity_wish - state.velocity)
        change = (3 * POLE_RADPS * h) * (acceleration_wish - state.acceleration) + (ahead_acceleration - target_acceleration)
        return self._move(state, state.acceleration + change, low, high), later

    def settled(self, state: MotionState, path: ChunkPath, progress: Progress) -> bool:
        """Whether the last row has been reached, so that the arm may be brought to rest here."""
        if progress.row < path.last_row:
            return False
        return bool(np.abs(path.rows[-1] - state.position).max() < SETTLED_RAD and np.abs(state.velocity).max() < 20 * SETTLED_RAD)

    def _progress(self, path: ChunkPath, progress: Progress, lag_rad: float, speed: float) -> Progress:
        h = self._tick_s
        if progress.row >= path.last_row:
            return Progress(path.last_row, 0.0)
        cap, gain = path.pace_at(progress.row)
        wait = min(max((LAG_STOP_RAD - lag_rad) / (LAG_STOP_RAD - LAG_FREE_RAD), 0.0), 1.0)
        wish = min(speed, max(cap, CREEP_PACE)) * wait
        pace = progress.pace + min(max(wish - progress.pace, -2 * gain * h), gain * h)
        row = progress.row + (progress.pace + pace) / 2 * h / path.dt_s
        return Progress(row, pace) if row < path.last_row else Progress(path.last_row, 0.0)

    def _move(self, state: MotionState, wish: Array, low: Array, high: Array) -> MotionState:
        """One tick with constant jerk towards the acceleration ``wish``, after all limits; ``low``, ``high``: of the velocity."""
        h, a, v = self._tick_s, state.acceleration, state.velocity
        base = v + a * (h / 2)
        up, down = self._brakable(high - base), self._brakable(base - low)
        wish = np.minimum(np.maximum(wish, -np.minimum(down, self._acceleration)), np.minimum(up, self._acceleration))
        after = np.minimum(np.maximum(wish, a - self._step), a + self._step)
        return MotionState(state.position + v * h + (2 * a + after) * (h * h / 6), base + after * (h / 2), after)

    def _brakable(self, room: Array) -> Array:
        """Largest acceleration that can be taken back to 0 before ``room`` [rad/s] of velocity is used up (negative room: the way back)."""
        return np.copysign(np.sqrt(self._step**2 + 2 * self._jerk * np.abs(room)) - self._step, room)
