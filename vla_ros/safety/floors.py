"""How near a pair may still come that is nearer already than the two are kept.

The arm must be able to leave, and hardly a motion leaves a thing without one point of it coming nearer first. So a pair may come a little
nearer, but not so near that it touches. What it has come away to counts from then on, until it is nearer all the same: the arm was pushed
or braked sooner than it was to, or the thing is known to be nearer. Each pair has a floor of its own: what is known badly is kept far off,
and standing deep in what is kept from it says nothing about a thing beside it. Floors are gaps, from where a touch begins: what is kept may
grow and shrink without letting anything come nearer. Who stands there is not known for sure (things change their names, and come and go in
what is seen), so a pair that was not there before has no more room than one that has gone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array

NEARER_M = 0.001  # that a pair may come nearer in all ...
UNTOUCHED_M = 0.0002  # ... while so much is left between the two; the arm lags behind what it is commanded
TOUCHING_NEARER_M = 0.0001  # with less between them: where bodies overlap, distances are less exact
DEEPEST_M = 0.03  # from where the arm is still let out: deeper, perception and arm contradict each other
ROUNDING_M = 1e-5  # distances are found by iteration ...
INEXACT_M = 1e-6  # ... most of them as exactly as that ...
REPEATS_M = 1e-9  # ... and at the same posture nearly the same again
FORGOTTEN_AFTER_M = 0.01  # that the arm may have moved


@dataclass(frozen=True)
class Near:
    """A pair inside its margin."""

    pair: int  # its number in the group
    distance_m: float
    touch_m: float  # its distance when the two touch, since things are grown
    may_be_deep: bool = False  # the arm may be mounted in it

    @property
    def gap_m(self) -> float:
        """Between the two; negative where they overlap."""
        return self.distance_m - self.touch_m


@dataclass
class _Floor:
    """Of one group."""

    posture: Array  # [dof + 1] that the arm was last looked at in
    gaps_m: dict[int, float]  # by pair
    lost_m: float = -math.inf  # the highest one of pairs that have gone, until others come in their place


class Floors:
    """By group and pair."""

    def __init__(self) -> None:
        self._floors: dict[int, _Floor] = {}

    def of(self, group: int, near: Sequence[Near], posture: Array, reach_m: Array) -> dict[int, float]:
        """The floors of all pairs of a group that are inside their margin at ``posture``, as distances [m], by their numbers.

        ``reach_m`` [dof + 1]: no point of the group moves farther than so much for what each joint turns.
        """
        old = self._floors.get(group)
        if old is None or float(np.abs(posture - old.posture) @ reach_m) > FORGOTTEN_AFTER_M:
            old = _Floor(posture, {})
        pairs = {each.pair for each in near}
        lost_m = max([old.lost_m, *(gap_m for pair, gap_m in old.gaps_m.items() if pair not in pairs)])
        gaps_m = {each.pair: _gap_m(each, old.gaps_m.get(each.pair, lost_m)) for each in near}
        self._floors[group] = _Floor(posture, gaps_m, lost_m if gaps_m.keys() <= old.gaps_m.keys() else -math.inf)
        return {each.pair: max(gaps_m[each.pair] + each.touch_m, -math.inf if each.may_be_deep else -DEEPEST_M) for each in near}


def _gap_m(near: Near, old_m: float) -> float:
    gap_m = near.gap_m
    if gap_m < old_m - ROUNDING_M:
        return max(gap_m - ROUNDING_M, min(gap_m, UNTOUCHED_M))
    nearest_m = gap_m - NEARER_M
    if near.distance_m >= -DEEPEST_M:
        nearest_m = max(nearest_m, min(UNTOUCHED_M, gap_m - TOUCHING_NEARER_M))
    return max(old_m, nearest_m)
