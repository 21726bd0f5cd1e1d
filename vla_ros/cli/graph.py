"""The command line's own end of the graph: a small ROS node that calls services and sends goals, spun by whoever waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import rclpy
from rclpy.action import ActionClient
from rclpy.signals import SignalHandlerOptions

from vla_ros.core.errors import VlaRosError
from vla_ros.ros.interfaces import Action, Service, Topic, load_type
from vla_ros.ros.lean_executor import LeanExecutor
from vla_ros.ros.qos import profile

SPIN_S = 0.1
ANSWER_S = 10.0  # DDS asks again for what was lost every 3 s


class NoGraphError(VlaRosError):
    """Nobody answers."""


class Graph:
    """Use as a context manager."""

    def __init__(self, name: str = "vla_cli") -> None:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node(f"{name}_{time.time_ns() % 1_000_000}")
        self._executor = LeanExecutor()
        self._executor.add_node(self.node)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._executor.shutdown(timeout_sec=0.5)
        self.node.destroy_node()
        rclpy.try_shutdown()

    def spin_until(self, done: Callable[[], bool], timeout_s: float, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Serves callbacks until ``done()`` is true; False when that takes longer than ``timeout_s``."""
        give_up_s = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > give_up_s:
                return False
            self._executor.spin_once(timeout_sec=SPIN_S)
            meanwhile()
        return True

    def listen(self, topic: Topic, callback: Callable[[Any], None]) -> None:
        """Subscribes; ``callback(message)`` runs whenever this node is spun."""
        self.node.create_subscription(load_type(topic.type), topic.name, callback, profile(topic.qos))

    def first(self, topic: Topic, callback: Callable[[Any], None] = lambda message: None, timeout_s: float = ANSWER_S) -> Any:
        """The first message of a topic, after which ``callback`` gets it and all later ones. Raises NoGraphError when none comes."""
        heard: list[Any] = []

        def hear(message: Any) -> None:
            if not heard:
                heard.append(message)
            callback(message)

        self.listen(topic, hear)
        if not self.spin_until(lambda: bool(heard), timeout_s):
            raise NoGraphError(self._absent(f"the topic {topic.name} of {topic.publishers}"))
        return heard[0]

    def call(self, service: Service, timeout_s: float = ANSWER_S, **fields: Any) -> Any:
        """The response. Raises NoGraphError naming who is missing and what to do."""
        kind = load_type(service.type)
        client = self.node.create_client(kind, service.name)
        if not self.spin_until(client.service_is_ready, timeout_s):
            raise NoGraphError(self._absent(f"the service {service.name} of {service.server}"))
        future = client.call_async(kind.Request(**fields))
        if not self.spin_until(future.done, timeout_s):
            raise NoGraphError(f"{service.server} did not answer {service.name} within {timeout_s:g} s.")
        self.node.destroy_client(client)
        return future.result()

    def send(self, action: Action, goal: Any, on_feedback: Callable[[Any], None] | None = None, timeout_s: float = ANSWER_S) -> RunningGoal:
        """Sends a goal. Raises NoGraphError when nobody serves the action or the goal is rejected."""
        client = ActionClient(self.node, load_type(action.type), action.name)
        if not self.spin_until(client.server_is_ready, timeout_s):
            raise NoGraphError(self._absent(f"the action {action.name} of {action.server}"))
        feedback = (lambda message: on_feedback(message.feedback)) if on_feedback else None
        future = client.send_goal_async(goal, feedback_callback=feedback)
        if not self.spin_until(future.done, timeout_s):
            raise NoGraphError(f"{action.server} did not answer the goal within {timeout_s:g} s.")
        handle = future.result()
        if handle is None or not handle.accepted:
            raise NoGraphError(f"{action.server} rejected the goal: it is busy or not active yet.")
        return RunningGoal(self, handle)

    def _absent(self, what: str) -> str:
        import os

        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        return (
            f"Nobody offers {what} in ROS domain {domain}. Start the graph (vla launch demo), or export the ROS_DOMAIN_ID that it printed."
        )


class RunningGoal:
    """A goal that was accepted."""

    def __init__(self, graph: Graph, handle: Any) -> None:
        self._graph, self._handle = graph, handle
        self._result = handle.get_result_async()

    def wait(self, timeout_s: float = float("inf"), meanwhile: Callable[[], None] = lambda: None) -> Any:
        """The result message. Raises NoGraphError when it does not come."""
        if not self._graph.spin_until(self._result.done, timeout_s, meanwhile):
            raise NoGraphError(f"No result came within {timeout_s:g} s.")
        return self._result.result().result

    def cancel(self) -> None:
        """Asks for an end; the result still comes."""
        self._handle.cancel_goal_async()
