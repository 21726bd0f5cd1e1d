"""world_model: foresees chunks in a twin that is built from what perception reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vla_ros.core.scene import Scene
from vla_ros.core.scheduling import Urgency
from vla_ros.core.tasks import Plan, Subtask
from vla_ros.robots import load_robot
from vla_ros.ros.conversions.actions import chunk_from_msg
from vla_ros.ros.conversions.robot import joint_state_from_msg
from vla_ros.ros.conversions.scene import scene_from_msg
from vla_ros.ros.conversions.tasks import plan_from_msg
from vla_ros.ros.interfaces import EVALUATE_CHUNK, OBJECTS, PLAN
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run
from vla_ros.world_model.service import WorldModel
from vla_ros.world_model.verdict import ChunkVerdict, Verdict


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
        """Makes the twin's model, connects what it is built from, and serves evaluate_chunk."""
        self._model = WorldModel(load_robot(self.config.robot))
        self._scene: Scene | None = None
        self._plan: Plan | None = None
        self.subscribe_to(OBJECTS, self._on_objects)
        self.subscribe_to(PLAN, self._on_plan)
        self.serve(EVALUATE_CHUNK, self._evaluate)

    def _on_objects(self, message: Any) -> None:
        self._scene = scene_from_msg(message)

    def _on_plan(self, message: Any) -> None:
        self._plan = plan_from_msg(message)

    def _evaluate(self, request: Any, response: Any) -> Any:
        verdict = self._verdict(request)
        response.verdict, response.detail = int(verdict.verdict), verdict.detail
        response.collision, response.dropped = bool(verdict.collision), bool(verdict.dropped)
        response.target_reached = bool(verdict.target_reached)
        response.min_distance, response.simulated, response.computing = verdict.min_distance_m, verdict.simulated_s, verdict.cpu_s
        return response

    def _verdict(self, request: Any) -> ChunkVerdict:
        if self._scene is None:
            return ChunkVerdict(Verdict.UNKNOWN, "The twin cannot be built: no objects have been seen yet.")
        held = next((o.id for o in self._scene.objects if o.held), None)
        deadline_s = min(request.deadline or self.config.deadline, self.config.deadline)
        try:
            chunk, joints = chunk_from_msg(request.chunk), joint_state_from_msg(request.joints)
            return self._model.evaluate(chunk, self._scene, joints, held, self._subtask(chunk.subtask_id), deadline_s)
        except (ValueError, KeyError) as error:
            return ChunkVerdict(Verdict.UNKNOWN, f"The chunk cannot be foreseen: {error}.")

    def _subtask(self, subtask_id: str) -> Subtask | None:
        subtasks = self._plan.subtasks if self._plan else ()
        return next((s for s in subtasks if s.id == subtask_id), None)


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(WorldModelNode, urgency=Urgency.BACKGROUND)
