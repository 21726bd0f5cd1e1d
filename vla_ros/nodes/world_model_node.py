"""world_model: foresees chunks in a twin that is built from what perception reports, and measures how far off it was."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rclpy.serialization import deserialize_message

from vla_ros.core.decisions import Verdict
from vla_ros.core.scene import Scene
from vla_ros.core.scheduling import Urgency
from vla_ros.core.stamps import s_from_ns
from vla_ros.core.tasks import Plan, Subtask
from vla_ros.robots import load_robot
from vla_ros.ros.conversions.actions import chunk_from_msg
from vla_ros.ros.conversions.arrays import header_to_msg
from vla_ros.ros.conversions.robot import joint_state_from_msg
from vla_ros.ros.conversions.scene import scene_from_msg
from vla_ros.ros.conversions.tasks import plan_from_msg
from vla_ros.ros.inbox import Inbox, Latest
from vla_ros.ros.interfaces import (
    ACTION_CHUNK,
    EVALUATE_CHUNK,
    GATED_COMMAND,
    JOINT_STATES,
    OBJECTS,
    PLAN,
    WORLD_MODEL_ERROR,
    load_type,
)
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run
from vla_ros.world_model.own_error import Comparison, OwnError, Progress
from vla_ros.world_model.service import WorldModel
from vla_ros.world_model.verdict import ChunkVerdict

COMPARE_S = 0.05
CHUNKS_KEPT = 8  # between two looks
SCENE_AGE_S = 1.0  # what was seen longer ago is no ground for a twin
TOLD_EACH = 20  # comparisons


@dataclass(frozen=True)
class WorldModelNodeConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    deadline: float = parameter(0.2, "longest time for an answer, unless the caller names a shorter one", unit="s", low=0.01, high=5.0)


class WorldModelNode(VlaNode):
    """Keeps the newest scene and plan; each call brings its joints, and rolls its chunk out in a twin built from all of them."""

    def __init__(self) -> None:
        super().__init__("world_model")
        self.config = declare(self, WorldModelNodeConfig)

    def setup(self) -> None:
        """Makes the twin's model, connects what it is built from and compared with, and serves evaluate_chunk."""
        self._arm = load_robot(self.config.robot)
        self._model, self._own_error = WorldModel(self._arm), OwnError()
        self._scene: Scene | None = None
        self._plan: Plan | None = None
        self._answers: Counter[Verdict] = Counter()
        self._error = self.publish_on(WORLD_MODEL_ERROR)
        self.subscribe_to(OBJECTS, self._on_objects)
        self.subscribe_to(PLAN, self._on_plan)
        self._chunks = Inbox(self, ACTION_CHUNK, CHUNKS_KEPT)
        self._joints = Latest(self, JOINT_STATES, joint_state_from_msg)
        self._progress = Latest(self, GATED_COMMAND, lambda m: Progress(m.trace_id, int(m.chunk_seq), float(m.chunk_row)))
        self.serve(EVALUATE_CHUNK, self._evaluate)
        self.every(COMPARE_S, self._compare)

    def _on_objects(self, message: Any) -> None:
        self._scene = scene_from_msg(message)

    def _on_plan(self, message: Any) -> None:
        self._plan = plan_from_msg(message)

    def _evaluate(self, request: Any, response: Any) -> Any:
        verdict = self._verdict(request)
        self._answers[verdict.verdict] += 1
        response.verdict, response.detail = int(verdict.verdict), verdict.detail
        response.collision, response.dropped, response.spilled = bool(verdict.collision), bool(verdict.dropped), bool(verdict.spilled)
        response.target_reached, response.progress = bool(verdict.target_reached), verdict.progress_m
        response.min_distance, response.simulated, response.computing = verdict.min_distance_m, verdict.simulated_s, verdict.cpu_s
        return response

    def _verdict(self, request: Any) -> ChunkVerdict:
        if self._scene is None:
            return ChunkVerdict(Verdict.UNKNOWN, "The twin cannot be built: no objects have been seen yet.")
        held = next((o.id for o in self._scene.objects if o.held), None)
        deadline_s = min(request.deadline or self.config.deadline, self.config.deadline)
        try:
            chunk, joints = chunk_from_msg(request.chunk), joint_state_from_msg(request.joints)
            age_s = s_from_ns(joints.stamp_ns - self._scene.stamp_ns)
            if age_s > SCENE_AGE_S:
                return ChunkVerdict(Verdict.UNKNOWN, f"The twin would be out of date: objects were last reported {age_s:.1f} s ago.")
            verdict = self._model.evaluate(chunk, self._scene, joints, held, self._subtask(chunk.subtask_id), deadline_s)
        except (ValueError, KeyError) as error:
            return ChunkVerdict(Verdict.UNKNOWN, f"The chunk cannot be foreseen: {error}.")
        if verdict.prediction is not None:
            self._own_error.foresee(verdict.prediction, joints.stamp_ns)
        return verdict

    def _subtask(self, subtask_id: str) -> Subtask | None:
        subtasks = self._plan.subtasks if self._plan else ()
        return next((s for s in subtasks if s.id == subtask_id), None)

    # --- what then happens
    def _compare(self) -> None:
        for letter in self._chunks.take():
            with suppress(RuntimeError, ValueError):  # what cannot be read is nothing that will be followed
                self._own_error.on_chunk(chunk_from_msg(deserialize_message(letter.cdr, self._chunks.message_type)))
        if not self._own_error.is_comparing:
            return
        progress, joints, scene = self._progress.get(), self._joints.get(), self._scene
        if progress is None or joints is None or scene is None:
            return
        tcp_m = self._arm.fk(joints.select(self._arm.config.arm_joints).positions)[:3, 3]
        comparison = self._own_error.observe(progress, tcp_m, scene, joints.stamp_ns)
        if comparison is not None:
            self._tell(comparison)

    def _tell(self, c: Comparison) -> None:
        total, answers = self._own_error.summary, self._answers
        self._error.publish(
            load_type(WORLD_MODEL_ERROR.type)(
                header=header_to_msg(c.stamp_ns),
                expert=c.chunk.expert,
                chunk_seq=c.chunk.seq,
                trace_id=c.chunk.trace_id,
                horizon=c.horizon_s,
                samples=len(c.tcp_m),
                tcp_error_mean=float(c.tcp_m.mean()),
                tcp_error_max=float(c.tcp_m.max()),
                held_compared=c.held_compared,
                held_foreseen=c.held_foreseen,
                held_seen=c.held_seen,
                object_error=c.object_m,
                approved=answers[Verdict.APPROVE],
                rejected=answers[Verdict.REJECT],
                unknown=answers[Verdict.UNKNOWN],
                compared=total.compared,
                total_tcp_error_mean=total.tcp_mean_m,
                total_tcp_error_max=total.tcp_max_m,
                total_held_compared=total.held_compared,
                total_held_wrong=total.held_wrong,
                total_object_error_max=total.object_max_m,
            )
        )
        if c.held_wrong:
            self.get_logger().warning(f"Foreseen in the hand: '{c.held_foreseen}', seen there: '{c.held_seen}' ({c.chunk.trace_id}).")
        if total.compared % TOLD_EACH == 0:
            self.get_logger().info(total.sentence())


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(WorldModelNode, urgency=Urgency.BACKGROUND)
