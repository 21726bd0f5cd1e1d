"""What the arm must not touch, and what it is meant to touch, by what perception reports and what the plan says.

Things are grown more the less is known of them: by their standard deviation, and by the time for which they were not seen. A thing that is
reported a little beside where it was a moment ago stays where it was: what is kept from it covers that, and what was proven stays proven.
While it stays, it is known as well as it was ever seen there: that the arm hides a part of it does not move it.

A thing that moves is kept as far off as it can come until the arm has come to rest: its speed times the time to react and to stop
(the separation of ISO/TS 15066 with the thing's measured speed, less the arm's own way, which is proven). An arm that it comes nearer
to than that stands still until it has passed or stopped: one that drew back could be met moving.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Array, inverse, transform
from vla_ros.core.handling import Handling, handling_table
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Plan, Relation, Skill, Subtask
from vla_ros.core.things import CONTAINERS, ROUND_SHAPES
from vla_ros.robots import Arm
from vla_ros.robots.clearance import HELD, ClearanceModel, Solid
from vla_ros.safety.braking import braking_of
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.pace import Pace
from vla_ros.safety.sweep_proof import TABLE, SweepProof
from vla_ros.safety.unexplained import COMING, MOST_CELLS, SMALLEST_CELL_M, STANDING, Unexplained

STAYS_M = 0.001  # a thing whose surface is reported this near to where it was has not moved
GROWTH_STEP_M = 0.001
MOVING_MPS = 0.03  # slower is not told from standing
MOVERS = 8  # things that move, the fastest ones, before which the arm is slowed; all are kept clear of
GOES_ON_S = 5.0  # that what moved counts as moving on without being seen
TABLE_SIDE_M = 4.0
HIGHEST_TABLE_M = 2.0
TABLE_BOTTOM_M = -HIGHEST_TABLE_M - 0.1  # wherever its top is, nothing passes under it
LARGEST = 1e4  # of any number of a thing [m], [m2]: far beyond what a camera sees, and small enough to compute with
HELD_SHRUNK_M = 0.002  # on each side: what is held is known by the fingers, and rests on other things


@dataclass(frozen=True)
class TooNear:
    """What two bodies come to, in words."""

    pair: str  # "panda_hand and the blue bowl"
    margin_m: float  # distance beyond what is kept between them
    sentence: str  # a clause


@dataclass(frozen=True, eq=False)
class Nearest:
    """The pair that leaves the least room."""

    pair: str  # in words
    margin_m: float  # distance beyond what is kept between them; NaN: not known
    points_m: Array  # [2, 3] where they are nearest to each other, in the base frame

    @staticmethod
    def unknown() -> Nearest:
        """Of an arm that has not been seen."""
        return Nearest("", math.nan, np.full((2, 3), np.nan))


@dataclass(frozen=True, eq=False)
class _Standing:
    """A thing as it was when it was last seen to move."""

    thing: SceneObject
    deviation_m: float  # the smallest since then
    speed_mps: float  # as it was last seen ...
    seen_ns: int  # ... then
    kept_m: float
    solid: Solid  # grown by that


@dataclass(frozen=True, eq=False)
class _Held:
    """What is in the hand, and how it lies there."""

    id: str
    size_m: Array
    T_tcp_held: Array


class Surroundings:
    """What stands around one arm, and how near it comes to that and to itself. Postures are [dof + 1], as in SweepProof."""

    def __init__(self, arm: Arm, config: SafetyConfig) -> None:
        self._clearance, self._config, self._base_frame = SweepProof(arm, config), config.clearance, arm.config.base_frame
        self._until_rest_s = config.clearance.reaction_s + config.lookahead_ticks * config.tick_s + braking_of(arm, config).longest_s
        least_m = config.clearance.things_m + STAYS_M
        self._unexplained = Unexplained(arm, config, least_m, self._until_rest_s)
        self._standing: dict[str, _Standing] = {}
        self._scene: Scene | None = None
        self._held: _Held | None = None
        self._subtasks: Mapping[str, Subtask] = {}
        self._names: Mapping[str, str] = {}  # of the plan's objects
        self._subtask: Subtask | None = None  # of the chunk that was taken last
        self._table = _slab(self._config.table_height_m, self._config.table_m)
        self._movers = ClearanceModel(arm, MOVERS, own=False)
        self._place()

    def on_plan(self, plan: Plan) -> None:
        """The plan in force, for what its subtasks mean to touch."""
        self._subtasks = {subtask.id: subtask for subtask in plan.subtasks}
        self._names = plan.names

    def on_scene(self, scene: Scene, T_base_tcp: Array, now_ns: int) -> bool:
        """What perception sees; ``T_base_tcp`` [4, 4]: the hand at the scene's stamp. Whether anything stands elsewhere than before.

        Raises ValueError, and keeps what it knew, for what is no scene.
        """
        _check(scene, self._base_frame)
        held = next((thing for thing in scene.objects if thing.held), None)
        standing = {thing.id: self._stand(thing, now_ns) for thing in scene.objects if thing is not held}
        table = self._table_at(max(scene.table_height_m, self._config.table_height_m))
        taken_up = self._take_up(held, T_base_tcp)
        has_changed = standing != self._standing or table is not self._table or taken_up is not self._held
        if taken_up is not self._held:
            self._unexplained.hold(*_as_held(taken_up))
        has_changed |= self._unexplained.update(scene.unexplained_m, scene.unexplained_cell_m, scene.stamp_ns, now_ns)
        self._scene, self._standing, self._table, self._held = scene, standing, table, taken_up
        if has_changed:
            self._place()
        self._permit()
        return has_changed

    def subtask(self, subtask_id: str) -> Subtask | None:
        """Of the plan in force; a later one may give the same id to another subtask."""
        return self._subtasks.get(subtask_id)

    def expect(self, subtask: Subtask | None) -> None:
        """Permits, from now on, the contacts that a subtask means.

        The world model has a rule of its own for the same (``world_model/service.py``), since it judges where fingers close.
        """
        self._subtask = subtask
        self._permit()

    def handling(self, subtask: Subtask | None) -> Handling:
        """Of what is in the hand; while there is nothing, of what a subtask takes."""
        return self._handling_of(self._held.id) if self._held else self._handling_of_taken(subtask)

    def gentlest(self, subtask: Subtask | None) -> Handling:
        """Of both, the one that bears less."""
        return min(self.handling(subtask), self._handling_of_taken(subtask), key=lambda handling: handling.grip_n)

    def _handling_of_taken(self, subtask: Subtask | None) -> Handling:
        return self._handling_of(subtask.object_id if subtask else "")

    def _handling_of(self, thing_id: str) -> Handling:
        seen = self._scene.get(thing_id) if self._scene and thing_id else None
        return handling_table().of(seen.name if seen else self._names.get(thing_id, ""))

    def _permit(self) -> None:
        """Hand and held object may touch what is taken, and what that is put in or on."""
        meant = self._meant(self._subtask)
        contacts = dict.fromkeys(self._clearance.model.gripper_links, meant)
        if self._subtask is not None and self._subtask.skill is Skill.PLACE:
            contacts[HELD] = meant | {TABLE}
        self._clearance.permit(contacts)
        self._movers.permit(contacts)

    def breach(self, before: Array, rows: Array, accelerations: Array | None = None) -> TooNear | None:
        """Why a motion from ``before`` through ``rows`` [n, dof + 1] is not clear of everything, or None. See SweepProof."""
        breach = self._clearance.breach(before, rows, accelerations) or self._unexplained.breach(before, rows, accelerations)
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

    def look_around(self, posture: Array) -> None:
        """To be called while the arm rests: see SweepProof."""
        self._clearance.look_around(posture)

    def nearest(self, posture: Array) -> Nearest:
        """The nearest pair at a posture."""
        nearest, strange = self._clearance.nearest(posture), self._unexplained.nearest(posture)
        if strange and strange.distance_m < nearest.distance_m:
            nearest = strange
        a, b = (self._called(name) for name in nearest.pair)
        return Nearest(f"{a} and {b}", nearest.distance_m, nearest.points_m)

    def nearness(self, posture: Array) -> Pace | None:
        """How fast the arm may go beside what moves: slower, the nearer it is to what is kept from it. None where nothing moves."""
        found = []
        if any(standing.speed_mps for standing in self._standing.values()):
            found = [self._movers.distance(posture, group) for group in range(len(self._movers.is_own))]
        if strange := self._unexplained.nearest(posture):
            found.append((strange.distance_m, strange.pair))
        if not found:
            return None
        room_m, (link, name) = min(found, key=lambda each: each[0])
        share = self._config.slowest + (1 - self._config.slowest) * max(room_m, 0.0) / max(self._config.slow_m, 1e-9)
        if share >= 1.0:
            return None
        kept_m = self._kept_m((link, name))
        what = f"{self._called(name)} {'is' if name in self._unexplained.kept_m else 'moves,'}"
        why = f"{what} {(room_m + kept_m) * 1000:.0f} mm from {link}; {kept_m * 1000:.0f} mm are kept."
        return Pace(share, SafetyReason.SEPARATION, why[0].upper() + why[1:])

    def _called(self, name: str) -> str:
        """As people call it."""
        if name in (TABLE, HELD):
            return f"the {name}"
        if name in self._unexplained.kept_m:
            return "something that is no known object"
        thing = self._scene.get(name) if self._scene else None
        return f"the {thing.name}" if thing else name

    def _kept_m(self, pair: tuple[str, str]) -> float:
        if TABLE in pair:
            return self._config.table_m
        strange_m = [kept_m for name, kept_m in self._unexplained.kept_m.items() if name in pair]
        known_m = [self._standing[name].kept_m for name in pair if name in self._standing]
        return (*strange_m, *known_m, self._config.self_m)[0]

    def _meant(self, subtask: Subtask | None) -> frozenset[str]:
        if subtask is None or self._scene is None:
            return frozenset()
        names = (subtask.object_id, subtask.target_id if subtask.relation in (Relation.IN, Relation.ON) else "")
        ends = [thing for name in names if (thing := self._scene.get(name))]
        meant = {thing.id for thing in ends}
        for thing in self._scene.objects:
            contains = any(thing.shape in CONTAINERS and _covers(thing, end) for end in ends)
            inside = any(end.shape in CONTAINERS and _covers(end, thing) for end in ends)
            if contains or inside:
                meant.add(thing.id)
        return frozenset(meant)

    def _stand(self, new: SceneObject, now_ns: int) -> _Standing:
        """Where a thing is, grown by what is kept from it; as it was where it has not moved."""
        old, deviation_m = self._standing.get(new.id), _deviation_m(new)
        unseen_s = max((now_ns - new.last_seen_ns) * 1e-9, 0.0)
        speed_mps = self._speed_mps(new, old, unseen_s)
        stays = old if old is not None and _stays(old.thing, new) else None
        if stays:
            deviation_m = min(deviation_m, stays.deviation_m)
        approach_m = math.ceil(speed_mps * (self._until_rest_s + unseen_s) / GROWTH_STEP_M - 1e-6) * GROWTH_STEP_M
        kept_m = self._keep_m(deviation_m, unseen_s) + approach_m
        if not stays:
            return _Standing(new, deviation_m, speed_mps, new.last_seen_ns, kept_m, _solid(new, kept_m, new.pose.matrix()))
        if (kept_m, speed_mps) == (stays.kept_m, stays.speed_mps):
            return stays
        solid = _solid(stays.thing, kept_m, stays.solid.T_base_solid)
        return _Standing(stays.thing, deviation_m, speed_mps, new.last_seen_ns, kept_m, solid)

    def _speed_mps(self, new: SceneObject, old: _Standing | None, unseen_s: float) -> float:
        """As measured; what is hidden, as by the arm that it comes near to, goes on as it was last seen, for a while."""
        speed_mps = math.hypot(*new.velocity_mps.tolist())
        if old is not None and new.last_seen_ns <= old.seen_ns and unseen_s < GOES_ON_S:
            speed_mps = max(speed_mps, old.speed_mps)
        return speed_mps if speed_mps > MOVING_MPS else 0.0

    def _keep_m(self, deviation_m: float, unseen_s: float) -> float:
        """What is kept from a thing on all sides."""
        c = self._config
        unsure_m = min(c.sigmas * deviation_m + c.unseen_mps * unseen_s, c.most_m)
        return c.things_m + STAYS_M + math.ceil(unsure_m / GROWTH_STEP_M - 1e-6) * GROWTH_STEP_M

    def _take_up(self, thing: SceneObject | None, T_base_tcp: Array) -> _Held | None:
        """Keeps how the held object lies in the hand, from when it was first seen there."""
        if thing is None or (self._held and self._held.id == thing.id):
            return self._held if thing else None
        size_m = np.maximum(np.asarray(thing.size_m, dtype=float) - 2 * HELD_SHRUNK_M, 0.001)
        return _Held(thing.id, size_m, inverse(T_base_tcp) @ thing.pose.matrix())

    def _table_at(self, height_m: float) -> Solid:
        """The table as it was where it is reported as high as that, or nearly so."""
        new = _slab(height_m, self._config.table_m)
        return self._table if abs(new.size_m[2] - self._table.size_m[2]) < STAYS_M / 2 else new

    def _place(self) -> None:
        size_m, T_tcp_held = _as_held(self._held)
        self._clearance.place((self._table, *(standing.solid for standing in self._standing.values())), size_m, T_tcp_held)
        moving = sorted((s for s in self._standing.values() if s.speed_mps), key=lambda s: -s.speed_mps)
        self._movers.place([standing.solid for standing in moving[:MOVERS]])
        self._movers.hold(size_m, T_tcp_held)


def _as_held(held: _Held | None) -> tuple[Array | None, Array]:
    """Its size, and how it lies in the hand."""
    return (held.size_m, held.T_tcp_held) if held else (None, np.eye(4))


def _check(scene: Scene, base_frame: str) -> None:
    """Raises ValueError for a scene that cannot be kept clear of."""
    if scene.frame_id != base_frame:
        raise ValueError(f"the objects are given in '{scene.frame_id}', not in {base_frame}")
    ids = [thing.id for thing in scene.objects]
    if len(set(ids)) != len(ids) or {TABLE, HELD, STANDING, COMING} & set(ids):
        taken = f"'{TABLE}', '{HELD}', '{STANDING}' or '{COMING}'"
        raise ValueError(f"the objects' ids are not unique, or one is called {taken}: {', '.join(sorted(ids))}")
    if not abs(scene.table_height_m) <= HIGHEST_TABLE_M:
        raise ValueError(f"the table's height is {scene.table_height_m} m; valid: within {HIGHEST_TABLE_M:g} m of the base's")
    cells_m, cell_m = scene.unexplained_m, scene.unexplained_cell_m
    if len(cells_m) > MOST_CELLS or not np.all(np.abs(cells_m) <= LARGEST) or (len(cells_m) and not SMALLEST_CELL_M <= cell_m <= 1.0):
        raise ValueError(f"{len(cells_m)} cells of {cell_m} m that are unexplained are no such cells")
    if not scene.objects:
        return
    turns, sizes_m = np.array([t.pose.quat_xyzw for t in scene.objects]), np.array([t.size_m for t in scene.objects])
    places, velocities = [t.pose.position_m for t in scene.objects], [t.velocity_mps for t in scene.objects]
    rest = np.column_stack([places, velocities, np.array([t.covariance for t in scene.objects]).reshape(len(ids), -1)])
    sane = (np.abs(np.column_stack([turns, sizes_m, rest])) <= LARGEST).all(axis=1) & (np.abs(np.linalg.norm(turns, axis=1) - 1) <= 1e-3)
    if not sane.all():
        wrong = "a place, a size, a covariance or a velocity that is not finite or beyond all bounds, or no orientation"
        raise ValueError(f"{ids[int(sane.argmin())]} has {wrong}")
    if not (sizes_m > 0).all():
        flat = int((sizes_m > 0).all(axis=1).argmin())
        raise ValueError(f"{ids[flat]} has no size: {sizes_m[flat].tolist()} m")


def _slab(height_m: float, grown_m: float) -> Solid:
    """It may be reported by half of STAYS_M above where it is put."""
    top_m = height_m + grown_m
    size = np.array([TABLE_SIDE_M, TABLE_SIDE_M, top_m - TABLE_BOTTOM_M])
    return Solid(
        TABLE, "box", size, transform(np.eye(3), np.array([0.0, 0.0, (top_m + TABLE_BOTTOM_M) / 2])), max(grown_m - STAYS_M / 2, 0.0)
    )


def _solid(thing: SceneObject, grown_m: float, T_base_solid: Array) -> Solid:
    """Grown by what is kept from a thing; it may be reported by STAYS_M beside where it is put."""
    return Solid(thing.id, _kind(thing), np.asarray(thing.size_m, dtype=float) + 2 * grown_m, T_base_solid, grown_m - STAYS_M)


def _stays(old: SceneObject, new: SceneObject) -> bool:
    """Whether every point of ``new`` lies within STAYS_M of ``old``."""
    if old.shape != new.shape:
        return False
    moved_m = math.dist(old.pose.position_m.tolist(), new.pose.position_m.tolist())  # as lists: in a sixth of the time of arrays
    moved_m += math.dist(old.size_m.tolist(), new.size_m.tolist()) / 2
    if moved_m <= STAYS_M and _kind(new) == "box":
        same = min(abs(float(old.pose.quat_xyzw @ new.pose.quat_xyzw)), 1.0)
        moved_m += math.sqrt(1 - same * same) * math.hypot(*new.size_m.tolist())  # of a corner
    return moved_m <= STAYS_M


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
