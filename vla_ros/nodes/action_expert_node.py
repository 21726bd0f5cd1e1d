"""action_expert: runs the expert of a subtask and publishes its chunks. What it proposes still has to pass the monitor."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from vla_ros.core.errors import ConfigError, VlaRosError, unknown_choice
from vla_ros.core.outcomes import AttemptOutcome, FailureKind
from vla_ros.core.stamps import s_from_ns
from vla_ros.experts.policy import Consumed, Expert, ExpertStatus, ExpertStep, Observation, holds_expert
from vla_ros.experts.registry import build_expert, load_expert_config
from vla_ros.robots import load_robot
from vla_ros.ros.action_server import Ending, OneGoalServer, Work
from vla_ros.ros.conversions.actions import chunk_to_msg
from vla_ros.ros.conversions.arrays import ns_from_stamp
from vla_ros.ros.conversions.robot import contact_from_msg, joint_state_from_msg
from vla_ros.ros.conversions.safety import safety_state_from_msg
from vla_ros.ros.conversions.scene import scene_from_msg
from vla_ros.ros.conversions.tasks import reasoning_to_msg, subtask_from_msg
from vla_ros.ros.inbox import Latest
from vla_ros.ros.interfaces import (
    ACTION_CHUNK,
    CONTACT,
    EXECUTE_GOAL,
    EXECUTE_SUBTASK,
    GATED_COMMAND,
    HEARTBEAT,
    JOINT_STATES,
    LIST_EXPERTS,
    OBJECTS,
    REASONING,
    SAFETY_STATE,
    load_type,
)
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run

INPUT_TIMEOUT_S = 5.0
ORPHANED_S = 2.0  # of the planner's silence, after which its subtask is given up: nobody could cancel it
ABORT_TIMEOUT_S = 1.0  # an expert that is told to stop has this long to bring the arm to rest


@dataclass(frozen=True)
class ActionExpertConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    expert: str = parameter("scripted", "name in config/experts, used for subtasks that name none")
    rate: float = parameter(10.0, "of action chunks", unit="Hz", low=1.0, high=50.0)


class ActionExpertNode(VlaNode):
    """The goal's thread owns the expert and looks at the inputs at the expert's rate."""

    def __init__(self) -> None:
        super().__init__("action_expert")
        self.config = declare(self, ActionExpertConfig)

    def setup(self) -> None:
        """Loads the robot and the expert; connects inputs, chunks and the action execute_subtask."""
        self.arm = load_robot(self.config.robot)
        self._experts: dict[str, Expert] = {self.config.expert: build_expert(self.config.expert, self.arm)}
        self._scene = Latest(self, OBJECTS, scene_from_msg)
        self._contact = Latest(self, CONTACT, contact_from_msg)
        self._safety = Latest(self, SAFETY_STATE, safety_state_from_msg)
        self._chunks, self._reasoning = self.publish_on(ACTION_CHUNK), self.publish_on(REASONING)
        self._joints = Latest(self, JOINT_STATES, joint_state_from_msg)
        self._consumed = Latest(self, GATED_COMMAND, _consumed_from_msg)
        self._owner_heard_ns = 0
        self.subscribe_to(HEARTBEAT, self._on_heartbeat)
        self.serve(LIST_EXPERTS, self._list)
        OneGoalServer(self, EXECUTE_SUBTASK, self._work)

    def _on_heartbeat(self, message: Any) -> None:
        if message.node == EXECUTE_GOAL.server:
            self._owner_heard_ns = self.steady_ns()

    def _list(self, _: Any, response: Any) -> Any:
        configs = [load_expert_config(name) for name in self._experts]
        response.experts = [c.name for c in configs]
        response.skills = [",".join(sorted(c.skills)) for c in configs]
        response.robots = [",".join(sorted(c.robots)) for c in configs]
        response.active = self.config.expert
        return response

    # --- in the goal's thread
    def _work(self, work: Work) -> tuple[Ending, Any]:
        started_s = time.monotonic()
        result = load_type(EXECUTE_SUBTASK.type).Result(outcome=AttemptOutcome.FAILED)
        try:
            step = self._run(work, result)
        except (VlaRosError, ValueError) as error:
            result.reason, result.message = FailureKind.REFUSED.value, str(error)
            return Ending.ABORTED, result
        finally:
            result.duration = time.monotonic() - started_s
        result.message = step.detail
        if step.status is ExpertStatus.DONE:
            result.outcome, result.reason = AttemptOutcome.DONE, "done"
            return Ending.SUCCEEDED, result
        result.reason = step.failure.value
        if work.cancel.is_set():
            result.outcome = AttemptOutcome.CANCELED
            return Ending.CANCELED, result
        return Ending.ABORTED, result

    def _run(self, work: Work, result: Any) -> ExpertStep:
        subtask = subtask_from_msg(work.goal.subtask)
        expert = self._expert(subtask.expert or self.config.expert)
        started_s = time.monotonic()
        expert.begin(subtask, self._wait_for_observation(), work.goal.hint)
        give_up_s = started_s + (subtask.time_limit_s or float("inf"))
        abort_by_s = float("inf")
        self._owner_heard_ns = self.steady_ns()
        while True:
            now_s = time.monotonic()
            if abort_by_s == float("inf") and (work.cancel.is_set() or now_s > give_up_s or self._is_orphaned()):
                expert.abort()
                abort_by_s = now_s + ABORT_TIMEOUT_S
            step = expert.step(self._wait_for_observation())
            self._emit(step, work, now_s - started_s)
            result.chunks += step.chunk is not None
            if step.status is not ExpertStatus.RUNNING or now_s > abort_by_s:
                return self._explained(step, now_s > give_up_s, subtask.time_limit_s)
            time.sleep(max(0.0, now_s + 1.0 / self.config.rate - time.monotonic()))

    def _is_orphaned(self) -> bool:
        silent_s = s_from_ns(self.steady_ns() - self._owner_heard_ns)
        if silent_s > ORPHANED_S:
            self.get_logger().warning(f"{EXECUTE_GOAL.server} has died: no heartbeat for {silent_s:.1f} s; its subtask is given up")
        return silent_s > ORPHANED_S

    def _explained(self, step: ExpertStep, late: bool, limit_s: float) -> ExpertStep:
        """The last step as the result tells it: an expert that is still RUNNING did not stop when it was told to."""
        if step.status is ExpertStatus.DONE or not (late or step.status is ExpertStatus.RUNNING):
            return step
        if not late:
            detail = f"Did not stop within {ABORT_TIMEOUT_S:g} s of being told to; at last: {step.detail}"
            return ExpertStep(ExpertStatus.FAILED, detail, failure=FailureKind.ABORTED, phase=step.phase)
        detail = f"Not done within {limit_s:g} s; at last: {step.detail}"
        return ExpertStep(ExpertStatus.FAILED, detail, failure=FailureKind.TIMEOUT, phase=step.phase)

    def _expert(self, name: str) -> Expert:
        if name not in self._experts:
            raise ConfigError(unknown_choice("expert", name, self._experts))
        return self._experts[name]

    def _emit(self, step: ExpertStep, work: Work, elapsed_s: float) -> None:
        if step.chunk is not None:
            self._chunks.publish(chunk_to_msg(step.chunk))
        if step.reasoning is not None:
            self._reasoning.publish(reasoning_to_msg(step.reasoning))
        feedback = load_type(EXECUTE_SUBTASK.type).Feedback(
            phase=step.phase, elapsed=elapsed_s, chunk_seq=step.chunk.seq if step.chunk else 0
        )
        feedback.reasoning = step.reasoning.text if step.reasoning else ""
        work.feedback(feedback)

    def _wait_for_observation(self) -> Observation:
        """Raises ConfigError naming the inputs that do not come."""
        inputs = (self._joints, self._scene, self._contact, self._safety)
        give_up_s = time.monotonic() + INPUT_TIMEOUT_S
        while missing := [i.topic.name for i in inputs if i.get() is None]:
            if time.monotonic() > give_up_s:
                raise ConfigError(f"The expert cannot act: nothing has come on {', '.join(missing)} for {INPUT_TIMEOUT_S:g} s.")
            time.sleep(0.02)
        return self._observation()

    def _observation(self) -> Observation:
        joints, scene, contact, safety = self._joints.get(), self._scene.get(), self._contact.get(), self._safety.get()
        assert joints is not None
        assert scene is not None
        assert contact is not None
        assert safety is not None
        holds = holds_expert(safety)
        return Observation(
            stamp_ns=min(joints.stamp_ns, scene.stamp_ns),
            joints=joints,
            scene=scene,
            contact=contact,
            gripper_width_m=self.arm.config.gripper_width_m(joints),
            consumed=self._consumed.get(),
            safety_hold=holds,
            safety_reason=safety.detail if holds else "",
        )


def _consumed_from_msg(message: Any) -> Consumed:
    return Consumed(int(message.chunk_seq), float(message.chunk_row), ns_from_stamp(message.header.stamp))


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(ActionExpertNode)
