"""What happened in a run, as arrays over time: read from its bag once, used by the timeline, the video and the measures.

Times are seconds of ROS time after the run's start, taken from the stamps in the messages (when a thing was measured), not from when they
were recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.geometry import Array
from vla_ros.core.outcomes import ReportStatus


@dataclass(frozen=True)
class JointSignal:
    """Joint motion, measured or commanded."""

    times_s: Array  # [n], increasing
    positions: Array  # [n, dof] rad
    velocities: Array  # [n, dof] rad/s
    accelerations: Array  # [n, dof] rad/s2; empty [0, dof] where it is not given (measured joints)


@dataclass(frozen=True)
class ContactSignal:
    """What the fingers felt."""

    fingers: tuple[str, ...]
    times_s: Array  # [n]
    force_n: Array  # [n, fingers] normal force


@dataclass(frozen=True)
class SubtaskSpan:
    """One attempt at a subtask, or all of them where only its end was reported."""

    id: str
    name: str
    start_s: float
    end_s: float
    status: ReportStatus
    attempts: int
    reason: str


@dataclass(frozen=True)
class Decision:
    """One decision of the monitor; it holds until the next one."""

    time_s: float
    action: SafetyAction
    reason: str
    detail: str
    margin_position_rad: float
    margin_workspace_m: float


@dataclass(frozen=True)
class ModeChange:
    """The monitor's mode from this time on."""

    time_s: float
    mode: SafetyMode
    reason: str
    detail: str


@dataclass(frozen=True)
class Note:
    """A text at a time: a reasoning trace or an event of the goal."""

    time_s: float
    label: str
    text: str


@dataclass(frozen=True)
class RunSignals:
    """One arm's run."""

    instruction: str
    outcome: str  # "succeeded", "failed", "canceled", "refused", or empty while unknown
    reason: str
    start_ns: int  # the stamp that all times count from
    duration_s: float
    joint_names: tuple[str, ...]
    joints: JointSignal  # measured
    command: JointSignal  # what the gate let through: the state committed at each tick
    gripper_times_s: Array  # [n]
    gripper_width_m: Array  # [n]
    contact: ContactSignal
    subtasks: tuple[SubtaskSpan, ...] = ()
    decisions: tuple[Decision, ...] = ()
    modes: tuple[ModeChange, ...] = ()
    reasoning: tuple[Note, ...] = ()
    events: tuple[Note, ...] = ()
    damage: str = ""  # of the bag, in a sentence; empty when it is whole

    def subtask_at(self, time_s: float) -> SubtaskSpan | None:
        """The subtask being done, the latest where several overlap."""
        return next((s for s in reversed(self.subtasks) if s.start_s <= time_s < s.end_s), None)

    def mode_at(self, time_s: float) -> ModeChange | None:
        """The monitor's mode."""
        return next((m for m in reversed(self.modes) if m.time_s <= time_s), None)

    def reasoning_at(self, time_s: float) -> Note | None:
        """The latest reasoning."""
        return next((n for n in reversed(self.reasoning) if n.time_s <= time_s), None)
