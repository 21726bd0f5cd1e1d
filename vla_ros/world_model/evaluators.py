"""The questions that are asked of a roll-out: does anything collide, does the grip hold, is something spilled or dropped?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array, inverse
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.things import CONTAINERS
from vla_ros.robots import Arm
from vla_ros.world_model.parameters import WorldModelParameters
from vla_ros.world_model.rollout import Rollout
from vla_ros.world_model.twin import Twin, TwinGeom

_G_MPS2 = 9.81


@dataclass(frozen=True)
class Expected:
    """Contacts that are meant: what is or will be between the fingers, and what it is put in or on."""

    held_id: str = ""
    object_id: str = ""
    target_id: str = ""


@dataclass(frozen=True)
class Foreseen:
    """Of the collision evaluator. ``rows_done`` is less than there are when time ran out."""

    collision: bool
    detail: str
    min_distance_m: float
    rows_done: int


class CollisionEvaluator:
    """Distances of everything that moves to everything that stands, row by row."""

    def __init__(self, twin: Twin, arm: Arm, parameters: WorldModelParameters) -> None:
        self._twin = twin
        self._p = parameters
        self._fingers = frozenset(link for link, joint in arm.moving_joint.items() if joint in arm.config.finger_joints)

    def evaluate(self, rollout: Rollout, scene: Scene, expected: Expected, end_s: float) -> Foreseen:
        """``end_s``: value of time.perf_counter() at which it gives up."""
        standing = [self._twin.table, *(g for o in scene.objects if o.id != expected.held_id for g in self._twin.object_geoms[o.id])]
        near = self._near(rollout, standing)
        wanted = scene.get(expected.object_id)
        smallest = float("inf")
        depths_before: dict[tuple[int, int], float] = {}  # what is already in contact may stay so
        for row in range(len(rollout.times_s)):
            if time.perf_counter() > end_s:
                return Foreseen(False, "", smallest, row)
            if rollout.same_as_before(row):
                continue
            for mover, still in self._pairs(rollout, row, near[row], standing):
                if self._is_meant(mover, still, rollout, row, wanted):
                    continue
                distance = self._twin.distance(mover.index, still.index, self._p.look_m)
                before = depths_before.setdefault((mover.index, still.index), max(-distance, 0.0) if row == 0 else 0.0)
                if -distance - before > self._allowed_m(mover, still, expected):
                    return Foreseen(True, self._sentence(mover, still, scene, -distance, rollout.times_s[row]), distance, row)
                if not (mover.owner == expected.held_id and still.owner in ("table", expected.target_id)):
                    smallest = min(smallest, distance)
        return Foreseen(False, "", smallest, len(rollout.times_s))

    def _pairs(self, rollout: Rollout, row: int, near: NDArray[np.bool_], standing: list[TwinGeom]) -> Iterator[tuple[TwinGeom, TwinGeom]]:
        """The pairs of this row worth measuring; the moving solid is put where it is then."""
        for i in np.flatnonzero(near.any(axis=1)):
            mover = rollout.geoms[i]
            self._twin.place(mover.index, rollout.T_base_geom[row, i])
            for j in np.flatnonzero(near[i]):
                yield mover, standing[j]

    def _near(self, rollout: Rollout, standing: list[TwinGeom]) -> NDArray[np.bool_]:
        """[rows, moving, standing]: bounding spheres nearer than the distance at which one looks closer (the table: as a plane)."""
        model, data = self._twin.model, self._twin.data
        moving_radius = np.linalg.norm(model.geom_size[[g.index for g in rollout.geoms]], axis=1)
        index = np.array([g.index for g in standing])
        centres = rollout.T_base_geom[:, :, :3, 3]
        others = data.geom_xpos[index]
        squares = np.square(centres).sum(-1)[:, :, None] + np.square(others).sum(-1) - 2 * (centres @ others.T)
        reach = moving_radius[:, None] + np.linalg.norm(model.geom_size[index], axis=1) + self._p.look_m / 2
        near = squares < reach**2
        table_top = data.geom_xpos[self._twin.table.index][2] + model.geom_size[self._twin.table.index][2]
        near[:, :, 0] = centres[:, :, 2] - moving_radius - table_top < self._p.look_m / 2
        return np.asarray(near)

    def _allowed_m(self, mover: TwinGeom, still: TwinGeom, expected: Expected) -> float:
        if mover.owner == expected.held_id:
            return self._p.held_depth_m
        return self._p.table_depth_m if still.owner == "table" else self._p.object_depth_m

    def _is_meant(self, mover: TwinGeom, still: TwinGeom, rollout: Rollout, row: int, wanted: SceneObject | None) -> bool:
        """Fingers around the object that is to be grasped: it has room between the pads, or nearly so."""
        if wanted is None or still.owner != wanted.id or mover.owner not in self._fingers:
            return False
        x, y, _, _ = inverse(rollout.T_base_tcp[row]) @ np.array([*wanted.pose.position_m, 1.0])
        room = max((rollout.width_m[row] - float(np.min(wanted.size_m[:2]))) / 2, 0.0)
        between = abs(y) < room + self._p.grasp_slack_m and rollout.width_m[row] > np.min(wanted.size_m[:2]) / 2
        return bool(between and abs(x) < np.max(wanted.size_m[:2]) / 2)

    def _sentence(self, mover: TwinGeom, still: TwinGeom, scene: Scene, depth_m: float, at_s: float) -> str:
        names = {o.id: o.name for o in scene.objects} | {"table": "table"}
        what = f"the held {names[mover.owner]}" if mover.owner in names else mover.owner
        return f"In {at_s:.2f} s {what} would be {depth_m * 1000:.0f} mm deep in the {names[still.owner]}."


def grip_fails(rollout: Rollout, held: SceneObject, grip_force_n: float, p: WorldModelParameters) -> str:
    """Why friction would not hold the object in this motion, a sentence; empty when it would."""
    felt = _felt_mps2(rollout)
    if not len(felt):
        return ""
    load = p.object_mass_kg * float(np.max(np.linalg.norm(felt, axis=1)))
    can = 2 * p.friction * grip_force_n
    if load <= can:
        return ""
    return f"The {held.name} would slip: this motion takes {load:.1f} N of friction, {grip_force_n:.0f} N of grip give {can:.1f} N."


def spills(rollout: Rollout, held: SceneObject, T_tcp_held: Array, p: WorldModelParameters) -> str:
    """Why the content of a held container would leave it, a sentence; empty when it would not, or when the object is none.

    A tilt and a sideways acceleration are the same to the content: what counts is the angle between its weight and the container's axis.
    """
    felt = _felt_mps2(rollout)
    if held.shape not in CONTAINERS or not len(felt):
        return ""
    axis = rollout.T_base_tcp[1 : len(felt) + 1, :3, :3] @ T_tcp_held[:3, 2]
    angles = np.arccos(np.clip(np.einsum("ij,ij->i", axis, felt) / np.linalg.norm(felt, axis=1), -1.0, 1.0))
    row = int(angles.argmax())
    if angles[row] <= p.spill_rad:
        return ""
    off, allowed = np.degrees(angles[row]), np.degrees(p.spill_rad)
    at_s = rollout.times_s[row + 1]
    return f"In {at_s:.2f} s the {held.name} would spill: tilted or shaken by {off:.0f} degrees, {allowed:.0f} at most."


def _felt_mps2(rollout: Rollout) -> Array:
    """[rows - 2, 3] what the held object feels as up until it is let go: acceleration of the TCP less gravity, from the second row on."""
    positions = rollout.T_base_tcp[: rollout.release_row, :3, 3]
    if len(positions) < 3:
        return np.zeros((0, 3))
    return np.asarray(np.diff(positions, 2, axis=0) / rollout.times_s[1] ** 2 + [0.0, 0.0, _G_MPS2])


@dataclass(frozen=True)
class Landing:
    """Where a released object comes to rest."""

    thing: SceneObject  # with its pose there
    fell_m: float


def land(rollout: Rollout, held: SceneObject, T_tcp_held: Array, twin: Twin, p: WorldModelParameters) -> Landing | None:
    """Lets the held object go at the release row; None when the chunk does not let it go. Raises UnforeseenError."""
    if rollout.release_row is None:
        return None
    T = rollout.T_base_tcp[rollout.release_row] @ T_tcp_held
    pose = twin.settle(held, T, p.settle_s)
    resting = SceneObject(held.id, held.name, held.colour, held.shape, pose, held.size_m, held.confidence, held.last_seen_ns)
    return Landing(resting, float(T[2, 3] - pose.position_m[2]))


def fall(landing: Landing | None, p: WorldModelParameters) -> str:
    """Why the landing counts as a drop, a sentence; empty when it does not."""
    if landing is None or landing.fell_m <= p.fall_m:
        return ""
    return f"The {landing.thing.name} would fall {landing.fell_m * 100:.0f} cm when it is let go."
