"""Records a goal through the recorder's action and leaves the whole result in the run's folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_ros.core.errors import DataError
from vla_ros.core.outcomes import Outcome
from vla_ros.core.resources import share_dir
from vla_ros.data.run_folder import RunFolder
from vla_ros.data.versions import collect_versions
from vla_ros.planning.goal_result import GoalResult
from vla_ros.ros.calls import ActionCaller, CallError
from vla_ros.ros.interfaces import RECORD_EPISODE
from vla_ros.ros.lifecycle import VlaNode

MEND = "Start the recorder, or run with record:=false."
START_TIMEOUT_S = 12.0  # longer than the call of the action waits to be found and answered: its sentence says more


@dataclass
class _Recording:
    """What the planner and the thread that waits for the recorder tell each other."""

    stop: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)  # or failed
    heard: Any = None  # the recorder's last feedback
    result: Any = None
    error: str = ""

    def on_feedback(self, feedback: Any) -> None:
        """It records."""
        self.heard = feedback
        self.begun.set()


class GoalRecording:
    """One recording at a time, by a thread that waits for the recorder; ``enabled=False``: nothing is recorded.

    ``died() -> sentence`` when the recorder is gone.
    """

    def __init__(self, node: VlaNode, enabled: bool, died: Callable[[], str]) -> None:
        self._node, self._died = node, died
        self._caller = ActionCaller(node, RECORD_EPISODE) if enabled else None
        self._facts: dict[str, Any] = {}
        self._thread: threading.Thread | None = None

    def start(self, instruction: str, robot: str, scene: str) -> str:
        """Begins; why it cannot be recorded, in a sentence, or "" (also where nothing is to be recorded)."""
        self._facts = {"instruction": instruction, "robot": robot, "scene": scene}
        self._thread = None
        if self._caller is None:
            return ""
        recording = self._recording = _Recording()  # one that was given up may still fill in its own
        self._thread = threading.Thread(target=self._record, args=(instruction, recording), name="record", daemon=True)
        self._thread.start()
        if not recording.begun.wait(START_TIMEOUT_S):
            recording.stop.set()
            return f"Not recorded: the recorder has not begun within {START_TIMEOUT_S:g} s. {MEND}"
        return recording.error

    def _record(self, instruction: str, recording: _Recording) -> None:
        assert self._caller is not None
        stop, heard = recording.stop.is_set, recording.on_feedback
        try:
            goal = self._caller.type.Goal(instruction=instruction, owner=self._node.get_name())
            result = self._caller.call(goal, cancel=stop, on_feedback=heard, time_limit_s=float("inf"), cancel_s=15.0, lost=self._died)
            recording.result = result
            if not result.success:
                recording.error = f"Not recorded: {result.message}"
        except CallError as error:
            what = "Not recorded to its end" if recording.heard else "Not recorded"
            recording.error = f"{what}: {error} {MEND}"
        recording.begun.set()

    def finish(self, result: GoalResult) -> tuple[str, str]:
        """Ends the recording and writes result.json. Returns the run's folder ("" where there is none), and what went wrong with it."""
        if self._thread is None:
            return "", ""
        recording = self._recording
        recording.stop.set()
        self._thread.join()
        recorded = recording.result or self._cut_off(recording)
        if recorded is None or not recorded.folder:
            return "", recording.error or "Not recorded: the recording ended without a folder."
        try:
            RunFolder(Path(recorded.folder)).write_result(self._whole(result, recorded))
        except DataError as error:
            recording.error = f"{recording.error} {error}".strip()
        return recorded.folder, recording.error

    def _cut_off(self, recording: _Recording) -> Any:
        """The recording as far as its recorder told of it before it died; None when it never did."""
        if (heard := recording.heard) is None or self._caller is None:
            return None
        return self._caller.type.Result(
            success=False,
            message=recording.error,
            folder=heard.folder,
            messages=heard.messages,
            lost=heard.lost,
            bytes=heard.bytes,
            duration=heard.elapsed,
        )

    def _whole(self, result: GoalResult, recording: Any) -> dict[str, Any]:
        """Everything that is known of the run, as result.json holds it."""
        return {
            **self._facts,
            "outcome": result.outcome.word,
            "reason": result.reason.value,
            "message": result.message,
            "question": result.question,
            "verified": result.outcome is Outcome.SUCCEEDED,
            "score": result.goal.score if result.goal else 0.0,
            "goal": result.goal,
            "plan": result.plan,
            "subtasks": result.subtasks,
            "replans": result.replans,
            "recoveries": result.recoveries,
            "safety_interventions": result.safety_interventions,
            "duration_s": result.duration_s,
            "time_in_state_s": {state.value: spent for state, spent in result.time_in_state_s.items()},
            "recording": {
                "complete": bool(recording.success),
                "message": recording.message,
                "messages": recording.messages,
                "lost": recording.lost,
                "bytes": recording.bytes,
                "duration_s": recording.duration,
            },
            "versions": collect_versions(share_dir()),
        }
