"""motion_forwarder: the only publisher to the controllers, moved only by gated_command.

It also plans free-space motions, which it submits as chunks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from vla_ros.core.geometry import Array
from vla_ros.core.scheduling import Urgency
from vla_ros.motion.forwarding import ArmUnknown, Forwarding
from vla_ros.nodes.forwarder_move_to import MoveToServer
from vla_ros.robots import load_robot
from vla_ros.ros.conversions.actions import gated_from_msg
from vla_ros.ros.conversions.robot import joint_state_from_msg, trajectory_to_msg
from vla_ros.ros.gripper import make_gripper_port
from vla_ros.ros.inbox import Latest
from vla_ros.ros.interfaces import GATED_COMMAND, JOINT_STATES, JOINT_TRAJECTORY
from vla_ros.ros.lifecycle import REPEAT_WARNING_S, VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run

WAIT_NS = 5_000_000_000  # for the first joint states, before it is a warning


@dataclass(frozen=True)
class MotionForwarderConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    backend: str = parameter("ompl", "what plans the motions of move_to")
    dry_run: bool = parameter(False, "everything but the last hop: nothing is sent to arm and gripper")


class MotionForwarderNode(VlaNode):
    """Checks each gated command, then passes it on; one that fails the check moves nothing."""

    def __init__(self) -> None:
        super().__init__("motion_forwarder")
        self.config = declare(self, MotionForwarderConfig)

    def setup(self) -> None:
        """Connects the gate to the arm's controller and the gripper, and serves move_to."""
        self.dry_run = self.config.dry_run
        arm = load_robot(self.config.robot)
        self._waiting_since_ns: int | None = None
        self._forwarding = Forwarding(arm.config.arm_joints)
        controller = replace(JOINT_TRAJECTORY, name=arm.config.controllers.joint_trajectory)
        self._trajectories = self.publish_on(controller)
        self._gripper = make_gripper_port(self, arm.config.gripper)
        self._move_to = MoveToServer(self, arm, self.config.backend)
        self._joints = Latest(self, JOINT_STATES, joint_state_from_msg)
        self.subscribe_to(GATED_COMMAND, self._on_command)
        self.poll_clock()

    def on_start(self) -> None:
        """Says so where commands are not passed on."""
        if self.config.dry_run:
            self.get_logger().warning("dry_run: commands end here; arm and gripper are not moved")

    def _on_command(self, message: Any) -> None:
        try:
            command = gated_from_msg(message)
            self._forwarding.check(command, self.now_ns(), self.steady_ns(), self._measured_rad)
        except ArmUnknown as error:
            self._wait_for_arm(str(error))
            return
        except (ValueError, KeyError) as error:
            self.get_logger().error(f"gated command refused: {error}", throttle_duration_sec=1.0)
            return
        self._move_to.on_command(command)
        is_news = self._forwarding.is_news(command)
        (self._forwarding.passed if is_news else self._forwarding.repeated)(command, self.steady_ns())
        if self.config.dry_run:
            return
        if is_news:
            self._trajectories.publish(trajectory_to_msg(command.trajectory))
        if command.gripper_width_m == command.gripper_width_m:  # NaN: as it is
            self._gripper.command(command.gripper_width_m, command.gripper_force_n)

    def _wait_for_arm(self, why: str) -> None:
        """The monitor may hear the arm before this node does: said once, and a warning only when it lasts."""
        if self._waiting_since_ns is None:
            self._waiting_since_ns = self.steady_ns()
            self.get_logger().info(f"waiting with the first gated command: {why}")
        elif self.steady_ns() - self._waiting_since_ns > WAIT_NS:
            self.get_logger().warning(f"gated commands are not passed on: {why}", throttle_duration_sec=REPEAT_WARNING_S)

    def _measured_rad(self) -> Array | None:
        joints = self._joints.get()
        return joints.select(self._forwarding.joint_names).positions if joints is not None else None


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(MotionForwarderNode, urgency=Urgency.CONTROL)
