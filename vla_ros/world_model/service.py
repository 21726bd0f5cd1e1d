"""The world model's one question: what would this chunk do?"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from vla_ros.core.actions import ActionChunk
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Subtask
from vla_ros.robots import Arm
from vla_ros.world_model.evaluators import CollisionEvaluator, Expected, Landing, grip_fails, land
from vla_ros.world_model.goals import target_reached
from vla_ros.world_model.parameters import WorldModelParameters
from vla_ros.world_model.rollout import joint_rows, object_in_hand, roll_out
from vla_ros.world_model.twin import Twin
from vla_ros.world_model.verdict import ChunkVerdict, Verdict


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
            return ChunkVerdict(Verdict.UNKNOWN, f"Chunks in {chunk.space.name} are not foreseen by this world model, only joint spaces are.")
        held = scene.get(held_object_id) if held_object_id else None
        self._twin.update(scene)
        grip = self._remember_grip(held, q)
        width = float(np.sum(joints.select(self._arm.config.finger_joints).positions))
        least = min(width, _held_width(held)) if held is not None else _between(scene, subtask)
        rollout = roll_out(chunk, rows, joints, self._arm, self._twin, held, grip, least)
        expected = Expected(held_object_id or "", held_object_id or (subtask.object_id if subtask else ""), subtask.target_id if subtask else "")
        foreseen = self._collisions.evaluate(rollout, scene, expected, start + deadline_s)
        if foreseen.rows_done < len(rows) and not foreseen.collision:
            done_s = foreseen.rows_done * chunk.dt_s
            detail = f"Only {done_s:.2f} s of {chunk.duration_s:.2f} s were foreseen within {deadline_s * 1000:.0f} ms."
            return ChunkVerdict(Verdict.UNKNOWN, detail, None, None, None, foreseen.min_distance_m, done_s, time.perf_counter() - start)
        landing = land(rollout, held, grip, self._twin, self._p) if held is not None and grip is not None and not foreseen.collision else None
        loss = self._loss(held, landing, subtask, grip_fails(rollout, held, chunk.gripper_force_n, self._p) if held is not None else "")
        reached = None
        if subtask is not None and not foreseen.collision:
            reached = target_reached(subtask, rollout, scene, held_object_id or "", landing, self._arm.config.home_rad, self._p)
        bad = foreseen.collision or bool(loss)
        return ChunkVerdict(
            Verdict.REJECT if bad else Verdict.APPROVE,
            foreseen.detail or loss or f"Nothing is touched that should not be; {_nearest(foreseen.min_distance_m, self._p.look_m)}.",
            foreseen.collision,
            bool(loss) if held is not None else None,
            reached,
            foreseen.min_distance_m,
            chunk.duration_s + (self._p.settle_s if landing else 0.0),
            time.perf_counter() - start,
        )

    def _remember_grip(self, held: SceneObject | None, q: Array) -> Array | None:
        """T_tcp_object: as first seen, because a later image shows the object where the hand was some time ago."""
        if held is None:
            self._grip = None
        elif self._grip is None or self._grip.object_id != held.id:
            self._grip = _Grip(held.id, object_in_hand(held, self._arm.fk(q)))
        return self._grip.T_tcp_object if self._grip else None

    def _loss(self, held: SceneObject | None, landing: Landing | None, subtask: Subtask | None, slip: str) -> str:
        """How the held object would be lost, a sentence; empty when it would not."""
        if held is None or slip:
            return slip
        if landing is None or landing.fell_m <= self._p.fall_m:
            return ""
        return f"The {held.name} would fall {landing.fell_m * 100:.0f} cm when it is let go."


def _held_width(held: SceneObject) -> float:
    """The largest opening that an object between the fingers explains."""
    return float(np.max(held.size_m[:2]))


def _between(scene: Scene, subtask: Subtask | None) -> float:
    """The opening at which the fingers meet the object that is to be grasped."""
    thing = scene.get(subtask.object_id) if subtask else None
    return float(np.min(thing.size_m[:2])) if thing is not None else 0.0


def _nearest(distance_m: float, look_m: float) -> str:
    return f"the nearest thing is {distance_m * 1000:.0f} mm away" if distance_m < look_m else f"nothing comes nearer than {look_m * 100:.0f} cm"
