"""What the arm must not touch, and what it is meant to touch, by what perception reports and what the plan says.

Things are grown more the less is known of them: by their standard deviation, and by the time for which they were not seen. A thing that is
reported a little beside where it was a moment ago stays where it was: what is kept from it covers that, and what was proven stays proven.
While it stays, it is known as well as it was ever seen there: that the arm hides a part of it does not move it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array, inverse, transform
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Plan, Skill, Subtask
from vla_ros.core.things import CONTAINERS, ROUND_SHAPES
from vla_ros.robots import Arm
from vla_ros.robots.clearance import HELD, Solid
from vla_ros.safety.clearance import TABLE, Clearance
from vla_ros.safety.config import SafetyConfig

STAYS_M = 0.001  # a thing whose surface is reported this near to where it was has not moved
GROWTH_STEP_M = 0.001
TABLE_SIDE_M, TABLE_THICKNESS_M = 4.0, 0.1
HELD_SHRUNK_M = 0.002  # on each side: what is held is known by the fingers, and rests on other things


@dataclass(frozen=True)
class TooNear:
    """What two bodies come to, in words."""

    pair: str  # "panda_hand and the blue bowl"
    margin_m: float  # distance beyond what is kept between them
    sentence: str  # a clause


@dataclass(frozen=True)
class _Standing:
    """A thing as it was when it was last seen to move."""

    thing: SceneObject
    deviation_m: float  # the smallest since then
    kept_m: float


class Surroundings:
    """What stands around one arm, and how near it comes to that and to itself. Postures are [dof + 1], as in Clearance."""

    def __init__(self, arm: Arm, config: SafetyConfig) -> None:
        self._clearance, self._config = Clearance(arm, config), config.clearance
        self._solids: dict[str, Solid] = {}
        self._standing: dict[str, _Standing] = {}
        self._scene: Scene | None = None
        self._held: tuple[str, Array, Array] | None = None  # id, size, T_tcp_held
        self._subtasks: Mapping[str, Subtask] = {}
        self._subtask_id = ""
        self._put_table(self._config.table_height_m)
        self._place()
        self.expect("")

    def on_plan(self, plan: Plan) -> None:
        """The plan in force, for what its subtasks mean to touch."""
        self._subtasks = {subtask.id: subtask for subtask in plan.subtasks}

    def on_scene(self, scene: Scene, T_base_tcp: Array, now_ns: int) -> None:
        """What perception sees; ``T_base_tcp`` [4, 4]: the hand at the scene's stamp.

        Raises ValueError, and keeps what it knew, for a thing without a place or a size.
        """
        for thing in scene.objects:
            numbers = (thing.pose.position_m, thing.pose.quat_xyzw, thing.size_m, np.diag(thing.covariance))
            if not all(np.all(np.isfinite(n)) for n in numbers) or not np.all(np.asarray(thing.size_m) > 0):
                raise ValueError(f"{thing.id} has a place or a size that is not finite, or no size: {thing.size_m.tolist()} m")
        things = [thing for thing in scene.objects if not thing.held]
        held = next((thing for thing in scene.objects if thing.held), None)
        before = dict(self._solids)
        self._put_table(max(scene.table_height_m, self._config.table_height_m))
        for name in set(self._solids) - {thing.id for thing in things} - {TABLE}:
            del self._solids[name], self._standing[name]
        for thing in things:
            self._stand(thing, now_ns)
        changed = self._take_up(held, T_base_tcp)
        self._scene = scene
        self.expect(self._subtask_id)
        if changed or any(before.get(name) is not solid for name, solid in self._solids.items()) or len(before) != len(self._solids):
            self._place()

    def expect(self, subtask_id: str) -> None:
        """Permits the contacts that a subtask means: hand and held object with what is taken, and with what it is put in or on.

        The world model has a rule of its own for the same (``world_model/service.py``), since it judges where fingers close.
        """
        self._subtask_id = subtask_id
        subtask = self._subtasks.get(subtask_id)
        meant = self._meant(subtask)
        contacts = dict.fromkeys(self._clearance.model.gripper_links, meant)
        if subtask is not None and subtask.skill is Skill.PLACE:
            contacts[HELD] = meant | {TABLE}
        self._clearance.permit(contacts)

    def breach(self, before: Array, rows: Array) -> TooNear | None:
        """Why a motion from ``before`` through ``rows`` [n, dof + 1] is not clear of everything, or None."""
        breach = self._clearance.breach(before, rows)
        if breach is None:
            return None
        a, b = (self._called(name) for name in breach.pair)
        if not breach.proven:
            return TooNear(f"{a} and {b}", breach.distance_m, f"{a} could not be shown in time to keep clear of {b}")
        kept_m = self._kept_m(breach.pair)
        distance_m = breach.distance_m + (0.0 if breach.is_own else kept_m)
        near = f"{distance_m * 1000:.0f} mm from" if distance_m > 0 else f"{-distance_m * 1000:.0f} mm deep in"
        margin_m = distance_m - kept_m
        return TooNear(f"{a} and {b}", margin_m, f"{a} would be {near} {b}; {kept_m * 1000:.1f} mm are kept")

    def nearest(self, posture: Array) -> tuple[str, float]:
        """The nearest pair at a posture, in words, and its distance beyond what is kept between them [m]."""
        breach = self._clearance.nearest(posture)
        a, b = (self._called(name) for name in breach.pair)
        return f"{a} and {b}", breach.distance_m

    def _called(self, name: str) -> str:
        """As people call it."""
        if name in (TABLE, HELD):
            return f"the {name}"
        thing = self._scene.get(name) if self._scene else None
        return f"the {thing.name}" if thing else name

    def _kept_m(self, pair: tuple[str, str]) -> float:
        if TABLE in pair:
            return self._config.table_m
        return next((self._standing[name].kept_m for name in pair if name in self._standing), self._config.self_m)

    def _meant(self, subtask: Subtask | None) -> frozenset[str]:
        if subtask is None or self._scene is None:
            return frozenset()
        ends = [thing for name in (subtask.object_id, subtask.target_id) if (thing := self._scene.get(name))]
        meant = {thing.id for thing in ends}
        for thing in self._scene.objects:
            contains = any(thing.shape in CONTAINERS and _covers(thing, end) for end in ends)
            inside = any(end.shape in CONTAINERS and _covers(end, thing) for end in ends)
            if contains or inside:
                meant.add(thing.id)
        return frozenset(meant)

    def _stand(self, thing: SceneObject, now_ns: int) -> None:
        """Where a thing is, grown by what is kept from it; as it was where it has not moved."""
        old, deviation_m = self._standing.get(thing.id), _deviation_m(thing)
        unseen_s = max((now_ns - thing.last_seen_ns) * 1e-9, 0.0)
        if old is not None and _stays(old.thing, thing):
            thing, deviation_m = old.thing, min(deviation_m, old.deviation_m)
        kept_m = self._keep_m(deviation_m, unseen_s)
        if old is None or thing is not old.thing or (deviation_m, kept_m) != (old.deviation_m, old.kept_m):
            self._standing[thing.id] = _Standing(thing, deviation_m, kept_m)
        if old is None or thing is not old.thing or kept_m != old.kept_m:
            self._solids[thing.id] = _solid(thing, kept_m)

    def _keep_m(self, deviation_m: float, unseen_s: float) -> float:
        """What is kept from a thing on all sides."""
        c = self._config
        unsure_m = min(c.sigmas * deviation_m + c.unseen_mps * unseen_s, c.most_m)
        return c.things_m + STAYS_M + math.ceil(unsure_m / GROWTH_STEP_M - 1e-6) * GROWTH_STEP_M

    def _take_up(self, held: SceneObject | None, T_base_tcp: Array) -> bool:
        """Keeps how the held object lies in the hand, from when it was first seen there. Whether anything changed."""
        if held is None or (self._held and self._held[0] == held.id):
            changed = held is None and self._held is not None
            self._held = self._held if held else None
            return changed
        size_m = np.maximum(np.asarray(held.size_m, dtype=float) - 2 * HELD_SHRUNK_M, 0.001)
        self._held = (held.id, size_m, inverse(T_base_tcp) @ held.pose.matrix())
        return True

    def _put_table(self, height_m: float) -> None:
        top_m = height_m + self._config.table_m
        old = self._solids.get(TABLE)
        if old is not None and abs(old.T_base_solid[2, 3] + TABLE_THICKNESS_M / 2 - top_m) < STAYS_M / 4:
            return
        size = np.array([TABLE_SIDE_M, TABLE_SIDE_M, TABLE_THICKNESS_M])
        self._solids[TABLE] = Solid(TABLE, "box", size, transform(np.eye(3), np.array([0.0, 0.0, top_m - TABLE_THICKNESS_M / 2])))

    def _place(self) -> None:
        size_m, T_tcp_held = self._held[1:] if self._held else (None, np.eye(4))
        self._clearance.place(tuple(self._solids.values()), size_m, T_tcp_held)


def _solid(thing: SceneObject, grown_m: float) -> Solid:
    return Solid(thing.id, _kind(thing), np.asarray(thing.size_m, dtype=float) + 2 * grown_m, thing.pose.matrix())


def _stays(old: SceneObject, new: SceneObject) -> bool:
    """Whether every point of ``new`` lies within STAYS_M of ``old``."""
    if old.shape != new.shape:
        return False
    shift, grown = old.pose.position_m - new.pose.position_m, np.abs(new.size_m - old.size_m) / 2
    same = min(abs(float(old.pose.quat_xyzw @ new.pose.quat_xyzw)), 1.0)
    turn_m = math.sqrt((1 - same * same) * (new.size_m @ new.size_m)) if _kind(new) == "box" else 0.0  # of a corner
    return bool(math.sqrt(shift @ shift) + turn_m + math.sqrt(grown @ grown) <= STAYS_M)


def _deviation_m(thing: SceneObject) -> float:
    """Largest standard deviation of its position in any direction."""
    c = thing.covariance
    if c[0, 1] == c[0, 2] == c[1, 2] == 0:  # as perception reports it
        return math.sqrt(max(float(c[0, 0]), float(c[1, 1]), float(c[2, 2]), 0.0))
    return math.sqrt(max(float(np.linalg.eigvalsh(c[:3, :3])[-1]), 0.0))


def _kind(thing: SceneObject) -> str:
    return "cylinder" if thing.shape in ROUND_SHAPES else "box"


def _covers(container: SceneObject, thing: SceneObject) -> bool:
    """Whether the middle of ``thing`` lies over the container's footprint."""
    if container.id == thing.id:
        return False
    away = thing.pose.position_m[:2] - container.pose.position_m[:2]
    return bool(np.linalg.norm(away) < max(container.size_m[:2]) / 2)
