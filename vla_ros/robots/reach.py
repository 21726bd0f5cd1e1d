"""Where an arm can grasp from above."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array, transform

if TYPE_CHECKING:
    from vla_ros.robots.arm import Arm

FINGERS_DOWN = np.diag([1.0, -1.0, -1.0])
TOLERANCE_M = 0.002


def graspable_from_above(arm: Arm) -> Callable[[Array], bool]:
    """A test: can the TCP get to this point (base frame, m) with the fingers pointing down, inside the workspace?"""

    def reachable(position_m: Array) -> bool:
        point = np.maximum(np.asarray(position_m, dtype=float), [-np.inf, -np.inf, arm.config.workspace.min_m[2]])
        if not arm.config.workspace.contains(point):
            return False
        try:
            arm.ik(transform(FINGERS_DOWN, point), arm.config.home_rad, position_tolerance_m=TOLERANCE_M)
        except MotionError:
            return False
        return True

    return reachable
