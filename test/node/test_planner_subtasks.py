"""How the planner has a subtask done, beside an expert that would go on for ever."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from ros_harness import Peer, Ros, wait_until

from vla_ros.core.tasks import Predicate, Relation, Skill, Subtask
from vla_ros.nodes.planner_senses import SILENCE_S, PlannerSenses
from vla_ros.nodes.planner_subtasks import SubtaskCaller
from vla_ros.planning.goal_result import SubtaskOutcome, SubtaskStatus
from vla_ros.planning.ports import HazardKind
from vla_ros.robots import load_robot
from vla_ros.ros.action_server import Ending, OneGoalServer, Work
from vla_ros.ros.calls import ActionCaller
from vla_ros.ros.interfaces import EXECUTE_SUBTASK, HEARTBEAT, SAFETY_DECISION, load_type
from vla_ros.ros.lifecycle import VlaNode

pytestmark = pytest.mark.node

PICK = Subtask("1", Skill.PICK, "pick up the red cube", Predicate(Relation.HELD, "cube_1"), object_id="cube_1")
Decision = load_type(SAFETY_DECISION.type)


class FakeExpert(VlaNode):
    """Tries the same again and again until it is told to stop."""

    def __init__(self) -> None:
        super().__init__("action_expert")

    def setup(self) -> None:
        OneGoalServer(self, EXECUTE_SUBTASK, self._work)

    def _work(self, work: Work) -> tuple[Ending, Any]:
        kinds = load_type(EXECUTE_SUBTASK.type).Result
        stopped = work.cancel.wait(10.0)
        return Ending.CANCELED, kinds(outcome=kinds.CANCELED if stopped else kinds.FAILED, reason="aborted", message="was aborted")


class Caller(VlaNode):
    """The part of the planner that calls experts."""

    def __init__(self) -> None:
        super().__init__("planner")
        self.holds = 0

    def setup(self) -> None:
        self.senses = PlannerSenses(self, load_robot("panda"), (), "front")
        self.subtasks = SubtaskCaller(self, self.senses)
        self.subtasks.hold = self._count

    def _count(self) -> None:
        self.holds += 1


def begun(ros: Ros) -> tuple[Peer, Caller, list[SubtaskOutcome], threading.Thread]:
    """A subtask that is being done in a thread."""
    ros.init()
    ros.spin(FakeExpert)
    caller = ros.spin(Caller).node
    assert isinstance(caller, Caller)
    outcomes: list[SubtaskOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(caller.subtasks.run(PICK, "", lambda: False)), daemon=True)
    thread.start()
    return ros.peer(), caller, outcomes, thread


def test_a_node_that_dies_during_a_goal_is_named_and_one_that_was_dead_before_is_not(ros: Ros) -> None:
    ros.init()
    caller = ros.spin(Caller).node
    assert isinstance(caller, Caller)
    peer = ros.peer()
    out = peer.publisher(HEARTBEAT, matches=1)
    beat = load_type(HEARTBEAT.type)
    caller.senses.begin_goal()
    for node in ("recorder", "world_model"):
        out.publish(beat(node=node, lifecycle_state=3))
    wait_until(lambda: "world_model" in caller.senses._beats_ns, "the heartbeats to be heard")
    wait_until(lambda: caller.senses.died("world_model"), "the silence to be long enough", SILENCE_S + 1.0)
    assert caller.senses.hazard() is None
    out.publish(beat(node="tactile_perception", lifecycle_state=3))
    wait_until(lambda: "tactile_perception" in caller.senses._beats_ns, "the heartbeat to be heard")
    caller.senses.begin_goal()
    assert caller.senses.hazard() is None
    hazard = wait_until(caller.senses.hazard, "somebody to be missed", SILENCE_S + 1.0)
    assert hazard.kind is HazardKind.NODE_DIED
    assert "'tactile_perception' has died" in hazard.detail


def test_an_unsafe_chunk_ends_the_attempt_at_once_and_says_what_was_foreseen(ros: Ros) -> None:
    peer, caller, outcomes, thread = begun(ros)
    decisions = peer.publisher(SAFETY_DECISION)
    decisions.publish(Decision(action=Decision.HOLD, reason="chunk_jump", detail="a step of 0.1 rad"))
    thread.join(0.5)
    assert outcomes == [], "what a fresh chunk cures is the expert's to mend"
    told_s = time.monotonic()
    decisions.publish(Decision(action=Decision.HOLD, reason="world_model", detail="The hand would hit the bowl."))
    wait_until(lambda: outcomes, "the end of the attempt", 3.0)
    assert time.monotonic() - told_s < 1.0
    assert outcomes[0].status is SubtaskStatus.UNSAFE
    assert outcomes[0].message == "The hand would hit the bowl."
    assert caller.holds == 1


def test_no_answer_is_taken_while_its_goal_is_still_being_noted(ros: Ros) -> None:
    """As when the executor's thread hears it while the caller's thread is still in send_goal_async."""
    ros.init()
    client = ActionCaller(ros.spin(Caller).node, EXECUTE_SUBTASK)._client
    thread = threading.Thread(target=client.take_data, daemon=True)
    with client._sending:
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(5.0)
    assert not thread.is_alive()
