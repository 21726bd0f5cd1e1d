"""How objects lie to one another, measured from their boxes: the geometry behind predicates, phrases ("the cube on the plate") and places.

Frames: positions in the scene's frame, z up, seen from the robot: left is +y, in front of is -x. Object boxes are taken upright.
Tolerances suit perception's errors of a few millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array, rotation_from_quat
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Relation
from vla_ros.core.things import BOWL_FLOOR_M, BOWL_WALL_M, CONTAINERS, SIDES

RIM_MARGIN_M = 0.005  # the lowest point must be this far below the rim to count as inside
REST_ABOVE_M = 0.012  # a resting object's lowest point may be measured this far above the surface
REST_BELOW_M = 0.015  # and this far below it (plates have raised rims)
SIDE_REACH_M = 0.25  # farther away, a thing is not said to be "beside"
SIDE_GAP_M = 0.03  # gap between the boxes that a place beside a thing is given


@dataclass(frozen=True)
class Measure:
    """Whether a relation holds, how well (0-1; at least 0.5 when it holds), and the figures."""

    holds: bool
    score: float
    detail: str


def bottom_m(thing: SceneObject) -> float:
    """Height of its lowest point above the frame's origin."""
    return float(thing.pose.position_m[2] - thing.size_m[2] / 2)


def footprint_m(thing: SceneObject) -> Array:
    """[2] full extents in x and y of the upright box that bounds it in the scene's frame."""
    return np.asarray(np.abs(rotation_from_quat(thing.pose.quat_xyzw))[:2, :2] @ thing.size_m[:2])


def inner_radius_m(container: SceneObject) -> float:
    """Radius of a container's opening."""
    return float(np.min(container.size_m[:2]) / 2 - BOWL_WALL_M)


def _score(*margins: float) -> float:
    """Margins are 1 at the centre of what is allowed, 0 at its edge, negative outside."""
    return float(np.clip(0.5 + 0.5 * min(margins), 0.0, 1.0))


def measure_in(thing: SceneObject, container: SceneObject, scene: Scene) -> Measure:
    """IN: its centre within the opening's radius, its lowest point below the rim or resting on something that is inside."""
    radius, rim = inner_radius_m(container), container.top_m
    if container.shape not in CONTAINERS:
        return Measure(False, 0.0, f"the {container.name} holds nothing: it is no container")
    distance = float(np.linalg.norm(thing.pose.position_m[:2] - container.pose.position_m[:2]))
    depth = rim - bottom_m(thing)
    inside = distance < radius and depth > RIM_MARGIN_M
    below = bottom_m(thing) > bottom_m(container) - REST_BELOW_M
    carried = distance < radius and not inside and _rests_on_contents(thing, container, scene)
    detail = (
        f"centre {distance * 1e3:.0f} mm from the middle of the {container.name} (opening {2 * radius * 1e3:.0f} mm), "
        f"bottom {depth * 1e3:.0f} mm below its rim"
    )
    if carried:
        return Measure(True, 0.6, f"{detail}, resting on what lies inside")
    score = _score(1 - distance / max(radius, 1e-6), min(1.0, (depth - RIM_MARGIN_M) / 0.02))
    return Measure(inside and below, score if below else 0.0, detail)


def _rests_on_contents(thing: SceneObject, container: SceneObject, scene: Scene) -> bool:
    under = [o for o in scene.objects if o.id not in (thing.id, container.id) and o.pose.position_m[2] < thing.pose.position_m[2]]
    return any(measure_on(thing, o).holds and measure_in(o, container, scene).holds for o in under)


def measure_on(thing: SceneObject, support: SceneObject) -> Measure:
    """ON: its centre over the support's top face, its lowest point at the height of that face."""
    offset = rotation_from_quat(support.pose.quat_xyzw)[:2, :2].T @ (thing.pose.position_m - support.pose.position_m)[:2]
    margins = 1 - np.abs(offset) / np.maximum(support.size_m[:2] / 2, 1e-6)
    gap = bottom_m(thing) - support.top_m
    height_margin = 1 - gap / REST_ABOVE_M if gap >= 0 else 1 + gap / REST_BELOW_M
    holds = bool(np.all(margins > 0) and height_margin >= 0 and thing.id != support.id)
    distance = float(np.linalg.norm(offset))
    detail = f"centre {distance * 1e3:.0f} mm from the middle of the {support.name}, bottom {gap * 1e3:+.0f} mm from its top"
    return Measure(holds, _score(float(margins.min()), float(height_margin)), detail)


def measure_side(thing: SceneObject, relation: Relation, target: SceneObject) -> Measure:
    """Beside: beyond the target's middle by both half extents, within 45 degrees of the direction, not farther than ``SIDE_REACH_M``."""
    direction = SIDES[relation]
    offset = (thing.pose.position_m - target.pose.position_m)[:2]
    along = float(offset @ direction)
    across = float(abs(offset @ direction[::-1]))
    axis = int(np.argmax(np.abs(direction)))
    gap = along - float(footprint_m(thing)[axis] + footprint_m(target)[axis]) / 2
    level = abs(bottom_m(thing) - bottom_m(target))
    holds = gap > -0.005 and across < along and along < SIDE_REACH_M and level < 0.03
    words = relation.value.replace("_", " ")
    detail = (
        f"{along * 1e3:.0f} mm {words} the {target.name}, {across * 1e3:.0f} mm across, gap {gap * 1e3:.0f} mm, "
        f"{level * 1e3:.0f} mm off its level"
    )
    margins = ((gap + 0.005) / 0.02, 1 - across / max(along, 1e-6), (SIDE_REACH_M - along) / 0.05, 1 - level / 0.03)
    return Measure(holds, _score(*(min(1.0, m) for m in margins)), detail)


def measure(relation: Relation, thing: SceneObject, target: SceneObject, scene: Scene) -> Measure:
    """Any relation between two objects (IN, ON and the sides). Raises ValueError for the relations that need no target."""
    if relation is Relation.IN:
        return measure_in(thing, target, scene)
    if relation is Relation.ON:
        return measure_on(thing, target)
    if relation in SIDES:
        return measure_side(thing, relation, target)
    raise ValueError(f"'{relation}' is not between two objects")


def carried_by(support: SceneObject, scene: Scene) -> tuple[SceneObject, ...]:
    """What lies on or in ``support`` now."""
    others = [o for o in scene.objects if o.id != support.id and not o.held]
    return tuple(o for o in others if measure_on(o, support).holds or measure_in(o, support, scene).holds)


def place_position_m(relation: Relation, thing: SceneObject, target: SceneObject) -> Array:
    """[3] where the middle of ``thing`` goes so that ``relation`` to ``target`` holds. Raises ValueError for relations without target."""
    centre, half_height = target.pose.position_m, thing.size_m[2] / 2
    if relation is Relation.IN:
        return np.array([*centre[:2], bottom_m(target) + BOWL_FLOOR_M + half_height])
    if relation is Relation.ON:
        return np.array([*centre[:2], target.top_m + half_height])
    if relation in SIDES:
        direction = SIDES[relation]
        axis = int(np.argmax(np.abs(direction)))
        distance = float(footprint_m(thing)[axis] + footprint_m(target)[axis]) / 2 + SIDE_GAP_M
        return np.array([*(centre[:2] + direction * distance), bottom_m(target) + half_height])
    raise ValueError(f"'{relation}' is not between two objects")
