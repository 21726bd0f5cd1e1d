"""How near the arm's links come to one another and to things in the world, computed by Coal on the URDF's primitives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import coal
import numpy as np
import pinocchio

from vla_ros.core.errors import ConfigError, MotionError, unknown_choice
from vla_ros.core.geometry import Array
from vla_ros.robots.arm import Arm, full_model
from vla_ros.robots.description import LinkShape

Pair = tuple[str, str]
NO_PAIR: Pair = ("", "")


@dataclass(frozen=True)
class Obstacle:
    """A thing in the world. ``size_m``: sphere (radius,), cylinder or capsule (radius, length along z), box (x, y, z: full extents)."""

    name: str
    kind: str  # "sphere", "cylinder", "capsule", "box"
    size_m: tuple[float, ...]
    T_base_obstacle: Array  # [4, 4]


class CollisionModel:
    """Signed distances (negative: penetration depth) of one arm. Not for several threads at once.

    Links that no joint moves against each other, and neighbours across one joint, are never compared; nor are the configuration's
    ``ignored_collision_pairs``. The gripper counts as fully open unless a width is given: the hull is then at its largest.
    """

    def __init__(self, arm: Arm, held: Sequence[LinkShape] = ()) -> None:
        """``held``: shapes of a grasped object, on a link such as ``config.tcp_frame``. Raises ConfigError for an unknown link."""
        self._arm = arm
        self._shapes = (*arm.collision_shapes, *held)
        self._model = full_model(arm.config)
        self._data = self._model.createData()
        self._links = {shape.link: self._frame(shape.link) for shape in self._shapes}
        self.pairs = tuple(compared_links(arm, self._links))
        self._self_geometry = self._geometry(())
        self._world_geometry = self._geometry(())
        self._obstacles: tuple[Obstacle, ...] = ()

    def self_distance(self, q: Array, gripper_width_m: float | None = None) -> tuple[float, Pair]:
        """Smallest distance [m] between two links, and their names."""
        return self._self_geometry.distance(self._model, self._data, self._full_q(q, gripper_width_m))

    def min_distance(self, q: Array, obstacles: Sequence[Obstacle], gripper_width_m: float | None = None) -> tuple[float, Pair]:
        """Smallest distance [m] between a moving link and an obstacle, and the names of both; infinity where there are no obstacles.

        The shapes of the last call are kept: passing the same Obstacle values again is fast.
        """
        if not obstacles:
            return float("inf"), NO_PAIR
        return self._world(obstacles).distance(self._model, self._data, self._full_q(q, gripper_width_m))

    def in_collision(
        self, q: Array, obstacles: Sequence[Obstacle] = (), margin_m: float = 0.0, gripper_width_m: float | None = None
    ) -> bool:
        """Whether two links, or a link and an obstacle, come nearer than ``margin_m``. Faster than the distances: it stops at the first."""
        full = self._full_q(q, gripper_width_m)
        if self._self_geometry.touches(self._model, self._data, full, margin_m):
            return True
        return bool(obstacles) and self._world(obstacles).touches(self._model, self._data, full, margin_m)

    def _full_q(self, q: Array, gripper_width_m: float | None) -> Array:
        width = self._arm.config.gripper.width_open_m if gripper_width_m is None else gripper_width_m
        return self._arm.full_q(np.asarray(q, dtype=float), width)

    def _world(self, obstacles: Sequence[Obstacle]) -> _Geometry:
        current = tuple(obstacles)
        if len(current) != len(self._obstacles) or any(new is not kept for new, kept in zip(current, self._obstacles, strict=True)):
            self._world_geometry = self._geometry(current)
            self._obstacles = current
        return self._world_geometry

    def _geometry(self, obstacles: Sequence[Obstacle]) -> _Geometry:
        """The arm against itself, or against ``obstacles`` where there are any."""
        geometry = pinocchio.GeometryModel()
        by_link: dict[str, list[int]] = {link: [] for link in self._links}
        for shape in self._shapes:
            by_link[shape.link].append(self._add_link_shape(geometry, shape))
        if not obstacles:
            index_pairs = [(i, j) for a, b in self.pairs for i in by_link[a] for j in by_link[b]]
        else:
            added = [geometry.addGeometryObject(_obstacle_object(o, n)) for n, o in enumerate(obstacles)]
            moving = [i for link, items in by_link.items() if self._joint(link) for i in items]
            index_pairs = [(i, j) for i in moving for j in added]
        for i, j in index_pairs:
            geometry.addCollisionPair(pinocchio.CollisionPair(i, j))
        owners = [shape.link for shape in self._shapes] + [o.name for o in obstacles]
        return _Geometry(geometry, [(owners[i], owners[j]) for i, j in index_pairs])

    def _add_link_shape(self, geometry: pinocchio.GeometryModel, shape: LinkShape) -> int:
        frame = self._model.frames[self._links[shape.link]]
        placement = frame.placement * pinocchio.SE3(shape.T_link_shape)
        item = pinocchio.GeometryObject(shape.name, frame.parentJoint, placement, _coal_shape(shape.kind, shape.size_m, shape.name))
        return int(geometry.addGeometryObject(item))

    def _frame(self, link: str) -> int:
        if not self._model.existFrame(link):
            raise ConfigError(unknown_choice("link", link, (f.name for f in self._model.frames if f.type == pinocchio.FrameType.BODY)))
        return int(self._model.getFrameId(link))

    def _joint(self, link: str) -> int:
        """Index of the joint that carries ``link``; 0 for the immovable base."""
        return int(self._model.frames[self._links[link]].parentJoint)


def compared_links(arm: Arm, links: Iterable[str]) -> Iterator[Pair]:
    """The pairs of ``links`` that may come to touch.

    Not what no joint moves against each other, neighbours across one joint, the fingers of one gripper (they touch when it is closed, as
    they should), or the configuration's ``ignored_collision_pairs``. Raises ConfigError for an ignored link that is not among them.
    """
    links = list(links)
    for link in (link for pair in arm.config.ignored_collision_pairs for link in pair):
        if link not in links:
            raise ConfigError(f"{arm.config.name}: ignored_pairs: {unknown_choice('link', link, links)}")
    skipped = {frozenset(pair) for pair in arm.config.ignored_collision_pairs}
    parent = arm.parent_joint
    for n, a in enumerate(links):
        for b in links[n + 1 :]:
            i, j = arm.moving_joint[a], arm.moving_joint[b]
            neighbours = i == j or parent.get(i) == j or parent.get(j) == i
            fingers = {i, j} <= set(arm.config.finger_joints)
            if not (neighbours or fingers or frozenset((a, b)) in skipped):
                yield a, b


class _Geometry:
    """Shapes and the pairs of them that are compared."""

    def __init__(self, model: pinocchio.GeometryModel, pairs: list[Pair]) -> None:
        self._model = model
        self._data = model.createData()
        self._pairs = pairs
        self._margin_m = 0.0

    def distance(self, model: pinocchio.Model, data: pinocchio.Data, full_q: Array) -> tuple[float, Pair]:
        if not self._pairs:
            return float("inf"), NO_PAIR
        nearest = pinocchio.computeDistances(model, data, self._model, self._data, full_q)
        return float(self._data.distanceResults[nearest].min_distance), self._pairs[nearest]

    def touches(self, model: pinocchio.Model, data: pinocchio.Data, full_q: Array, margin_m: float) -> bool:
        if margin_m != self._margin_m:
            for request in self._data.collisionRequests:
                request.security_margin = margin_m
            self._margin_m = margin_m
        return bool(pinocchio.computeCollisions(model, data, self._model, self._data, full_q, True))


def _obstacle_object(obstacle: Obstacle, number: int) -> pinocchio.GeometryObject:
    if not np.all(np.isfinite(obstacle.T_base_obstacle)) or not all(np.isfinite(s) and s > 0 for s in obstacle.size_m):
        raise MotionError(f"Obstacle '{obstacle.name}' has a pose or size that is not finite and above 0: {obstacle.size_m}.")
    shape = _coal_shape(obstacle.kind, obstacle.size_m, obstacle.name)
    return pinocchio.GeometryObject(f"obstacle_{number}", 0, pinocchio.SE3(np.asarray(obstacle.T_base_obstacle, dtype=float)), shape)


def _coal_shape(kind: str, size_m: tuple[float, ...], name: str) -> coal.CollisionGeometry:
    makers = {"sphere": (coal.Sphere, 1), "cylinder": (coal.Cylinder, 2), "capsule": (coal.Capsule, 2), "box": (coal.Box, 3)}
    if kind not in makers:
        raise MotionError(f"{name}: {unknown_choice('shape', kind, makers)}")
    make, count = makers[kind]
    if len(size_m) != count:
        raise MotionError(f"{name}: a {kind} has {count} sizes, found {len(size_m)}.")
    return make(*size_m)
