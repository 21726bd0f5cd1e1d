"""What a person reads while a goal runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vla_ros.cli.goal_view import QUIET_S, GoalView
from vla_ros.core.decisions import SafetyMode


def feedback(elapsed_s: float, **fields: Any) -> Any:
    usual = {
        "state": "acting",
        "subtask": "pick up the red cube",
        "step": 1,
        "steps": 3,
        "reasoning": "It is the only red cube.",
        "safety_mode": SafetyMode.READY,
        "safety_detail": "Ready; no chunk is being followed.",
    }
    return SimpleNamespace(**{**usual, **fields}, elapsed=elapsed_s)


class Watched:
    """A view, the clock it goes by, and what it has said."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self._lines: list[str] = []
        self.view = GoalView(self._lines.append, lambda: self.now_s)

    def take(self) -> list[str]:
        lines, self._lines[:] = list(self._lines), []
        return lines

    def hear(self, elapsed_s: float, **fields: Any) -> list[str]:
        self.view.on_feedback(feedback(elapsed_s, **fields))
        return self.take()

    def wait(self, seconds: float) -> list[str]:
        self.now_s += seconds
        self.view.poll()
        return self.take()


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_the_first_feedback_shows_time_state_subtask_reasoning_and_safety(watched: Watched) -> None:
    assert watched.hear(0.4) == [
        "   0.4 s  acting         1/3 pick up the red cube",
        "   0.4 s                 It is the only red cube.",
        "   0.4 s  safety READY",
    ]


def test_what_was_shown_is_not_shown_again_and_each_change_alone(watched: Watched) -> None:
    watched.hear(0.4)
    assert watched.hear(1.0) == []
    assert watched.hear(2.0, reasoning="The hand is above it.") == ["   2.0 s                 The hand is above it."]
    assert watched.hear(3.0, reasoning="") == []
    assert watched.hear(4.0, step=2, subtask="place it") == [
        "   4.0 s  acting         2/3 place it",
        "   4.0 s                 It is the only red cube.",
    ]


def test_safety_is_shown_when_it_changes_and_why_the_arm_may_not_move(watched: Watched) -> None:
    watched.hear(0.4)
    assert watched.hear(1.0, safety_detail="Ready, in other words.") == []
    held = {"safety_mode": SafetyMode.HOLDING, "safety_detail": "Camera 'front' is dark."}
    assert watched.hear(2.0, **held) == ["   2.0 s  safety HOLDING Camera 'front' is dark."]
    slowed = {"safety_mode": SafetyMode.SLOWED, "safety_detail": "A hand is 0.1 m away."}
    assert watched.hear(3.0, **slowed) == ["   3.0 s  safety SLOWED  A hand is 0.1 m away."]
    assert watched.hear(3.5, **{**slowed, "safety_detail": "A hand is 0.2 m away."}) == []
    assert watched.hear(4.0) == ["   4.0 s  safety READY"]


def test_a_goal_that_begins_while_the_arm_is_stopped_says_so_at_once(watched: Watched) -> None:
    lines = watched.hear(0.1, safety_mode=SafetyMode.STOPPED_LATCHED, safety_detail="Somebody asked for it.")
    assert lines[-1] == "   0.1 s  safety STOPPED Somebody asked for it."


def test_the_braking_after_a_cancel_is_no_news(watched: Watched) -> None:
    watched.hear(0.4)
    watched.view.canceled = True
    assert watched.hear(1.0, safety_mode=SafetyMode.HOLDING, safety_detail="A goal was canceled.") == []


def test_time_goes_on_where_nothing_else_is_said(watched: Watched) -> None:
    assert watched.wait(2 * QUIET_S) == [], "nothing is known yet"
    watched.hear(0.4)
    assert watched.wait(QUIET_S - 1.0) == []
    assert watched.wait(1.0) == ["   5.4 s  acting         1/3 pick up the red cube"]
    assert watched.wait(QUIET_S - 1.0) == []
    assert watched.hear(9.4, reasoning="The hand is above it.") == ["   9.4 s                 The hand is above it."]
    assert watched.wait(1.0) == [], "something was just said"
    assert watched.wait(QUIET_S - 1.0) == ["  14.4 s  acting         1/3 pick up the red cube"]


def test_nothing_is_said_of_a_goal_that_is_done(watched: Watched) -> None:
    watched.hear(0.4)
    assert watched.hear(1.0, state="done", reasoning="All is so.") == []
    assert watched.wait(2 * QUIET_S) == []


def test_long_reasoning_is_folded_and_indented(watched: Watched) -> None:
    (_, reasoning, _) = watched.hear(0.4, reasoning="word " * 60)
    first, *more = reasoning.splitlines()
    assert first.startswith("   0.4 s                 word")
    assert more
    assert all(line.startswith(" " * 25 + "word") and len(line) <= 130 for line in more)
