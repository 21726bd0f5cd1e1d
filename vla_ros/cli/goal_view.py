"""Shows a goal's progress as it comes, one line for each change, and its result."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

from vla_ros.core.decisions import SafetyMode
from vla_ros.core.outcomes import Outcome, ReportStatus
from vla_ros.planning.goal_result import State
from vla_ros.planning.words import counted

MOVING = (SafetyMode.READY, SafetyMode.SLOWED)
STATUS_WORDS = {
    ReportStatus.SUCCEEDED: "done",
    ReportStatus.FAILED: "failed",
    ReportStatus.CANCELED: "canceled",
    ReportStatus.RUNNING: "running",
}
WIDTH = 120


class GoalView:
    """``say`` prints one line; what was shown already is not shown again."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._shown: dict[str, str] = {}
        self.canceled = False  # by the one who looks: the monitor's braking is then no news

    def on_feedback(self, f: Any) -> None:
        """Prints what is new: subtask, reasoning, and the monitor where it is neither ready nor merely slowing."""
        mode = SafetyMode(f.safety_mode).name.removesuffix("_LATCHED")
        step = f"{f.step}/{f.steps} " if f.steps and f.step else ""
        if f.state == State.DONE:  # the result says all
            return
        self._line(f, "state", f"{f.state:<14} {step}{f.subtask}")
        self._line(f, "reasoning", f"{'':<14} {f.reasoning}" if f.reasoning else "")
        if self.canceled:
            return
        self._line(f, "safety", f"{'safety ' + mode:<14} {f.safety_detail}" if f.safety_mode not in MOVING else f"{'safety READY':<14}")

    def _line(self, f: Any, kind: str, text: str) -> None:
        if not text or self._shown.get(kind) == text or (kind == "safety" and kind not in self._shown and f.safety_mode in MOVING):
            return
        self._shown[kind] = text
        lines = textwrap.wrap(text, WIDTH, subsequent_indent=" " * 15, drop_whitespace=False) or [""]
        self._say(f"{f.elapsed:6.1f} s  " + "\n          ".join(line.rstrip() for line in lines))

    def show_result(self, result: Any) -> None:
        """The outcome with its proof."""
        self._say(f"\n{Outcome(result.outcome).name} ({result.reason}): {result.message}")
        for report in result.subtasks:
            self._say(
                f"  {report.subtask_id}. {report.description}: {STATUS_WORDS[report.status]}, {counted(report.attempts, 'attempt')}, "
                f"{report.duration:.1f} s. {report.verification}"
            )
        if result.verification:
            self._say(f"  verified: {'yes' if result.verified else 'no'} (score {result.score:.2f}). {result.verification}")
        if result.question:
            self._say(f"  question: {result.question}  {' | '.join(result.options)}")
        self._say(
            f"  {result.duration:.1f} s, {counted(result.replans, 'replan')}, {counted(result.recoveries, 'recovery', 'recoveries')}, "
            f"{counted(result.safety_interventions, 'intervention')} of the safety monitor"
        )
        if result.run_folder:
            self._say(f"  run: {result.run_folder}")
