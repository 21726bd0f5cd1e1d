"""Commands as people run them, beside nodes that answer, do not answer, or die."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from fake_arm import FakeArm
from ros_harness import Heard, Ros, wait_until

from vla_ros.core.decisions import SafetyMode
from vla_ros.ros.interfaces import HEARTBEAT, SAFETY_STATE

pytestmark = pytest.mark.node


class Command:
    """A `vla` command in a process of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._log = folder / "command.log"
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "vla_ros.cli.main", *words]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def end(self) -> None:
        self._process.kill()
        self._process.wait(20.0)

    def exit_code(self) -> int:
        try:
            return self._process.wait(20.0)
        finally:
            self._process.kill()


def ready_monitor(ros: Ros) -> list[Heard]:
    """A monitor before a fake arm; its states as they come."""
    ros.process("safety_monitor")
    peer = ros.peer()
    states = peer.listen(SAFETY_STATE, matched=True)
    FakeArm(peer)
    wait_until(lambda: states and states[-1].message.mode == SafetyMode.READY, "the monitor to be ready")
    return states


def test_an_emergency_stop_is_confirmed_by_the_monitor(ros: Ros, tmp_path: Path) -> None:
    states = ready_monitor(ros)
    stop = Command(tmp_path, "estop")
    assert stop.exit_code() == 0, stop.output
    assert "has stopped the arm" in stop.output
    assert states[-1].message.mode == SafetyMode.STOPPED_LATCHED


def test_an_emergency_stop_that_nobody_confirms_is_told_loudly(ros: Ros, tmp_path: Path) -> None:
    stop = Command(tmp_path, "estop")
    assert stop.exit_code() == 1
    assert "NOBODY HAS CONFIRMED" in stop.output
    assert "Given up" in stop.output
    assert "has stopped" not in stop.output


def test_an_emergency_stop_that_is_confirmed_late_is_told_too(ros: Ros, tmp_path: Path) -> None:
    """As when the monitor is found only after the warning: the stop is still asked for."""
    stop = Command(tmp_path, "estop")
    wait_until(lambda: "NOBODY HAS CONFIRMED" in stop.output, "the warning")
    monitor = ros.process("safety_monitor")
    assert stop.exit_code() == 0, stop.output + monitor.output
    assert stop.output.index("NOBODY HAS CONFIRMED") < stop.output.index("has stopped the arm")


def test_a_goal_whose_planner_dies_ends_with_a_sentence(ros: Ros, tmp_path: Path) -> None:
    ros.process("safety_monitor")
    planner = ros.process("planner", record="false", planner="openai", openai_url="http://127.0.0.1:9", openai_model="none")
    beats = ros.peer().listen(HEARTBEAT)
    wait_until(lambda: {h.message.node for h in beats} == {"safety_monitor", "planner"}, "heartbeats of both", 30.0)
    goal = Command(tmp_path, "goal", "put the red cube in the blue bowl")
    wait_until(lambda: "looking" in goal.output, "the goal to begin")
    planner.kill()
    assert goal.exit_code() == 2, goal.output
    assert "Died: planner" in goal.output
    assert "The safety monitor says: " in goal.output


def test_the_state_says_why_the_arm_does_not_move_and_what_to_do(ros: Ros, tmp_path: Path) -> None:
    ready_monitor(ros)
    for _ in range(5):  # while the command starts, the fake arm may be held up for so long that the monitor misses it
        ready = Command(tmp_path, "state")
        assert ready.exit_code() == 0, ready.output
        if "READY" in ready.output:
            break
    assert "READY (no_chunk): Ready; no chunk is being followed.\n  Speed override 1" in ready.output
    assert "joint_states 0." in ready.output
    assert Command(tmp_path, "estop").exit_code() == 0
    stopped = Command(tmp_path, "state")
    assert stopped.exit_code() == 0
    assert "STOPPED_LATCHED (estop): Emergency stop by" in stopped.output
    assert "What to do: See to it that nobody is in danger, then `vla reset`" in stopped.output


def test_the_state_of_no_graph_is_told_in_a_sentence(ros: Ros, tmp_path: Path) -> None:
    state = Command(tmp_path, "state")
    assert state.exit_code() == 2
    assert "Nobody offers the topic safety/state of safety_monitor in ROS domain" in state.output


def test_the_state_can_be_followed_from_change_to_change(ros: Ros, tmp_path: Path) -> None:
    ready_monitor(ros)
    followed = Command(tmp_path, "state", "--follow")
    wait_until(lambda: followed.output.count("READY") > 0, "the first state")
    (tmp_path / "stop").mkdir()
    assert Command(tmp_path / "stop", "estop").exit_code() == 0
    wait_until(lambda: "STOPPED_LATCHED (estop)" in followed.output, "the change to be told")
    followed.end()
