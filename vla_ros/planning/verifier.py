"""Measures whether a predicate holds, from perception alone: objects, contact and gripper; never from what the robot meant to do.

Three answers: it holds, it does not, or it cannot be told (nothing recent was seen of a thing, or its position is too uncertain).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.core.robot_state import ContactState
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.stamps import ns_from_s, s_from_ns
from vla_ros.core.tasks import Predicate, Relation
from vla_ros.planning.relations import bottom_m, footprint_m, measure


@dataclass(frozen=True)
class Limits:
    """When an answer can be given, and what counts as resting and as held."""

    scene_age_s: float = 0.5  # an older scene tells nothing
    object_age_s: float = 2.0  # nor does a thing that was not seen for longer, unless it is held
    contact_age_s: float = 0.3
    position_sigma_m: float = 0.02  # standard deviation of a position beyond which it tells nothing
    resting_mps: float = 0.05
    lifted_m: float = 0.015  # lowest point above the table
    width_error_m: float = 0.012  # opening against the held thing's width
    home_rad: float = 0.05  # largest joint's distance


@dataclass(frozen=True)
class Evidence:
    """All that is known when a predicate is checked."""

    now_ns: int
    scene: Scene
    contact: ContactState | None = None  # None: no touch is measured
    gripper_width_m: float | None = None
    home_error_rad: float | None = None  # largest distance of a joint from home


@dataclass(frozen=True)
class PredicateReport:
    """What was measured of one predicate."""

    predicate: Predicate
    holds: bool | None  # None: cannot be told
    score: float  # 0-1; at least 0.5 when it holds
    detail: str  # one sentence with the measures


@dataclass(frozen=True)
class GoalReport:
    """What was measured of a goal."""

    holds: bool | None  # None: nothing failed, but not all could be told
    score: float  # the lowest of the predicates'
    detail: str
    reports: tuple[PredicateReport, ...]


class Verifier:
    """Checks predicates against evidence. Keeps no state."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def check(self, predicate: Predicate, evidence: Evidence) -> PredicateReport:
        """Whether ``predicate`` holds now."""
        if predicate.relation is Relation.AT_HOME:
            return self._at_home(predicate, evidence)
        unknown = self._cannot_tell(predicate, evidence)
        if unknown:
            return PredicateReport(predicate, None, 0.0, unknown)
        thing = evidence.scene.get(predicate.object_id)
        target = evidence.scene.get(predicate.target_id)
        assert thing is not None
        if predicate.relation is Relation.HELD:
            return self._held(predicate, thing, evidence)
        assert target is not None
        return self._lies(predicate, thing, target, evidence)

    def verify_goal(self, goal: Sequence[Predicate], evidence: Evidence) -> GoalReport:
        """All predicates of a goal together."""
        reports = tuple(self.check(p, evidence) for p in goal)
        if not reports:
            return GoalReport(None, 0.0, "The plan has no goal.", ())
        holds = False if any(r.holds is False for r in reports) else None if any(r.holds is None for r in reports) else True
        return GoalReport(holds, min(r.score for r in reports), " ".join(f"{r.predicate}: {r.detail}" for r in reports), reports)

    def _cannot_tell(self, predicate: Predicate, evidence: Evidence) -> str:
        """Why nothing can be said, or ""."""
        age_ns = evidence.now_ns - evidence.scene.stamp_ns
        if age_ns > ns_from_s(self._limits.scene_age_s):
            return f"Nothing was seen for {s_from_ns(age_ns):.1f} s (limit {self._limits.scene_age_s} s)."
        for object_id in (i for i in (predicate.object_id, predicate.target_id) if i):
            thing = evidence.scene.get(object_id)
            if thing is None:
                return f"{object_id} is not seen."
            unseen_s = s_from_ns(evidence.now_ns - thing.last_seen_ns)
            if unseen_s > self._limits.object_age_s and not thing.held:
                return f"The {thing.name} was not seen for {unseen_s:.1f} s (limit {self._limits.object_age_s} s)."
            sigma_m = float(np.sqrt(max(0.0, np.diag(thing.covariance)[:3].max())))
            if sigma_m > self._limits.position_sigma_m:
                limit_mm = self._limits.position_sigma_m * 1e3
                return f"The {thing.name}'s position is uncertain by {sigma_m * 1e3:.0f} mm (limit {limit_mm:.0f} mm)."
        return ""

    def _lies(self, predicate: Predicate, thing: SceneObject, target: SceneObject, evidence: Evidence) -> PredicateReport:
        found = measure(predicate.relation, thing, target, evidence.scene)
        speed = float(np.linalg.norm(thing.velocity_mps))
        if thing.held:
            return PredicateReport(predicate, False, 0.0, f"The {thing.name} is still held; {found.detail}.")
        if found.holds and speed > self._limits.resting_mps:
            return PredicateReport(predicate, None, 0.0, f"The {thing.name} still moves at {speed:.2f} m/s; {found.detail}.")
        return PredicateReport(
            predicate, found.holds, found.score if found.holds else min(found.score, 0.49), f"The {thing.name}: {found.detail}."
        )

    def _held(self, predicate: Predicate, thing: SceneObject, evidence: Evidence) -> PredicateReport:
        """Felt by both fingers and of the right width; lifted as far as can be seen."""
        contact, width = evidence.contact, evidence.gripper_width_m
        fresh = contact is not None and evidence.now_ns - contact.stamp_ns <= ns_from_s(self._limits.contact_age_s)
        if not fresh and width is None:
            return PredicateReport(predicate, None, 0.0, "Neither touch nor the gripper's width is measured.")
        felt = contact.both_in_contact if contact is not None and fresh else None
        error_m = None if width is None else _width_error_m(thing, width)
        lift_m = bottom_m(thing) - evidence.scene.table_height_m
        fits = error_m is None or error_m <= self._limits.width_error_m
        lifted = thing.held or lift_m >= self._limits.lifted_m
        holds = felt is not False and fits and lifted
        parts = ["touch not measured" if felt is None else "felt by both fingers" if felt else "not felt by both fingers"]
        parts.append(
            "width not measured"
            if width is None or error_m is None
            else f"gripper {width * 1e3:.0f} mm open, {error_m * 1e3:.0f} mm from its width"
        )
        parts.append(f"{lift_m * 1e3:.0f} mm above the table")
        known = 1.0 if felt and width is not None else 0.7
        return PredicateReport(predicate, holds, known if holds else 0.0, f"The {thing.name}: {', '.join(parts)}.")

    def _at_home(self, predicate: Predicate, evidence: Evidence) -> PredicateReport:
        error = evidence.home_error_rad
        if error is None:
            return PredicateReport(predicate, None, 0.0, "The joints are not measured.")
        limit = self._limits.home_rad
        return PredicateReport(
            predicate,
            error <= limit,
            float(np.clip(1 - error / limit / 2, 0.0, 1.0)),
            f"The farthest joint is {error:.3f} rad from home (limit {limit} rad).",
        )


def _width_error_m(thing: SceneObject, width_m: float) -> float:
    """Distance of the gripper's opening from the range of widths that the thing has, seen from any side."""
    sides = [*thing.size_m[:2], *footprint_m(thing)]
    return float(max(0.0, min(sides) - width_m, width_m - max(sides)))
