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
class Tolerances:
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

    def __init__(self, tolerances: Tolerances | None = None) -> None:
        self._tolerances = tolerances or Tolerances()

    def check(self, predicate: Predicate, evidence: Evidence) -> PredicateReport:
        """Whether ``predicate`` holds now."""
        if predicate.relation is Relation.AT_HOME:
            return self._at_home(predicate, evidence)
        age_ns = evidence.now_ns - evidence.scene.stamp_ns
        if age_ns > ns_from_s(self._tolerances.scene_age_s):
            return _unknown(predicate, f"Nothing was seen for {s_from_ns(age_ns):.1f} s (limit {self._tolerances.scene_age_s} s).")
        thing = evidence.scene.get(predicate.object_id)
        if thing is None:
            return _unknown(predicate, f"{predicate.object_id} is not seen.")
        if predicate.relation is Relation.HELD:
            return self._held(predicate, thing, evidence)
        target = evidence.scene.get(predicate.target_id)
        if target is None:
            return _unknown(predicate, f"{predicate.target_id} is not seen.")
        doubt = self._doubt(thing, evidence.now_ns) or self._doubt(target, evidence.now_ns)
        return _unknown(predicate, doubt) if doubt else self._lies(predicate, thing, target, evidence)

    def verify_goal(self, goal: Sequence[Predicate], evidence: Evidence) -> GoalReport:
        """All predicates of a goal together."""
        reports = tuple(self.check(p, evidence) for p in goal)
        if not reports:
            return GoalReport(None, 0.0, "The plan has no goal.", ())
        holds = False if any(r.holds is False for r in reports) else None if any(r.holds is None for r in reports) else True
        return GoalReport(holds, min(r.score for r in reports), " ".join(f"{r.predicate}: {r.detail}" for r in reports), reports)

    def _doubt(self, thing: SceneObject, now_ns: int) -> str:
        """Why nothing can be said of where ``thing`` is, or ""."""
        unseen_s = s_from_ns(now_ns - thing.last_seen_ns)
        if unseen_s > self._tolerances.object_age_s and not thing.held:
            return f"The {thing.name} was not seen for {unseen_s:.1f} s (limit {self._tolerances.object_age_s} s)."
        sigma_m = float(np.sqrt(max(0.0, np.diag(thing.covariance)[:3].max())))
        if sigma_m > self._tolerances.position_sigma_m:
            limit_mm = self._tolerances.position_sigma_m * 1e3
            return f"The {thing.name}'s position is uncertain by {sigma_m * 1e3:.0f} mm (limit {limit_mm:.0f} mm)."
        return ""

    def _lies(self, predicate: Predicate, thing: SceneObject, target: SceneObject, evidence: Evidence) -> PredicateReport:
        found = measure(predicate.relation, thing, target, evidence.scene)
        speed = float(np.linalg.norm(thing.velocity_mps))
        if thing.held:
            return PredicateReport(predicate, False, 0.0, f"The {thing.name} is still held; {found.detail}.")
        if found.holds and speed > self._tolerances.resting_mps:
            return PredicateReport(predicate, None, 0.0, f"The {thing.name} still moves at {speed:.2f} m/s; {found.detail}.")
        return PredicateReport(
            predicate, found.holds, found.score if found.holds else min(found.score, 0.49), f"The {thing.name}: {found.detail}."
        )

    def _held(self, predicate: Predicate, thing: SceneObject, evidence: Evidence) -> PredicateReport:
        """Felt by both fingers, of the right width, and lifted. Where the hand hides the thing, touch and width must both agree."""
        felt, felt_words = self._felt(evidence)
        fits, fits_words = self._fits(thing, evidence.gripper_width_m)
        hidden = not thing.held and (thing.occluded or bool(self._doubt(thing, evidence.now_ns)))
        lift_m = bottom_m(thing) - evidence.scene.table_height_m
        lifted = None if hidden else thing.held or lift_m >= self._tolerances.lifted_m
        answers = (felt, fits, lifted)
        holds = False if False in answers else None if answers.count(None) > 1 else True
        seen = "hidden" if hidden else "seen with the hand" if thing.held else f"{lift_m * 1e3:.0f} mm above the table"
        score = (1.0 if None not in answers else 0.7) if holds else 0.0
        return PredicateReport(predicate, holds, score, f"The {thing.name}: {felt_words}, {fits_words}, {seen}.")

    def _felt(self, evidence: Evidence) -> tuple[bool | None, str]:
        contact = evidence.contact
        if contact is None or evidence.now_ns - contact.stamp_ns > ns_from_s(self._tolerances.contact_age_s):
            return None, "touch not measured"
        return contact.both_in_contact, "felt by both fingers" if contact.both_in_contact else "not felt by both fingers"

    def _fits(self, thing: SceneObject, width_m: float | None) -> tuple[bool | None, str]:
        if width_m is None:
            return None, "gripper's width not measured"
        error_m = _width_error_m(thing, width_m)
        return error_m <= self._tolerances.width_error_m, f"gripper {width_m * 1e3:.0f} mm open, {error_m * 1e3:.0f} mm from its width"

    def _at_home(self, predicate: Predicate, evidence: Evidence) -> PredicateReport:
        error = evidence.home_error_rad
        if error is None:
            return PredicateReport(predicate, None, 0.0, "The joints are not measured.")
        limit = self._tolerances.home_rad
        return PredicateReport(
            predicate,
            error <= limit,
            float(np.clip(1 - error / limit / 2, 0.0, 1.0)),
            f"The farthest joint is {error:.3f} rad from home (limit {limit} rad).",
        )


def _unknown(predicate: Predicate, why: str) -> PredicateReport:
    return PredicateReport(predicate, None, 0.0, why)


def _width_error_m(thing: SceneObject, width_m: float) -> float:
    """Distance of the gripper's opening from the range of widths that the thing has, seen from any side."""
    sides = [*thing.size_m[:2], *footprint_m(thing)]
    return float(max(0.0, min(sides) - width_m, width_m - max(sides)))
