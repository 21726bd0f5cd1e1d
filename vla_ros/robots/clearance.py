"""Distances of an arm's links to one another and to things, in groups, with a bound on how fast each can shrink.

A group is one link against all things, or one link against another one. Its distance at one posture says something about all postures
around it: no point of a link moves farther than ``reach_m`` of each joint times what that joint turns. So a distance that was measured once
proves a whole neighbourhood free, and a motion is looked at only where that proof ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import coal
import numpy as np
import pinocchio

from vla_ros.core.errors import MotionError, unknown_choice
from vla_ros.core.geometry import Array
from vla_ros.robots.arm import Arm, full_model
from vla_ros.robots.collision import compared_links
from vla_ros.robots.description import LinkShape

HELD = "held object"  # the name of what is between the fingers, as a link
_NOTHING_M = np.full(3, 0.001)
_AWAY = pinocchio.SE3(np.eye(3), np.array([0.0, 0.0, 1000.0]))  # where a place for a thing waits until it is needed


@dataclass(frozen=True)
class Solid:
    """A box (x, y, z: full extents) or an upright cylinder (diameter, diameter, height) in the base frame."""

    name: str
    kind: str  # "box", "cylinder"
    size_m: Array  # [3]
    T_base_solid: Array  # [4, 4]
    grown_m: float = 0.0  # so much of it, on each side, is kept from a thing: the thing itself begins that deep


class _Group:
    """One link against things, or against another link; ``reach_m`` [dof + 1]: the last column is for the gripper's width."""

    def __init__(
        self, name: tuple[str, str], geometry: pinocchio.GeometryModel, movers: list[int], others: list[int], reach_m: Array
    ) -> None:
        self.name, self.geometry, self.reach_m = name, geometry, reach_m
        self._movers, self._others = movers, others
        for i in movers:
            for j in others:
                geometry.addCollisionPair(pinocchio.CollisionPair(i, j))
        self.data = geometry.createData()
        self._things = [geometry.geometryObjects[j] for j in others]
        self._permitted: set[int] = set()

    def distance(self, model: pinocchio.Model, data: pinocchio.Data) -> tuple[float, int]:
        """(smallest distance [m], number of the other body) at the posture that ``data`` was computed for."""
        nearest = self._nearest(model, data)
        if nearest is None:
            return float("inf"), -1
        return float(self.data.distanceResults[nearest].min_distance), nearest % len(self._others)

    def nearest_points(self, model: pinocchio.Model, data: pinocchio.Data) -> Array:
        """[2, 3] of the mover and the other body that ``distance`` is measured between, in the base frame; NaN: there are none."""
        nearest = self._nearest(model, data)
        if nearest is None:
            return np.full((2, 3), np.nan)
        found = self.data.distanceResults[nearest]
        return np.array([found.getNearestPoint1(), found.getNearestPoint2()])

    def all_distances(self, model: pinocchio.Model, data: pinocchio.Data) -> Array:
        """[pairs] as ``distance``; infinity for those that do not count. Their numbers are those of the other methods."""
        self.distance(model, data)
        counts = self.data.activeCollisionPairs
        return np.array([found.min_distance if counts[pair] else math.inf for pair, found in enumerate(self.data.distanceResults)])

    def distances_of(self, pairs: Sequence[int], model: pinocchio.Model, data: pinocchio.Data) -> list[float]:
        """Of these pairs alone [m]."""
        pinocchio.updateGeometryPlacements(model, data, self.geometry, self.data)
        return [float(pinocchio.computeDistance(self.geometry, self.data, pair).min_distance) for pair in pairs]

    def _nearest(self, model: pinocchio.Model, data: pinocchio.Data) -> int | None:
        """The number of the nearest pair at the posture that ``data`` was computed for; None where no pair counts."""
        pinocchio.updateGeometryPlacements(model, data, self.geometry, self.data)
        nearest = int(pinocchio.computeDistances(self.geometry, self.data))
        return nearest if nearest < len(self._movers) * len(self._others) else None

    def other(self, pair: int) -> int:
        """The number of a pair's other body."""
        return pair % len(self._others)

    def leave_out(self, pairs: Sequence[int], out: bool) -> None:
        """Pairs that count do not count for a while, or count again."""
        for pair in pairs:
            (self.data.deactivateCollisionPair if out else self.data.activateCollisionPair)(pair)

    def put(self, slot: int, placement: pinocchio.SE3) -> None:
        """A thing stands elsewhere."""
        self._things[slot].placement = placement

    def reshape(self, slot: int, shape: coal.CollisionGeometry) -> None:
        """A thing is of another kind."""
        self._things[slot].geometry = shape
        self.data = self.geometry.createData()  # it holds on to the shapes that were there when it was made
        permitted, self._permitted = self._permitted, set()
        self.permit(permitted)

    def permit(self, slots: set[int]) -> None:
        """The things with which contact is meant, so that their distances do not count; of all others they do."""
        for slot in slots ^ self._permitted:
            change = self.data.deactivateCollisionPair if slot in slots else self.data.activateCollisionPair
            for i in range(len(self._movers)):
                change(i * len(self._others) + slot)
        self._permitted = slots


class ClearanceModel:
    """For one arm and up to ``capacity`` things; not for several threads at once.

    Postures are [dof + 1]: joints [rad], then the gripper's width [m].
    """

    def __init__(self, arm: Arm, capacity: int = 8, *, own: bool = True) -> None:
        """``own``: whether the links are also compared with one another."""
        self._arm = arm
        self._model = full_model(arm.config)
        self._data = self._model.createData()
        self.capacity = capacity
        self._solids: list[Solid | None] = [None] * capacity
        self._slots = [_Slot() for _ in range(capacity)]
        self._held = _Slot()
        self._holding: tuple[float, ...] | None = None  # size and pose in the hand
        self._permitted: dict[str, frozenset[str]] = {}
        self._computed = b""  # the posture that the links are at
        self._reach = _Reach(self._model, arm)
        by_link: dict[str, list[LinkShape]] = {}
        for shape in arm.collision_shapes:
            by_link.setdefault(shape.link, []).append(shape)
        self._world = {link: self._against_things(link, shapes) for link, shapes in by_link.items() if arm.moving_joint[link]}
        self._world[HELD] = self._held_against_things()
        self._own = [self._against_link(a, by_link[a], b, by_link[b]) for a, b in compared_links(arm, by_link) if own]
        self._groups = [*self._world.values(), *self._own]
        self.reach_m = np.stack([group.reach_m for group in self._groups], axis=1)  # [dof + 1, groups]
        self.is_own = np.array([False] * len(self._world) + [True] * len(self._own))  # [groups]
        last = arm.config.arm_joints[-1]
        carried = {last, *arm.config.finger_joints}
        self.gripper_links = frozenset(link for link in self._world if link == HELD or arm.moving_joint[link] in carried)
        self._permit()

    def place(self, solids: Sequence[Solid]) -> float:
        """The things that stand around, in place of those before; at most ``capacity``.

        Returns how much nearer than before any of them may be [m]; infinity where there are more.
        """
        assert len(solids) <= self.capacity
        slots = self._slots_for(solids)
        nearer_m = 0.0
        for slot, old in enumerate(self._solids):
            new = slots.get(slot)
            if new is not old:
                nearer_m = max(nearer_m, _nearer_m(old, new))
                self._put(slot, old, new)
        self._permit()
        return nearer_m

    def _slots_for(self, solids: Sequence[Solid]) -> dict[int, Solid]:
        """A thing stays in the slot of the one of its name; the first of several of a name in that of the first."""
        of_name: dict[str, list[int]] = {}
        for slot, solid in enumerate(self._solids):
            if solid is not None:
                of_name.setdefault(solid.name, []).append(slot)
        slots, left = {}, []
        for solid in solids:
            if known := of_name.get(solid.name):
                slots[known.pop(0)] = solid
            else:
                left.append(solid)
        free = (slot for slot in range(self.capacity) if slot not in slots)
        return slots | dict(zip(free, left, strict=False))

    def _put(self, slot: int, old: Solid | None, new: Solid | None) -> None:
        shapes, kind_before = self._slots[slot], self._slots[slot].kind
        shape = shapes.shaped(new.kind, new.size_m) if new else shapes.shaped("box", _NOTHING_M)
        if shapes.kind != kind_before:
            for group in self._world.values():
                group.reshape(slot, shape)
        if old is None or new is None or new.T_base_solid is not old.T_base_solid:
            placement = pinocchio.SE3(np.asarray(new.T_base_solid, dtype=float)) if new else _AWAY
            for group in self._world.values():
                group.put(slot, placement)
        self._solids[slot] = new

    def permit(self, contacts: Mapping[str, frozenset[str]]) -> bool:
        """The contacts that are meant, and no others: link -> names of things. Whether that is news."""
        if contacts == self._permitted:
            return False
        self._permitted = dict(contacts)
        self._permit()
        return True

    def hold(self, size_m: Array | None, T_tcp_held: Array) -> bool:
        """A box between the fingers that moves with the TCP; None: there is nothing. Whether that is news."""
        held = None if size_m is None else (*size_m, *T_tcp_held.flat)
        if held == self._holding:
            return False
        self._holding = held
        self._held.shaped("box", _NOTHING_M if size_m is None else size_m)
        frame = self._model.frames[self._model.getFrameId(self._arm.config.tcp_frame)]
        group = self._world[HELD]
        group.reach_m = self._reach.of(self._arm.config.tcp_frame, (), _held_radius_m(size_m, T_tcp_held))
        self.reach_m[:, list(self._world).index(HELD)] = group.reach_m
        item = group.geometry.geometryObjects[0]
        item.placement = frame.placement * pinocchio.SE3(np.asarray(T_tcp_held, dtype=float))
        self._permit()
        return True

    def _permit(self) -> None:
        empty = {slot for slot, solid in enumerate(self._solids) if solid is None}
        for link, group in self._world.items():
            meant = self._permitted.get(link)
            if link == HELD and self._holding is None:
                group.permit(set(range(self.capacity)))
            elif meant:
                group.permit(empty | {slot for slot, solid in enumerate(self._solids) if solid and solid.name in meant})
            else:
                group.permit(empty)

    def distances(self, posture: Array) -> Array:
        """[groups] smallest distances [m], negative in contact; infinity where nothing is to be compared."""
        self._compute(posture)
        return np.array([group.distance(self._model, self._data)[0] for group in self._groups])

    def distance(self, posture: Array, group: int) -> tuple[float, tuple[str, str]]:
        """The distance of one group [m], and the names of the two that are nearest to each other."""
        self._compute(posture)
        distance_m, other = self._groups[group].distance(self._model, self._data)
        return distance_m, self._names(group, self._solid(group, other))

    def nearest_points(self, posture: Array, group: int) -> Array:
        """[2, 3] where the two that are nearest to each other in one group are, in the base frame; NaN where nothing is to be compared."""
        self._compute(posture)
        return self._groups[group].nearest_points(self._model, self._data)

    def pair_distances(self, posture: Array, group: int) -> Array:
        """[pairs] of one group [m], by the pairs' numbers; infinity for those that do not count."""
        self._compute(posture)
        return self._groups[group].all_distances(self._model, self._data)

    def distances_of(self, posture: Array, group: int, pairs: Sequence[int]) -> list[float]:
        """Of these pairs of one group alone [m], which is sooner found than that of all."""
        self._compute(posture)
        return self._groups[group].distances_of(pairs, self._model, self._data)

    def names(self, group: int, pair: int) -> tuple[str, str]:
        """Of the two of a pair."""
        return self._names(group, self._solid(group, self._groups[group].other(pair)))

    def grown_m(self, group: int, pair: int) -> float:
        """What is kept from the thing of a pair and is a part of its distance; 0 between two links."""
        solid = self._solid(group, self._groups[group].other(pair))
        return solid.grown_m if solid else 0.0

    @contextmanager
    def without(self, group: int, pairs: Sequence[int]) -> Iterator[None]:
        """Meanwhile the distance of a group is that of the others that count."""
        self._groups[group].leave_out(pairs, True)
        try:
            yield
        finally:
            self._groups[group].leave_out(pairs, False)

    def _solid(self, group: int, other: int) -> Solid | None:
        return self._solids[other] if group < len(self._world) and other >= 0 else None

    def _names(self, group: int, solid: Solid | None) -> tuple[str, str]:
        first, second = self._groups[group].name
        return first, solid.name if solid else second

    def _compute(self, posture: Array) -> None:
        wanted = posture.tobytes()  # to compare them takes a tenth of the time of comparing arrays
        if wanted == self._computed:
            return
        self._computed = wanted
        full = self._arm.full_q(posture[:-1], float(posture[-1]))
        pinocchio.forwardKinematics(self._model, self._data, full)

    def _against_things(self, link: str, shapes: list[LinkShape]) -> _Group:
        geometry = pinocchio.GeometryModel()
        movers = [self._add(geometry, shape) for shape in shapes]
        return _Group((link, ""), geometry, movers, self._places(geometry), self._reach.of(link, shapes))

    def _held_against_things(self) -> _Group:
        geometry, link = pinocchio.GeometryModel(), self._arm.config.tcp_frame
        frame = self._model.frames[self._model.getFrameId(link)]
        held = pinocchio.GeometryObject(HELD, frame.parentJoint, frame.placement, self._held.shaped("box", _NOTHING_M))
        movers = [int(geometry.addGeometryObject(held))]
        return _Group((HELD, ""), geometry, movers, self._places(geometry), self._reach.of(link, (), 0.0))

    def _places(self, geometry: pinocchio.GeometryModel) -> list[int]:
        """Where things will stand."""
        made = [pinocchio.GeometryObject(f"thing_{n}", 0, _AWAY, slot.shaped("box", _NOTHING_M)) for n, slot in enumerate(self._slots)]
        return [int(geometry.addGeometryObject(item)) for item in made]

    def _against_link(self, a: str, shapes_a: list[LinkShape], b: str, shapes_b: list[LinkShape]) -> _Group:
        geometry = pinocchio.GeometryModel()
        movers = [self._add(geometry, shape) for shape in shapes_a]
        others = [self._add(geometry, shape) for shape in shapes_b]
        return _Group((a, b), geometry, movers, others, self._reach.between(a, shapes_a, b, shapes_b))

    def _add(self, geometry: pinocchio.GeometryModel, shape: LinkShape) -> int:
        frame = self._model.frames[self._model.getFrameId(shape.link)]
        placement = frame.placement * pinocchio.SE3(shape.T_link_shape)
        item = pinocchio.GeometryObject(shape.name, frame.parentJoint, placement, _link_shape(shape))
        return int(geometry.addGeometryObject(item))


class _Slot:
    """The shapes that one thing may have. They are changed, not replaced: Pinocchio holds on to them."""

    def __init__(self) -> None:
        self._box, self._cylinder = coal.Box(1.0, 1.0, 1.0), coal.Cylinder(1.0, 1.0)
        self.kind = "box"

    def shaped(self, kind: str, size_m: Array) -> coal.CollisionGeometry:
        """``size_m`` [3]: full extents. Raises MotionError for an unknown kind."""
        x, y, z = np.asarray(size_m, dtype=float).tolist()
        self.kind = kind
        if kind == "box":
            self._box.halfSide = np.array([x, y, z]) / 2
            return self._box
        if kind == "cylinder":
            self._cylinder.radius, self._cylinder.halfLength = max(x, y) / 2, z / 2
            return self._cylinder
        raise MotionError(unknown_choice("shape", kind, ("box", "cylinder")))


class _Reach:
    """How far the points of a link are from each joint's axis at most, whatever the others do [m]; for a finger per metre of width."""

    def __init__(self, model: pinocchio.Model, arm: Arm) -> None:
        self._model, self._arm = model, arm
        data = model.createData()
        neutral = pinocchio.neutral(model)
        self._motion = [pinocchio.computeJointJacobian(model, data, neutral, j)[:, model.joints[j].idx_v] for j in range(1, model.njoints)]
        names = list(model.names)
        self._column = {names.index(name): i for i, name in enumerate(arm.config.arm_joints)}
        fingers = {names.index(name) for name in arm.config.finger_joints}
        self._column |= dict.fromkeys(fingers, arm.config.dof)
        self._known: dict[str, Array] = {}
        self._per_column = [1.0] * arm.config.dof + [arm.config.gripper.binding.position_per_width]

    def chain(self, link: str) -> list[int]:
        """The joints between the base and a link."""
        joint = self._model.frames[self._model.getFrameId(link)].parentJoint
        chain = []
        while joint:
            chain.append(joint)
            joint = self._model.parents[joint]
        return chain

    def of(self, link: str, shapes: Sequence[LinkShape], radius_m: float | None = None) -> Array:
        """[dof + 1] of a link; ``radius_m``: of its points about the frame of ``link``, where they are not those of ``shapes``."""
        result = np.zeros(self._arm.config.dof + 1)
        frame = self._model.frames[self._model.getFrameId(link)]
        if radius_m is None:
            spread = max(_spread(frame.placement.homogeneous @ s.T_link_shape, s) for s in shapes)
        else:
            spread = float(np.linalg.norm(frame.placement.translation)) + radius_m
        for joint in self.chain(link):
            angular = self._motion[joint - 1][3:]
            turns = float(np.linalg.norm(angular)) > 0.5
            column = self._column[joint]
            result[column] = max(result[column], (spread if turns else 1.0) * self._per_column[column])
            offset = self._model.jointPlacements[joint].translation
            spread += float(np.linalg.norm(offset)) + (
                0.0 if turns else float(self._model.upperPositionLimit[self._model.joints[joint].idx_q])
            )
        return result

    def between(self, a: str, shapes_a: Sequence[LinkShape], b: str, shapes_b: Sequence[LinkShape]) -> Array:
        """[dof + 1] for two links: only the joints between them change their distance."""
        chain_a, chain_b = set(self.chain(a)), set(self.chain(b))
        result = np.zeros(self._arm.config.dof + 1)
        for link, shapes, joints in ((a, shapes_a, chain_a - chain_b), (b, shapes_b, chain_b - chain_a)):
            reach = self._known[link] if link in self._known else self._known.setdefault(link, self.of(link, shapes))
            for column in {self._column[j] for j in joints}:
                result[column] += reach[column]
        return result


def _held_radius_m(size_m: Array | None, T_tcp_held: Array) -> float:
    """How far what is held reaches from the TCP."""
    return 0.0 if size_m is None else float(np.linalg.norm(T_tcp_held[:3, 3]) + np.linalg.norm(size_m) / 2)


def _nearer_m(old: Solid | None, new: Solid | None) -> float:
    """How far any point of ``new`` is from ``old`` at most."""
    if new is None:
        return 0.0
    if old is None or (old.name, old.kind) != (new.name, new.kind):  # of another name, contact with the old one may have been meant
        return math.inf
    grown_m = math.hypot(*np.maximum(new.size_m - old.size_m, 0.0).tolist()) / 2
    if new.T_base_solid is old.T_base_solid:
        return grown_m
    moved = new.T_base_solid - old.T_base_solid
    turned = math.sqrt(float((moved[:3, :3] ** 2).sum()))  # no vector is changed by a greater share
    return grown_m + math.hypot(*moved[:3, 3]) + turned * math.hypot(*new.size_m) / 2


def _spread(T_joint_shape: Array, shape: LinkShape) -> float:
    """Greatest distance of a shape's points from the origin of its joint's frame."""
    centre, axis = T_joint_shape[:3, 3], T_joint_shape[:3, 2]
    if shape.kind == "sphere":
        return float(np.linalg.norm(centre)) + shape.size_m[0]
    if shape.kind == "cylinder":
        radius, length = shape.size_m
        return max(float(np.linalg.norm(centre + side * length / 2 * axis)) for side in (-1, 1)) + radius
    half = np.asarray(shape.size_m) / 2
    corners = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T * half
    return float(np.linalg.norm(corners @ T_joint_shape[:3, :3].T + centre, axis=1).max())


def _link_shape(shape: LinkShape) -> coal.CollisionGeometry:
    makers = {"box": coal.Box, "cylinder": coal.Cylinder, "sphere": coal.Sphere}
    return makers[shape.kind](*shape.size_m)
