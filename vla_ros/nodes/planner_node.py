"""planner: takes goals in plain words and carries them through.

The thinking is vla_ros/planning; this file binds its ports to the graph.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from vla_ros.core.errors import ConfigError
from vla_ros.core.outcomes import EpisodeEvent, Outcome, ReportStatus
from vla_ros.core.scheduling import Urgency
from vla_ros.core.tasks import Plan, ReasoningTrace, Subtask
from vla_ros.nodes.planner_recording import GoalRecording
from vla_ros.nodes.planner_results import goal_result_to_msg, record_to_msg
from vla_ros.nodes.planner_senses import PlannerSenses
from vla_ros.nodes.planner_subtasks import SubtaskCaller
from vla_ros.planning.goal_result import GoalResult, Progress, Reason
from vla_ros.planning.grammar import SUPPORTED
from vla_ros.planning.orchestrator import run_goal
from vla_ros.planning.plan import Capabilities
from vla_ros.planning.planner import make_planner
from vla_ros.planning.ports import CancelToken, Policy, Ports
from vla_ros.robots import load_robot
from vla_ros.robots.reach import graspable_from_above
from vla_ros.ros.action_server import Ending, OneGoalServer, Work
from vla_ros.ros.conversions.arrays import header_to_msg
from vla_ros.ros.conversions.tasks import plan_to_msg, reasoning_to_msg
from vla_ros.ros.interfaces import EPISODE, EXECUTE_GOAL, HOLD, PLAN, REASONING, SUBTASK_REPORT, load_type
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run

READY_PERIOD_S = 0.25
REST_S = 1.0  # that the end of a goal waits at most for the arm to come to rest


@dataclass(frozen=True)
class PlannerConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    planner: str = parameter("builtin", "builtin, or openai for a server that speaks its protocol")
    openai_url: str = parameter("", "base URL of the openai planner's server, as http://127.0.0.1:8000/v1")
    openai_model: str = parameter("", "name of the model that the server is asked for")
    openai_key_variable: str = parameter("", "environment variable that holds the server's key; empty: none is sent")
    openai_timeout: float = parameter(30.0, "for one answer", unit="s", low=1.0, high=600.0)
    record: bool = parameter(True, "record every goal (needs the recorder node)")
    scene: str = parameter("", "name of the scene, for the records")
    camera: str = parameter("front", "the robot's camera that must see, and whose pictures planners get and results hold")
    watched: str = parameter(
        "action_expert,safety_monitor,motion_forwarder,camera_perception,depth_perception",
        "nodes that must live, by commas; any other that lives when a goal begins must live until its end",
    )
    goal_limit: float = parameter(300.0, "for a goal that names no limit", unit="s", low=1.0, high=36000.0)

    def options(self) -> dict[str, Any]:
        """What make_planner is given beside the name: only what the chosen planner takes, and of that only what was set."""
        if self.planner != "openai":
            return {}
        given = {
            "base_url": self.openai_url,
            "model": self.openai_model,
            "key_variable": self.openai_key_variable,
            "timeout_s": self.openai_timeout,
        }
        if missing := [name for name in ("openai_url", "openai_model") if not getattr(self, name)]:
            raise ConfigError(f"The planner 'openai' needs {' and '.join(missing)}; give them as launch arguments or parameters.")
        return {name: value for name, value in given.items() if value != ""}


class PlannerNode(VlaNode):
    """One goal at a time: the goal's thread thinks and waits, callbacks only keep what is new."""

    heartbeat_period_s = 0.1  # the monitor stops the motion of a plan soon after the last one

    def __init__(self) -> None:
        super().__init__("planner")
        self.config = declare(self, PlannerConfig)

    def setup(self) -> None:
        """Makes the planner and binds its ports: senses, subtasks, recording; serves execute_goal."""
        arm = load_robot(self.config.robot)
        capabilities = Capabilities(arm.config.gripper.width_open_m, graspable_from_above(arm), robot=arm.config.name)
        self._planner = make_planner(self.config.planner, capabilities, self.config.options())
        self._senses = PlannerSenses(self, arm, tuple(n for n in self.config.watched.split(",") if n), self.config.camera)
        self._subtasks = SubtaskCaller(self, self._senses)
        self._recording = GoalRecording(self, self.config.record, lambda: self._senses.died("recorder"))
        self._plans, self._reasoning = self.publish_on(PLAN), self.publish_on(REASONING)
        self._reports, self._episodes = self.publish_on(SUBTASK_REPORT), self.publish_on(EPISODE)
        self._holds = self.client_of(HOLD)
        self._subtasks.hold = self._hold
        getattr(self._planner, "warm_up", lambda: None)()  # seconds of work, better before the first goal than beside it
        self._instruction = ""
        self._cancel = CancelToken()
        self.end_work_with(lambda: self._cancel.cancel("Canceled: the planner is shutting down."))  # first of all: it says why
        self._said_ready = False
        self.every(READY_PERIOD_S, self._say_when_ready)
        OneGoalServer(self, EXECUTE_GOAL, self._work, busy=self._busy)

    def _say_when_ready(self) -> None:
        if not self._said_ready and self._senses.is_ready():
            self._said_ready = True
            self.get_logger().info('Ready for goals, for example: vla goal "put the red cube in the blue bowl"')

    def _busy(self, goal: Any) -> Any:
        message = f"Busy with '{self._instruction}'; cancel that goal or wait for its end. Nothing was done about '{goal.instruction}'."
        return self._refused(Reason.BUSY, message)

    def _refused(self, reason: Reason, message: str) -> Any:
        return load_type(EXECUTE_GOAL.type).Result(outcome=Outcome.REFUSED, reason=reason.value, message=message)

    # --- in the goal's thread
    def _work(self, work: Work) -> tuple[Ending, Any]:
        self._instruction = work.goal.instruction
        if not work.goal.instruction.strip():  # there is nothing to name a run by
            return Ending.ABORTED, self._refused(Reason.NOT_UNDERSTOOD, f"The instruction is empty. {SUPPORTED}")
        if stop := self._senses.stop():
            return Ending.ABORTED, self._refused(Reason.SAFETY_STOP, f"{stop} 'vla reset' (the service safety/reset) ends the stop.")
        refusal = self._recording.start(work.goal.instruction, self.config.robot, self.config.scene)
        if refusal:
            return Ending.ABORTED, self._refused(Reason.CANNOT_RECORD, refusal)
        self._mark(EpisodeEvent.STARTED, work)
        try:
            result, images = self._carry_out(work)
            self._senses.wait_for_rest(REST_S)  # the recording shows that the arm came to rest
        except Exception as error:  # a fault of ours: it is raised again, but what was recorded is kept
            self._recording.finish(GoalResult(Outcome.FAILED, Reason.ERROR, f"{type(error).__name__}: {error}"))
            raise
        stamp_ns = self._senses.now_ns()
        self._mark(EpisodeEvent.FINISHED, work, result)
        folder, incomplete = self._recording.finish(result)
        if incomplete:
            self.get_logger().error(incomplete)
            result = replace(result, message=f"{result.message} {incomplete}")
        ending = {Outcome.SUCCEEDED: Ending.SUCCEEDED, Outcome.CANCELED: Ending.CANCELED}.get(result.outcome, Ending.ABORTED)
        return ending, goal_result_to_msg(result, images, folder, stamp_ns)

    def _mark(self, event: EpisodeEvent, work: Work, result: GoalResult | None = None) -> None:
        episode = load_type(EPISODE.type)(
            header=header_to_msg(self._senses.now_ns()),
            event=event,
            episode_id=work.goal_id,
            instruction=work.goal.instruction,
            robot=self.config.robot,
            scene=self.config.scene,
        )
        if result is not None:
            episode.outcome, episode.reason, episode.text = result.outcome.word, result.reason.value, result.message
        self._episodes.publish(episode)

    def _carry_out(self, work: Work) -> tuple[GoalResult, dict[str, Any]]:
        cancel = self._cancel = CancelToken(work.cancel)
        self._senses.begin_goal()
        images: dict[str, Any] = {}
        feedback = _Feedback(work, self._senses, self._publish_plan, self._publish_start)
        self._subtasks.on_reasoning = feedback.reason
        ports = Ports(
            look=self._senses.look_for_a_while,
            plan=lambda instruction, scene: self._planner.plan(instruction, scene, self._senses.image(), self._senses.now_ns()),
            replan=lambda plan, report, scene: self._planner.replan(plan, report, scene, self._senses.now_ns()),
            run_subtask=self._subtasks.run,
            verify=self._senses.verify,
            verify_goal=self._senses.verify_goal,
            hazard=self._senses.hazard,
            hold=self._hold,
            now_ns=self.steady_ns,
            wait_s=time.sleep,
            report=feedback.progress,
            snapshot=lambda name: self._snapshot(name, images),
            interventions=lambda: self._senses.interventions,
            record=lambda record: self._reports.publish(record_to_msg(record, self._senses.now_ns())),
        )
        policy = Policy(goal_limit_s=work.goal.time_limit or self.config.goal_limit)
        try:
            return run_goal(work.goal.instruction, ports, cancel, policy), images
        finally:
            self._senses.on_safety = lambda: None  # the goal's feedback has ended

    def _snapshot(self, name: str, images: dict[str, Any]) -> str:
        image = self._senses.compressed_image()
        if image is None:
            return ""
        images[name] = image
        return name

    def _hold(self) -> None:
        """Asks the monitor to brake; it does not wait for the answer, since nothing would be done about it but to ask again."""
        if self._holds.service_is_ready():
            self._holds.call_async(load_type(HOLD.type).Request())

    def _publish_start(self, subtask: Subtask) -> None:
        message = load_type(SUBTASK_REPORT.type)(
            header=header_to_msg(self._senses.now_ns()),
            subtask_id=subtask.id,
            description=subtask.description,
            status=ReportStatus.RUNNING,
        )
        self._reports.publish(message)

    def _publish_plan(self, plan: Plan) -> None:
        self._plans.publish(plan_to_msg(plan))
        trace = ReasoningTrace(plan.stamp_ns, self.get_name(), "", "plan", plan.explanation)
        self._reasoning.publish(reasoning_to_msg(trace))
        self.get_logger().info(f"plan {plan.revision}: {'; '.join(s.description for s in plan.subtasks) or 'nothing to do'}")


class _Feedback:
    """Turns progress, reasoning and safety into the action's feedback; they come from the goal's thread and from callbacks."""

    def __init__(self, work: Work, senses: PlannerSenses, on_plan: Callable[[Plan], None], on_subtask: Callable[[Subtask], None]) -> None:
        self._work, self._senses, self._on_plan, self._on_subtask = work, senses, on_plan, on_subtask
        self._subtask: Subtask | None = None
        self._message = load_type(EXECUTE_GOAL.type).Feedback()
        self._plan: Plan | None = None
        self._started_s = time.monotonic()
        self._lock = threading.Lock()  # the message is filled and sent as a whole
        senses.on_safety = self._safety

    def progress(self, progress: Progress) -> None:
        if progress.plan is not None and progress.plan is not self._plan:
            self._plan = progress.plan
            self._on_plan(progress.plan)
            self.reason(progress.plan.explanation)
        if progress.subtask is not None and progress.subtask is not self._subtask:
            self._on_subtask(progress.subtask)
        self._subtask = progress.subtask
        with self._lock:
            m = self._message
            m.state, m.subtask_id, m.subtask = progress.state.value, progress.subtask.id if progress.subtask else "", progress.message
            m.step, m.steps = progress.step, len(progress.plan.subtasks) if progress.plan else 0
            self._send()

    def reason(self, text: str) -> None:
        with self._lock:
            if text and text != self._message.reasoning:
                self._message.reasoning = text
                self._send()

    def _safety(self) -> None:
        with self._lock:
            self._send()

    def _send(self) -> None:
        m = self._message
        m.safety_mode, m.safety_detail, m.elapsed = *self._senses.safety_words(), time.monotonic() - self._started_s
        self._work.feedback(m)


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(PlannerNode, urgency=Urgency.BACKGROUND)
