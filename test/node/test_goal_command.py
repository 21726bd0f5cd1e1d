"""`vla goal` at a terminal: what its keys do, beside a fake planner."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from fake_planner import FakePlanner
from ros_harness import Peer, Ros, wait_until

from vla_ros.core.decisions import SafetyMode
from vla_ros.ros.interfaces import ESTOP_TOPIC, SAFETY_STATE, load_type

pytestmark = pytest.mark.node

CTRL_C = "\x03"


class GoalAtTerminal:
    """`vla goal` in a process whose terminal is a pseudo-terminal; ``press`` types at it."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "goal.log"
        self._person, self._terminal = os.openpty()
        self._before = termios.tcgetattr(self._terminal)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "vla_ros.cli.main", "goal", "wave to me"],
                stdin=self._terminal,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C becomes a signal
            )

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def is_put_back(self) -> bool:
        return termios.tcgetattr(self._terminal) == self._before

    def press(self, keys: str) -> None:
        os.write(self._person, keys.encode())

    def says(self, words: str) -> None:
        wait_until(lambda: words in self.output, f"the command to say '{words}'")

    def exit_code(self) -> int:
        return self._process.wait(20.0)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._person)
        os.close(self._terminal)


@pytest.fixture
def planner(ros: Ros) -> FakePlanner:
    node = ros.spin(FakePlanner).node
    assert isinstance(node, FakePlanner)
    return node


@pytest.fixture
def goal(planner: FakePlanner, tmp_path: Path) -> Iterator[GoalAtTerminal]:
    """It is being followed."""
    command = GoalAtTerminal(tmp_path)
    try:
        command.says("acting         1/1 wave")
        yield command
    finally:
        command.close()


def test_ctrl_c_cancels_the_goal_and_waits_for_its_result(planner: FakePlanner, goal: GoalAtTerminal) -> None:
    assert "Ctrl-C cancels the goal; the space bar is the emergency stop." in goal.output
    assert not goal.is_put_back
    goal.press(CTRL_C)
    assert goal.exit_code() == 1
    assert planner.canceled.is_set()
    assert goal.output.count("Canceling ...") == 1
    assert "CANCELED (canceled): Canceled: wave to me." in goal.output
    assert goal.is_put_back


def test_a_second_ctrl_c_leaves_without_a_result(planner: FakePlanner, goal: GoalAtTerminal) -> None:
    planner.heeds = False
    goal.press(CTRL_C)
    goal.says("Canceling ...")
    wait_until(planner.canceled.is_set, "the planner to hear of it")
    goal.press(CTRL_C)
    assert goal.exit_code() == 2
    assert "Interrupted a second time: left without waiting for the arm to stop." in goal.output
    assert "Traceback" not in goal.output
    assert goal.is_put_back


def monitor_that_stops(peer: Peer) -> list[Any]:
    """A fake monitor: says that it has stopped once it is asked to; the list holds what it was asked."""
    out = peer.publisher(SAFETY_STATE)
    mode = [SafetyMode.READY]
    asked = peer.listen(ESTOP_TOPIC, matched=True, on_message=lambda _: mode.__setitem__(0, SafetyMode.STOPPED_LATCHED))
    peer.node.create_timer(0.1, lambda: out.publish(load_type(SAFETY_STATE.type)(mode=mode[0])))
    return asked


def test_the_space_bar_stops_the_arm_and_the_goal_is_followed_on(ros: Ros, planner: FakePlanner, goal: GoalAtTerminal) -> None:
    asked = monitor_that_stops(ros.peer())
    goal.press("n")
    goal.press(" ")
    goal.says("EMERGENCY STOP: the safety monitor has stopped the arm; 'vla reset' ends it.")
    assert asked
    assert not planner.canceled.is_set(), "that is the planner's to decide"
    goal.press(CTRL_C)
    assert goal.exit_code() == 1


def test_a_stop_right_before_ctrl_c_is_not_lost(ros: Ros, planner: FakePlanner, goal: GoalAtTerminal) -> None:
    planner.heeds = False
    monitor_that_stops(ros.peer())
    goal.press(" " + CTRL_C)
    goal.says("Canceling ...")
    goal.says("EMERGENCY STOP: the safety monitor has stopped the arm; 'vla reset' ends it.")


def test_another_key_stops_nothing(ros: Ros, goal: GoalAtTerminal) -> None:
    asked = monitor_that_stops(ros.peer())
    goal.press("n\n" + CTRL_C)
    assert goal.exit_code() == 1
    assert asked == []


def test_time_goes_on_while_the_planner_says_nothing(goal: GoalAtTerminal) -> None:
    wait_until(lambda: goal.output.count("acting         1/1 wave") == 2, "the state to be said again")
