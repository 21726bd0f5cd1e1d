"""How far the TCP is from the border of its workspace."""

from __future__ import annotations

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.robots import Arm


class Workspace:
    """The box of ``arm.config.workspace`` (base frame), made smaller by ``margin_m`` on every side."""

    def __init__(self, arm: Arm, margin_m: float) -> None:
        self._arm = arm
        self._low = np.asarray(arm.config.workspace.min_m) + margin_m
        self._high = np.asarray(arm.config.workspace.max_m) - margin_m

    def inside_m(self, position: Array) -> float:
        """Distance of the TCP at joint ``position`` to the nearest side of the box; negative outside."""
        tcp = self._arm.fk(position)[:3, 3]
        return float(min((tcp - self._low).min(), (self._high - tcp).min()))

    def rows_inside_m(self, rows: Array) -> Array:
        """[n] the same for many postures [n, dof]."""
        return self.places_inside_m(self._arm.tcp_positions(rows))

    def places_inside_m(self, tcp_m: Array) -> Array:
        """[n] the same for places of the TCP [n, 3]."""
        return np.asarray(np.minimum(tcp_m - self._low, self._high - tcp_m).min(axis=1))

    def describe(self, position: Array) -> str:
        """Where the TCP is at ``position`` and where it may be."""
        tcp = self._arm.fk(position)[:3, 3]
        axis = int(np.argmin(np.minimum(tcp - self._low, self._high - tcp)))
        return f"TCP {'xyz'[axis]} = {tcp[axis]:.3f} m; allowed {self._low[axis]:.3f} to {self._high[axis]:.3f} m"
