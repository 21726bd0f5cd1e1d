"""What motion_forwarder makes sure of before it passes a gated command on."""

from __future__ import annotations

import numpy as np

from vla_ros.core.actions import GatedCommand
from vla_ros.core.geometry import Array

SAME_RAD = 1e-5  # two computations of one position of rest differ by rounding
STILL_RADPS = 1e-3


class Forwarding:
    """Checks one monitor's commands in order. A monitor that was started again begins anew at 1."""

    def __init__(self, joint_names: tuple[str, ...]) -> None:
        self._joints = joint_names
        self._last_seq = 0
        self._rest: Array | None = None  # where what was passed on last comes to rest

    def check(self, command: GatedCommand) -> None:
        """Raises ValueError, with the reason, for a command that must not reach the controllers."""
        t = command.trajectory
        if command.seq <= self._last_seq and command.seq != 1:
            raise ValueError(f"command {command.seq} came after {self._last_seq}")
        if t.names != self._joints:
            raise ValueError(f"it is for the joints {', '.join(t.names)}, this arm has {', '.join(self._joints)}")
        arrays = (t.times_s, t.positions, t.velocities, t.accelerations)
        if len(t.times_s) == 0 or not all(np.all(np.isfinite(a)) for a in arrays):
            raise ValueError("it is empty or holds numbers that are not finite")
        if np.any(np.diff(t.times_s) <= 0):
            raise ValueError("its times do not increase")
        if np.any(t.velocities[-1] != 0) or np.any(t.accelerations[-1] != 0):
            raise ValueError("it does not end at rest")
        self._last_seq = command.seq

    def is_news(self, command: GatedCommand) -> bool:
        """False for a command to rest where the arm was told to rest already.

        A controller needs it once, and refuses it when it is late.
        """
        t = command.trajectory
        rest = t.positions[-1]
        still = bool(np.abs(t.velocities).max() < STILL_RADPS)
        known = self._rest is not None and bool(np.abs(rest - self._rest).max() < SAME_RAD) and still
        self._rest = rest
        return not known
