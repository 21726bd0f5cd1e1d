"""Is a subtask's aim reached at the end of a roll-out?"""

from __future__ import annotations

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Relation, Skill, Subtask
from vla_ros.core.things import SIDES, SURFACES
from vla_ros.world_model.evaluators import Landing
from vla_ros.world_model.parameters import WorldModelParameters
from vla_ros.world_model.rollout import Rollout

_REST_M = 0.015  # height error of an object that lies on another


def target_reached(
    subtask: Subtask, rollout: Rollout, scene: Scene, held_id: str, landing: Landing | None, home_rad: Array, p: WorldModelParameters
) -> bool | None:
    """None when it cannot be told from perception."""
    if subtask.skill is Skill.HOME:
        return bool(np.max(np.abs(rollout.q_rad[-1] - home_rad)) < p.home_rad)
    if subtask.skill is Skill.PICK:
        return held_id == subtask.object_id or _closes_on(scene.get(subtask.object_id), rollout, p)
    target = scene.get(subtask.target_id)
    if target is None or subtask.relation is None:
        return None
    return landing is not None and lies(landing.thing, subtask.relation, target, p)


def progress_m(subtask: Subtask, rollout: Rollout, scene: Scene) -> float:
    """By how much the TCP comes nearer to the object of a pick, or to the target of a place; NaN without such a place."""
    there = scene.get(subtask.object_id if subtask.skill is Skill.PICK else subtask.target_id)
    if there is None:
        return float("nan")
    begin, end = np.linalg.norm(rollout.T_base_tcp[[0, -1], :3, 3] - there.pose.position_m, axis=1)
    return float(begin - end)


def _closes_on(thing: SceneObject | None, rollout: Rollout, p: WorldModelParameters) -> bool | None:
    """The gripper closes to the object's size while the TCP is at its middle."""
    if thing is None:
        return None
    size = float(np.max(thing.size_m[:2]))
    away = np.linalg.norm(rollout.T_base_tcp[:, :2, 3] - thing.pose.position_m[:2], axis=1)
    beside = np.abs(rollout.T_base_tcp[:, 2, 3] - thing.pose.position_m[2]) < thing.size_m[2] / 2
    return bool(np.any((away < p.grasp_offset_m) & beside & (rollout.width_m < size + p.held_size_m)))


def lies(thing: SceneObject, relation: Relation, target: SceneObject, p: WorldModelParameters) -> bool:
    """Whether ``thing`` lies so with respect to ``target``."""
    offset = thing.pose.position_m[:2] - target.pose.position_m[:2]
    bottom = float(thing.pose.position_m[2] - np.min(thing.size_m) / 2)
    if relation is Relation.IN:
        return bool(np.linalg.norm(offset) < np.min(target.size_m[:2]) / 2 - p.wall_m and bottom < target.top_m - _REST_M / 3)
    if relation is Relation.ON:
        near = np.linalg.norm(offset) < np.min(target.size_m[:2]) / 2
        low = target.pose.position_m[2] - target.size_m[2] / 2 if target.shape in SURFACES else target.top_m - _REST_M
        return bool(near and low <= bottom < target.top_m + _REST_M)
    if relation not in SIDES:
        return False
    along = float(offset @ SIDES[relation])
    across = float(np.linalg.norm(offset - along * SIDES[relation]))
    return along > across and along > 0
