"""A goal whose run cannot be recorded is refused before anything is done about it."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from ros_harness import Peer, Ros, wait_until

from vla_ros.core.outcomes import Outcome
from vla_ros.nodes import planner_node, planner_recording
from vla_ros.nodes.planner_node import PlannerNode
from vla_ros.nodes.recorder_node import RecorderNode
from vla_ros.planning.planner import BuiltinPlanner
from vla_ros.ros.action_server import Ending, OneGoalServer, Work
from vla_ros.ros.interfaces import EPISODE, EXECUTE_GOAL, PLAN, RECORD_EPISODE, load_type
from vla_ros.ros.lifecycle import VlaNode

pytestmark = pytest.mark.node

ExecuteGoal, RecordEpisode = load_type(EXECUTE_GOAL.type), load_type(RECORD_EPISODE.type)
GOAL = "put the red cube in the blue bowl"


@pytest.fixture(autouse=True)
def without_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these goals needs it, and loading it takes longer than all of these tests."""
    monkeypatch.setattr(BuiltinPlanner, "warm_up", lambda self: None)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000_000))


class FakeRecorder(VlaNode):
    """It refuses, or, where ``is_mute``, takes the goal and says nothing."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.is_mute = False
        self.canceled = threading.Event()

    def setup(self) -> None:
        OneGoalServer(self, RECORD_EPISODE, self._work)

    def _work(self, work: Work) -> tuple[Ending, Any]:
        if self.is_mute and work.cancel.wait(30.0):
            self.canceled.set()
        return Ending.ABORTED, RecordEpisode.Result(success=False, message="The tape is torn.")


def refusal(peer: Peer) -> Any:
    """The planner's answer to a goal; nothing was begun, said or planned."""
    begun = [peer.listen(topic, matched=True) for topic in (EPISODE, PLAN)]
    feedback: list[Any] = []
    action = peer.action(EXECUTE_GOAL)
    _, answer = action.result(action.send(ExecuteGoal.Goal(instruction=GOAL), feedback.append))
    assert (answer.outcome, answer.reason, answer.run_folder) == (Outcome.REFUSED, "cannot_record", "")
    assert [*begun, feedback] == [[], [], []]
    return answer


@pytest.mark.usefixtures("full_disk")
def test_the_recorder_says_that_the_disk_is_full_and_leaves_no_folder(ros: Ros, tmp_path: Path) -> None:
    ros.init(root=tmp_path / "runs", pictures="false")
    ros.spin(RecorderNode)
    action = ros.peer().action(RECORD_EPISODE)
    _, answer = action.result(action.send(RecordEpisode.Goal(instruction=GOAL)))
    assert not answer.success
    assert f"The disk of {tmp_path / 'runs'} has 1.0 GB free, but this run may take 3.5 GB; nothing was started." in answer.message
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.usefixtures("full_disk")
def test_a_goal_that_the_disk_may_not_hold_is_refused(ros: Ros, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ros.init()
    ros.spin(RecorderNode)
    ros.spin(PlannerNode)
    assert refusal(ros.peer()).message.startswith("Not recorded: The disk of runs has 1.0 GB free")
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_recorder_s_refusal_is_the_planner_s(ros: Ros) -> None:
    ros.init()
    ros.spin(FakeRecorder)
    ros.spin(PlannerNode)
    assert refusal(ros.peer()).message == "Not recorded: The tape is torn."


def test_without_a_recorder_a_goal_is_refused(ros: Ros) -> None:
    ros.init()
    ros.spin(PlannerNode)
    message = "Not recorded: Nobody serves the action record_episode. Start the recorder, or run with record:=false."
    assert refusal(ros.peer()).message == message


def test_a_recorder_that_takes_the_goal_and_does_not_begin_is_no_recorder(ros: Ros, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner_recording, "START_TIMEOUT_S", 0.5)
    ros.init()
    recorder = ros.spin(FakeRecorder).node
    assert isinstance(recorder, FakeRecorder)
    recorder.is_mute = True
    ros.spin(PlannerNode)
    assert refusal(ros.peer()).message.startswith("Not recorded: the recorder has not begun within 0.5 s. Start the recorder")
    wait_until(recorder.canceled.is_set, "the recording to be canceled, should it still begin")


def test_a_fault_of_the_planner_ends_the_recording_and_leaves_its_result(
    ros: Ros, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("list.remove(x): x not in list")

    monkeypatch.setattr(planner_node, "run_goal", broken)
    monkeypatch.setattr(RecorderNode, "_finish", lambda self, folder: None)  # no pictures
    monkeypatch.chdir(tmp_path)
    ros.init()
    ros.spin(RecorderNode)
    ros.spin(PlannerNode)
    action = ros.peer().action(EXECUTE_GOAL)
    for _ in range(2):  # the second one finds a recorder that is free again
        _, answer = action.result(action.send(ExecuteGoal.Goal(instruction=GOAL)))
        assert "list.remove" in answer.message
    assert "Traceback" in capfd.readouterr().err
    written = [json.loads(path.read_text()) for path in sorted((tmp_path / "runs").glob("*/result.json"))]
    assert [(result["reason"], result["recording"]["complete"]) for result in written] == [("error", True)] * 2
