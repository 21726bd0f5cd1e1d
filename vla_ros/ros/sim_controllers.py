"""The simulated gripper's controllers, as ros2_control offers them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.robots.values import GripperConfig
from vla_ros.ros.deferred_action import ABORTED, CANCELED, SUCCEEDED, DeferredActionServer
from vla_ros.ros.interfaces import JOINT_TRAJECTORY, Action
from vla_ros.ros.lifecycle import VlaNode

POLL_S = 0.02


class GripperState(Protocol):
    """What the gripper servers read of the simulated fingers: opening [m], force [N], and how the last command stands."""

    width_m: float
    force_n: float

    @property
    def reached(self) -> bool:
        """Whether the commanded width was reached."""

    @property
    def stalled(self) -> bool:
        """Whether the fingers have stopped short of it, as on an object."""


def serve_gripper(node: VlaNode, config: GripperConfig, command: Callable[[float, float], None], state: Callable[[], GripperState]) -> None:
    """The interface that the robot's gripper binding names. Raises ConfigError listing those that the simulator offers."""
    kinds: dict[str, Callable[[], Any]] = {
        "control_msgs/action/GripperCommand": lambda: _GripperServer(
            node, config, command, state, _from_gripper_command, _to_gripper_result
        ),
        "control_msgs/action/ParallelGripperCommand": lambda: _GripperServer(
            node, config, command, state, _from_parallel, _to_parallel_result
        ),
        JOINT_TRAJECTORY.type: lambda: _gripper_topic(node, config, command),
    }
    if config.binding.type not in kinds:
        raise ConfigError(f"gripper binding: {unknown_choice('type', config.binding.type, kinds)}")
    kinds[config.binding.type]()


def _gripper_topic(node: VlaNode, config: GripperConfig, command: Callable[[float, float], None]) -> None:
    from dataclasses import replace

    def on_trajectory(message: Any) -> None:
        command(config.binding.width_from_position(message.points[-1].positions[0]), config.max_force_n)

    node.subscribe_to(replace(JOINT_TRAJECTORY, name=config.binding.name), on_trajectory)


def _from_gripper_command(goal: Any, config: GripperConfig) -> tuple[float, float]:
    return goal.command.position, goal.command.max_effort


def _from_parallel(goal: Any, config: GripperConfig) -> tuple[float, float]:
    return goal.command.position[0], goal.command.effort[0] if len(goal.command.effort) else config.max_force_n


def _to_gripper_result(result: Any, config: GripperConfig, state: GripperState) -> None:
    result.position, result.effort = config.binding.position_from_width(state.width_m), state.force_n


def _to_parallel_result(result: Any, config: GripperConfig, state: GripperState) -> None:
    result.state.name = [config.binding.joint]
    result.state.position, result.state.effort = [config.binding.position_from_width(state.width_m)], [state.force_n]


class _GripperServer:
    """One goal at a time; a newer one takes over."""

    def __init__(
        self,
        node: VlaNode,
        config: GripperConfig,
        command: Callable[[float, float], None],
        state: Callable[[], GripperState],
        read: Callable[[Any, GripperConfig], tuple[float, float]],
        fill: Callable[[Any, GripperConfig, GripperState], None],
    ) -> None:
        self._config, self._command, self._state, self._read, self._fill = config, command, state, read, fill
        self._running: Any = None
        action = Action(config.binding.name, config.binding.type, "sim_robot", "the gripper")
        self._node = node
        self._server = DeferredActionServer(node, action, self._begin, accept=self._accepts)
        node.every(POLL_S, self._poll)

    def _accepts(self, goal: Any) -> bool:
        """A force of 0 would be read as the most by some grippers and as none by others."""
        position, force_n = self._read(goal, self._config)
        good = math.isfinite(position) and math.isfinite(force_n) and force_n > 0
        if not good:
            self._node.get_logger().error(f"gripper goal rejected: position {position}, force {force_n} N; it needs a force above 0")
        return good

    def _begin(self, handle: Any) -> None:
        position, force_n = self._read(handle.request, self._config)
        self._command(self._config.binding.width_from_position(position), force_n)
        before, self._running = self._running, handle
        if before is not None:
            self._server.end(before, ABORTED, self._result())

    def _poll(self) -> None:
        handle, state = self._running, self._state()
        if handle is None or not (handle.is_cancel_requested or state.reached or state.stalled):
            return
        self._running = None
        self._server.end(handle, CANCELED if handle.is_cancel_requested else SUCCEEDED, self._result())

    def _result(self) -> Any:
        result, state = self._server.type.Result(), self._state()
        result.reached_goal, result.stalled = state.reached, state.stalled
        self._fill(result, self._config, state)
        return result
