"""What the orchestrator needs of the world, as callables, and how long it tries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vla_ros.core.scene import Scene
from vla_ros.core.tasks import Plan, Predicate, Subtask
from vla_ros.planning.goal_result import Progress, SubtaskOutcome, SubtaskRecord
from vla_ros.planning.verifier import GoalReport, PredicateReport

OTHER_APPROACH = "other_approach"
"""The hint to an expert that the same did not work several times."""


class CancelToken:
    """Set once, from any thread."""

    def __init__(self, event: threading.Event | None = None) -> None:
        """``event``: one that others set, such as an action's cancel; by default one of its own."""
        self._event = event or threading.Event()
        self.why = "Canceled: the goal was given up on request."

    def cancel(self, why: str = "") -> None:
        """Asks for an end; ``why`` is a sentence. The first caller's counts."""
        if why and not self._event.is_set():
            self.why = why
        self._event.set()

    @property
    def canceled(self) -> bool:
        """True from the first ``cancel`` on."""
        return self._event.is_set()


class HazardKind(StrEnum):
    """What may keep everybody from acting."""

    CAMERA = "camera"  # may pass: waited for
    SAFETY_STOP = "safety_stop"  # latched: only a person resets it
    NODE_DIED = "node_died"
    DRY_RUN = "dry_run"  # what was passed is not sent to the arm


@dataclass(frozen=True)
class Hazard:
    """Why nobody may act now; ``detail`` is a sentence that names the camera, node or stop."""

    kind: HazardKind
    detail: str
    node: str = ""  # of NODE_DIED: which one


@dataclass(frozen=True)
class Ports:
    """All that the orchestrator does to the world. Only ``run_subtask`` moves the arm."""

    look: Callable[[], Scene]  # the newest scene; PerceptionError when there is none
    plan: Callable[[str, Scene], Plan]  # PlanningError when it refuses
    replan: Callable[[Plan, str, Scene], Plan]  # failed plan, what went wrong, scene now
    run_subtask: Callable[[Subtask, str, Callable[[], bool]], SubtaskOutcome]
    """Subtask, hint, stop. Blocks. Asks ``stop()`` at least every 0.1 s; once it is True, stops the arm and returns."""
    verify: Callable[[Predicate], PredicateReport]
    verify_goal: Callable[[Sequence[Predicate]], GoalReport]
    hazard: Callable[[], Hazard | None]
    hold: Callable[[], None]  # the arm stands still; may be called at any time, more than once
    now_ns: Callable[[], int]
    wait_s: Callable[[float], None]  # the only way in which the orchestrator lets time pass
    report: Callable[[Progress], None]
    snapshot: Callable[[str], str]  # "before" or "after" -> a reference to the image kept, "" when there is none
    interventions: Callable[[], int]  # how often the monitor has slowed, held or stopped so far
    record: Callable[[SubtaskRecord], None] = lambda record: None  # told of each subtask as it ends


@dataclass(frozen=True)
class Policy:
    """How long and how often things are tried."""

    retries: int = 2  # of the same subtask
    approaches: int = 1  # further attempts with the hint OTHER_APPROACH
    replans: int = 2
    goal_limit_s: float = 600.0
    camera_wait_s: float = 20.0
    look_wait_s: float = 5.0
    settle_s: float = 1.0  # a predicate that does not hold may still come to hold: things settle, images arrive late
    unknown_s: float = 4.0  # one that cannot be told is waited for longer
    poll_s: float = 0.1
