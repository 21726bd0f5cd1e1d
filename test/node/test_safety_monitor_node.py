"""The safety monitor as a process, among fake peers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_arm import FakeArm
from fake_world_model import FakeWorldModel
from rclpy.action import ActionClient
from ros_harness import Heard, NodeProcess, Peer, Ros, wait_until

from vla_ros.core.actions import ActionSpace, SafetyAction
from vla_ros.core.decisions import SafetyMode, Verdict
from vla_ros.nodes.safety_monitor_node import SWITCHES
from vla_ros.robots import load_robot
from vla_ros.ros.conversions.actions import chunk_from_msg
from vla_ros.ros.interfaces import (
    DEADMAN,
    DIAGNOSTICS,
    ESTOP,
    ESTOP_TOPIC,
    EVALUATE_CHUNK,
    GATED_COMMAND,
    HOLD,
    JOINT_TRAJECTORY,
    RESET,
    SAFETY_DECISION,
    SAFETY_MARKERS,
    SAFETY_STATE,
    SET_SPEED,
    Service,
    Topic,
    load_type,
)
from vla_ros.safety.tcp_rows import DELTA_COLUMNS

pytestmark = pytest.mark.node

SWEEP = np.array([0.2, 0.05, -0.1, 0.05, 0.1, 0.1, 0.3])
LIST_PARAMETERS = Service("safety_monitor/list_parameters", "rcl_interfaces/srv/ListParameters", "safety_monitor", "")
SET_PARAMETERS = Service("safety_monitor/set_parameters", "rcl_interfaces/srv/SetParameters", "safety_monitor", "")


@dataclass
class Scene:
    """The monitor, and what its peers have heard of it."""

    process: NodeProcess
    peer: Peer
    arm: FakeArm
    states: list[Heard]
    decisions: list[Heard]
    world: FakeWorldModel | None = None

    @property
    def state(self) -> Any:
        return self.states[-1].message

    def wait_for(self, mode: SafetyMode, timeout_s: float = 15.0) -> Heard:
        wait_until(lambda: self.states and self.state.mode == mode, f"the mode {mode.name}; {self.process.output[-800:]}", timeout_s)
        return self.states[-1]

    def restart(self, ros: Ros) -> None:
        """kill -9, and another process in its place, of which nothing has been heard yet."""
        self.process.kill()
        self.states.clear()
        self.process = ros.process("safety_monitor")

    def decided(self, reason: str, since: int) -> Any:
        """The first decision with that reason after the first ``since`` ones; where there is none, the failure says which there were."""

        def heard() -> Any:
            return next((h.message for h in self.decisions[since:] if h.message.reason == reason), None)

        try:
            return wait_until(heard, f"a decision '{reason}'")
        except AssertionError as error:
            others = [f"{h.message.reason}: {h.message.detail}" for h in self.decisions[since:]]
            raise AssertionError(f"{error}, but {others}") from None


@pytest.fixture(scope="module")
def monitor(shared_ros: Ros) -> Scene:
    process = shared_ros.process("safety_monitor")
    peer = shared_ros.peer("fake_peers")
    states, decisions = peer.listen(SAFETY_STATE, matched=True), peer.listen(SAFETY_DECISION, matched=True)
    return Scene(process, peer, FakeArm(peer), states, decisions, FakeWorldModel(peer))


@pytest.fixture
def scene(monitor: Scene) -> Iterator[Scene]:
    """The monitor at READY with an arm at rest."""
    monitor.arm.is_silent = monitor.arm.is_dead = False
    monitor.wait_for(SafetyMode.READY)
    yield monitor
    monitor.arm.is_silent = monitor.arm.is_dead = monitor.arm.is_dry = monitor.arm.is_numb = False
    monitor.world.verdict = Verdict.APPROVE
    monitor.world.come()
    monitor.peer.call(SET_SPEED, scale=1.0)
    wait_until(lambda: at_rest(monitor.arm.commands[-1].message), "the arm to rest")
    wait_until(lambda: monitor.peer.call(RESET).success, "a reset")


def at_rest(command: Any) -> bool:
    return not np.any(command.velocities)


def test_without_joint_states_nothing_is_commanded(ros: Ros) -> None:
    ros.process("safety_monitor")
    peer = ros.peer()
    states = peer.listen(SAFETY_STATE, matched=True)
    arm_is_absent: list[Heard] = peer.listen(_gated(), matched=True)
    wait_until(lambda: len(states) > 3, "reports of the state")
    assert {h.message.mode for h in states} == {SafetyMode.STARTING}
    assert "joint states" in states[-1].message.detail
    assert states[-1].message.self_test_passed
    assert arm_is_absent == []


def test_a_latched_monitor_that_is_killed_comes_up_latched_and_one_that_was_reset_does_not(ros: Ros) -> None:
    process = ros.process("safety_monitor")
    peer = ros.peer("fake_peers")
    scene = Scene(process, peer, FakeArm(peer), peer.listen(SAFETY_STATE, matched=True), peer.listen(SAFETY_DECISION, matched=True))
    scene.wait_for(SafetyMode.READY)
    peer.call(ESTOP)
    scene.wait_for(SafetyMode.STOPPED_LATCHED)
    scene.restart(ros)
    heard = scene.wait_for(SafetyMode.STOPPED_LATCHED).message
    assert heard.reason == "estop"
    assert "before the monitor was started again" in heard.detail
    heard_of = len(scene.arm.commands)
    wait_until(lambda: len(scene.arm.commands) > heard_of + 50, "commands; by then its services have been found, beside those of the dead")
    wait_until(lambda: peer.call(RESET).success, "a reset")
    scene.wait_for(SafetyMode.READY)
    scene.restart(ros)
    scene.wait_for(SafetyMode.READY)
    assert not any(h.message.mode == SafetyMode.STOPPED_LATCHED for h in scene.states)


def _gated() -> Any:
    from vla_ros.ros.interfaces import GATED_COMMAND

    return GATED_COMMAND


def test_with_joint_states_and_heartbeats_it_is_ready_and_ticks_at_100_hz(scene: Scene) -> None:
    commands = scene.arm.commands
    first = len(commands)
    wait_until(lambda: len(commands) > first + 100, "100 commands")
    some = commands[first : first + 101]
    assert [h.message.seq for h in some] == list(range(some[0].message.seq, some[0].message.seq + 101))
    assert 0.9 < some[-1].monotonic_s - some[0].monotonic_s < 1.3
    assert all(at_rest(h.message) for h in some)


def test_a_good_chunk_is_followed_to_its_end_and_every_command_ends_at_rest(scene: Scene) -> None:
    before, since = scene.arm.position(), len(scene.arm.commands)
    chunk = scene.arm.send(SWEEP)
    wait_until(lambda: np.allclose(scene.arm.position(), before + SWEEP, atol=1e-3), "the arm to arrive")
    commands = [h.message for h in scene.arm.commands[since:]]
    assert any(not at_rest(c) for c in commands)
    assert {c.chunk_seq for c in commands} >= {chunk.seq}
    for command in commands:
        assert not np.any(command.velocities[-7:])
        assert not np.any(command.accelerations[-7:])


def test_deltas_of_the_tcp_move_it_and_the_world_model_is_asked_in_joints(scene: Scene) -> None:
    """20 cm/s along the base's y, and back."""
    arm, asked = load_robot("panda"), []

    def approve(request: Any, response: Any) -> Any:
        asked.append(chunk_from_msg(request.chunk))
        response.verdict = response.APPROVE
        return response

    node, kind = scene.peer.node, load_type(EVALUATE_CHUNK.type)
    twin = scene.peer.make(lambda: node.create_service(kind, EVALUATE_CHUNK.name, approve))
    for side in (1.0, -1.0):
        wait_until(lambda: at_rest(scene.arm.commands[-1].message), "the arm to rest")
        before = arm.fk(scene.arm.position())
        deltas = np.zeros((21, 6))
        deltas[1:, 1] = side * 0.01
        where = {"space": ActionSpace.TCP_DELTA, "names": DELTA_COLUMNS, "frame_id": "panda_link0", "data": deltas}
        chunk, wanted = scene.arm.send(0 * SWEEP, **where), before + side * 0.2 * np.outer(np.eye(4)[1], np.eye(4)[3])
        wait_until(lambda wanted=wanted: np.allclose(arm.fk(scene.arm.position()), wanted, atol=1e-3), "the TCP to arrive")
    wait_until(lambda: asked and asked[-1].seq == chunk.seq, "a question to the world model")
    decision = next(h.message for h in scene.decisions if h.message.chunk_seq == chunk.seq)
    assert 0.01 < decision.latency < 1.0, "it is judged over some ticks"
    assert (asked[-1].space, asked[-1].names) == (ActionSpace.JOINT_POSITION, scene.arm.config.arm_joints)
    np.testing.assert_allclose(arm.fk(asked[-1].data[-1]), wanted, atol=2e-3)
    scene.peer.make(lambda: node.destroy_service(twin))


def test_a_decision_about_a_chunk_says_how_long_it_took(scene: Scene) -> None:
    since = len(scene.decisions)
    scene.arm.send(0.1 * SWEEP)
    assert 0 < scene.decided("ok", since).latency < 1.0
    assert np.isnan(scene.decided("chunk_exhausted", since).latency)


def test_a_chunk_that_is_not_finite_is_refused_and_the_decision_told(scene: Scene) -> None:
    def spoil(data: np.ndarray) -> None:
        data[7, 3] = np.nan

    since, before = len(scene.decisions), scene.arm.position()
    chunk = scene.arm.send(SWEEP, spoil=spoil)
    decision = scene.decided("chunk_not_finite", since)
    assert (decision.chunk_seq, decision.trace_id) == (chunk.seq, chunk.trace_id)
    assert "Row 7 of panda_joint4" in decision.detail
    assert decision.action >= 2
    np.testing.assert_array_equal(scene.arm.position(), before)
    scene.wait_for(SafetyMode.READY)  # a hold ends by itself


def test_a_dry_run_is_judged_and_held_by_its_name(scene: Scene) -> None:
    since, before, beats = len(scene.decisions), scene.arm.position(), scene.arm.beats
    scene.arm.is_dry = True
    wait_until(lambda: scene.arm.beats > beats + 1, "heartbeats")
    chunk = scene.arm.send(2 * SWEEP)
    decision = scene.decided("dry_run", since)
    assert [h.message.chunk_seq for h in scene.decisions[since:] if h.message.reason == "ok"] == [chunk.seq]
    assert "nothing is sent to the arm" in decision.detail
    scene.wait_for(SafetyMode.READY)
    np.testing.assert_array_equal(scene.arm.position(), before)


@pytest.mark.parametrize("missing", ["is_silent", "is_numb", "is_dead"])
def test_an_input_that_ceases_holds_the_arm_in_time(scene: Scene, missing: str) -> None:
    limits = {"is_silent": (0.15, "joint_states_stale"), "is_numb": (0.5, "contact_stale"), "is_dead": (0.5, "heartbeat")}
    allowed_s, reason = limits[missing]
    since = len(scene.decisions)
    scene.arm.send(4 * SWEEP, rows=101)
    wait_until(lambda: not at_rest(scene.arm.commands[-1].message), "motion")
    setattr(scene.arm, missing, True)
    ceased_s = time.monotonic()
    scene.decided(reason, since)
    held = next(h for h in scene.decisions[since:] if h.message.reason == reason)
    assert held.monotonic_s - ceased_s < allowed_s + 0.15
    wait_until(lambda: at_rest(scene.arm.commands[-1].message), "the arm to rest")
    assert scene.arm.commands[-1].monotonic_s - held.monotonic_s < 0.5
    scene.wait_for(SafetyMode.HOLDING)
    rest = scene.arm.position()
    setattr(scene.arm, missing, False)
    scene.wait_for(SafetyMode.READY)
    np.testing.assert_array_equal(scene.arm.position(), rest)  # it does not go on by itself


def test_the_first_message_on_the_topic_latches_the_stop(scene: Scene) -> None:
    out = scene.peer.publisher(ESTOP_TOPIC)
    scene.arm.send(4 * SWEEP, rows=101)
    wait_until(lambda: not at_rest(scene.arm.commands[-1].message), "motion")
    out.publish(load_type(ESTOP_TOPIC.type)())
    pressed_s = time.monotonic()
    stopped = scene.wait_for(SafetyMode.STOPPED_LATCHED)
    assert stopped.monotonic_s - pressed_s < 0.2
    wait_until(lambda: at_rest(scene.arm.commands[-1].message), "the arm to rest")
    assert scene.arm.commands[-1].monotonic_s - pressed_s < 0.5
    rest, since = scene.arm.position(), len(scene.decisions)
    scene.arm.send(SWEEP)
    assert scene.decided("estop", since).action >= 2
    np.testing.assert_array_equal(scene.arm.position(), rest)


def test_the_service_latches_and_only_a_reset_unlatches(scene: Scene) -> None:
    assert scene.peer.call(ESTOP).success
    scene.wait_for(SafetyMode.STOPPED_LATCHED)
    ticks = len(scene.arm.commands)
    wait_until(lambda: len(scene.arm.commands) > ticks + 100, "a second of commands")
    assert scene.state.mode == SafetyMode.STOPPED_LATCHED
    response = scene.peer.call(RESET)
    assert response.success, response.message
    scene.wait_for(SafetyMode.READY)


def test_no_reset_without_joint_states(scene: Scene) -> None:
    scene.arm.is_silent = True
    scene.wait_for(SafetyMode.HOLDING)
    scene.peer.call(ESTOP)
    scene.wait_for(SafetyMode.STOPPED_LATCHED)
    response = scene.peer.call(RESET)
    assert not response.success
    assert "joint states" in response.message
    assert scene.state.mode == SafetyMode.STOPPED_LATCHED


def test_diagnostics_say_in_a_sentence_why_the_arm_does_not_move(scene: Scene) -> None:
    told = scene.peer.listen(DIAGNOSTICS, matched=True)
    assert wait_until(lambda: told and told[-1].message.status[0], "a report").level == DiagnosticStatus.OK
    scene.peer.call(ESTOP)
    stopped = wait_until(
        lambda: next((h.message.status[0] for h in told if h.message.status[0].level == DiagnosticStatus.ERROR), None), "the stop"
    )
    assert "Emergency stop by a call of safety/estop" in stopped.message
    assert {pair.key: pair.value for pair in stopped.values}["mode"] == "STOPPED_LATCHED"
    assert stopped.hardware_id == "panda"


def test_rviz_is_shown_where_the_arm_would_come_to_rest_and_what_is_nearest(scene: Scene) -> None:
    heard = scene.peer.listen(SAFETY_MARKERS, matched=True)
    scene.arm.send(4 * SWEEP, rows=101)

    def shown(namespace: str) -> list[Any]:
        return [m.points for h in heard for m in h.message.markers if m.ns == namespace and len(m.points) > 1]

    def length_m(points: list[Any]) -> float:
        return float(np.linalg.norm([points[-1].x - points[0].x, points[-1].y - points[0].y, points[-1].z - points[0].z]))

    wait_until(lambda: any(length_m(points) > 0.005 for points in shown("braking")), "the committed path of a moving arm")
    assert all(0 < length_m(points) < 1.0 for points in shown("nearest"))
    assert shown("nearest")
    assert scene.peer.call(HOLD).success


def test_a_hold_that_is_asked_for_does_not_latch(scene: Scene) -> None:
    since = len(scene.decisions)
    scene.arm.send(4 * SWEEP, rows=101)
    wait_until(lambda: not at_rest(scene.arm.commands[-1].message), "motion")
    assert scene.peer.call(HOLD).success
    scene.decided("requested", since)
    wait_until(lambda: at_rest(scene.arm.commands[-1].message), "the arm to rest", 0.5)
    scene.wait_for(SafetyMode.READY)


def test_what_the_world_model_cannot_tell_is_slowed_and_what_it_rejects_is_held(scene: Scene) -> None:
    scene.world.verdict, scene.world.detail = Verdict.UNKNOWN, "it is dark."
    since = len(scene.decisions)
    scene.arm.send(4 * SWEEP, rows=101)
    decision = scene.decided("unforeseen", since)
    assert (decision.action, decision.speed_scale) == (SafetyAction.SLOW, 0.3)
    assert "it is dark." in decision.detail
    scene.wait_for(SafetyMode.SLOWED)
    wait_until(lambda: 0.25 < scene.arm.commands[-1].message.speed_scale < 0.305, "the slow pace")
    assert scene.peer.call(HOLD).success
    wait_until(lambda: at_rest(scene.arm.commands[-1].message), "the arm to rest")
    scene.wait_for(SafetyMode.READY)
    scene.world.verdict, scene.world.detail, since = Verdict.REJECT, "the hand would hit the bowl.", len(scene.decisions)
    scene.arm.send(4 * SWEEP, rows=101)
    assert scene.decided("world_model", since).detail == "the hand would hit the bowl."
    scene.wait_for(SafetyMode.READY)


def test_without_a_world_model_motion_is_slowed_until_one_approves_again(scene: Scene) -> None:
    def is_approved() -> bool:  # once the monitor has found the service
        since = len(scene.decisions)
        scene.arm.send(0.05 * SWEEP)
        if wait_until(lambda: scene.decisions[since:], "a decision")[0].message.reason not in ("ok", "blind_zone"):
            return False
        return bool(scene.decided("chunk_exhausted", since))

    wait_until(is_approved, "an approval")
    scene.world.leave()
    since = len(scene.decisions)
    scene.arm.send(SWEEP)
    sent_s = time.monotonic()
    assert "is it running?" in scene.decided("unforeseen", since).detail
    slowed = next(h for h in scene.decisions[since:] if h.message.reason == "unforeseen")
    assert slowed.monotonic_s - sent_s < 0.3 + 0.3
    wait_until(lambda: at_rest(scene.arm.commands[-1].message), "the arm to rest")
    scene.world.come()
    wait_until(is_approved, "an approval of the model that has come back")


def test_who_is_guided_moves_only_while_the_switch_is_held(scene: Scene) -> None:
    def guide() -> Any:
        since = len(scene.decisions)
        scene.arm.send(SWEEP, expert="teleop")
        return wait_until(lambda: scene.decisions[since:], "a decision")[0].message

    assert guide().reason == "deadman"
    switch, message = scene.peer.publisher(DEADMAN), load_type(DEADMAN.type)(data=True)
    timer = scene.peer.node.create_timer(0.05, lambda: switch.publish(message))
    wait_until(lambda: guide().action != SafetyAction.HOLD, "motion with the switch held")
    wait_until(lambda: not at_rest(scene.arm.commands[-1].message), "motion")
    since = len(scene.decisions)
    message.data = False
    assert "is not pressed" in scene.decided("deadman", since).detail
    wait_until(lambda: at_rest(scene.arm.commands[-1].message), "the arm to rest", 1.0)
    scene.peer.node.destroy_timer(timer)


def test_the_speed_can_be_set_and_a_senseless_one_is_refused(scene: Scene) -> None:
    assert scene.peer.call(SET_SPEED, scale=0.25).success
    wait_until(lambda: scene.state.speed_override == 0.25, "the override in the state")
    for wrong in (-0.1, 1.5, float("nan")):
        response = scene.peer.call(SET_SPEED, scale=wrong)
        assert not response.success
        assert "0 to 1" in response.message
    scene.peer.call(SET_SPEED, scale=0.0)
    before, since = scene.arm.position(), len(scene.decisions)
    scene.arm.send(SWEEP)
    wait_until(lambda: len(scene.decisions) > since, "a decision")
    np.testing.assert_array_equal(scene.arm.position(), before)


@pytest.mark.parametrize("topic", [GATED_COMMAND, JOINT_TRAJECTORY])
def test_a_second_publisher_is_named_and_latches_a_stop(scene: Scene, topic: Topic) -> None:
    rogues = [scene.peer.node.create_publisher(load_type(topic.type), topic.name, 1) for _ in range(2)]
    scene.wait_for(SafetyMode.STOPPED_LATCHED)
    assert scene.state.reason == "bypass"
    assert f"publishes on {topic.name}" in scene.state.detail
    assert scene.peer.node.get_name() in scene.state.detail
    for rogue in rogues:
        scene.peer.node.destroy_publisher(rogue)


@pytest.mark.parametrize(
    ("action", "kind"),
    [("arm_controller/follow_joint_trajectory", "FollowJointTrajectory"), ("gripper_controller/gripper_cmd", "GripperCommand")],
)
def test_another_client_of_the_controllers_actions_is_named_and_latches_a_stop(scene: Scene, action: str, kind: str) -> None:
    rogues = [ActionClient(scene.peer.node, load_type(f"control_msgs/action/{kind}"), action) for _ in range(2)]
    scene.wait_for(SafetyMode.STOPPED_LATCHED)
    assert scene.state.reason == "bypass"
    assert f"{scene.peer.node.get_name()} may send goals to {action}" in scene.state.detail
    for rogue in rogues:
        rogue.destroy()


@pytest.mark.parametrize("service", SWITCHES)
def test_a_client_that_may_switch_controllers_is_named_and_latches_a_stop(scene: Scene, service: str) -> None:
    rogue = scene.peer.node.create_client(load_type("std_srvs/srv/Trigger"), service)  # its type does not matter
    scene.wait_for(SafetyMode.STOPPED_LATCHED)
    assert scene.state.reason == "bypass"
    assert f"{scene.peer.node.get_name()} may put another controller in the place of the arm's by {service}" in scene.state.detail
    scene.peer.node.destroy_client(rogue)


def test_no_parameter_turns_it_off(scene: Scene) -> None:
    names = set(scene.peer.call(LIST_PARAMETERS).result.names)
    ours = {n for n in names if not n.startswith(("qos_overrides.", "start_type_description_service"))}
    assert ours == {"autostart", "robot", "safety", "speed", "use_sim_time"}
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue

    text, number = ParameterType.PARAMETER_STRING, ParameterType.PARAMETER_DOUBLE
    changes = [
        Parameter(name="robot", value=ParameterValue(type=text, string_value="other")),
        Parameter(name="safety", value=ParameterValue(type=text, string_value="other")),
        Parameter(name="speed", value=ParameterValue(type=number, double_value=2.0)),
        Parameter(name="enabled", value=ParameterValue(type=text, string_value="no")),
    ]
    assert not any(result.successful for result in scene.peer.call(SET_PARAMETERS, parameters=changes).results)
