"""Proves that a stop touches nothing: neither the arm itself, nor the table, nor what perception sees.

Distances are measured at few postures. Around each of them a bound on the arm's motion (``ClearanceModel.reach_m``) proves what lies
near; where that ends the next one is measured. Between two rows of a motion no point is farther than half a step from one of them, so that
the whole sweep is proven and not only its rows. From inside a margin, motion that does not come nearer is let through: the arm must be
able to leave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array
from vla_ros.robots import Arm
from vla_ros.robots.clearance import ClearanceModel, Solid
from vla_ros.safety.config import SafetyConfig

ANCHORS = 2  # postures whose distances are kept, for each group
MEASUREMENTS = 120  # for one stop at most; one takes 5 to 20 microseconds
AT_ONCE = 4  # measurements in a tick at rest
NEARER_M = 0.001  # that a pair inside its margin may come nearer in all
TABLE = "table"  # the thing of that name is a slab that may reach under the arm's own base
DEEPEST_M = 0.03  # in a thing from which the arm is still let out: deeper, perception and arm contradict each other
ROUNDING_M = 1e-5  # distances are found by iteration
CAPACITY = 32  # things that there is room for at first


@dataclass(frozen=True)
class Breach:
    """Why a stop is not free."""

    distance_m: float  # less what is kept from a thing; of the arm from itself
    pair: tuple[str, str]  # links, ids of things
    is_own: bool  # between two links
    proven: bool = True  # False: it may be free, but that could not be shown in time


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
        self._floor = np.full(groups, -np.inf)  # what a pair inside its margin has already come away to
        self._has_changed = np.zeros(groups, dtype=bool)  # the world, or where the arm stands, since the floor was last looked at

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
            self._has_changed[~self.model.is_own] = True

    def permit(self, contacts: Mapping[str, frozenset[str]]) -> None:
        """The contacts that are meant: link -> names of things."""
        self._permitted = dict(contacts)
        if self.model.permit(contacts):
            self._forget()

    def put_elsewhere(self) -> None:
        """The arm stands where it was not commanded to go: it was pushed, or it is looked at anew."""
        self._has_changed[:] = True

    def breach(self, before: Array, rows: Array, accelerations: Array | None = None) -> Breach | None:
        """Whether the motion from ``before`` [dof + 1] through ``rows`` [n, dof + 1] comes too near to anything.

        ``accelerations`` [n + 1, dof] rad/s2, of ``before`` and the rows, between which they are linear; None: as hard as the arm can.
        """
        postures = np.concatenate([before[None], rows])
        bound, sweep = self._bound(postures), self._sweep(postures, accelerations)
        need, has_measured = self._needed(before, bound[0], sweep)
        is_open = (self._bound(postures) if has_measured else bound) < need
        left = MEASUREMENTS
        for group in np.flatnonzero(is_open.any(axis=0)):
            breach, left = self._prove(int(group), postures, need[:, group], is_open[:, group], left)
            if breach:
                return breach
        return None

    def look_around(self, posture: Array) -> None:
        """Measures a few of the pairs of which nothing is known, so that the first tick of a motion need not measure all of them."""
        for group in np.flatnonzero(np.isneginf(self._distances.max(axis=0)))[:AT_ONCE]:
            self._measure(int(group), posture)

    def nearest(self, posture: Array) -> Breach:
        """The pair that is nearest to each other, relative to what is kept, at one posture."""
        distances = self.model.distances(posture) - self._base
        group = int(np.argmin(distances))
        return Breach(float(distances[group]), self.model.distance(posture, group)[1], bool(self.model.is_own[group]))

    def _prove(self, group: int, postures: Array, need: Array, is_open: NDArray[np.bool_], left: int) -> tuple[Breach | None, int]:
        """Measures amid the rows that are not proven, until all are; ``left``: measurements that may still be made."""
        reach_m = self.model.reach_m[:, group]
        while len(rows := is_open.nonzero()[0]):
            row = int(rows[len(rows) // 2])
            posture = postures[row]
            distance_m = self._measure(group, posture)
            if distance_m < need[row]:
                exact_m, pair = self.model.distance(posture, group)
                return Breach(exact_m, pair, bool(self.model.is_own[group])), left
            left -= 1
            if left <= 0:
                pair = self.model.distance(posture, group)[1]
                return Breach(distance_m, pair, bool(self.model.is_own[group]), proven=False), left
            is_open = is_open & (distance_m - np.abs(postures - posture) @ reach_m < need)
            is_open[row] = False
        return None, left

    def _needed(self, before: Array, bound: Array, sweep: Array) -> tuple[Array, bool]:
        """[n, groups] distances to be kept: the margin and the sweep, or what there is where a pair is nearer than that already.

        ``bound`` [groups]: what the distances are at least at ``before``. Also whether any was measured.
        """
        need = self._base + sweep
        near = np.flatnonzero(bound < need[0])
        for group in near:
            distance_m = self._measure(int(group), before)
            if distance_m < self._base[group]:
                need[:, group] = min(self._risen(int(group), distance_m, before), self._base[group])
            elif distance_m < need[0, group]:
                need[:, group] = np.minimum(need[:, group], max(self._base[group], distance_m - NEARER_M))
                self._floor[group] = -np.inf
            else:
                self._floor[group] = -np.inf
        return need, len(near) > 0

    def _risen(self, group: int, distance_m: float, before: Array) -> float:
        """The floor of a pair that is inside its margin: it rises while the two come apart, and falls only when the world has changed."""
        floor = self._floor[group]
        if distance_m < floor and self._has_changed[group]:
            floor = distance_m - ROUNDING_M
        elif np.isinf(floor) or distance_m - NEARER_M > floor:
            floor = distance_m - NEARER_M
        deepest_m = -np.inf if TABLE in self.model.distance(before, group)[1] else -DEEPEST_M
        self._floor[group], self._has_changed[group] = max(floor, deepest_m), False
        return float(self._floor[group])

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

    def _measure(self, group: int, posture: Array) -> float:
        distance_m = self.model.distance(posture, group)[0] - ROUNDING_M
        if math.isnan(distance_m):
            distance_m = -math.inf  # what is no number proves nothing
        slot = self._oldest[group]
        self._postures[slot, group], self._distances[slot, group] = posture, distance_m
        self._oldest[group] = (slot + 1) % ANCHORS
        return distance_m

    def _forget(self) -> None:
        self._distances[:, ~self.model.is_own] = -np.inf
        self._has_changed[~self.model.is_own] = True
