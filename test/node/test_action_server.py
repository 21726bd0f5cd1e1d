"""Goals of OneGoalServer and DeferredActionServer, as their clients see them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from action_msgs.msg import GoalStatus
from ros_harness import Ros, SpunNode, wait_until

from vla_ros.ros.action_server import Ending, OneGoalServer, Work
from vla_ros.ros.deferred_action import CANCELED, SUCCEEDED, DeferredActionServer
from vla_ros.ros.interfaces import MOVE_TO, Service, load_type
from vla_ros.ros.lifecycle import VlaNode

pytestmark = pytest.mark.node

MoveTo = load_type(MOVE_TO.type)
GET_STATE = Service("probe/get_state", "lifecycle_msgs/srv/GetState", "probe", "")
CHANGE_STATE = Service("probe/change_state", "lifecycle_msgs/srv/ChangeState", "probe", "")


class Probe(VlaNode):
    """Serves move_to with what the test gives it."""

    def __init__(self, serve: Callable[[Probe], Any]) -> None:
        super().__init__("probe")
        self._serve = serve

    def setup(self) -> None:
        self.server = self._serve(self)


def result(message: str, *, success: bool = False) -> Any:
    return MoveTo.Result(success=success, message=message)


class Patient:
    """A worker that waits to be told how to end; it ends as canceled when it is asked to."""

    def __init__(self) -> None:
        self.begun: list[Work] = []
        self.go_on = threading.Event()
        self.finish = threading.Event()

    def __call__(self, work: Work) -> tuple[Ending, Any]:
        self.begun.append(work)
        while not work.cancel.is_set():
            if self.finish.wait(0.005):
                return Ending.SUCCEEDED, result("there", success=True)
        return Ending.CANCELED, result("stopped")


def serve(ros: Ros, worker: Callable[[Work], Any], busy: Callable[[Any], Any] | None = None) -> SpunNode:
    return ros.spin(lambda: Probe(lambda probe: OneGoalServer(probe, MOVE_TO, worker, busy)))


def test_result_and_feedback_reach_the_client(ros: Ros) -> None:
    heard: list[str] = []
    received = threading.Event()

    def worker(work: Work) -> Any:
        for state in ("planning", "moving"):
            work.feedback(MoveTo.Feedback(state=state))
        assert received.wait(5.0)  # feedback that is on its way when the goal ends need not arrive
        return Ending.SUCCEEDED, result(f"kind {work.goal.kind}", success=True)

    def on_feedback(message: Any) -> None:
        heard.append(message.feedback.state)
        if len(heard) == 2:
            received.set()

    serve(ros, worker)
    client = ros.peer().action(MOVE_TO)
    status, answer = client.result(client.send(MoveTo.Goal(kind=MoveTo.Goal.GRIPPER), on_feedback))
    assert (status, answer.success, answer.message) == (GoalStatus.STATUS_SUCCEEDED, True, "kind 3")
    assert heard == ["planning", "moving"]


def test_the_client_sees_that_the_goal_is_executed(ros: Ros) -> None:
    worker = Patient()
    serve(ros, worker)
    client = ros.peer().action(MOVE_TO)
    handle = client.send()
    wait_until(lambda: handle.status == GoalStatus.STATUS_EXECUTING, "the status EXECUTING")
    worker.finish.set()
    assert client.result(handle)[0] == GoalStatus.STATUS_SUCCEEDED


def test_a_cancel_right_after_acceptance_is_not_missed(ros: Ros) -> None:
    """The worker has not looked at anything yet when the cancel arrives."""
    looked = threading.Event()

    def worker(work: Work) -> Any:
        assert looked.wait(5.0)
        return (Ending.CANCELED, result("stopped")) if work.cancel.is_set() else (Ending.SUCCEEDED, result("too late"))

    serve(ros, worker)
    client = ros.peer().action(MOVE_TO)
    handle = client.send()
    answered = handle.cancel_goal_async()
    wait_until(answered.done, "an answer to the cancel")
    assert len(answered.result().goals_canceling) == 1
    looked.set()
    status, answer = client.result(handle)
    assert (status, answer.message) == (GoalStatus.STATUS_CANCELED, "stopped")


def test_a_second_goal_is_rejected_and_disturbs_nothing(ros: Ros) -> None:
    worker = Patient()
    serve(ros, worker)
    client = ros.peer().action(MOVE_TO)
    first, second = client.send(), client.send()
    assert first.accepted
    assert not second.accepted
    worker.finish.set()
    assert client.result(first)[0] == GoalStatus.STATUS_SUCCEEDED
    third = client.send()
    assert third.accepted
    assert client.result(third)[0] == GoalStatus.STATUS_SUCCEEDED
    assert len(worker.begun) == 2


def test_a_second_goal_may_be_answered_with_the_reason(ros: Ros) -> None:
    worker = Patient()
    serve(ros, worker, busy=lambda goal: result(f"busy; kind {goal.kind} has to wait"))
    client = ros.peer().action(MOVE_TO)
    first, second = client.send(), client.send(MoveTo.Goal(kind=MoveTo.Goal.JOINTS))
    status, answer = client.result(second)
    assert (status, answer.message) == (GoalStatus.STATUS_ABORTED, "busy; kind 1 has to wait")
    assert not worker.begun[0].cancel.is_set()
    worker.finish.set()
    assert client.result(first)[1].message == "there"


def test_a_cancel_of_the_second_goal_does_not_end_the_first(ros: Ros) -> None:
    worker = Patient()
    serve(ros, worker, busy=lambda goal: result("busy"))
    client = ros.peer().action(MOVE_TO)
    first, second = client.send(), client.send()
    wait_until(second.cancel_goal_async().done, "an answer to the cancel")
    assert client.result(second)[1].message == "busy"
    assert not worker.begun[0].cancel.is_set()
    worker.finish.set()
    assert client.result(first)[0] == GoalStatus.STATUS_SUCCEEDED


def test_a_worker_that_fails_aborts_its_goal_with_the_reason(ros: Ros) -> None:
    def worker(work: Work) -> Any:
        raise RuntimeError("the joints are rusty")

    spun = serve(ros, worker)
    client = ros.peer().action(MOVE_TO)
    status, answer = client.result(client.send())
    assert (status, answer.message) == (GoalStatus.STATUS_ABORTED, "probe failed: the joints are rusty")
    assert client.send().accepted, "the next one may come"
    assert spun.spins


def test_canceled_without_a_cancel_counts_as_aborted(ros: Ros) -> None:
    serve(ros, lambda work: (Ending.CANCELED, result("gave up")))
    client = ros.peer().action(MOVE_TO)
    assert client.result(client.send())[0] == GoalStatus.STATUS_ABORTED


def test_goals_of_an_inactive_node_are_rejected(ros: Ros) -> None:
    ros.init(autostart="false")
    spun = serve(ros, Patient())
    peer = ros.peer()
    change(peer, "configure")
    client = peer.action(MOVE_TO)
    assert not client.send().accepted
    change(peer, "activate")
    assert client.send().accepted
    assert spun.node.is_active


def change(peer: Any, label: str) -> None:
    """A real transition, asked for from outside."""
    from lifecycle_msgs.msg import Transition

    number = getattr(Transition, f"TRANSITION_{label.upper()}")
    assert peer.call(CHANGE_STATE, transition=Transition(id=number)).success, f"{label} failed"


def test_deactivation_ends_the_goal_and_says_so(ros: Ros) -> None:
    worker = Patient()
    spun = serve(ros, worker)
    peer = ros.peer()
    client = peer.action(MOVE_TO)
    handle = client.send()
    wait_until(lambda: worker.begun, "the goal to begin")
    change(peer, "deactivate")
    status, answer = client.result(handle, 3.0)
    assert (status, answer.message) == (GoalStatus.STATUS_ABORTED, "stopped")
    change(peer, "cleanup")
    change(peer, "configure")
    change(peer, "activate")
    again = peer.action(MOVE_TO).send()
    assert again.accepted
    assert spun.spins


def test_a_node_that_ends_during_a_goal_still_sends_its_result(ros: Ros) -> None:
    def worker(work: Work) -> Any:
        assert work.cancel.wait(5.0)
        asked = ros_peer.call(GET_STATE)  # whoever ends well may need others first, and itself
        return Ending.CANCELED, result(f"stopped while {asked.current_state.label}")

    ros_peer = ros.peer()
    spun = serve(ros, worker)
    client = ros_peer.action(MOVE_TO)
    handle = client.send()
    future = handle.get_result_async()
    spun.close()
    wait_until(future.done, "a result", 2.0)
    assert future.result().result.message == "stopped while active"


def test_a_node_that_ends_during_a_goal_ends_the_work_first(ros: Ros) -> None:
    worker = Patient()
    spun = serve(ros, worker)
    client = ros.peer().action(MOVE_TO)
    client.send()
    wait_until(lambda: worker.begun, "the goal to begin")
    spun.close()
    assert worker.begun[0].cancel.is_set()
    assert not any(thread.name == "goal" for thread in threading.enumerate())


# --- DeferredActionServer


def test_a_goal_that_cannot_begin_is_aborted(ros: Ros) -> None:
    def begin(handle: Any) -> None:
        raise ValueError("no position given")

    spun = ros.spin(lambda: Probe(lambda probe: DeferredActionServer(probe, MOVE_TO, begin)))
    client = ros.peer().action(MOVE_TO)
    status, answer = client.result(client.send())
    assert (status, answer.message) == (GoalStatus.STATUS_ABORTED, "probe failed: no position given")
    assert spun.spins


def test_goals_end_in_any_order_each_with_its_own_result(ros: Ros) -> None:
    begun: list[Any] = []
    spun = ros.spin(lambda: Probe(lambda probe: DeferredActionServer(probe, MOVE_TO, begun.append)))
    client = ros.peer().action(MOVE_TO)
    handles = [client.send(MoveTo.Goal(time_limit=float(i))) for i in range(3)]
    wait_until(lambda: len(begun) == 3, "three goals to begin")
    for i in (2, 0, 1):
        spun.node.server.end(begun[i], SUCCEEDED, result(f"{begun[i].request.time_limit:g}"))
    assert [client.result(handle)[1].message for handle in handles] == ["0", "1", "2"]


def test_a_canceled_goal_is_told_and_ends_when_its_owner_says_so(ros: Ros) -> None:
    begun, told = [], []
    spun = ros.spin(lambda: Probe(lambda probe: DeferredActionServer(probe, MOVE_TO, begun.append, on_cancel=told.append)))
    client = ros.peer().action(MOVE_TO)
    handle = client.send()
    cancel = handle.cancel_goal_async()
    wait_until(cancel.done, "an answer to the cancel")
    wait_until(lambda: handle.status == GoalStatus.STATUS_CANCELING, "the status CANCELING")
    assert told == begun
    spun.node.server.end(begun[0], CANCELED, result("stopped"))
    assert client.result(handle)[0] == GoalStatus.STATUS_CANCELED
