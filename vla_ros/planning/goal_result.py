"""What a goal came to, with the proof: outcome and reason apart, every attempt, what was measured at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from vla_ros.core.outcomes import Outcome
from vla_ros.core.tasks import Plan, Subtask
from vla_ros.planning.verifier import GoalReport


class State(StrEnum):
    """Where the orchestrator is."""

    LOOKING = "looking"
    PLANNING = "planning"
    ACTING = "acting"
    VERIFYING = "verifying"
    HOLDING = "holding"  # the arm stands still until a camera is usable again
    REPLANNING = "replanning"
    VERIFYING_GOAL = "verifying_goal"
    DONE = "done"


class Reason(StrEnum):
    """Why it ended."""

    VERIFIED = "verified"
    CANCELED = "canceled"
    NOT_UNDERSTOOD = "not_understood"
    NOT_POSSIBLE = "not_possible"  # understood, but it cannot be done with what is there
    NO_SUCH_OBJECT = "no_such_object"
    AMBIGUOUS = "ambiguous"
    NOTHING_SEEN = "nothing_seen"  # perception gave no scene
    SUBTASK_FAILED = "subtask_failed"
    UNSAFE = "unsafe"  # the world model or the monitor refused every plan
    NOT_VERIFIED = "not_verified"  # all was done, but the goal was not measured to hold
    CAMERA = "camera"
    SAFETY_STOP = "safety_stop"
    NODE_DIED = "node_died"
    DRY_RUN = "dry_run"
    TIMEOUT = "timeout"
    BUSY = "busy"  # with another goal
    CANNOT_RECORD = "cannot_record"
    ERROR = "error"


class SubtaskStatus(StrEnum):
    """How an expert's attempt ended."""

    DONE = "done"
    FAILED = "failed"
    UNSAFE = "unsafe"  # its actions were judged unsafe: another plan is needed, not another attempt
    CANCELED = "canceled"


@dataclass(frozen=True)
class SubtaskOutcome:
    """What an expert says of one attempt."""

    status: SubtaskStatus
    reason: str = ""  # one word: done, or a FailureKind
    message: str = ""  # one sentence
    chunks: int = 0  # emitted


@dataclass(frozen=True)
class Attempt:
    """One attempt at a subtask: what the expert said and what was measured."""

    number: int  # from 1
    hint: str
    outcome: SubtaskOutcome
    verified: bool | None  # None: could not be told, or was not measured
    score: float
    verification: str
    duration_s: float


@dataclass(frozen=True)
class SubtaskRecord:
    """One subtask of one revision of the plan."""

    subtask: Subtask
    revision: int
    status: SubtaskStatus
    attempts: tuple[Attempt, ...]
    duration_s: float

    @property
    def score(self) -> float:
        """The verifier's score of the last attempt, 0-1."""
        return self.attempts[-1].score if self.attempts else 0.0


@dataclass(frozen=True)
class Progress:
    """Where a goal is; reported at each change."""

    state: State
    plan: Plan | None
    subtask: Subtask | None
    step: int  # of the plan, from 1; 0: none
    attempt: int
    message: str  # one sentence


@dataclass(frozen=True)
class GoalResult:
    """The whole result of one goal."""

    outcome: Outcome
    reason: Reason
    message: str  # one sentence for people
    plan: Plan | None = None  # the last revision
    subtasks: tuple[SubtaskRecord, ...] = ()
    goal: GoalReport | None = None  # None: it was never measured
    question: str = ""
    options: tuple[str, ...] = ()
    replans: int = 0
    safety_interventions: int = 0
    duration_s: float = 0.0
    image_before: str = ""  # references that the port ``snapshot`` gave
    image_after: str = ""
    time_in_state_s: dict[State, float] = field(default_factory=dict)

    @property
    def recoveries(self) -> int:
        """Attempts beyond each subtask's first."""
        return sum(max(0, len(record.attempts) - 1) for record in self.subtasks)
