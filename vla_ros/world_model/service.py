"""The world model's one question: what would this chunk do?"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from vla_ros.core.actions import ActionChunk
from vla_ros.core.decisions import Verdict
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Skill, Subtask
from vla_ros.robots import Arm
from vla_ros.world_model.evaluators import CollisionEvaluator, Expected, Landing, fall, grip_fails, land, spills
from vla_ros.world_model.goals import progress_m, target_reached
from vla_ros.world_model.own_error import Prediction
from vla_ros.world_model.parameters import WorldModelParameters
from vla_ros.world_model.rollout import Rollout, joint_rows, object_in_hand, roll_out
from vla_ros.world_model.twin import Twin, UnforeseenError
from vla_ros.world_model.verdict import ChunkVerdict


@dataclass(frozen=True)
class _Grip:
    """How an object lies in the hand, as first seen there."""

    object_id: str
    T_tcp_object: Array


class WorldModel:
    """Keeps the twin and how an object lies in the hand. Not for several threads at once."""

    def __init__(self, arm: Arm, parameters: WorldModelParameters | None = None) -> None:
        self._arm = arm
        self._p = parameters or WorldModelParameters()
        self._twin = Twin(arm, self._p)
        self._collisions = CollisionEvaluator(self._twin, arm, self._p)
        self._grip: _Grip | None = None

    def evaluate(
        self,
        chunk: ActionChunk,
        scene: Scene,
        joints: JointState,
        held_object_id: str | None = None,
        subtask: Subtask | None = None,
        deadline_s: float = 0.1,
    ) -> ChunkVerdict:
        """Foresees ``chunk`` from ``joints`` (arm and fingers) in ``scene``; UNKNOWN when that takes longer than ``deadline_s``."""
        start = time.perf_counter()
        q = joints.select(self._arm.config.arm_joints).positions
        rows = joint_rows(chunk, q)
        if rows is None:
            return ChunkVerdict(Verdict.UNKNOWN, f"Only chunks in joint spaces are foreseen, not {chunk.space.name}.")
        width = self._arm.config.gripper_width_m(joints)
        held = _in_hand(scene, held_object_id, subtask, width, self._p)
        self._twin.update(scene)
        grip = self._remember_grip(held, q)
        least = min(width, _held_width(held)) if held is not None else _between(scene, subtask)
        rollout = roll_out(chunk, rows, joints, self._arm, self._twin, held, grip, least)
        expected = _expected(held, subtask)
        foreseen = self._collisions.evaluate(rollout, scene, expected, start + deadline_s)
        if foreseen.collision:
            at_s = float(rollout.times_s[foreseen.rows_done])
            verdict = ChunkVerdict(Verdict.REJECT, foreseen.detail, True, None, None, foreseen.min_distance_m, at_s)
        elif foreseen.rows_done < len(rows):
            done_s = float(rollout.times_s[foreseen.rows_done])
            detail = f"Only {done_s:.2f} s of {chunk.duration_s:.2f} s were foreseen within {deadline_s * 1000:.0f} ms."
            verdict = ChunkVerdict(Verdict.UNKNOWN, detail, None, None, None, foreseen.min_distance_m, done_s)
        else:
            verdict = self._outcome(chunk, rollout, scene, held, grip, subtask, foreseen.min_distance_m)
        return replace(verdict, cpu_s=time.perf_counter() - start)

    def _outcome(
        self,
        chunk: ActionChunk,
        rollout: Rollout,
        scene: Scene,
        held: SceneObject | None,
        T_tcp_held: Array | None,
        subtask: Subtask | None,
        min_distance_m: float,
    ) -> ChunkVerdict:
        """What a chunk without a collision leads to."""
        landing, loss, spill, dropped, spilled, reached = None, "", "", None, None, None
        if held is not None and T_tcp_held is not None:
            try:
                landing = land(rollout, held, T_tcp_held, self._twin, self._p)
            except UnforeseenError as error:
                return ChunkVerdict(Verdict.UNKNOWN, str(error), False, None, None, min_distance_m, chunk.duration_s)
            loss = grip_fails(rollout, held, chunk.gripper_force_n, self._p) or fall(landing, self._p)
            spill = spills(rollout, held, T_tcp_held, self._p)
            dropped, spilled = bool(loss), bool(spill)
        if subtask is not None:
            reached = target_reached(subtask, rollout, scene, held.id if held else "", landing, self._arm.config.home_rad, self._p)
        return ChunkVerdict(
            Verdict.REJECT if loss or spill else Verdict.APPROVE,
            loss or spill or f"Nothing is touched that should not be; {_nearest(min_distance_m, self._p.look_m)}.",
            False,
            dropped,
            reached,
            min_distance_m,
            chunk.duration_s + (self._p.settle_s if landing else 0.0),
            spilled=spilled,
            progress_m=progress_m(subtask, rollout, scene) if subtask is not None else float("nan"),
            prediction=None if loss or spill else self._prediction(chunk, rollout, held, landing, subtask if reached else None, scene),
        )

    def _prediction(
        self, chunk: ActionChunk, rollout: Rollout, held: SceneObject | None, landing: Landing | None, reached: Subtask | None, scene: Scene
    ) -> Prediction:
        """What can be compared later; ``reached``: the subtask, where the roll-out reaches its target."""
        before = after = held.id if held is not None else ""
        change, resting = rollout.release_row, None
        if change is not None:
            after, resting = "", landing.thing.pose.position_m if landing else None
        elif held is None and reached is not None and reached.skill is Skill.PICK:
            closed = rollout.width_m < _between(scene, reached) + self._p.held_size_m
            after, change = reached.object_id, int(closed.argmax()) if closed.any() else None
        return Prediction(chunk, rollout.q_rad, rollout.T_base_tcp[:, :3, 3], before, after, change, resting)

    def _remember_grip(self, held: SceneObject | None, q: Array) -> Array | None:
        """T_tcp_object: as first seen, because a later image shows the object where the hand was some time ago."""
        if held is None:
            self._grip = None
        elif self._grip is None or self._grip.object_id != held.id:
            self._grip = _Grip(held.id, object_in_hand(held, self._arm.fk(q)))
        return self._grip.T_tcp_object if self._grip else None


def _in_hand(
    scene: Scene, held_object_id: str | None, subtask: Subtask | None, width_m: float, p: WorldModelParameters
) -> SceneObject | None:
    """What the gripper holds: as it is told, or the object that is being placed; nothing when the fingers stand too far apart for it.

    Perception notices a grasp and a release some tenths of a second late; the opening tells at once.
    """
    placing = subtask.object_id if subtask and subtask.skill is Skill.PLACE else ""
    thing = scene.get(held_object_id or placing)
    if thing is None:
        return None
    fits = width_m <= _held_width(thing) + p.released_m and (bool(held_object_id) or width_m >= np.min(thing.size_m) - p.released_m)
    return thing if fits else None


def _expected(held: SceneObject | None, subtask: Subtask | None) -> Expected:
    """The contacts that belong to the subtask."""
    wanted, target = (subtask.object_id, subtask.target_id) if subtask else ("", "")
    return Expected(held.id if held else "", held.id if held else wanted, target)


def _held_width(held: SceneObject) -> float:
    """The opening that an object between the fingers explains: it is held across its narrow side."""
    return float(np.min(held.size_m[:2]))


def _between(scene: Scene, subtask: Subtask | None) -> float:
    """The opening at which the fingers meet the object that is to be grasped."""
    thing = scene.get(subtask.object_id) if subtask else None
    return float(np.min(thing.size_m[:2])) if thing is not None else 0.0


def _nearest(distance_m: float, look_m: float) -> str:
    if distance_m < look_m:
        return f"the nearest thing is {distance_m * 1000:.0f} mm away"
    return f"nothing comes nearer than {look_m * 100:.0f} cm"
