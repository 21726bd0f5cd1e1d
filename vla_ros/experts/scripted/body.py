"""What the scripts of all skills share: the arm, what is perceived, and the primitives move, wait and say."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array
from vla_ros.core.handling import handling_table
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.stamps import s_from_ns
from vla_ros.core.tasks import ReasoningTrace, Subtask
from vla_ros.experts.chunk_stream import ChunkStream, Gripper
from vla_ros.experts.plans import JointPlan, MotionLimits
from vla_ros.experts.policy import Observation
from vla_ros.experts.scripted.failures import SkillFailure
from vla_ros.experts.scripted.parameters import ScriptedParameters
from vla_ros.experts.scripted.routes import over, rounded, route_plan, turning
from vla_ros.robots import Arm

Script = Generator[None, None, str]  # runs one step for each observation; returns what was achieved, a sentence
Check = Callable[[], None]  # raises SkillFailure
Until = Callable[[], bool]


@dataclass(frozen=True)
class Holding:
    """What is between the fingers, as it was when it was grasped."""

    thing: SceneObject
    bottom_below_tcp_m: float
    tool_yaw_rad: float  # of the tool's x axis at the grasp, object frame
    width_m: float  # that the closed gripper measured


class Body:
    """The arm's side of a script. ``observation`` is replaced before every step."""

    def __init__(self, arm: Arm, parameters: ScriptedParameters, stream: ChunkStream, source: str) -> None:
        self.arm = arm
        self.p = parameters
        self.stream = stream
        self.holding: Holding | None = None
        self.observation: Observation
        self.subtask: Subtask
        self.hint = ""  # what the orchestrator learnt from an earlier failure
        self.phase = ""
        self.unsaid: ReasoningTrace | None = None
        self.interrupted = False  # the monitor stopped the arm: plan anew from where it stands
        self._source = source
        limits = arm.config.limits
        self._limits = MotionLimits(
            limits.velocity_radps * parameters.velocity_fraction, limits.acceleration_radps2 * parameters.acceleration_fraction
        )

    # -- perceived
    @property
    def scene(self) -> Scene:
        """As seen last."""
        return self.observation.scene

    @property
    def measured(self) -> Array:
        """[dof] measured arm configuration."""
        return self.observation.joints.select(self.arm.config.arm_joints).positions

    def find(self, object_id: str) -> SceneObject:
        """The object as it is seen now. Raises SkillFailure."""
        thing = self.scene.get(object_id)
        if thing is None:
            raise SkillFailure(FailureKind.NOT_FOUND, f"'{object_id}' is not in view; I see: {self.scene.describe()}.")
        return thing

    def now_s(self) -> float:
        """Time of the observation."""
        return s_from_ns(self.observation.stamp_ns)

    # -- said
    def say(self, phase: str, text: str) -> None:
        """Begins a phase: the next step carries ``text`` as its reasoning."""
        self.phase = phase
        if self.hint:
            text, self.hint = f"{text} (I was told: {self.hint})", ""
        self.unsaid = ReasoningTrace(self.observation.stamp_ns, self._source, self.subtask.id, phase, text)

    # -- done
    @property
    def grip_n(self) -> float:
        """The robot's grasp force, or what the thing in question bears if that is less."""
        thing = self.scene.get(self.subtask.object_id) or (self.holding.thing if self.holding else None)
        most_n = handling_table().of(thing.name if thing else "").grip_n
        return min(self.arm.config.gripper.grasp_force_n, most_n)

    def grip(self, width_m: float) -> None:
        """Tells the gripper an opening, and the force."""
        self.stream.grip(Gripper(width_m, self.grip_n))

    def move(
        self, build: Callable[[Array], JointPlan], check: Check = lambda: None, until: Until = lambda: False
    ) -> Generator[None, None, None]:
        """Follows ``build(start)`` to its end, planning anew when the monitor has stopped the arm; stops early when ``until()`` holds."""
        self.stream.follow(self._planned(build, self.stream.goal), self.p.lead_s)
        while not self.stream.finished:
            yield
            if self.interrupted:
                self.stream.restart(self.measured)
                self.stream.follow(self._planned(build, self.measured), self.p.lead_s)
                self.interrupted = False
            check()
            if until():
                self.stream.stop(self.p.lead_s, self.p.lead_s)
                until = _never
        yield from self._arrive(check)

    def _planned(self, build: Callable[[Array], JointPlan], start: Array) -> JointPlan:
        try:
            return build(start)
        except MotionError as error:
            raise SkillFailure(FailureKind.UNREACHABLE, f"{self.phase}: {error}") from error

    def _arrive(self, check: Check) -> Generator[None, None, None]:
        """Waits until the measured arm is where the stream is. Raises SkillFailure when it is blocked."""
        end_s = self.now_s() + self.p.settle_s
        while self._error_rad() > self.p.arrived_rad and self.now_s() < end_s:
            yield
            check()
        if self._error_rad() > self.p.blocked_rad:
            raise SkillFailure(FailureKind.BLOCKED, f"{self.phase}: the arm stands {self._error_rad():.2f} rad from where it was sent.")

    def _error_rad(self) -> float:
        return float(np.max(np.abs(self.measured - self.stream.commanded)))

    def wait(self, until: Until, limit_s: float, check: Check = lambda: None) -> Generator[None, None, bool]:
        """Rests until ``until()`` holds; returns False when that takes longer than ``limit_s``."""
        end_s = self.now_s() + limit_s
        while not until():
            if self.now_s() >= end_s:
                return False
            yield
            if self.interrupted:
                self.stream.restart(self.measured)
                self.interrupted = False
            check()
        return True

    # -- kinds of motion
    def across(self, q_end: Array, safe_height_m: float) -> Callable[[Array], JointPlan]:
        """A free motion to ``q_end`` that crosses at ``safe_height_m``."""

        def build(start: Array) -> JointPlan:
            points = rounded(over(self._tcp(start), self._tcp(q_end), safe_height_m), self.p.corner_m, self.p.waypoint_m)
            share = turning(points, safe_height_m)
            return route_plan(self.arm, start, q_end, points, share, self._limits, self.p.free_speed_mps)

        return build

    def straight(self, q_end: Array, speed_mps: float) -> Callable[[Array], JointPlan]:
        """A straight line of the TCP to ``q_end``."""

        def build(start: Array) -> JointPlan:
            points = rounded(np.array([self._tcp(start), self._tcp(q_end)]), 0.0, self.p.waypoint_m / 2)
            share = np.linspace(0.0, 1.0, len(points))
            return route_plan(self.arm, start, q_end, points, share, self._limits, speed_mps)

        return build

    def _tcp(self, q: Array) -> Array:
        return np.array(self.arm.fk(q)[:3, 3])

    def safe_height(self, below_tcp_m: float) -> float:
        """Height of the TCP at which whatever reaches ``below_tcp_m`` under it clears everything that stands on the table."""
        held = self.holding.thing.id if self.holding else ""
        tops = [o.top_m for o in self.scene.objects if o.id != held and not o.held]
        return max([self.scene.table_height_m, *tops]) + below_tcp_m + self.p.clearance_m


def _never() -> bool:
    return False
