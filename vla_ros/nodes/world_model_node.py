"""world_model: foresees chunks in a twin that is built from what perception reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rclpy.serialization import deserialize_message

from vla_ros.core.scene import Scene
from vla_ros.core.tasks import Plan, Subtask
from vla_ros.robots import load_robot
from vla_ros.ros.conversions.actions import chunk_from_msg
from vla_ros.ros.conversions.robot import joint_state_from_msg
from vla_ros.ros.conversions.scene import scene_from_msg
from vla_ros.ros.conversions.tasks import plan_from_msg
from vla_ros.ros.interfaces import EVALUATE_CHUNK, JOINT_STATES, OBJECTS, PLAN, load_type
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run
from vla_ros.world_model.service import WorldModel
from vla_ros.world_model.verdict import ChunkVerdict, Verdict


@dataclass(frozen=True)
class WorldModelNodeConfig:
    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    deadline: float = parameter(0.2, "longest time for an answer, unless the caller names a shorter one", unit="s", low=0.01, high=5.0)


class WorldModelNode(VlaNode):
    def __init__(self) -> None:
        super().__init__("world_model")
        self.config = declare(self, WorldModelNodeConfig)

    def setup(self) -> None:
        self._model = WorldModel(load_robot(self.config.robot))
        self._scene: Scene | None = None
        self._plan: Plan | None = None
        self._joints_cdr: bytes = b""
        self.subscribe_to(OBJECTS, self._on_objects)
        self.subscribe_to(PLAN, self._on_plan)
        self.subscribe_to(JOINT_STATES, self._on_joints, raw=True)  # 100 Hz, looked at only when a chunk comes
        self.serve(EVALUATE_CHUNK, self._evaluate)

    def _on_objects(self, message: Any) -> None:
        self._scene = scene_from_msg(message)

    def _on_plan(self, message: Any) -> None:
        self._plan = plan_from_msg(message)

    def _on_joints(self, cdr: bytes) -> None:
        self._joints_cdr = cdr

    def _evaluate(self, request: Any, response: Any) -> Any:
        verdict = self._verdict(request)
        response.verdict, response.detail = int(verdict.verdict), verdict.detail
        response.collision, response.dropped = bool(verdict.collision), bool(verdict.dropped)
        response.target_reached = bool(verdict.target_reached)
        response.min_distance, response.simulated, response.computing = verdict.min_distance_m, verdict.simulated_s, verdict.cpu_s
        return response

    def _verdict(self, request: Any) -> ChunkVerdict:
        if self._scene is None or not self._joints_cdr:
            missing = "objects" if self._scene is None else "joint states"
            return ChunkVerdict(Verdict.UNKNOWN, f"The twin cannot be built: no {missing} have been seen yet.")
        joints = joint_state_from_msg(deserialize_message(self._joints_cdr, load_type(JOINT_STATES.type)))
        held = next((o.id for o in self._scene.objects if o.held), None)
        deadline_s = min(request.deadline or self.config.deadline, self.config.deadline)
        try:
            chunk = chunk_from_msg(request.chunk)
            return self._model.evaluate(chunk, self._scene, joints, held, self._subtask(chunk.subtask_id), deadline_s)
        except (ValueError, KeyError) as error:
            return ChunkVerdict(Verdict.UNKNOWN, f"The chunk cannot be foreseen: {error}.")

    def _subtask(self, subtask_id: str) -> Subtask | None:
        subtasks = self._plan.subtasks if self._plan else ()
        return next((s for s in subtasks if s.id == subtask_id), None)


def main() -> int:
    return run(WorldModelNode)
