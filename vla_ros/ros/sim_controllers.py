"""The action servers of the simulated controllers: follow_joint_trajectory and the gripper's, as ros2_control offers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rclpy.action import ActionServer, CancelResponse
from rclpy.task import Future

from vla_ros.core.errors import ConfigError, MotionError, unknown_choice
from vla_ros.robots.values import GripperConfig
from vla_ros.ros.interfaces import JOINT_TRAJECTORY, Action, load_type
from vla_ros.ros.lifecycle import VlaNode

POLL_S = 0.02


class FollowJointTrajectoryServer:
    """Takes any trajectory that the controller accepts; a newer goal takes over from the one that runs."""

    def __init__(
        self, node: VlaNode, action: Action, accept: Callable[[Any], None], is_done: Callable[[], bool], hold: Callable[[], None]
    ) -> None:
        self._type = load_type(action.type)
        self._accept, self._is_done, self._hold = accept, is_done, hold
        self._node = node
        self._running: tuple[Any, Future[str]] | None = None
        server = ActionServer(node, self._type, action.name, self._execute, cancel_callback=lambda _: CancelResponse.ACCEPT)
        node.keep(server, ActionServer.destroy)
        node.every(POLL_S, self._poll)

    async def _execute(self, handle: Any) -> Any:
        result = self._type.Result()
        try:
            self._accept(handle.request.trajectory)
        except (MotionError, ValueError) as error:
            result.error_code, result.error_string = self._type.Result.INVALID_GOAL, str(error)
            handle.abort()
            return result
        ended: Future[str] = Future(executor=self._node.executor)
        before, self._running = self._running, (handle, ended)
        if before is not None:
            before[1].set_result("abort")
        outcome = await ended
        if outcome == "canceled":
            self._hold()
        getattr(handle, outcome)()
        return result

    def _poll(self) -> None:
        if self._running is None:
            return
        handle, ended = self._running
        outcome = "canceled" if handle.is_cancel_requested else "succeed" if self._is_done() else ""
        if outcome:
            self._running = None
            ended.set_result(outcome)


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
    return goal.command.position, goal.command.max_effort or config.max_force_n


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
        self._node, self._config, self._command, self._state, self._read, self._fill = node, config, command, state, read, fill
        self._type = load_type(config.binding.type)
        self._running: tuple[Any, Future[str]] | None = None
        server = ActionServer(node, self._type, config.binding.name, self._execute, cancel_callback=lambda _: CancelResponse.ACCEPT)
        node.keep(server, ActionServer.destroy)
        node.every(POLL_S, self._poll)

    async def _execute(self, handle: Any) -> Any:
        position, force_n = self._read(handle.request, self._config)
        self._command(self._config.binding.width_from_position(position), force_n)
        ended: Future[str] = Future(executor=self._node.executor)
        before, self._running = self._running, (handle, ended)
        if before is not None:
            before[1].set_result("abort")
        outcome = await ended
        result, state = self._type.Result(), self._state()
        result.reached_goal, result.stalled = state.reached, state.stalled
        self._fill(result, self._config, state)
        getattr(handle, outcome)()
        return result

    def _poll(self) -> None:
        if self._running is None:
            return
        handle, ended = self._running
        state = self._state()
        outcome = "canceled" if handle.is_cancel_requested else "succeed" if state.reached or state.stalled else ""
        if outcome:
            self._running = None
            ended.set_result(outcome)
