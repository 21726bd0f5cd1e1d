"""The forwarder in this process, between a fake monitor and fake controllers."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from control_msgs.action import GripperCommand
from rclpy.action import ActionServer, GoalResponse
from ros_harness import Heard, Peer, Ros, wait_until

from vla_ros.core.actions import ActionChunk, ActionSpace, GatedCommand, SafetyAction, ShortTrajectory
from vla_ros.core.decisions import SafetyMode, SafetyReason, SafetyState
from vla_ros.core.geometry import Pose
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.nodes.motion_forwarder_node import MotionForwarderNode
from vla_ros.robots import load_robot, load_robot_config
from vla_ros.ros.conversions.actions import chunk_to_msg, gated_to_msg
from vla_ros.ros.conversions.robot import joint_state_to_msg
from vla_ros.ros.conversions.safety import safety_state_to_msg
from vla_ros.ros.conversions.scene import scene_to_msg
from vla_ros.ros.gripper import AGAIN_S
from vla_ros.ros.interfaces import (
    ACTION_CHUNK,
    GATED_COMMAND,
    HEARTBEAT,
    JOINT_STATES,
    JOINT_TRAJECTORY,
    MOVE_TO,
    OBJECTS,
    SAFETY_STATE,
    load_type,
)

pytestmark = pytest.mark.node

ROBOT = load_robot_config("panda")


AHEAD_NS = 20 * 10**9  # trajectories begin so late that no test sees their arm move: each fits to the one before it


def trajectory(to_rad: float = 0.1) -> ShortTrajectory:
    """Joint 1 from 0 to ``to_rad`` in 0.2 s, at rest at both ends, some time later."""
    positions = np.tile(ROBOT.home_rad, (3, 1))
    positions[:, 0] = 0.0, to_rad / 2, to_rad
    velocities, accelerations = np.zeros((3, 7)), np.zeros((3, 7))
    velocities[1, 0] = to_rad / 0.2
    return ShortTrajectory(time.time_ns() + AHEAD_NS, ROBOT.arm_joints, np.array([0.0, 0.1, 0.2]), positions, velocities, accelerations)


def rest() -> ShortTrajectory:
    """The arm stays at home."""
    zeros = np.zeros((2, 7))
    return ShortTrajectory(time.time_ns(), ROBOT.arm_joints, np.array([0.0, 0.2]), np.tile(ROBOT.home_rad, (2, 1)), zeros, zeros)


def command(seq: int, moves: ShortTrajectory, *, width_m: float = float("nan"), force_n: float = 20.0) -> GatedCommand:
    return GatedCommand(seq, time.time_ns(), SafetyAction.PASS, moves, 1.0, 1, 0.0, "trace", 1, width_m, force_n)


class FakeGripper:
    """Rejects the first ``rejections`` goals, accepts all others, and notes them."""

    def __init__(self, peer: Peer) -> None:
        self.goals: list[tuple[float, float]] = []
        self.rejections = 0
        name = ROBOT.gripper.binding.name
        self.server = peer.make(lambda: ActionServer(peer.node, GripperCommand, name, self._execute, goal_callback=self._answer))

    def _answer(self, _: Any) -> GoalResponse:
        if self.rejections == 0:
            return GoalResponse.ACCEPT
        self.rejections -= 1
        return GoalResponse.REJECT

    def _execute(self, handle: Any) -> Any:
        self.goals.append((handle.request.command.position, handle.request.command.max_effort))
        handle.succeed()
        return GripperCommand.Result(reached_goal=True)


@dataclass
class Bench:
    """The forwarder's surroundings."""

    peer: Peer
    gripper: FakeGripper
    sent: list[Heard]
    heartbeats: list[Heard]
    monitor: Any
    handled: list[int]

    def gate(self, *commands: GatedCommand) -> None:
        """One after the other: the topic keeps only the newest, so each waits until the one before it has been dealt with."""
        for one in commands:
            before = len(self.handled)
            self.monitor.publish(gated_to_msg(one))
            wait_until(lambda n=before: len(self.handled) > n, "the forwarder to deal with a command")

    def begin(self) -> int:
        """The monitor's first commands, at rest where the arm is measured, until one has been passed on; the next command's number."""
        for seq in range(1, 100):
            self.gate(command(seq, rest()))
            if self.sent:
                self.settled()
                self.sent.clear()
                return seq + 1
        raise AssertionError("no command at rest was passed on")

    def settled(self) -> None:
        """Whatever was sent before has been worked off: the node has beaten since."""
        before = len(self.heartbeats)
        wait_until(lambda: len(self.heartbeats) > before + 1, "heartbeats")


def at_home() -> Any:
    zeros = np.zeros(7)
    return joint_state_to_msg(JointState(time.time_ns(), ROBOT.arm_joints, np.asarray(ROBOT.home_rad), zeros, zeros))


class ObservedForwarder(MotionForwarderNode):
    """Notes which commands it has dealt with, passed on or not."""

    def __init__(self) -> None:
        super().__init__()
        self.handled: list[int] = []

    def _on_command(self, message: Any) -> None:
        super()._on_command(message)
        self.handled.append(message.seq)


def bench_with(ros: Ros, **parameters: Any) -> Bench:
    ros.init(**parameters)
    peer = ros.peer()
    gripper = FakeGripper(peer)
    sent, heartbeats = peer.listen(JOINT_TRAJECTORY), peer.listen(HEARTBEAT)
    spun = ros.spin(ObservedForwarder)
    monitor = peer.publisher(GATED_COMMAND)
    joints = peer.publisher(JOINT_STATES)
    peer.node.create_timer(0.02, lambda: joints.publish(at_home()))
    wait_until(spun.node._gripper._client.server_is_ready, "the gripper's server")
    wait_until(lambda: peer.node.count_publishers(JOINT_TRAJECTORY.name) == 1, "the forwarder's publisher")
    wait_until(lambda: monitor.get_subscription_count() == 1, "the forwarder to listen to its monitor")
    return Bench(peer, gripper, sent, heartbeats, monitor, spun.node.handled)


@pytest.fixture
def bench(ros: Ros) -> Bench:
    return bench_with(ros)


def test_a_gated_command_moves_the_arm_and_nothing_else_does(bench: Bench) -> None:
    moves = trajectory()
    chunk = ActionChunk(
        1, "fake_expert", "1", "t", time.time_ns(), ActionSpace.JOINT_POSITION, ROBOT.arm_joints, 0.05, moves.positions, np.zeros(3)
    )
    out = bench.peer.node.create_publisher(type(chunk_to_msg(chunk)), ACTION_CHUNK.name, 10)
    out.publish(chunk_to_msg(chunk))
    bench.settled()
    assert bench.sent == []
    bench.gate(command(bench.begin(), moves))
    wait_until(lambda: bench.sent, "a trajectory")
    message = bench.sent[0].message
    assert tuple(message.joint_names) == ROBOT.arm_joints
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == moves.start_ns
    np.testing.assert_array_equal([p.positions for p in message.points], moves.positions)
    np.testing.assert_array_equal([p.velocities for p in message.points], moves.velocities)
    np.testing.assert_array_equal([p.accelerations for p in message.points], moves.accelerations)


def changed(**fields: Any) -> ShortTrajectory:
    return replace(trajectory(), **fields)


def moving_end() -> ShortTrajectory:
    velocities = np.zeros((3, 7))
    velocities[-1, 2] = 0.01
    return changed(velocities=velocities)


def not_finite() -> ShortTrajectory:
    positions = np.tile(ROBOT.home_rad, (3, 1))
    positions[1, 1] = np.inf
    return changed(positions=positions)


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (0, trajectory()),
        (1, moving_end()),
        (1, not_finite()),
        (1, changed(times_s=np.array([0.0, 0.2, 0.1]))),
        (1, changed(names=ROBOT.arm_joints[::-1])),
        (1, changed(names=("other_joint", *ROBOT.arm_joints[1:]))),
    ],
    ids=["not in order", "moving at the end", "not finite", "times that go back", "other order of joints", "other joints"],
)
def test_a_command_that_must_not_pass_is_refused_and_the_next_good_one_passes(bench: Bench, step: int, wrong: ShortTrajectory) -> None:
    first = bench.begin()
    bench.gate(command(first, trajectory(0.1)))
    wait_until(lambda: len(bench.sent) == 1, "the first trajectory")
    bench.gate(command(first + step, wrong, width_m=0.04))
    bench.settled()
    assert len(bench.sent) == 1
    assert bench.gripper.goals == []
    bench.gate(command(first + 2, trajectory(0.2)))
    wait_until(lambda: len(bench.sent) == 2, "the next good trajectory")


def test_a_dry_run_sends_nothing(ros: Ros) -> None:
    bench = bench_with(ros, dry_run="true")
    wait_until(lambda: bench.heartbeats, "a heartbeat")
    assert bench.heartbeats[-1].message.dry_run, "it says so"
    bench.gate(*(command(seq, rest(), width_m=0.04) for seq in range(1, 20)), command(20, trajectory(), width_m=0.08))
    bench.settled()
    assert bench.sent == []
    assert bench.gripper.goals == []


def test_the_gripper_is_told_of_changes_only(bench: Bench) -> None:
    ticks = [(float("nan"), 20.0), (0.08, 20.0), (0.08, 20.0), (0.0801, 20.0), (0.02, 20.0), (0.02, 30.0), (float("nan"), 30.0)]
    first = bench.begin()
    bench.gate(*(command(first + i, trajectory(), width_m=width, force_n=force) for i, (width, force) in enumerate(ticks)))
    bench.settled()
    wait_until(lambda: len(bench.gripper.goals) == 3, "three goals")
    np.testing.assert_allclose(bench.gripper.goals, [(0.04, 20.0), (0.01, 20.0), (0.01, 30.0)])  # one finger moves by half of the opening


def test_a_gripper_that_rejects_a_goal_is_asked_again(bench: Bench) -> None:
    bench.gripper.rejections = 2
    seq = bench.begin()
    give_up_s = time.monotonic() + 5.0
    while not bench.gripper.goals:
        assert time.monotonic() < give_up_s, "not asked again"
        bench.gate(command(seq, trajectory(), width_m=0.08))
        seq += 1
    assert bench.gripper.goals == [(0.04, 20.0)]
    assert time.monotonic() > give_up_s - 5.0 + 2 * AGAIN_S, "with pauses"


def test_a_motion_names_all_that_it_was_planned_from_and_what_it_was_not_planned_for(bench: Bench) -> None:
    place_m = load_robot(ROBOT.name).fk(np.asarray(ROBOT.home_rad))[:3, 3]
    held, below = Pose(place_m), Pose(place_m - [0, 0, 0.04])
    cubes = (
        SceneObject("cube_1", "red cube", "red", "cube", held, np.full(3, 0.045), 1.0, 1, held=True),
        SceneObject("cube_2", "green cube", "green", "cube", below, np.full(3, 0.045), 1.0, 1),
    )
    chunks, objects = bench.peer.listen(ACTION_CHUNK), bench.peer.publisher(OBJECTS)
    seen = bench.peer.node.create_timer(0.05, lambda: objects.publish(scene_to_msg(Scene(time.time_ns(), ROBOT.base_frame, cubes))))
    kinds = load_type(MOVE_TO.type).Goal
    turned = [ROBOT.home_rad[0] + 0.45, *ROBOT.home_rad[1:]]  # clear of both
    names = list(ROBOT.arm_joints)
    bench.settled()
    client = bench.peer.action(MOVE_TO)
    goal = kinds(kind=kinds.JOINTS, joint_names=names, joint_positions=turned, gripper_width=float("nan"))
    give_up_s = time.monotonic() + 15.0
    while (result := client.result(client.send(goal))[1]).reason == "not_planned":  # until the objects are heard
        assert time.monotonic() < give_up_s, result.message
    bench.peer.make(lambda: bench.peer.node.destroy_timer(seen))
    assert result.reason == "refused", f"there is no monitor; {result.message}"
    assert result.message.endswith("as if the gripper were empty; it holds the red cube, which touches something where the motion begins.")
    assert set(chunks[0].message.input_names) == {"joint_states", "objects"}


def test_before_the_arm_is_heard_of_the_forwarder_waits_and_says_so_once(ros: Ros) -> None:
    forwarder = ros.process("motion_forwarder")
    peer = ros.peer()
    sent, monitor = peer.listen(JOINT_TRAJECTORY), peer.publisher(GATED_COMMAND)
    numbers = itertools.count(1)
    peer.node.create_timer(0.02, lambda: monitor.publish(gated_to_msg(command(next(numbers), rest()))))
    wait_until(lambda: "waiting with the first gated command" in forwarder.output, "the forwarder to say so")
    assert sent == []
    joints = peer.publisher(JOINT_STATES)
    peer.node.create_timer(0.02, lambda: joints.publish(at_home()))
    wait_until(lambda: sent, "the first command")
    assert forwarder.output.count("waiting with") == 1
    assert "ERROR" not in forwarder.output
    assert "WARN" not in forwarder.output


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (SafetyMode.HOLDING, "refused: The blue cube would fall 47 cm when it is let go."),
        (SafetyMode.STOPPED_LATCHED, "refused: The blue cube would fall 47 cm when it is let go. vla reset ends the stop."),
    ],
)
def test_a_motion_that_is_refused_says_why_in_the_monitors_words(bench: Bench, mode: SafetyMode, message: str) -> None:
    detail = "The blue cube would fall 47 cm when it is let go."
    states = bench.peer.publisher(SAFETY_STATE)

    def publish() -> None:
        states.publish(safety_state_to_msg(SafetyState(time.time_ns(), mode, SafetyReason.WORLD_MODEL, detail, 1.0)))

    said = bench.peer.node.create_timer(0.1, publish)
    kinds = load_type(MOVE_TO.type).Goal
    bench.settled()
    client = bench.peer.action(MOVE_TO)
    _, result = client.result(client.send(kinds(kind=kinds.GRIPPER, gripper_width=0.08)))
    bench.peer.make(lambda: bench.peer.node.destroy_timer(said))
    assert (result.success, result.reason, result.message) == (False, "refused", message)


def test_rest_is_told_once(bench: Bench) -> None:
    first = bench.begin()
    bench.gate(*(command(seq, rest()) for seq in range(first, first + 5)))
    bench.settled()
    assert bench.sent == []
