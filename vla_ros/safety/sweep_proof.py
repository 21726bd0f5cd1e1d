"""Proves that a stop touches nothing: neither the arm itself, nor the table, nor what perception sees.

Distances are measured at few postures. Around each of them a bound on the arm's motion (``ClearanceModel.reach_m``) proves what lies
near; where that ends the next one is measured. Between two rows of a motion no point is farther than half a step from one of them, so that
the whole sweep is proven and not only its rows. From inside a margin the arm is let out: see ``floors``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array
from vla_ros.robots import Arm
from vla_ros.robots.clearance import ClearanceModel, Solid
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.floors import INEXACT_M, NEARER_M, REPEATS_M, ROUNDING_M, Floors, Near

ANCHORS = 2  # postures whose distances are kept, for each group
MEASUREMENTS = 120  # for one proof at most, beside those that are needed to begin; one takes 10 to 50 microseconds
AT_ONCE = 4  # measurements in a tick at rest
TABLE = "table"  # the thing of that name is a slab that may reach under the arm's own base
CAPACITY = 32  # things that there is room for at first

_Look = Callable[[Array], tuple[float, float, tuple[str, str]]]  # posture -> (what must not fall below a need, distance [m], names)


@dataclass(frozen=True)
class Breach:
    """Why a stop is not free."""

    distance_m: float  # less what is kept from a thing; of the arm from itself
    pair: tuple[str, str]  # links, ids of things
    is_own: bool  # between two links
    proven: bool = True  # False: it may be free, but that could not be shown in time


@dataclass(frozen=True, eq=False)
class NearestPair:
    """Two bodies, and where they are nearest to each other."""

    distance_m: float  # beyond what is kept between them
    pair: tuple[str, str]
    points_m: Array  # [2, 3] in the base frame; of a thing, on the border of what is kept from it


class SweepProof:
    """For one arm. Postures are [dof + 1]: joints [rad], then the gripper's width [m]."""

    def __init__(self, arm: Arm, config: SafetyConfig, capacity: int = CAPACITY, *, own: bool = True) -> None:
        """``own``: whether the arm is also kept clear of itself."""
        self._arm, self._own = arm, own
        self.model = ClearanceModel(arm, capacity, own=own)
        self._permitted: dict[str, frozenset[str]] = {}
        self._base = np.where(self.model.is_own, config.clearance.self_m, 0.0)
        self._hardest = np.append(arm.config.limits.acceleration_radps2, 0.0)
        self._tick_s = config.tick_s
        groups = len(self._base)
        self._postures = np.zeros((ANCHORS, groups, arm.config.dof + 1))
        self._distances = np.full((ANCHORS, groups), -np.inf)
        self._oldest = np.zeros(groups, dtype=int)
        self._floors = Floors()

    def place(self, solids: Sequence[Solid], held_m: Array | None, T_tcp_held: Array) -> None:
        """What stands around, grown by what is kept from it, and what the hand holds."""
        if len(solids) > self.model.capacity:
            self.model = ClearanceModel(self._arm, 2 * len(solids), own=self._own)
            self.model.permit(self._permitted)
        nearer_m = self.model.place(solids)
        if self.model.hold(held_m, T_tcp_held) or math.isinf(nearer_m):
            self._forget()
        else:
            self._distances[:, ~self.model.is_own] -= nearer_m

    def permit(self, contacts: Mapping[str, frozenset[str]]) -> None:
        """The contacts that are meant: link -> names of things."""
        self._permitted = dict(contacts)
        if self.model.permit(contacts):
            self._forget()

    def breach(self, before: Array, rows: Array, accelerations: Array | None = None) -> Breach | None:
        """Whether the motion from ``before`` [dof + 1] through ``rows`` [n, dof + 1] comes too near to anything.

        ``accelerations`` [n + 1, dof] rad/s2, of ``before`` and the rows, between which they are linear; None: as hard as the arm can.
        """
        postures = np.concatenate([before[None], rows])
        bound, sweep = self._bound(postures), self._sweep(postures, accelerations)
        need, inside, has_measured = self._needed(before, bound[0], sweep)
        left = MEASUREMENTS
        for group in inside:
            breach, left = self._prove_inside(group, postures, sweep[:, group], left)
            if breach:
                return breach
        is_open = (self._bound(postures) if has_measured else bound) < need
        for group in map(int, np.flatnonzero(is_open.any(axis=0))):
            breach, left = self._prove(group, partial(self._measure, group), postures, need[:, group], is_open[:, group], left)
            if breach:
                return breach
        return None

    def look_around(self, posture: Array) -> None:
        """Measures a few of the pairs of which nothing is known, so that the first tick of a motion need not measure all of them."""
        for group in np.flatnonzero(np.isneginf(self._distances.max(axis=0)))[:AT_ONCE]:
            self._measure(int(group), posture)

    def nearest(self, posture: Array) -> NearestPair:
        """The pair that is nearest to each other, relative to what is kept, at one posture."""
        distances = self.model.distances(posture) - self._base
        group = int(np.argmin(distances))
        names = self.model.distance(posture, group)[1]
        return NearestPair(float(distances[group]), names, self.model.nearest_points(posture, group))

    def _prove(
        self, group: int, look: _Look, postures: Array, need: Array, is_open: NDArray[np.bool_], left: int
    ) -> tuple[Breach | None, int]:
        """Looks amid the rows that are not proven, until all are; ``left``: how often it may still look."""
        reach_m = self.model.reach_m[:, group]
        while len(rows := is_open.nonzero()[0]):
            row = int(rows[len(rows) // 2])
            posture = postures[row]
            found_m, distance_m, names = look(posture)
            left -= 1
            is_short = bool(found_m < need[row])
            if is_short or left <= 0:
                return Breach(distance_m, names, bool(self.model.is_own[group]), proven=is_short), left
            is_open = is_open & (found_m - np.abs(postures - posture) @ reach_m < need)
            is_open[row] = False
        return None, left

    def _prove_inside(self, group: int, postures: Array, sweep: Array, left: int) -> tuple[Breach | None, int]:
        """Of a group of which some are inside their margin: these do not come below their floors, the others not inside theirs."""
        distances, base_m = self.model.pair_distances(postures[0], group), self._base[group]
        pairs = [int(pair) for pair in np.flatnonzero(~(distances - ROUNDING_M >= base_m))]
        everywhere = np.ones(len(postures), dtype=bool)
        if pairs:
            near = [self._near(group, pair, distances[pair]) for pair in pairs]
            look = self._above(group, self._floors.of(group, near, postures[0], self.model.reach_m[:, group]))
            above_m, need_m = look(postures[0])[0], -INEXACT_M
            if -ROUNDING_M < above_m < need_m:  # on its floor the arm may be a nanometre below it
                need_m = above_m - REPEATS_M
            breach, left = self._prove(group, look, postures, np.full(len(postures), need_m), everywhere, left)
            if breach:
                return breach, left
        rest_m = float(np.delete(distances, pairs).min(initial=math.inf)) - ROUNDING_M
        need = np.minimum(base_m + sweep, max(base_m, rest_m - NEARER_M))
        with self.model.without(group, pairs):
            return self._prove(group, partial(self._look, group), postures, need, everywhere, left)

    def _near(self, group: int, pair: int, distance_m: float) -> Near:
        touch_m = -self.model.grown_m(group, pair)
        return Near(pair, _number(distance_m), touch_m, may_be_deep=TABLE in self.model.names(group, pair))

    def _needed(self, before: Array, bound: Array, sweep: Array) -> tuple[Array, list[int], bool]:
        """[n, groups] distances to be kept: the margin and the sweep, or the margin where a pair is nearer than both.

        ``bound`` [groups]: what the distances are at least at ``before``. Also the groups in which a pair is inside its margin, of which
        nothing is asked here, and whether any was measured.
        """
        need, inside = self._base + sweep, []
        near = np.flatnonzero(bound < need[0])
        for group in map(int, near):
            distance_m = self._measure(group, before)[0]
            if distance_m < self._base[group]:
                inside.append(group)
                need[:, group] = -np.inf
                continue
            if distance_m < need[0, group]:
                need[:, group] = np.minimum(need[:, group], max(self._base[group], distance_m - NEARER_M))
        return need, inside, len(near) > 0

    def _sweep(self, postures: Array, accelerations: Array | None) -> Array:
        """[n, groups] how far a pair may come nearer between a row and the middle of the way to its neighbours.

        The curve between two rows reaches farther than the straight line by a T^2 / 8 for each joint.
        """
        steps = np.abs(np.diff(postures, axis=0))
        turned = np.zeros_like(postures)
        turned[:-1] = steps
        turned[1:] = np.maximum(turned[1:], steps)
        turned /= 2
        bulge_s2 = self._tick_s**2 / 8
        if accelerations is None:
            turned += self._hardest * bulge_s2
        else:
            hardest = np.abs(accelerations)
            hardest[:-1] = np.maximum(hardest[:-1], hardest[1:])
            hardest[1:] = np.maximum(hardest[1:], hardest[:-1])
            turned[:, :-1] += hardest * bulge_s2
        return np.asarray(turned @ self.model.reach_m)

    def _bound(self, postures: Array) -> Array:
        """[n, groups] what the distances are at least, by what was measured before."""
        moved = np.abs(postures[:, None, None, :] - self._postures[None])  # [n, anchors, groups, dof + 1]
        nearer = np.einsum("nagj,jg->nag", moved, self.model.reach_m)
        return np.asarray((self._distances[None] - nearer).max(axis=1))

    def _look(self, group: int, posture: Array) -> tuple[float, float, tuple[str, str]]:
        distance_m, names = self.model.distance(posture, group)
        return _number(distance_m) - ROUNDING_M, distance_m, names

    def _measure(self, group: int, posture: Array) -> tuple[float, float, tuple[str, str]]:
        """The same, and it is kept for what it says about postures around."""
        found = self._look(group, posture)
        slot = self._oldest[group]
        self._postures[slot, group], self._distances[slot, group] = posture, found[0]
        self._oldest[group] = (slot + 1) % ANCHORS
        return found

    def _above(self, group: int, floors: Mapping[int, float]) -> _Look:
        pairs, floor_m = list(floors), np.array(list(floors.values()))

        def look(posture: Array) -> tuple[float, float, tuple[str, str]]:
            distances = self.model.distances_of(posture, group, pairs)
            above = [_number(distance_m) for distance_m in distances] - floor_m
            lowest = int(above.argmin())
            return float(above[lowest]), distances[lowest], self.model.names(group, pairs[lowest])

        return look

    def _forget(self) -> None:
        self._distances[:, ~self.model.is_own] = -np.inf


def _number(distance_m: float) -> float:
    """What is no number proves nothing."""
    return -math.inf if math.isnan(distance_m) else float(distance_m)
