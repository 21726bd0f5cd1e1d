"""Simulation, perception, expert and safety gate in one process without ROS: how often is a task done?

    python -m vla_ros.evaluation.core_loop --goal put_red_in_blue --seeds 0-19

The same parts as in the graph, stepped by one loop in simulated time. Images and chunks take effect late by the delays they have there.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.core.actions import ActionChunk, GatedCommand, SafetyAction
from vla_ros.core.decisions import SafetyMode, Verdict
from vla_ros.core.errors import ConfigError, PlanningError, VlaRosError
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.robot_state import ContactState
from vla_ros.core.scene import CameraFault, CameraHealth, Scene
from vla_ros.core.stamps import ns_from_s, s_from_ns
from vla_ros.core.tasks import Plan, Skill, Subtask
from vla_ros.evaluation.goals import Goal, parse_goal
from vla_ros.evaluation.no_gate import NoGate
from vla_ros.evaluation.seeds import parse_seeds
from vla_ros.experts.policy import Consumed, ExpertStatus, ExpertStep, Observation, holds_expert
from vla_ros.experts.registry import build_expert
from vla_ros.perception.pipeline import DepthPerception
from vla_ros.perception.tactile import TactileProcessor
from vla_ros.robots import load_robot
from vla_ros.safety.config import load_safety_config
from vla_ros.safety.gate import Gate
from vla_ros.simulation.cameras import CameraRenderer
from vla_ros.simulation.measures import EpisodeMeter
from vla_ros.simulation.robot import SimRobot
from vla_ros.simulation.scene_config import load_scene
from vla_ros.simulation.scorer import Scorer
from vla_ros.world_model.service import WorldModel

EXPERT_TICKS = 10  # of 10 ms: chunks at 10 Hz
IMAGE_TICKS = 10  # depth perception at 10 Hz
IMAGE_DELAY_TICKS = 8  # from an image's stamp until its objects are known
CHUNK_DELAY_TICKS = 3  # from an observation until the gate has the chunk
WARM_UP_TICKS = 100  # for perception to see the scene
SETTLE_TICKS = 50  # before the scorer looks
RETRIES = 3  # of failed subtasks, as an orchestrator would
RETRYABLE = (FailureKind.GRASP_MISSED, FailureKind.DROPPED, FailureKind.BLOCKED, FailureKind.UNREACHABLE)
CAMERA = "front"
FORESIGHT_S = 10.0  # deadline of the world model: on a busy machine wall time says nothing about the chunk


@dataclass(frozen=True)
class Trouble:
    """A fault of the simulator that begins some time after the task did."""

    fault: str  # as in simulation/faults.py
    target: str
    after_s: float

    @staticmethod
    def parse(text: str) -> Trouble:
        """From "object_dropped:red_cube@7.0". Raises ConfigError."""
        match = re.fullmatch(r"(\w+):(\w*)@(\d+(?:\.\d+)?)", text)
        if match is None:
            raise ConfigError(f"'{text}' is no fault; write KIND:TARGET@SECONDS, such as object_dropped:red_cube@7.0")
        return Trouble(match[1], match[2], float(match[3]))


@dataclass(frozen=True)
class SeedResult:
    """What one seed came to."""

    seed: int
    succeeded: bool  # every subtask done, and the scorer agrees
    detail: str
    robot_s: float
    wall_s: float
    recoveries: int
    chunks: int
    refused: tuple[str, ...]  # by the gate: why
    stops: tuple[str, ...]  # each time that the gate began to hold the arm or to stop it: why
    rejected: tuple[str, ...]  # by the world model, which here only watches: why
    foresight_ms: tuple[float, ...]  # time of each of its answers
    collisions: tuple[str, ...]  # truth: what touched what it should not


class CoreLoop:
    """Built once, then run for one seed after the other."""

    def __init__(
        self, robot: str = "panda", scene: str = "tabletop", expert: str = "scripted", *, watch: bool = False, gated: bool = True
    ) -> None:
        """``watch``: the world model looks at every chunk, without a say; ``gated=False``: nothing judges what the expert does."""
        self._gated = gated
        self._arm = load_robot(robot)
        self._expert_name = expert
        self._safety = load_safety_config(robot).without_world_model()
        self._sim = SimRobot(self._arm.config, load_scene(scene))
        self._meter = EpisodeMeter(self._sim)
        self._renderer = CameraRenderer(self._sim.world, sensor_noise=True)
        self._perception = DepthPerception(self._arm, self._arm.config.cameras[CAMERA])
        self._watch = watch

    def close(self) -> None:
        """Gives OpenGL's context back."""
        self._renderer.close()

    def run(
        self,
        goal: Goal,
        seed: int,
        *,
        time_limit_s: float = 60.0,
        say: Callable[[str], None] = lambda line: None,
        trouble: Sequence[Trouble] = (),
    ) -> SeedResult:
        """Does ``goal`` in the scene of ``seed``; ``say`` gets the reasoning and the failures, line by line.

        Raises SimulationError when the scene has no such objects.
        """
        wall_s = time.perf_counter()
        self._begin(seed, time_limit_s, say)
        scorer = Scorer(self._sim)
        scorer.judge(goal.predicate())  # raises for names that the scene lacks, before anything moves
        start_ns = self._sim.now_ns
        for t in trouble:
            self._sim.faults.add(t.fault, t.target, start_ns + ns_from_s(t.after_s))
        done, detail = self._attempt(goal)
        robot_s = s_from_ns(self._sim.now_ns - start_ns)
        for _ in range(SETTLE_TICKS):
            self._tick()
        verdict = scorer.judge(goal.predicate())
        measures = self._meter.measures()
        return SeedResult(
            seed=seed,
            succeeded=done and verdict.holds,
            detail=detail if verdict.holds else f"{detail} Scorer: {verdict.detail}.",
            robot_s=robot_s,
            wall_s=time.perf_counter() - wall_s,
            recoveries=self._recoveries,
            chunks=self._chunks,
            refused=tuple(self._refused),
            stops=tuple(self._stops),
            rejected=tuple(self._rejected),
            foresight_ms=tuple(self._foresight_ms),
            collisions=measures.collisions,
        )

    def _begin(self, seed: int, time_limit_s: float, say: Callable[[str], None]) -> None:
        self._sim.reset(seed)
        self._perception.reset()
        self._tactile = TactileProcessor()
        self._gate: Gate | NoGate = Gate(self._arm, self._safety) if self._gated else NoGate(self._arm)
        self._expert = build_expert(self._expert_name, self._arm)
        self._world_model = WorldModel(self._arm) if self._watch else None
        self._scenes: deque[tuple[int, Scene]] = deque()  # tick from which it is known
        self._outbox: deque[tuple[int, ActionChunk]] = deque()  # tick at which the gate gets it
        self._scene = Scene(0, self._arm.config.base_frame, ())
        self._command: GatedCommand | None = None
        self._subtask: Subtask | None = None
        self._ticks = self._recoveries = self._chunks = 0
        self._refused: list[str] = []
        self._stops: list[str] = []
        self._is_stopped = False
        self._rejected: list[str] = []
        self._foresight_ms: list[float] = []
        self._say = say
        self._sim.step()
        for _ in range(WARM_UP_TICKS):
            self._tick()
        self._meter.reset()
        self._stops.clear()  # of the start
        self._end_ns = self._sim.now_ns + ns_from_s(time_limit_s)

    # -- the task, as an orchestrator would do it
    def _attempt(self, goal: Goal) -> tuple[bool, str]:
        """All subtasks in order; a failure begins again with the pick."""
        while True:
            try:
                subtasks = goal.subtasks(self._scene)
            except PlanningError as error:
                return False, str(error)
            failed = next((step for step in map(self._do, subtasks) if step.status is not ExpertStatus.DONE), None)
            if failed is None:
                return True, "done"
            if failed.failure not in RETRYABLE or self._recoveries >= RETRIES:
                return False, failed.detail
            self._recoveries += 1
            self._do(Subtask("home", Skill.HOME, "go home to look again", subtasks[-1].success))

    def _do(self, subtask: Subtask) -> ExpertStep:
        self._subtask = subtask
        self._gate.on_plan(Plan(subtask.description, (subtask,), (subtask.success,), "core_loop"))
        self._expert.begin(subtask, self._observe())
        while True:
            step = self._expert.step(self._observe())
            self._note(subtask, step)
            if step.status is not ExpertStatus.RUNNING:
                return step
            if self._sim.now_ns > self._end_ns:
                detail = f"Out of time in '{subtask.description}': {step.detail}"
                return ExpertStep(ExpertStatus.FAILED, detail, failure=FailureKind.ABORTED)
            for _ in range(EXPERT_TICKS):
                self._tick()

    def _note(self, subtask: Subtask, step: ExpertStep) -> None:
        at_s = s_from_ns(self._sim.now_ns)
        if step.reasoning is not None:
            self._say(f"  {at_s:7.2f} {subtask.skill.value}/{step.reasoning.phase}: {step.reasoning.text}")
        if step.status is not ExpertStatus.RUNNING:
            self._say(f"  {at_s:7.2f} {subtask.skill.value} {step.status.value}: {step.detail}")
        if step.chunk is not None:
            self._chunks += 1
            self._outbox.append((self._ticks + CHUNK_DELAY_TICKS, step.chunk))
            self._foresee(step.chunk, subtask)

    def _foresee(self, chunk: ActionChunk, subtask: Subtask) -> None:
        if self._world_model is None:
            return
        held = next((o.id for o in self._scene.objects if o.held), None)
        answer = self._world_model.evaluate(chunk, self._scene, self._sim.joint_state(), held, subtask, FORESIGHT_S)
        self._foresight_ms.append(answer.cpu_s * 1000)
        if answer.verdict is not Verdict.APPROVE:
            self._rejected.append(f"{chunk.trace_id} held {held}: {answer.detail}")
            self._say(f"  world model: {self._rejected[-1]}")

    # -- what the graph's nodes do
    def _observe(self) -> Observation:
        state = self._gate.state()
        return Observation(
            stamp_ns=self._sim.now_ns,
            joints=self._sim.joint_state(),
            scene=self._scene,
            contact=self._contact,
            gripper_width_m=self._sim.gripper.width_m,
            consumed=Consumed.from_command(self._command) if self._command else None,
            safety_hold=holds_expert(state),
            safety_reason=state.detail,
        )

    def _tick(self) -> None:
        """10 ms of everything."""
        self._sim.step()
        self._meter.observe()
        now = self._sim.now_ns
        self._feel(now)
        self._look(now)
        self._gate.on_joint_state(self._sim.joint_state())
        self._gate.on_contact(self._contact)
        for node in self._safety.nodes:
            self._gate.on_heartbeat(node, now)
        while self._outbox and self._outbox[0][0] <= self._ticks:
            self._gate.on_chunk(self._outbox.popleft()[1], now)
        self._command = self._gate.tick(now, now)
        self._note_refusals()
        self._note_stop()
        if self._command is not None:
            self._sim.controller.accept(self._command.trajectory, now)
            if np.isfinite(self._command.gripper_width_m):
                self._sim.gripper.command(self._command.gripper_width_m, self._command.gripper_force_n)
        self._ticks += 1

    def _note_stop(self) -> None:
        state = self._gate.state()
        was_stopped, self._is_stopped = self._is_stopped, state.mode in (SafetyMode.HOLDING, SafetyMode.STOPPED_LATCHED)
        if self._is_stopped and not was_stopped:
            self._stops.append(f"{state.reason.value}: {state.detail}")

    def _note_refusals(self) -> None:
        for decision in self._gate.drain_decisions():
            if decision.chunk_seq and decision.action in (SafetyAction.HOLD, SafetyAction.STOP):
                self._refused.append(f"{decision.trace_id}: {decision.reason.value}: {decision.detail}")
                self._say(f"  gate: {self._refused[-1]}")

    def _feel(self, now_ns: int) -> None:
        left, right = self._sim.tactile("left"), self._sim.tactile("right")
        self._contact: ContactState = self._tactile.update(
            left.normal_n, right.normal_n, now_ns, left_shear_n=left.shear_n, right_shear_n=right.shear_n
        )

    def _look(self, now_ns: int) -> None:
        if self._ticks % IMAGE_TICKS == 0:
            image = self._renderer.render(CAMERA, now_ns)
            assert image.depth_mm is not None  # the configuration says that this camera has depth
            seen = self._perception.update(image.colour, image.depth_mm, now_ns, self._sim.joint_state(), self._contact)
            self._scenes.append((self._ticks + IMAGE_DELAY_TICKS, seen.scene))
            self._gate.on_camera_health(CameraHealth(now_ns, CAMERA, CameraFault.OK, True, "simulated", 0.0, 30.0))
        while self._scenes and self._scenes[0][0] <= self._ticks:
            self._scene = self._scenes.popleft()[1]
            self._gate.on_scene(self._scene)


def row(outcome: SeedResult) -> str:
    """One line of the table."""
    times = sorted(outcome.foresight_ms) or [0.0]
    foresight = f"{times[len(times) // 2]:4.1f} {times[-1]:5.1f}"
    notes = "; ".join([outcome.detail, *(f"touched: {c}" for c in outcome.collisions)])
    return (
        f"{outcome.seed:5d}  {'yes' if outcome.succeeded else 'NO ':4s} {outcome.robot_s:6.1f} {outcome.wall_s:6.1f} "
        f"{outcome.recoveries:4d} {outcome.chunks:6d} {len(outcome.refused):7d} {len(outcome.rejected):8d}  {foresight}  {notes}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Prints one line for each seed; 0 when all succeeded, 1 when not, 2 when it could not start."""
    parser = argparse.ArgumentParser(description="Runs simulation, perception, expert and safety gate in one process, without ROS.")
    parser.add_argument("--goal", default="put_red_in_blue", help='or stack_green_on_yellow, or such as "red cube left_of blue bowl"')
    parser.add_argument("--seeds", default="0-19", help="such as 0-19,25")
    parser.add_argument("--scene", default="tabletop")
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--world-model", action="store_true", help="let the world model look at every chunk, without a say")
    parser.add_argument("--verbose", action="store_true", help="print the reasoning")
    parser.add_argument("--fault", action="append", default=[], help="such as object_dropped:red_cube@7.0 (seconds from the start)")
    options = parser.parse_args(arguments)
    try:
        outcomes = _run_all(options)
    except VlaRosError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    done = sum(o.succeeded for o in outcomes)
    print(f"{done} of {len(outcomes)} succeeded; mean {np.mean([o.robot_s for o in outcomes]):.1f} s of robot time")
    return 0 if done == len(outcomes) else 1


def _run_all(options: argparse.Namespace) -> list[SeedResult]:
    goal, seeds = parse_goal(options.goal), parse_seeds(options.seeds)
    trouble = [Trouble.parse(text) for text in options.fault]
    loop = CoreLoop(options.robot, options.scene, watch=options.world_model)
    print(" seed  done  robot_s wall_s retr chunks refused rejected  foresight median, max [ms]", flush=True)
    outcomes = []
    for seed in seeds:
        outcomes.append(loop.run(goal, seed, say=print if options.verbose else lambda line: None, trouble=trouble))
        print(row(outcomes[-1]), flush=True)
    loop.close()
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
