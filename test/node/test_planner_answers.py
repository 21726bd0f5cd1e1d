"""The planner's answers to goals that it does not take up."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from ros_harness import Ros, wait_until

from vla_ros.core.decisions import SafetyMode, SafetyReason
from vla_ros.core.outcomes import NodeState, Outcome
from vla_ros.nodes.planner_node import PlannerNode
from vla_ros.planning.planner import BuiltinPlanner
from vla_ros.ros.interfaces import EXECUTE_GOAL, HEARTBEAT, OBJECTS, SAFETY_STATE, load_type

pytestmark = pytest.mark.node

ExecuteGoal = load_type(EXECUTE_GOAL.type)


@pytest.fixture(autouse=True)
def without_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these goals needs it, and loading it takes longer than all of these tests."""
    monkeypatch.setattr(BuiltinPlanner, "warm_up", lambda self: None)


def planner_beside(ros: Ros) -> tuple[Any, Any]:
    ros.init(record="false")
    ros.spin(PlannerNode)
    peer = ros.peer()
    return peer, peer.action(EXECUTE_GOAL)


def test_a_second_goal_is_answered_by_a_sentence_and_the_first_goes_on(ros: Ros) -> None:
    _, action = planner_beside(ros)
    states: list[str] = []
    first = action.send(ExecuteGoal.Goal(instruction="put the red cube in the blue bowl"), lambda m: states.append(m.feedback.state))
    wait_until(lambda: states, "feedback of the first goal")

    second = action.send(ExecuteGoal.Goal(instruction="clear the table into the green bowl"))
    _, answer = action.result(second)
    assert (answer.outcome, answer.reason) == (Outcome.REFUSED, "busy")
    assert "Busy with 'put the red cube in the blue bowl'" in answer.message
    assert "Nothing was done about 'clear the table into the green bowl'" in answer.message

    first.cancel_goal_async()
    _, ended = action.result(first)
    assert ended.outcome == Outcome.CANCELED


def test_a_planner_that_is_interrupted_ends_its_goal_with_a_result(ros: Ros) -> None:
    planner = ros.process("planner", record="false", planner="openai", openai_url="http://127.0.0.1:9", openai_model="none")
    peer = ros.peer()
    action = peer.action(EXECUTE_GOAL)
    states: list[str] = []
    goal = action.send(ExecuteGoal.Goal(instruction="put the red cube in the blue bowl"), lambda m: states.append(m.feedback.state))
    future = goal.get_result_async()
    wait_until(lambda: states, "feedback of the goal")
    assert planner.interrupt() == 0
    wait_until(future.done, "a result", 2.0)
    answer = future.result().result
    assert (answer.outcome, answer.reason) == (Outcome.CANCELED, "canceled")
    assert answer.message == "Canceled: the planner is shutting down."


@pytest.mark.parametrize("instruction", ["", "  \n"])
def test_an_empty_instruction_is_refused(ros: Ros, instruction: str) -> None:
    peer, action = planner_beside(ros)
    objects = peer.publisher(OBJECTS)
    timer = peer.node.create_timer(0.05, lambda: objects.publish(load_type(OBJECTS.type)()))
    _, answer = action.result(action.send(ExecuteGoal.Goal(instruction=instruction)))
    peer.make(lambda: peer.node.destroy_timer(timer))
    assert (answer.outcome, answer.reason, answer.verified) == (Outcome.REFUSED, "not_understood", False)
    assert "The instruction is empty" in answer.message


def test_an_unknown_camera_lists_the_robot_s(ros: Ros) -> None:
    ros.init(record="false", camera="frnt")
    with pytest.raises(AssertionError, match=r"camera of panda 'frnt'; valid: front, wrist\. Did you mean 'front'"):
        ros.spin(PlannerNode)


def test_the_planner_says_once_that_goals_can_be_done_and_only_when_they_can(ros: Ros) -> None:
    planner = ros.process("planner", record="false", planner="openai", openai_url="http://127.0.0.1:9", openai_model="none")
    peer = ros.peer()
    beats, objects, safety = peer.publisher(HEARTBEAT), peer.publisher(OBJECTS), peer.publisher(SAFETY_STATE)
    names = ["action_expert", "safety_monitor", "motion_forwarder", "camera_perception", "depth_perception"]
    beat, mode = load_type(HEARTBEAT.type), [SafetyMode.STARTING]

    def publish() -> None:
        for name in names:
            beats.publish(beat(node=name, lifecycle_state=NodeState.ACTIVE))
        objects.publish(load_type(OBJECTS.type)())
        safety.publish(load_type(SAFETY_STATE.type)(mode=mode[0], reason=SafetyReason.NO_CHUNK))

    heard = peer.listen(HEARTBEAT)
    peer.node.create_timer(0.05, publish)
    wait_until(lambda: sum(h.message.node == "planner" for h in heard) > 10, "a second of the planner's life")
    assert "Ready for goals" not in planner.output, "the monitor lets nothing through yet"
    mode[0] = SafetyMode.READY
    mode[0] = SafetyMode.READY
    wait_until(lambda: 'Ready for goals, for example: vla goal "put the red cube' in planner.output, "the planner to say so")
    seen = len(heard)
    wait_until(lambda: sum(h.message.node == "planner" for h in heard[seen:]) > 10, "another second")
    assert planner.output.count("Ready for goals") == 1
