"""The protocol between the graph and any expert, scripted or learned: observation in, action chunk out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.actions import ActionChunk, GatedCommand
from vla_ros.core.decisions import CURED_BY_A_CHUNK, SafetyMode, SafetyState
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.robot_state import ContactState, JointState
from vla_ros.core.scene import Scene
from vla_ros.core.tasks import ReasoningTrace, Skill, Subtask


@dataclass(frozen=True)
class Consumed:
    """How far the safety monitor has got: the fractional row of the chunk that it follows."""

    chunk_seq: int  # 0: none is being followed
    row: float
    stamp_ns: int

    @staticmethod
    def from_command(command: GatedCommand) -> Consumed:
        """What a command of the monitor says."""
        return Consumed(command.chunk_seq, command.chunk_row, command.stamp_ns)


@dataclass(frozen=True)
class Observation:
    """All that an expert may know at one instant. Nothing in it comes from a simulator's truth."""

    stamp_ns: int
    joints: JointState  # arm and fingers
    scene: Scene  # in the arm's base frame
    contact: ContactState
    gripper_width_m: float  # measured
    consumed: Consumed | None = None  # None: nothing has been commanded yet
    safety_hold: bool = False  # the monitor lets nothing pass at present
    safety_reason: str = ""  # why, when it holds
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)  # camera -> RGB [h, w, 3]


def holds_expert(state: SafetyState) -> bool:
    """Whether an expert has to wait (``Observation.safety_hold``): nothing that it could send would be followed now."""
    if state.mode in (SafetyMode.STARTING, SafetyMode.STOPPED_LATCHED):
        return True
    return state.mode is SafetyMode.HOLDING and state.reason not in CURED_BY_A_CHUNK


class ExpertStatus(StrEnum):
    """How a subtask stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class ExpertStep:
    """One answer of an expert. A FAILED or DONE step may carry a last chunk, which brings the arm to rest."""

    status: ExpertStatus
    detail: str  # one sentence: what is being done, or why it failed
    chunk: ActionChunk | None = None
    reasoning: ReasoningTrace | None = None
    failure: FailureKind = FailureKind.NONE
    phase: str = ""


class Expert(Protocol):
    """Called from one thread: ``begin`` once for each subtask, then ``step`` at 5-20 Hz until it is DONE or FAILED."""

    @property
    def name(self) -> str:
        """As in config/experts/."""

    @property
    def skills(self) -> frozenset[Skill]:
        """What it can be asked for."""

    def begin(self, subtask: Subtask, observation: Observation, hint: str = "") -> None:
        """Starts ``subtask``; ``hint`` is what the orchestrator learnt from an earlier failure, in words.

        Raises PlanningError when the subtask is not one of ``skills``.
        """

    def step(self, observation: Observation) -> ExpertStep:
        """The next chunk, if one is due. Raises nothing for what happens to the robot: that is a FAILED step."""

    def abort(self) -> None:
        """The next ``step`` answers FAILED (ABORTED) with a chunk that stops the arm."""
