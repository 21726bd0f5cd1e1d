"""Jerk-limited stops on the tick grid.

Between ticks the jerk is constant, so a stop is a sequence of accelerations on the grid and the quintic that a controller lays through the
knots is the very same curve. For each joint the shortest number of ticks is taken for which rest can be reached inside the limits of
acceleration and jerk: the accelerations at the ticks must lie between a lowest and a highest profile, and their sum is fixed by the
velocity to be lost. A blend of the two profiles has that sum and keeps both limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array
from vla_ros.robots import Arm
from vla_ros.safety.config import SafetyConfig

MORE_TICKS = 4  # than the stop before it; most are over by then, and are looked for there first
AT_REST = 1e-9  # rad/s and rad/s2 below which a joint counts as still


@dataclass(frozen=True)
class MotionState:
    """Commanded position, velocity and acceleration [dof] (rad, rad/s, rad/s2)."""

    position: Array
    velocity: Array
    acceleration: Array


@dataclass(frozen=True)
class Stop:
    """A stop on the tick grid: arrays [n + 1, dof]; row 0 is the state it starts from, the last row is at rest."""

    positions: Array
    velocities: Array
    accelerations: Array

    @property
    def ticks(self) -> int:
        """How long it takes."""
        return len(self.positions) - 1

    def after(self, states: Sequence[MotionState]) -> Stop:
        """The same with what goes before it, one tick from row to row."""
        if not states:
            return self
        return Stop(
            np.vstack([*(state.position for state in states), self.positions]),
            np.vstack([*(state.velocity for state in states), self.velocities]),
            np.vstack([*(state.acceleration for state in states), self.accelerations]),
        )


def still(position: Array) -> Stop:
    """The stop of an arm that stands already."""
    zeros = np.zeros((1, len(position)))
    return Stop(position[None, :].copy(), zeros, zeros)


def braking_of(arm: Arm, config: SafetyConfig) -> Braking:
    """The stops that ``config`` allows ``arm``."""
    limits, shares = arm.config.limits, config.braking
    return Braking(
        np.asarray(limits.velocity_radps, dtype=float),
        shares.acceleration * np.asarray(limits.acceleration_radps2, dtype=float),
        shares.jerk * np.asarray(limits.jerk_radps3, dtype=float),
        config.tick_s,
    )


class Braking:
    """Stops of at most ``acceleration`` [rad/s2] and ``jerk`` [rad/s3], each [dof], from states inside ``velocity``, ``acceleration``."""

    def __init__(self, velocity: Array, acceleration: Array, jerk: Array, tick_s: float) -> None:
        self._tick_s = tick_s
        self._step = jerk * tick_s  # largest change of acceleration in one tick
        self._most = acceleration / self._step
        longest_s = velocity / acceleration + 4 * acceleration / jerk
        self._ticks = np.arange(1, int(np.ceil(np.max(longest_s) / tick_s)) + 8)[:, None]
        self._usual = MORE_TICKS
        most = np.concatenate([self._most, self._most])
        self._most_both = most
        self._floor_most = np.floor(most)

    @property
    def longest_s(self) -> float:
        """No stop from inside the limits takes longer."""
        return float(len(self._ticks) * self._tick_s)

    def plan(self, position: Array, velocity: Array, acceleration: Array) -> Stop:
        """The stop from a state (each [dof]). Raises ValueError for a state outside the limits of this braking."""
        if np.max(np.abs(velocity)) < AT_REST and np.max(np.abs(acceleration)) < AT_REST:
            return still(position)
        start = acceleration / self._step
        total = -(velocity / (self._tick_s * self._step) + start / 2)  # sum of the accelerations at the ticks between start and rest
        ticks = self._shortest(start, total)
        n = int(ticks.max())
        self._usual = n + MORE_TICKS
        k = self._ticks[:n]
        left = np.maximum(ticks - k, 0)
        low = np.minimum(np.maximum(np.maximum(start - k, -left), -self._most), 0.0 + left)
        high = np.maximum(np.minimum(np.minimum(start + k, left), self._most), 0.0 - left)
        low_sum, high_sum = low.sum(axis=0), high.sum(axis=0)
        share = (total - low_sum) / np.maximum(high_sum - low_sum, 1e-12)  # where they are the same, any share will do
        profile = (low + np.minimum(np.maximum(share, 0.0), 1.0) * (high - low)) * self._step
        return self._integrate(position, velocity, acceleration, profile)

    def _shortest(self, start: Array, total: Array) -> Array:
        """[dof] fewest ticks in which each joint can come to rest."""
        both_start, both_total = np.concatenate([start, -start]), np.concatenate([total, -total])
        dof = len(start)
        for ticks in (self._ticks[: self._usual], self._ticks):
            fits = (self._lowest_sum(both_start, ticks) <= both_total + 1e-9) & (np.abs(both_start) <= ticks + 1e-9)
            fits = fits[:, :dof] & fits[:, dof:]
            if fits.any(axis=0).all():
                return fits.argmax(axis=0) + 1
        joints = np.flatnonzero(~fits[-1]).tolist()
        raise ValueError(f"no stop within {self.longest_s:.2f} s for the joints number {joints}")

    def _lowest_sum(self, start: Array, n: NDArray[np.intp]) -> Array:
        """[ticks, joints] least sum of the accelerations at ticks 1..n-1, in steps: down from ``start``, flat, up to 0 at tick ``n``."""
        down = np.floor(np.minimum((n + start) / 2, start + self._most_both))
        down = np.minimum(np.maximum(down, 0), n - 1)
        up = np.minimum(n - 1 - down, self._floor_most)
        flat = n - 1 - down - up
        return down * (start - (down + 1) / 2) - up * (up + 1) / 2 - flat * self._most_both

    def _integrate(self, position: Array, velocity: Array, acceleration: Array, profile: Array) -> Stop:
        h = self._tick_s
        rows = len(profile) + 1
        p, v, a = np.empty((rows, len(position))), np.empty((rows, len(position))), np.empty((rows, len(position)))
        a[0], a[1:] = acceleration, profile
        v[0] = velocity
        v[1:] = velocity + np.cumsum((a[:-1] + a[1:]) * (h / 2), axis=0)
        p[0] = position
        p[1:] = position + np.cumsum(v[:-1] * h + (2 * a[:-1] + a[1:]) * (h * h / 6), axis=0)
        v[-1] = 0.0
        a[-1] = 0.0
        return Stop(p, v, a)
