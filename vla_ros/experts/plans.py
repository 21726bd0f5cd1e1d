"""A joint-space plan as a function of time, and the time law that keeps it inside limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.interpolate import CubicSpline

from vla_ros.core.geometry import Array


class JointPlan(Protocol):
    """q(t) for t >= 0; at rest from ``duration_s`` on."""

    @property
    def duration_s(self) -> float:
        """Time to the end of the plan."""

    def positions(self, times_s: Array) -> Array:
        """[n] times -> [n, dof] rad; times outside [0, duration_s] give the ends."""


@dataclass(frozen=True)
class RestPlan:
    """Stays at one configuration for a while."""

    q_rad: Array  # [dof]
    duration_s: float = 0.0

    def positions(self, times_s: Array) -> Array:
        """The same row for every time."""
        return np.tile(self.q_rad, (len(times_s), 1))


@dataclass(frozen=True)
class RampLaw:
    """Path position s in [0, 1] over time: smooth ramp to a constant rate, cruise, smooth ramp down.

    The rate follows the cubic 3u^2 - 2u^3 in both ramps, so acceleration is continuous and zero at both ends.
    """

    rate: float  # ds/dt while cruising, 1/s
    ramp_s: float  # duration of each ramp

    @staticmethod
    def fastest(max_rate: float, max_acceleration: float) -> RampLaw:
        """The quickest law with ds/dt <= max_rate and |d2s/dt2| <= max_acceleration."""
        peak = 1.5  # of the slope of 3u^2 - 2u^3, relative to its mean
        rate = min(max_rate, float(np.sqrt(max_acceleration / peak)))  # the second: no cruise is left
        return RampLaw(rate, peak * rate / max_acceleration)

    @property
    def duration_s(self) -> float:
        """Time from 0 to 1."""
        return 1.0 / self.rate + self.ramp_s

    def slowed(self, factor: float) -> RampLaw:
        """The same law stretched in time by ``factor``."""
        return RampLaw(self.rate / factor, self.ramp_s * factor)

    def __call__(self, times_s: Array) -> Array:
        """[n] times -> [n] path positions."""
        t = np.clip(times_s, 0.0, self.duration_s)
        mirrored = t > self.duration_s / 2
        t = np.where(mirrored, self.duration_s - t, t)
        u = np.clip(t / self.ramp_s, 0.0, 1.0)
        s = self.rate * (self.ramp_s * (u**3 - 0.5 * u**4) + np.maximum(t - self.ramp_s, 0.0))
        return np.where(mirrored, 1.0 - s, s)


@dataclass(frozen=True)
class PathPlan:
    """A smooth path through joint waypoints, travelled by a time law; at rest at both ends."""

    path: CubicSpline  # s in [0, 1] -> [dof]
    law: RampLaw

    @property
    def duration_s(self) -> float:
        """Time to the end of the path."""
        return self.law.duration_s

    def positions(self, times_s: Array) -> Array:
        """[n] times -> [n, dof] rad."""
        return np.asarray(self.path(self.law(np.asarray(times_s, dtype=float))))


@dataclass(frozen=True)
class StoppingPlan:
    """Another plan, brought to rest along its own path from ``from_s`` on: its time runs ever slower."""

    plan: JointPlan
    from_s: float
    ramp_s: float  # time until rest

    @property
    def duration_s(self) -> float:
        """Time until rest."""
        return self.from_s + self.ramp_s

    def positions(self, times_s: Array) -> Array:
        """[n] times -> [n, dof] rad."""
        t = np.asarray(times_s, dtype=float)
        u = np.clip((t - self.from_s) / self.ramp_s, 0.0, 1.0)
        slowed = self.from_s + self.ramp_s * (u - u**3 + 0.5 * u**4)
        return self.plan.positions(np.where(t > self.from_s, slowed, t))


@dataclass(frozen=True)
class MotionLimits:
    """What a plan keeps to."""

    velocity_radps: Array  # [dof]
    acceleration_radps2: Array  # [dof]


def plan_through(waypoints: Array, limits: MotionLimits, *, length_m: float = 0.0, speed_mps: float = np.inf) -> JointPlan:
    """The quickest rest-to-rest plan through [n, dof] ``waypoints`` inside ``limits``.

    Waypoints lie at equal steps of the path; ``length_m`` is the length of the TCP's path, whose speed stays under ``speed_mps``.
    """
    waypoints = np.asarray(waypoints, dtype=float)
    if np.max(np.abs(waypoints - waypoints[0])) < 1e-5:
        return RestPlan(waypoints[-1])
    s = np.linspace(0.0, 1.0, len(waypoints))
    path = CubicSpline(s, waypoints, bc_type="natural")
    fine = np.linspace(0.0, 1.0, 8 * len(waypoints) + 1)
    slope = np.abs(path(fine, 1)) + 1e-9
    max_rate = float(np.min(limits.velocity_radps / slope))
    if length_m > 0:
        max_rate = min(max_rate, speed_mps / length_m)
    law = RampLaw.fastest(max_rate, float(np.min(limits.acceleration_radps2 / slope)))
    return PathPlan(path, law.slowed(_excess(path, law, limits)))


def _excess(path: CubicSpline, law: RampLaw, limits: MotionLimits) -> float:
    """The factor by which ``law`` must be stretched because the path's curvature adds acceleration."""
    t = np.linspace(0.0, law.duration_s, 241)
    h = t[1]
    q = path(law(t))
    velocity = np.abs(np.diff(q, axis=0)) / h
    acceleration = np.abs(np.diff(q, 2, axis=0)) / h**2
    return max(
        1.0,
        float(np.max(velocity / limits.velocity_radps)),
        float(np.sqrt(np.max(acceleration / limits.acceleration_radps2))),
    )
