"""What pushes the arm, felt from the torques of its joints.

The observer of the generalised momentum (De Luca and Mattone, "Sensorless robot collision detection and hybrid force/motion control",
ICRA 2005): momentum that the drives, gravity and the motion itself do not explain was given by a contact. It needs no accelerations.
"""

from __future__ import annotations

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.robots import Arm

GAIN_PER_S = 25.0  # 1 / the time that it takes to see 63 % of a contact's torque
GAP_S = 0.2  # between two measurements, beyond which it begins anew


class ContactObserver:
    """For one arm. Measurements go in, with the torque that each joint's sensor feels, gravity's share included."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self.forget()

    @property
    def torque_nm(self) -> Array:
        """[dof] by which something pushes each joint, as far as it is seen yet."""
        return self._seen_nm

    def forget(self) -> None:
        """The next measurement is the first."""
        self._seen_nm = np.zeros(self._arm.config.dof)
        self._before: tuple[int, Array, Array] | None = None

    def measure(self, stamp_ns: int, position: Array, velocity: Array, torque_nm: Array) -> None:
        """All [dof]. After a gap, a step back in time, or numbers that make no sense it begins anew."""
        momentum, drift_nm = self._arm.momentum(position, velocity)
        driven_nm = torque_nm + drift_nm
        before, self._before = self._before, (stamp_ns, momentum, driven_nm)
        if before is None:
            return
        dt_s = (stamp_ns - before[0]) * 1e-9
        if not 0 < dt_s <= GAP_S:
            self._seen_nm = np.zeros(len(momentum))
        else:
            unexplained_nm = (momentum - before[1]) / dt_s - (driven_nm + before[2]) / 2
            share = GAIN_PER_S * dt_s
            self._seen_nm = (self._seen_nm + share * unexplained_nm) / (1 + share)
        if not np.all(np.isfinite(self._seen_nm)):
            self.forget()
