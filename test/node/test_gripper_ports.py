"""The gripper's ports: what each sends to its kind of controller, and that the simulated fingers do it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from action_msgs.msg import GoalStatus
from control_msgs.action import ParallelGripperCommand
from rclpy.action import ActionServer
from ros_harness import Peer, Ros, probe_topic, wait_until

from vla_ros.robots import load_robot_config
from vla_ros.robots.values import GripperConfig
from vla_ros.ros.gripper import make_gripper_port
from vla_ros.ros.interfaces import Action
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.qos import Qos
from vla_ros.ros.sim_controllers import serve_gripper
from vla_ros.simulation.robot import SimRobot
from vla_ros.simulation.scene_config import load_scene

pytestmark = pytest.mark.node

ROBOT = load_robot_config("panda")
PARALLEL = "control_msgs/action/ParallelGripperCommand"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"


def gripper(kind: str) -> GripperConfig:
    return replace(ROBOT.gripper, binding=replace(ROBOT.gripper.binding, type=kind, name="hand/command"))


class User(VlaNode):
    """Commands the same width and force again and again, as motion_forwarder does."""

    def __init__(self, config: GripperConfig) -> None:
        super().__init__("user")
        self._config = config
        self.wanted = (0.08, 20.0)
        self.calls = 0

    def setup(self) -> None:
        self.port = make_gripper_port(self, self._config)
        self.every(0.01, self._command)

    def _command(self) -> None:
        self.port.command(*self.wanted)
        self.calls += 1


class Hand(VlaNode):
    """The simulated hand with its controller, without the rest of sim_robot."""

    def __init__(self, config: GripperConfig) -> None:
        super().__init__("hand")
        self._config = config

    def setup(self) -> None:
        self.sim = SimRobot(replace(ROBOT, gripper=self._config), load_scene("tabletop"), meshes=False)
        serve_gripper(self, self._config, self.sim.gripper.command, lambda: self.sim.gripper)
        self.every(0.01, self.sim.step)

    def finger_m(self) -> float:
        return float(self.sim.joint_state().select((self._config.binding.joint,)).positions[0])


def user(ros: Ros, kind: str) -> User:
    node = ros.spin(lambda: User(gripper(kind))).node
    assert isinstance(node, User)
    return node


def asked(node: User, heard: list[Any], *, width_m: float, force_n: float) -> Any:
    """What is heard when this is commanded; it is heard once, however often it is commanded."""
    before = len(heard)
    node.wanted = (width_m, force_n)
    wait_until(lambda: len(heard) > before, "the command")
    calls = node.calls
    wait_until(lambda: node.calls > calls + 10, "it to be commanded again and again")
    assert len(heard) == before + 1
    return heard[-1]


def parallel_server(peer: Peer, name: str) -> list[Any]:
    """The goals that a controller is sent; it reaches all of them."""
    goals: list[Any] = []

    def execute(handle: Any) -> Any:
        goals.append(handle.request.command)
        handle.succeed()
        return ParallelGripperCommand.Result(reached_goal=True)

    peer.make(lambda: ActionServer(peer.node, ParallelGripperCommand, name, execute))
    return goals


def test_the_parallel_port_names_the_joint_its_position_and_its_force(ros: Ros) -> None:
    goals = parallel_server(ros.peer(), "hand/command")
    node = user(ros, PARALLEL)
    wait_until(lambda: goals, "the first goal")
    first = asked(node, goals, width_m=0.04, force_n=20.0)
    assert list(first.name) == [ROBOT.gripper.binding.joint]
    assert (list(first.position), list(first.effort)) == ([0.02], [20.0])
    stronger = asked(node, goals, width_m=0.04, force_n=30.0)
    assert (list(stronger.position), list(stronger.effort)) == ([0.02], [30.0])


def test_the_trajectory_port_waits_for_its_controller_and_moves_at_the_hands_speed(ros: Ros) -> None:
    peer = ros.peer()
    node = user(ros, TRAJECTORY)
    wait_until(lambda: node.calls > 2, "commands that nobody hears")
    heard = peer.listen(probe_topic("hand/command", TRAJECTORY, Qos.COMMAND))
    wait_until(lambda: heard, "the command that nobody heard before")
    message = asked(node, heard, width_m=0.03, force_n=20.0).message
    assert list(message.joint_names) == [ROBOT.gripper.binding.joint]
    (point,) = message.points
    assert list(point.positions) == [0.015]
    assert (point.time_from_start.sec, point.time_from_start.nanosec) == (0, 500_000_000)  # 50 mm at 0.1 m/s


@pytest.mark.parametrize("kind", [PARALLEL, TRAJECTORY])
def test_the_simulated_fingers_reach_the_width(ros: Ros, kind: str) -> None:
    config = gripper(kind)
    hand = ros.spin(lambda: Hand(config)).node
    assert isinstance(hand, Hand)
    node = user(ros, kind)
    for width_m, force_n in ((0.03, 20.0), (0.06, 25.0)):
        node.wanted = (width_m, force_n)
        wait_until(lambda w=width_m: abs(hand.finger_m() - w / 2) < 0.0005, f"an opening of {width_m} m")
        assert hand.sim.gripper.force_n == (force_n if kind == PARALLEL else config.max_force_n)
    if kind == PARALLEL:
        client = ros.peer().action(Action("hand/command", kind, "hand", ""))
        goal = ParallelGripperCommand.Goal()
        goal.command.position, goal.command.effort = [0.02], [30.0]
        status, result = client.result(client.send(goal))
        assert (status, result.reached_goal, result.stalled) == (GoalStatus.STATUS_SUCCEEDED, True, False)
        assert list(result.state.name) == [config.binding.joint]
        assert result.state.position[0] == pytest.approx(0.02, abs=0.001)
        assert list(result.state.effort) == [30.0]
