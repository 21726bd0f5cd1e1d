"""Shows a goal's progress as it comes, one line for each change, a sign of life where nothing changes, and its result."""

from __future__ import annotations

import textwrap
import time
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
QUIET_S = 5.0  # after which the state is said again, with the time


class GoalView:
    """``say`` prints one line; what was shown already is not shown again. ``now_s``: any clock that does not go back."""

    def __init__(self, say: Callable[[str], None], now_s: Callable[[], float] = time.monotonic) -> None:
        self._say, self._now_s = say, now_s
        self._shown: dict[str, str] = {}
        self._said_s = now_s()
        self._began_s: float | None = None  # the goal, by ``now_s``; None: it has not begun, or is done
        self.canceled = False  # by the one who looks: the monitor's braking is then no news

    def on_feedback(self, f: Any) -> None:
        """Prints what is new: state with step and subtask, reasoning, and the monitor's mode."""
        if f.state == State.DONE:  # the result says all
            self._began_s = None
            return
        self._began_s = self._now_s() - f.elapsed
        step = f"{f.step}/{f.steps} " if f.steps and f.step else ""
        self._show(f.elapsed, "state", f"{f.state:<14} {step}{f.subtask}")
        if f.reasoning:
            self._show(f.elapsed, "reasoning", f"{'':<14} {f.reasoning}")
        if not self.canceled:
            mode = SafetyMode(f.safety_mode)
            self._show(f.elapsed, "safety", _safety_text(f), key=mode.name if mode in MOVING else "")

    def poll(self) -> None:
        """To be called all the while: says the state again, with the time, where nothing has been said for a while."""
        now_s = self._now_s()
        if self._began_s is not None and now_s - self._said_s >= QUIET_S:
            self._print(now_s - self._began_s, self._shown["state"])

    def _show(self, elapsed_s: float, kind: str, text: str, key: str = "") -> None:
        """``key``: what has to change for ``text`` to be news; without one, the text itself."""
        if self._shown.get(kind) != (key or text):
            self._shown[kind] = key or text
            self._print(elapsed_s, text)

    def _print(self, elapsed_s: float, text: str) -> None:
        self._said_s = self._now_s()
        lines = textwrap.wrap(text, WIDTH, subsequent_indent=" " * 15) or [""]
        self._say(f"{elapsed_s:6.1f} s  " + "\n          ".join(line.rstrip() for line in lines))

    def show_result(self, result: Any) -> None:
        """The outcome with its proof."""
        self._say(f"\n{Outcome(result.outcome).name} ({result.reason}): {result.message}")
        for report in result.subtasks:
            self._say(
                f"  {report.subtask_id}. {report.description}: {STATUS_WORDS[report.status]}, {counted(report.attempts, 'attempt')}, "
                f"{report.duration:.1f} s. {report.verification}".rstrip()
            )
        if result.verification:
            self._say(f"  verified: {'yes' if result.verified else 'no'} (score {result.score:.2f}). {result.verification}")
        if result.question:
            asked = "" if result.question in result.message else f"{result.question}  "
            self._say(f"  question: {asked}{' | '.join(result.options)}")
        self._say(
            f"  {result.duration:.1f} s, {counted(result.replans, 'replan')}, {counted(result.recoveries, 'recovery', 'recoveries')}, "
            f"{counted(result.safety_interventions, 'intervention')} of the safety monitor"
        )
        if result.run_folder:
            self._say(f"  run: {result.run_folder}")


def _safety_text(f: Any) -> str:
    """The mode, and why it is not READY."""
    mode = SafetyMode(f.safety_mode)
    word = f"{'safety ' + mode.name.removesuffix('_LATCHED'):<14}"
    return word if mode is SafetyMode.READY else f"{word} {f.safety_detail}"
