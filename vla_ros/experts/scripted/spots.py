"""Where an object can be put: in or on a target, or on the table beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Relation
from vla_ros.core.things import CONTAINERS, SIDES, SURFACES
from vla_ros.experts.scripted.failures import SkillFailure
from vla_ros.experts.scripted.footprints import Circle, Rectangle, outline_of, smallest_gap_m
from vla_ros.experts.scripted.parameters import ScriptedParameters
from vla_ros.robots import Box


@dataclass(frozen=True)
class Spot:
    """Where an object's bottom comes to lie."""

    bottom_m: Array  # [3] base frame
    yaw_rad: float  # of the object
    gap_m: float  # under the object when it is let go
    narrow: bool  # only a narrow opening has room
    reason: str  # a clause for the trace


def free_spots(
    held: SceneObject, relation: Relation, target: SceneObject, scene: Scene, workspace: Box, p: ScriptedParameters
) -> tuple[Spot, ...]:
    """Where there is room for the object, the best spot first; whether there is room for the hand is not asked.

    Raises SkillFailure when ``relation`` makes no sense for the target, or no free spot is left.
    """
    others = [o for o in scene.objects if o.id not in (held.id, target.id)]
    if relation is Relation.IN:
        return (_in_container(held, target, others, p),)
    if relation is Relation.ON:
        return (_on_top(held, target, others, p),)
    if relation in SIDES:
        return _beside(held, relation, target, others, scene, workspace, p)
    known = ", ".join(["in", "on", *SIDES])
    raise SkillFailure(FailureKind.UNSUPPORTED, f"Nothing can be placed '{relation.value}' a target; this expert knows: {known}.")


def _in_container(held: SceneObject, target: SceneObject, others: list[SceneObject], p: ScriptedParameters) -> Spot:
    if target.shape not in CONTAINERS:
        raise SkillFailure(FailureKind.UNSUPPORTED, f"Nothing can be put into the {target.name}; it is a {target.shape}, not a bowl.")
    floor = float(target.pose.position_m[2] - target.size_m[2] / 2) + p.bowl_floor_m
    bottom, why = _within(held, target, others, floor, float(np.min(target.size_m[:2])) / 2 - p.bowl_wall_m)
    return Spot(bottom, 0.0, p.bowl_gap_m, True, why)


def _on_top(held: SceneObject, target: SceneObject, others: list[SceneObject], p: ScriptedParameters) -> Spot:
    if target.shape in CONTAINERS:
        return _in_container(held, target, others, p)
    if target.shape in SURFACES:
        bottom, why = _within(held, target, others, target.top_m, float(np.min(target.size_m[:2])) / 2)
        return Spot(bottom, 0.0, p.release_gap_m, False, why)
    over = [o for o in others if o.top_m > target.top_m + 0.01 and smallest_gap_m(outline_of(o), [outline_of(target)]) < -0.005]
    if over:
        raise SkillFailure(FailureKind.UNREACHABLE, f"The {over[0].name} already stands on the {target.name}.")
    bottom = np.array([*target.pose.position_m[:2], target.top_m])
    return Spot(bottom, target.pose.yaw_rad, p.release_gap_m, False, f"its middle, turned along its faces, top at {target.top_m:.3f} m")


def _within(held: SceneObject, target: SceneObject, others: list[SceneObject], floor_m: float, radius_m: float) -> tuple[Array, str]:
    """[3] the freest spot within ``radius_m`` of the target's middle; where all are taken, on top of what lies there."""
    centre = target.pose.position_m[:2]
    inside = [o for o in others if np.linalg.norm(o.pose.position_m[:2] - centre) < radius_m and o.top_m > floor_m]
    if not inside:
        return np.array([*centre, floor_m]), "its middle, which is free"
    outlines = [outline_of(o) for o in inside]
    reach = max(radius_m - float(np.linalg.norm(held.size_m[:2])) / 2, 0.0)
    spots = list(_rings(centre, reach))
    gaps = [smallest_gap_m(_outline_at(held, spot), outlines) for spot in spots]
    best = int(np.argmax(gaps))
    place = _outline_at(held, spots[best])
    under = [o.top_m for o, outline in zip(inside, outlines, strict=True) if smallest_gap_m(place, [outline]) < 0.0]
    names = " and ".join(o.name for o in inside)
    return np.array([*spots[best], max([floor_m, *under])]), f"the freest place beside the {names} that it already holds"


def _rings(centre: Array, reach_m: float) -> Iterator[Array]:
    yield centre
    for radius in (reach_m / 2, reach_m):
        for angle in np.arange(16) * np.pi / 8:
            yield centre + radius * np.array([np.cos(angle), np.sin(angle)])


def _outline_at(held: SceneObject, centre: Array) -> Rectangle:
    return Rectangle(centre, np.asarray(held.size_m[:2]) / 2, 0.0)


def _beside(
    held: SceneObject,
    relation: Relation,
    target: SceneObject,
    others: list[SceneObject],
    scene: Scene,
    workspace: Box,
    p: ScriptedParameters,
) -> tuple[Spot, ...]:
    side = SIDES[relation]
    distance = _extent_m(outline_of(target), side) + _extent_m(_outline_at(held, np.zeros(2)), side) + p.side_gap_m
    across = np.array([-side[1], side[0]])
    blocks = [outline_of(o) for o in [*others, target]]
    spots = []
    for along, shift in _side_offsets(distance):
        centre = target.pose.position_m[:2] + along * side + shift * across
        inside = np.all(centre > workspace.min_m[:2] + 0.02) and np.all(centre < workspace.max_m[:2] - 0.02)
        if inside and smallest_gap_m(_outline_at(held, centre), blocks) >= p.side_gap_m - 0.002:
            where = f"free table {along * 100:.0f} cm from its middle"
            spots.append(Spot(np.array([*centre, scene.table_height_m]), 0.0, p.release_gap_m, False, where))
    if spots:
        return tuple(spots)
    where = f"{relation.value.replace('_', ' ')} the {target.name}"
    raise SkillFailure(FailureKind.UNREACHABLE, f"There is no free place {where} for the {held.name} inside the workspace.")


def _side_offsets(distance_m: float) -> list[tuple[float, float]]:
    """(along the side, across it) from the nearest place on: farther out, and sideways as long as the side stays clear."""
    grid = [(distance_m + 0.015 * i, 0.015 * j) for i in range(11) for j in range(-6, 7)]
    on_side = [(along, shift) for along, shift in grid if abs(shift) <= 0.6 * along]
    return sorted(on_side, key=lambda o: (round(o[0] + 0.7 * abs(o[1]), 4), o[1]))


def _extent_m(outline: Circle | Rectangle, direction: Array) -> float:
    """How far the outline reaches from its centre along the unit vector ``direction``."""
    if isinstance(outline, Circle):
        return outline.radius_m
    return float(np.abs(outline.axes() @ direction) @ outline.half_m)
