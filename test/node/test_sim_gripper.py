"""The simulated gripper's action server."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from control_msgs.action import GripperCommand
from ros_harness import Ros

from vla_ros.robots import load_robot_config
from vla_ros.ros.interfaces import Action
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.sim_controllers import serve_gripper

pytestmark = pytest.mark.node

GRIPPER = load_robot_config("panda").gripper
ACTION = Action(GRIPPER.binding.name, GRIPPER.binding.type, "probe", "")


@dataclass
class Fingers:
    """They are at once where they are sent."""

    width_m: float = 0.08
    force_n: float = 0.0
    reached: bool = True
    stalled: bool = False

    def command(self, width_m: float, force_n: float) -> None:
        self.width_m, self.force_n = width_m, force_n


class Probe(VlaNode):
    """Serves the gripper's action."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.fingers = Fingers()

    def setup(self) -> None:
        serve_gripper(self, GRIPPER, self.fingers.command, lambda: self.fingers)


def test_a_goal_without_a_force_is_rejected_and_moves_nothing(ros: Ros) -> None:
    spun = ros.spin(Probe)
    assert isinstance(spun.node, Probe)
    client = ros.peer().action(ACTION)
    for force_n in (0.0, -1.0, float("nan"), float("inf")):
        goal = GripperCommand.Goal()
        goal.command.position, goal.command.max_effort = 0.0, force_n
        assert not client.send(goal).accepted, force_n
    assert spun.node.fingers == Fingers()
    goal.command.max_effort = 20.0
    _, result = client.result(client.send(goal))
    assert result.reached_goal
    assert spun.node.fingers.force_n == 20.0
