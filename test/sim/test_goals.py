"""Goals over the whole graph in simulation: done, refused, interrupted, with failing cameras and dying nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from vla_ros.cli.graph import Graph, NoGraphError, RunningGoal
from vla_ros.cli.run_goal import follow_goal
from vla_ros.cli.running_graph import RunningGraph
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.outcomes import NodeState, Outcome, ReportStatus
from vla_ros.planning.goal_result import Reason
from vla_ros.ros.interfaces import (
    ESTOP_TOPIC,
    EXECUTE_GOAL,
    FORGET,
    HEARTBEAT,
    JOINT_STATES,
    MOVE_TO,
    RESET,
    SAFETY_STATE,
    SIM_FAULT,
    SIM_RESET,
    SIM_SCORE,
    load_type,
)
from vla_ros.ros.qos import profile

pytestmark = [pytest.mark.sim, pytest.mark.timeout(300)]

GOAL = "put the red cube in the blue bowl"
SENSELESS = "colourless ideas sleep furiously"  # is refused at once
DISCOVERY_S = 15.0  # DDS announces every 3 s
STILL_RADPS = 0.02
GOAL_LIMIT_S = 90.0
CAMERA_GIVEN_UP_S = 40.0
MOVING_S = 45.0  # a goal's first motion, on cores that others use too
NOTICED_S = 6.0  # heartbeats may be late on busy cores before a node counts as dead, and the arm then brakes


class Bench:
    """A running graph and what is heard of it."""

    def __init__(self, graph: Graph, running: RunningGraph, runs: Path) -> None:
        self.graph, self.running, self.runs = graph, running, runs
        self.speeds: list[tuple[float, float]] = []  # (time, largest joint speed)
        self.feedback: list[Any] = []
        self.safety: list[Any] = []
        self.beats: set[str] = set()
        self.revived: list[psutil.Popen] = []
        self.estop = graph.node.create_publisher(load_type(ESTOP_TOPIC.type), ESTOP_TOPIC.name, profile(ESTOP_TOPIC.qos))
        graph.listen(JOINT_STATES, self._on_joints)
        graph.listen(SAFETY_STATE, self.safety.append)
        graph.listen(HEARTBEAT, lambda m: self.beats.add(m.node) if m.lifecycle_state == NodeState.ACTIVE else None)

    def _on_joints(self, message: Any) -> None:
        self.speeds.append((time.monotonic(), float(np.abs(message.velocity[:7]).max())))

    def fresh(self, seed: int = 0) -> None:
        """A scene as at the start, and a monitor that is ready."""
        assert self.graph.call(SIM_FAULT, fault="clear").success
        assert self.graph.call(SIM_RESET, seed=seed).success
        self.graph.spin_until(lambda: False, 1.0)
        self.graph.call(FORGET)
        self.graph.spin_until(lambda: False, 1.0)
        if self.safety and self.safety[-1].mode == SafetyMode.STOPPED_LATCHED:
            answer = self.graph.call(RESET)
            assert answer.success, answer.message
        assert self.graph.spin_until(lambda: bool(self.safety) and self.safety[-1].mode == SafetyMode.READY, 20.0), self.safety[-1].detail
        self._wait_for_the_planner()

    def _wait_for_the_planner(self) -> None:
        """Until it hears every node: one that was started again it learns of some seconds after others may have. Until then it names it."""
        give_up_s = time.monotonic() + DISCOVERY_S
        while (result := self.send(SENSELESS).wait(20.0)).reason == "node_died":
            assert time.monotonic() < give_up_s, result.message

    def send(self, instruction: str) -> RunningGoal:
        self.feedback.clear()
        goal = load_type(EXECUTE_GOAL.type).Goal(instruction=instruction, time_limit=GOAL_LIMIT_S)
        return self.graph.send(EXECUTE_GOAL, goal, self.feedback.append)

    def newest_run(self) -> Path:
        """The run's folder that was made last."""
        return max(self.runs.iterdir(), key=lambda folder: folder.stat().st_ctime_ns)

    def until_moving(self) -> None:
        moving = self.graph.spin_until(lambda: bool(self.speeds) and self.speeds[-1][1] > 0.2, MOVING_S)
        assert moving, f"the arm never moved: {self.told()}"

    def told(self) -> str:
        """What the planner and the monitor said last, for a test that failed."""
        said = [f"{m.state} {m.subtask}" for m in self.feedback[-3:]]
        return f"planner {said}, monitor '{self.safety[-1].detail if self.safety else None}', {len(self.speeds)} joint states"

    def rest_within_s(self, since_s: float, limit_s: float) -> float:
        """Seconds from ``since_s`` until the arm stands still for good; fails when that takes longer than ``limit_s``."""
        self.graph.spin_until(lambda: False, limit_s + 0.7)
        late = [t for t, speed in self.speeds if t > since_s and speed > STILL_RADPS]
        return (late[-1] - since_s) if late else 0.0


class Victim:
    """A node's process, to be killed and started again as the launcher started it."""

    def __init__(self, bench: Bench, name: str) -> None:
        self._bench, self._name = bench, name
        children = psutil.Process(bench.running.pid).children(recursive=True)
        candidates = [*children, *bench.revived]
        self._process = next(p for p in candidates if p.is_running() and any(word.endswith(f"/vla_ros/{name}") for word in p.cmdline()))
        self._start = {"args": self._process.cmdline(), "env": self._process.environ(), "cwd": self._process.cwd()}

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)

    def revive(self) -> None:
        """Returns when it beats; what the launcher looks for at its end finds this one too."""
        self._bench.beats.clear()
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._bench.revived.append(psutil.Popen(**self._start, **silent, start_new_session=True))
        assert self._bench.graph.spin_until(lambda: self._name in self._bench.beats, 90.0), f"{self._name} does not come back"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("graph")
    arguments = {"runs": str(folder / "runs"), "pictures": "false"}
    with RunningGraph("demo", arguments, folder / "graph.log", say=lambda text: None) as running, Graph("test_goals") as graph:
        running.wait_until_ready(graph)
        bench = Bench(graph, running, folder / "runs")
        yield bench
    for process in bench.revived:
        process.wait(10.0)


def test_a_goal_is_done_verified_and_recorded(bench: Bench) -> None:
    bench.fresh(0)
    result = bench.send(GOAL).wait(GOAL_LIMIT_S)
    assert result.verified, result.message
    assert result.reason == "verified"
    assert result.subtasks[-1].status == ReportStatus.SUCCEEDED
    assert len(result.image_before.data) > 1000
    assert len(result.image_after.data) > 1000
    score = bench.graph.call(SIM_SCORE, relations=["in"], object_names=["red cube"], target_names=["blue bowl"])
    assert score.success, score.message
    assert score.collisions == 0
    assert {f.state for f in bench.feedback} >= {"acting", "verifying_goal", "done"}
    recorded = json.loads((Path(result.run_folder) / "result.json").read_text())
    assert recorded["outcome"] == Outcome.SUCCEEDED.word
    assert recorded["recording"]["complete"]
    assert (Path(result.run_folder) / "bag" / "metadata.yaml").is_file()


@pytest.mark.parametrize(
    ("instruction", "reason", "words"),
    [
        ("", "not_understood", "empty"),
        ("colourless ideas sleep furiously", "not_understood", ""),
        ("put the purple elephant in the blue bowl", "no_such_object", "I see"),
        ("put the cube in the blue bowl", "ambiguous", "Which"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_moves(bench: Bench, instruction: str, reason: str, words: str) -> None:
    bench.fresh(0)
    since_s = time.monotonic()
    result = bench.send(instruction).wait(30.0)
    assert (result.outcome, result.reason) == (Outcome.REFUSED, reason), result.message
    assert words in result.message + result.question
    assert max((speed for t, speed in bench.speeds if t > since_s), default=0.0) < STILL_RADPS


def test_a_second_goal_is_refused_with_a_sentence(bench: Bench) -> None:
    bench.fresh(0)
    first = bench.send(GOAL)
    bench.until_moving()
    second = bench.graph.send(EXECUTE_GOAL, load_type(EXECUTE_GOAL.type).Goal(instruction="go home")).wait(5.0)
    assert second.reason == "busy"
    assert GOAL in second.message
    result = first.wait(GOAL_LIMIT_S)
    assert result.verified, result.message


def test_cancel_stops_the_arm_and_leaves_the_stop_usable(bench: Bench) -> None:
    bench.fresh(0)
    goal = bench.send(GOAL)
    bench.until_moving()
    since_s = time.monotonic()
    goal.cancel()
    assert bench.rest_within_s(since_s, 0.5) <= 0.5
    assert goal.wait(10.0).reason == "canceled"
    bench.estop.publish(load_type(ESTOP_TOPIC.type)())
    assert bench.graph.spin_until(lambda: bench.safety[-1].mode == SafetyMode.STOPPED_LATCHED, 2.0)
    assert bench.graph.call(RESET).success


def test_emergency_stop_latches_until_reset(bench: Bench) -> None:
    bench.fresh(0)
    goal = bench.send(GOAL)
    bench.until_moving()
    since_s = time.monotonic()
    bench.estop.publish(load_type(ESTOP_TOPIC.type)())
    assert bench.rest_within_s(since_s, 0.5) <= 0.5
    assert goal.wait(15.0).reason == "safety_stop"
    refused = bench.send(GOAL).wait(15.0)
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, "safety_stop")
    assert "'vla reset'" in refused.message
    assert bench.graph.call(RESET).success


def test_a_black_camera_holds_the_arm_and_the_goal_goes_on_when_it_is_back(bench: Bench) -> None:
    bench.fresh(0)
    goal = bench.send(GOAL)
    bench.until_moving()
    assert bench.graph.call(SIM_FAULT, fault="camera_black", target="front").success
    assert bench.graph.spin_until(lambda: any(f.state == "holding" for f in bench.feedback), 5.0), "nobody noticed"
    assert bench.graph.call(SIM_FAULT, fault="clear").success
    result = goal.wait(GOAL_LIMIT_S)
    assert result.verified, result.message


def test_a_frozen_camera_that_does_not_come_back_ends_the_goal_by_name(bench: Bench) -> None:
    bench.fresh(0)
    goal = bench.send(GOAL)
    bench.until_moving()
    since_s = time.monotonic()
    assert bench.graph.call(SIM_FAULT, fault="camera_frozen", target="front").success
    result = goal.wait(CAMERA_GIVEN_UP_S)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "camera"), result.message
    assert "'front'" in result.message
    assert "frozen" in result.message
    assert bench.rest_within_s(since_s, NOTICED_S) <= NOTICED_S


def test_cancel_with_the_cube_in_the_hand_stops_the_arm(bench: Bench) -> None:
    bench.fresh(0)
    goal = bench.send(GOAL)
    assert bench.graph.spin_until(lambda: any(f.state == "acting" and f.step == 2 for f in bench.feedback), 30.0), "never held it"
    bench.graph.spin_until(lambda: False, 0.3)
    bench.until_moving()
    since_s = time.monotonic()
    goal.cancel()
    assert bench.rest_within_s(since_s, 0.5) <= 0.5
    assert goal.wait(10.0).reason == "canceled"


def test_home_and_gripper_go_through_the_gate(bench: Bench) -> None:
    bench.fresh(0)
    kinds = load_type(MOVE_TO.type).Goal
    closed = bench.graph.send(MOVE_TO, kinds(kind=kinds.GRIPPER, gripper_width=0.0)).wait(20.0)
    assert closed.success, closed.message
    opened = bench.graph.send(MOVE_TO, kinds(kind=kinds.GRIPPER, gripper_width=0.08)).wait(20.0)
    assert opened.success, opened.message
    home = bench.graph.send(MOVE_TO, kinds(kind=kinds.HOME, gripper_width=float("nan"))).wait(20.0)
    assert home.success, home.message


@pytest.mark.parametrize(
    "name",
    [
        "tactile_perception",
        "camera_perception",
        "depth_perception",
        "world_model",
        "state_publisher",
        "action_expert",
        "safety_monitor",
    ],
)
def test_a_node_that_dies_is_named_and_the_arm_stops(bench: Bench, name: str) -> None:
    bench.fresh(0)
    goal = bench.send(GOAL)
    bench.until_moving()
    since_s = time.monotonic()
    node = Victim(bench, name)
    node.kill()
    try:
        result = goal.wait(20.0)
        assert result.reason == "node_died", result.message
        assert name in result.message
        assert bench.rest_within_s(since_s, NOTICED_S) <= NOTICED_S
    finally:
        node.revive()


def test_a_goal_whose_recorder_dies_goes_on_and_says_that_the_record_is_not_whole(bench: Bench) -> None:
    bench.fresh(0)
    goal = bench.send(GOAL)
    bench.until_moving()
    node = Victim(bench, "recorder")
    node.kill()
    try:
        result = goal.wait(GOAL_LIMIT_S)
        assert result.verified, result.message
        assert "Not recorded to its end: Node 'recorder' has died" in result.message
        recorded = json.loads((Path(result.run_folder) / "result.json").read_text())
        assert recorded["verified"]
        assert not recorded["recording"]["complete"]
        assert recorded["recording"]["messages"] > 0
    finally:
        node.revive()


def test_a_planner_that_dies_stops_the_arm_and_one_that_is_started_again_moves_it(bench: Bench) -> None:
    bench.fresh(0)
    node = Victim(bench, "planner")
    killed_s: list[float] = []

    def kill_when_moving() -> None:
        if not killed_s and bench.speeds and bench.speeds[-1][1] > 0.2:
            node.kill()
            killed_s.append(time.monotonic())

    with pytest.raises(NoGraphError, match=r"Died: planner .* The safety monitor says: .*'planner' has been silent"):
        follow_goal(bench.graph, GOAL, GOAL_LIMIT_S, say=lambda text: None, check=kill_when_moving)
    assert bench.rest_within_s(killed_s[0], 0.5) <= 0.5
    result = bench.newest_run() / "result.json"
    assert bench.graph.spin_until(result.exists, 10.0), "the recording goes on without the planner"
    assert json.loads(result.read_text())["reason"] == Reason.NODE_DIED.value
    assert (result.parent / "bag" / "metadata.yaml").is_file()
    node.revive()
    bench.fresh(0)
    again = bench.send(GOAL).wait(GOAL_LIMIT_S)
    assert again.verified, again.message


def test_a_forwarder_that_dies_is_named_and_the_arm_stops(bench: Bench) -> None:
    """The last one in this graph: a forwarder that is started again counts as a stranger until the old one's lease has run out."""
    bench.fresh(0)
    goal = bench.send(GOAL)
    bench.until_moving()
    since_s = time.monotonic()
    Victim(bench, "motion_forwarder").kill()
    result = goal.wait(20.0)
    assert result.reason == "node_died", result.message
    assert "motion_forwarder" in result.message
    assert bench.rest_within_s(since_s, 0.5) <= 0.5


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    with RunningGraph("demo", {"record": "false"}, tmp_path / "graph.log", say=lambda text: None) as running:
        found: list[psutil.Process] = []
        alive = threading.Event()
        for _ in range(100):
            found = [p for p in psutil.Process(running.pid).children(recursive=True) if any("/lib/vla_ros/" in w for w in p.cmdline())]
            if len(found) >= 10:
                alive.set()
                break
            time.sleep(0.1)
        assert alive.is_set(), "the nodes never started"
    gone, left = psutil.wait_procs(found, timeout=10.0)
    assert not left, [p.name() for p in left]
    assert len(gone) >= 10
