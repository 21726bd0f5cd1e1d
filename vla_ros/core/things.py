"""What is taken for granted about things on a table: which shapes hold others, which are round, how thick a bowl is, where a side lies."""

from __future__ import annotations

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.core.tasks import Relation

CONTAINERS = frozenset({"bowl"})  # open at the top: things go IN them
SURFACES = frozenset({"plate"})  # flat: several things go ON them, side by side
ROUND_SHAPES = frozenset({"bowl", "plate", "cylinder"})  # look the same from all sides

# Perception measures outer sizes only; these are assumed of every bowl.
BOWL_WALL_M = 0.010
BOWL_FLOOR_M = 0.006

SIDES: dict[Relation, Array] = {
    Relation.LEFT_OF: np.array([0.0, 1.0]),
    Relation.RIGHT_OF: np.array([0.0, -1.0]),
    Relation.IN_FRONT_OF: np.array([-1.0, 0.0]),
    Relation.BEHIND: np.array([1.0, 0.0]),
}
"""Unit vector [2] in the xy plane of the robot's base frame, from the target to the object, as the robot sees it."""
