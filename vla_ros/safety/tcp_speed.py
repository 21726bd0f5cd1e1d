"""How fast the TCP may go: once this is known a chunk is followed no faster; no tick is committed whose stop would be.

The pace of a path keeps a share of the robot's Cartesian limits (``operation`` in config/safety/<robot>.yaml), for velocity and for
acceleration, linear and angular. A stop keeps the limits of velocity whole; its acceleration is limited joint by joint.
"""

from __future__ import annotations

import numpy as np

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Array
from vla_ros.robots import Arm
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.path import ACCELERATION_SHARE, VELOCITY_SHARE

STILL = 1e-9  # m/s, rad/s and their changes below which nothing is slowed


class TcpSpeed:
    """For one arm."""

    def __init__(self, arm: Arm, config: SafetyConfig) -> None:
        self._arm, self._tick_s = arm, config.tick_s
        self._hard = limits = arm.config.cartesian
        velocity, acceleration = VELOCITY_SHARE * config.operation.velocity, ACCELERATION_SHARE * config.operation.acceleration
        self._velocity = velocity * np.array([limits.linear_velocity_mps, limits.angular_velocity_radps])
        self._acceleration = acceleration * np.array([limits.linear_acceleration_mps2, limits.angular_acceleration_radps2])

    def highest_pace(self, rows: Array, velocities: Array, dt_s: float) -> tuple[Array, SafetyReason]:
        """[n] at ``rows`` [n, dof], ``dt_s`` apart, which are passed with ``velocities`` [n, dof] rad/s at a pace of 1; and the limit.

        That is the one which is the nearest anywhere: of velocity or of acceleration.
        """
        rates = np.stack(self._arm.tcp_rates(rows, velocities), axis=1)  # [n, 2, 3]
        changes = np.empty_like(rates)
        changes[1:-1] = (rates[2:] - rates[:-2]) / (2 * dt_s)
        changes[0], changes[-1] = (rates[1] - rates[0]) / dt_s, (rates[-1] - rates[-2]) / dt_s
        by_velocity = (self._velocity / np.maximum(_lengths(rates), STILL)).min(axis=1)
        by_acceleration = np.sqrt(self._acceleration / np.maximum(_lengths(changes), STILL)).min(axis=1)
        reason = SafetyReason.VELOCITY_LIMIT if by_velocity.min() <= by_acceleration.min() else SafetyReason.ACCELERATION_LIMIT
        return np.minimum(by_velocity, by_acceleration), reason

    def excess(self, positions: Array, velocities: Array, tcp_m: Array) -> str:
        """What is too fast, as a clause, or "": of a motion [n, dof] one tick from row to row, whose TCP is at ``tcp_m`` [n, 3]."""
        if len(tcp_m) < 2:
            return ""
        fastest_mps = float(_lengths(tcp_m[1:] - tcp_m[:-1]).max()) / self._tick_s
        if fastest_mps > self._hard.linear_velocity_mps:
            return f"the TCP would move at {fastest_mps:.2f} m/s; its limit is {self._hard.linear_velocity_mps:g} m/s"
        if float(np.abs(velocities).sum(axis=1).max()) <= self._hard.angular_velocity_radps:
            return ""  # the joints' turns together are no faster
        fastest_radps = float(np.linalg.norm(self._arm.tcp_rates(positions, velocities)[1], axis=1).max())
        if fastest_radps > self._hard.angular_velocity_radps:
            return f"the TCP would turn at {fastest_radps:.2f} rad/s; its limit is {self._hard.angular_velocity_radps:g} rad/s"
        return ""


def _lengths(vectors: Array) -> Array:
    """[..., 3] -> [...]."""
    return np.sqrt(np.einsum("...i,...i", vectors, vectors))
