"""How near a pair may still come that is nearer already than the two are kept.

The arm must be able to leave, and hardly a motion leaves a thing without one point of it coming nearer first. So a pair may come a little
nearer, but not so near that it touches; what it has come away to counts from then on, and only a world that has changed lowers that again.
Each pair has a floor of its own: what is known badly is kept far off, and standing deep in what is kept from it says nothing about a thing
beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEARER_M = 0.001  # that a pair may come nearer in all ...
UNTOUCHED_M = 0.0002  # ... while so much is left between the two; the arm lags behind what it is commanded
TOUCHING_NEARER_M = 0.0001  # with less between them: where bodies overlap, distances are less exact
DEEPEST_M = 0.03  # from where the arm is still let out: deeper, perception and arm contradict each other
ROUNDING_M = 1e-5  # distances are found by iteration


@dataclass(frozen=True)
class Near:
    """A pair inside its margin."""

    pair: int  # its number in the group
    distance_m: float
    touch_m: float  # its distance when the two touch, since things are grown
    may_be_deep: bool = False  # the arm may be mounted in it


class Floors:
    """By group and pair."""

    def __init__(self, groups: int) -> None:
        self._floors: dict[int, dict[int, float]] = {}
        self._has_changed = np.zeros(groups, dtype=bool)  # since the floors of a group were last looked at

    def world_changed(self, groups: NDArray[np.bool_] | slice = slice(None)) -> None:
        """What is around some groups stands elsewhere, or the arm does."""
        self._has_changed[groups] = True

    def leave(self, group: int) -> None:
        """No pair of a group is inside its margin."""
        self._floors.pop(group, None)

    def of(self, group: int, near: Iterable[Near]) -> dict[int, float]:
        """The floors of all pairs of a group that are inside their margin [m], by their numbers."""
        old, has_changed = self._floors.get(group, {}), bool(self._has_changed[group])
        floors = {each.pair: _raised(old.get(each.pair, -math.inf), each, has_changed) for each in near}
        self._floors[group], self._has_changed[group] = floors, False
        return floors


def _raised(old_m: float, near: Near, has_changed: bool) -> float:
    if has_changed and near.distance_m < old_m:
        floor_m = near.distance_m - ROUNDING_M
    elif near.distance_m < -DEEPEST_M:
        floor_m = max(old_m, near.distance_m - NEARER_M)
    else:
        untouched_m = min(near.touch_m + UNTOUCHED_M, near.distance_m - TOUCHING_NEARER_M)
        floor_m = max(old_m, near.distance_m - NEARER_M, untouched_m)
    return floor_m if near.may_be_deep else max(floor_m, -DEEPEST_M)
