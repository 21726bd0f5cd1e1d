"""The gripper's port: one small class for each kind of interface that real grippers offer; config/robots/<robot>.yaml names which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.core.stamps import ns_from_s
from vla_ros.robots.values import GripperConfig
from vla_ros.ros.conversions.arrays import packed
from vla_ros.ros.interfaces import load_type
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.qos import Qos, profile

SMALLEST_CHANGE_M = 0.0005
AGAIN_S = 0.5  # before a goal that was rejected is sent again


class GripperPort:
    """Sends a width and a force when they change. Subclasses know one interface."""

    def __init__(self, node: VlaNode, config: GripperConfig) -> None:
        self._node, self._config = node, config
        self._sent: tuple[float, float] | None = None

    def command(self, width_m: float, force_n: float) -> None:
        """Opens or closes to ``width_m``, pressing with ``force_n`` at most."""
        if self._sent and abs(self._sent[0] - width_m) < SMALLEST_CHANGE_M and self._sent[1] == force_n:
            return
        if self._send(self._config.binding.position_from_width(width_m), force_n):
            self._sent = (width_m, force_n)

    def forget(self) -> None:
        """The next command is sent whatever the last one was (the gripper may have been moved by others)."""
        self._sent = None

    def _send(self, position: float, force_n: float) -> bool:
        raise TypeError("a gripper port must define _send")


class _ActionPort(GripperPort):
    def __init__(self, node: VlaNode, config: GripperConfig) -> None:
        super().__init__(node, config)
        self._type = load_type(config.binding.type)
        self._client = ActionClient(node, self._type, config.binding.name)
        self._not_before_ns = 0
        node.keep(self._client, ActionClient.destroy)

    def _send(self, position: float, force_n: float) -> bool:
        if not self._client.server_is_ready() or self._node.steady_ns() < self._not_before_ns:
            return False  # tried again with the next command
        self._client.send_goal_async(self._goal(position, force_n)).add_done_callback(self._on_answer)
        return True

    def _on_answer(self, future: Any) -> None:
        """A goal that was not taken is sent again after a while, for as long as it is commanded."""
        handle = None if future.exception() else future.result()
        if handle is not None and handle.accepted:
            return
        name = self._config.binding.name
        self._node.get_logger().error(f"the gripper rejects goals of {name}; they are sent again", throttle_duration_sec=5.0)
        self._not_before_ns = self._node.steady_ns() + ns_from_s(AGAIN_S)
        self.forget()

    def _goal(self, position: float, force_n: float) -> Any:
        raise TypeError("an action port must define _goal")


class GripperCommandPort(_ActionPort):
    """control_msgs/action/GripperCommand (gripper_action_controller, franka_gripper)."""

    def _goal(self, position: float, force_n: float) -> Any:
        goal = self._type.Goal()
        goal.command.position, goal.command.max_effort = position, force_n
        return goal


class ParallelGripperCommandPort(_ActionPort):
    """control_msgs/action/ParallelGripperCommand (parallel_gripper_action_controller)."""

    def _goal(self, position: float, force_n: float) -> Any:
        goal = self._type.Goal()
        goal.command.name = [self._config.binding.joint]
        goal.command.position, goal.command.effort = packed([position]), packed([force_n])
        return goal


class TrajectoryPort(GripperPort):
    """trajectory_msgs/msg/JointTrajectory: a gripper behind a joint_trajectory_controller (no force)."""

    def __init__(self, node: VlaNode, config: GripperConfig) -> None:
        super().__init__(node, config)
        self._type = load_type(config.binding.type)
        self._publisher = node.create_publisher(self._type, config.binding.name, profile(Qos.COMMAND))
        node.keep(self._publisher, node.destroy_publisher)
        self._position: float | None = None

    def _send(self, position: float, force_n: float) -> bool:
        from builtin_interfaces.msg import Duration
        from trajectory_msgs.msg import JointTrajectoryPoint

        if self._publisher.get_subscription_count() == 0:
            return False  # the controller is not there yet; tried again with the next command
        travel = abs(position - (self._position if self._position is not None else 0.0)) / self._config.binding.position_per_width
        ns = round(max(0.1, travel / self._config.speed_mps) * 1e9)
        point = JointTrajectoryPoint(positions=packed([position]), time_from_start=Duration(sec=ns // 10**9, nanosec=ns % 10**9))
        self._publisher.publish(self._type(joint_names=[self._config.binding.joint], points=[point]))
        self._position = position
        return True


PORTS: dict[str, Callable[[VlaNode, GripperConfig], GripperPort]] = {
    "control_msgs/action/GripperCommand": GripperCommandPort,
    "control_msgs/action/ParallelGripperCommand": ParallelGripperCommandPort,
    "trajectory_msgs/msg/JointTrajectory": TrajectoryPort,
}


def make_gripper_port(node: VlaNode, config: GripperConfig) -> GripperPort:
    """Raises ConfigError listing the bindings that exist."""
    if config.binding.type not in PORTS:
        raise ConfigError(f"gripper binding: {unknown_choice('type', config.binding.type, PORTS)}")
    return PORTS[config.binding.type](node, config)
