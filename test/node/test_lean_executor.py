"""LeanExecutor serves what rclpy's executor serves, and Inbox hands over what came meanwhile."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

import rclpy
from rclpy.duration import Duration
from ros_harness import Ros, probe_topic, wait_until
from std_msgs.msg import UInt64
from std_srvs.srv import SetBool

from vla_ros.ros.deferred_action import SUCCEEDED, DeferredActionServer
from vla_ros.ros.inbox import Inbox, Latest, Losses
from vla_ros.ros.interfaces import MOVE_TO, Service
from vla_ros.ros.lean_executor import LeanExecutor
from vla_ros.ros.lifecycle import VlaNode

pytestmark = pytest.mark.node

NUMBERS = probe_topic("probe/numbers")
ECHO = probe_topic("probe/echo")
ASK = Service("probe/ask", "std_srvs/srv/SetBool", "probe", "")
GET_PARAMETERS = Service("probe/get_parameters", "rcl_interfaces/srv/GetParameters", "probe", "")
SET_PARAMETERS = Service("probe/set_parameters", "rcl_interfaces/srv/SetParameters", "probe", "")


class Probe(VlaNode):
    """Does what the test wants."""

    def __init__(self, fill: Callable[[Probe], Any] = lambda probe: None) -> None:
        super().__init__("probe")
        self._fill = fill
        self.numbers: list[int] = []
        self.losses = Losses()

    def setup(self) -> None:
        self.made = self._fill(self)

    def note(self, message: Any) -> None:
        self.numbers.append(message.data)


class CountingExecutor(LeanExecutor):
    """Counts how often it was woken up, or its patience ended."""

    rounds = 0

    def spin_once(self, timeout_sec: float | None = None) -> None:
        self.rounds += 1
        super().spin_once(timeout_sec)


def test_a_subscription_hears_every_message_in_order(ros: Ros) -> None:
    probe = ros.spin(lambda: Probe(lambda p: p.subscribe_to(NUMBERS, p.note))).node
    out = ros.peer().publisher(NUMBERS)
    for number in range(40):
        out.publish(UInt64(data=number))
    wait_until(lambda: len(probe.numbers) == 40, "40 messages")
    assert probe.numbers == list(range(40))


def test_a_timer_keeps_its_period(ros: Ros) -> None:
    times: list[float] = []
    ros.spin(lambda: Probe(lambda p: p.every(0.01, lambda: times.append(time.monotonic()))))
    wait_until(lambda: len(times) > 50, "50 ticks")
    assert 0.45 < times[50] - times[0] < 0.7


def test_a_service_answers(ros: Ros) -> None:
    def answer(request: Any, response: Any) -> Any:
        response.success, response.message = not request.data, "answered"
        return response

    ros.spin(lambda: Probe(lambda p: p.serve(ASK, answer)))
    response = ros.peer().call(ASK, data=False)
    assert (response.success, response.message) == (True, "answered")


def test_a_client_of_the_node_gets_its_answer(ros: Ros) -> None:
    def make(probe: Probe) -> Any:
        probe.serve(ASK, lambda request, response: response)
        return probe.client_of(ASK)

    client = ros.spin(lambda: Probe(make)).node.made
    assert client.wait_for_service(timeout_sec=5.0)
    future = client.call_async(SetBool.Request())
    wait_until(future.done, "the answer")
    assert future.result().success is False


def test_a_goal_that_is_ended_from_another_thread_has_a_result(ros: Ros) -> None:
    begun: list[Any] = []
    probe = ros.spin(lambda: Probe(lambda p: DeferredActionServer(p, MOVE_TO, begun.append))).node
    client = ros.peer().action(MOVE_TO)
    handle = client.send()
    assert handle.accepted
    wait_until(lambda: begun, "the goal to begin")
    probe.made.end(begun[0], SUCCEEDED, client.type.Result(success=True, message="there"))
    _, result = client.result(handle)
    assert result.message == "there"


def test_parameters_can_be_read_and_read_only_ones_not_set(ros: Ros) -> None:
    from rcl_interfaces.msg import Parameter, ParameterDescriptor, ParameterType, ParameterValue

    ros.spin(lambda: Probe(lambda p: p.declare_parameter("robot", "panda", ParameterDescriptor(read_only=True))))
    peer = ros.peer()
    assert peer.call(GET_PARAMETERS, names=["robot"]).values[0].string_value == "panda"
    other = Parameter(name="robot", value=ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="other"))
    (answer,) = peer.call(SET_PARAMETERS, parameters=[other]).results
    assert not answer.successful
    assert peer.call(GET_PARAMETERS, names=["robot"]).values[0].string_value == "panda"


def test_entities_may_come_and_go_while_it_spins(ros: Ros) -> None:
    probe = ros.spin(Probe).node
    peer = ros.peer()
    subscription = probe.subscribe_to(NUMBERS, probe.note)
    out = peer.publisher(NUMBERS)
    out.publish(UInt64(data=1))
    wait_until(lambda: probe.numbers == [1], "the message to the new subscription")
    probe.destroy_subscription(subscription)
    wait_until(lambda: out.get_subscription_count() == 0, "the subscription to go")
    ticks: list[int] = []
    probe.every(0.01, lambda: ticks.append(1))
    out.publish(UInt64(data=2))
    wait_until(lambda: len(ticks) > 3, "ticks of the new timer")
    assert probe.numbers == [1]


def test_a_coroutine_may_be_a_callback(ros: Ros) -> None:
    heard: list[int] = []

    async def note(message: UInt64) -> None:
        heard.append(message.data)

    ros.spin(lambda: Probe(lambda p: p.create_subscription(UInt64, NUMBERS.name, note, 10)))
    ros.peer().publisher(NUMBERS).publish(UInt64(data=7))
    wait_until(lambda: heard == [7], "the message")


def test_nobody_is_woken_for_a_polled_topic(ros: Ros) -> None:
    spun = ros.spin(lambda: Probe(lambda p: Inbox(p, NUMBERS, depth=200)), CountingExecutor)
    probe, executor = spun.node, spun.executor
    out = ros.peer().publisher(NUMBERS)
    before = executor.rounds
    began_s = time.monotonic()
    for number in range(100):
        out.publish(UInt64(data=number))
    assert out.wait_for_all_acked(Duration(seconds=5))
    quiet_rounds = executor.rounds - before
    assert len(probe.made.take()) == 100
    assert quiet_rounds < 20 + 20 * (time.monotonic() - began_s)  # heartbeats, discovery and the full rounds, not one for each message


def test_failing_callbacks_end_neither_node_nor_executor(ros: Ros) -> None:
    ticks: list[int] = []

    def fail(*_: Any) -> Any:
        ticks.append(1)
        raise RuntimeError("of the test")

    def fill(probe: Probe) -> None:
        probe.subscribe_to(NUMBERS, fail)
        probe.subscribe_to(ECHO, probe.note)
        probe.every(0.02, fail)
        probe.serve(ASK, fail)

    spun = ros.spin(lambda: Probe(fill))
    peer = ros.peer()
    response = peer.call(ASK)
    assert not response.success
    assert "of the test" in response.message
    peer.publisher(NUMBERS).publish(UInt64())
    wait_until(lambda: len(ticks) > 5, "some failures")
    peer.publisher(ECHO).publish(UInt64(data=3))
    wait_until(lambda: spun.node.numbers == [3], "a message after the failures")
    assert spun.spins


def test_shutdown_from_another_thread_ends_spinning(ros: Ros) -> None:
    ros.init()
    for _ in range(10):  # a race would not show every time
        node, executor = Probe(lambda p: p.every(0.001, lambda: None)), LeanExecutor()
        executor.add_node(node)
        assert node.start()
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        wait_until(thread.is_alive, "the thread")
        assert executor.shutdown(timeout_sec=2.0)
        thread.join(timeout=2.0)
        assert not thread.is_alive()
        node.stop()
        node.destroy_node()


def test_the_end_of_the_context_ends_spinning(ros: Ros) -> None:
    spun = ros.spin(Probe)
    rclpy.shutdown()
    wait_until(lambda: not spun.spins, "the end of spinning", 2.0)


def test_a_message_is_answered_within_milliseconds(ros: Ros) -> None:
    def fill(probe: Probe) -> None:
        out = probe.publish_on(ECHO)
        probe.subscribe_to(NUMBERS, out.publish)

    ros.spin(lambda: Probe(fill))
    peer = ros.peer()
    echo, out = peer.listen(ECHO, matched=True), peer.publisher(NUMBERS)
    answered_s = []
    for number in range(50):
        sent_s = time.monotonic()
        out.publish(UInt64(data=number))
        wait_until(lambda n=number: len(echo) > n, "the echo")
        answered_s.append(echo[number].monotonic_s - sent_s)
    assert statistics.median(answered_s) < 0.01, "there and back, with rclpy's own executor on the other side"


# --- topics that are looked at


def burst(out: Any, numbers: range) -> None:
    for number in numbers:
        out.publish(UInt64(data=number))
    assert out.wait_for_all_acked(Duration(seconds=5))


def test_an_inbox_holds_the_newest_oldest_first_and_the_gap_is_counted(ros: Ros) -> None:
    probe = ros.spin(lambda: Probe(lambda p: Inbox(p, NUMBERS, depth=5))).node
    out = ros.peer().publisher(NUMBERS)
    burst(out, range(3))
    first = probe.made.take()
    burst(out, range(3, 23))
    rest = probe.made.take()
    losses = Losses()
    for letter in (*first, *rest):
        losses.note(NUMBERS.name, letter)
    assert [letter.sequence - first[0].sequence for letter in (*first, *rest)] == [0, 1, 2, 18, 19, 20, 21, 22]
    assert losses.count == 15
    assert probe.made.take() == []


def test_publishers_are_counted_apart(ros: Ros) -> None:
    probe = ros.spin(lambda: Probe(lambda p: Inbox(p, NUMBERS, depth=50))).node
    peer = ros.peer()
    losses = Losses()
    for out in (peer.publisher(NUMBERS), peer.publisher(NUMBERS)):
        burst(out, range(4))
    letters = probe.made.take()
    assert len({letter.publisher for letter in letters}) == 2
    for letter in letters:
        losses.note(NUMBERS.name, letter)
    assert (len(letters), losses.count) == (8, 0)


def test_latest_is_the_newest_value_and_new_only_once(ros: Ros) -> None:
    probe = ros.spin(lambda: Probe(lambda p: Latest(p, NUMBERS, lambda message: (message.data,)))).node
    latest = probe.made
    assert latest.get() is None
    burst(ros.peer().publisher(NUMBERS), range(5))
    assert latest.get_new() == (4,)
    assert latest.get_new() is None
    assert latest.get() == (4,)


def test_under_another_executor_an_inbox_is_filled_by_callbacks(ros: Ros) -> None:
    from rclpy.executors import SingleThreadedExecutor

    ros.init()
    node, executor = Probe(lambda p: Inbox(p, NUMBERS, depth=3)), SingleThreadedExecutor()
    assert node.start()
    executor.add_node(node)
    out = ros.peer().publisher(NUMBERS)
    burst(out, range(2))
    letters: list[Any] = []

    def arrived() -> bool:
        executor.spin_once(timeout_sec=0.05)
        letters.extend(node.made.take())
        return len(letters) == 2

    wait_until(arrived, "both messages")
    executor.shutdown()
    node.stop()
    node.destroy_node()
