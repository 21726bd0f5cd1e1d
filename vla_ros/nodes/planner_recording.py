"""Records a goal through the recorder's action and leaves the whole result in the run's folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
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

START_TIMEOUT_S = 5.0


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
        self._stop, self._begun = threading.Event(), threading.Event()
        self._result: Any = None
        self._heard: Any = None  # the recorder's last feedback
        self._error = ""
        self._thread = threading.Thread(target=self._record, args=(instruction,), name="record", daemon=True)
        self._thread.start()
        self._begun.wait(START_TIMEOUT_S)
        return self._error

    def _record(self, instruction: str) -> None:
        assert self._caller is not None
        try:
            goal = self._caller.type.Goal(instruction=instruction, owner=self._node.get_name())
            result = self._caller.call(
                goal, cancel=self._stop.is_set, on_feedback=self._on_feedback, time_limit_s=float("inf"), cancel_s=15.0, lost=self._died
            )
            self._result = result
            if not result.success:
                self._error = f"Not recorded: {result.message}"
        except CallError as error:
            what = "Not recorded to its end" if self._heard else "Not recorded"
            self._error = f"{what}: {error} Start the recorder, or run with record:=false."
        self._begun.set()

    def _on_feedback(self, feedback: Any) -> None:
        self._heard = feedback
        self._begun.set()

    def finish(self, result: GoalResult) -> tuple[str, str]:
        """Ends the recording and writes result.json. Returns the run's folder ("" where there is none), and what went wrong with it."""
        if self._thread is None:
            return "", ""
        self._stop.set()
        self._thread.join()
        recording = self._result or self._cut_off()
        if recording is None or not recording.folder:
            return "", self._error or "Not recorded: the recording ended without a folder."
        try:
            RunFolder(Path(recording.folder)).write_result(self._whole(result, recording))
        except DataError as error:
            self._error = f"{self._error} {error}".strip()
        return recording.folder, self._error

    def _cut_off(self) -> Any:
        """The recording as far as its recorder told of it before it died; None when it never did."""
        if (heard := self._heard) is None or self._caller is None:
            return None
        return self._caller.type.Result(
            success=False,
            message=self._error,
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
