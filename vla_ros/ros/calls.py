"""Services and actions of other nodes, called from a worker thread (never from a callback: the executor must go on to hear the answer)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient

from vla_ros.core.errors import VlaRosError
from vla_ros.ros.interfaces import Action, load_type
from vla_ros.ros.lifecycle import VlaNode

POLL_S = 0.02


class CallError(VlaRosError):
    """A service or action did not answer, or refused."""


class _Client(ActionClient):  # type: ignore[type-arg]
    """An ActionClient that takes no answer while the goal that it is for is still being noted.

    rclpy sends a goal first and notes what waits for the answer afterwards; the executor's thread may be quicker, and the goal then
    counts as unanswered for ever, or raises ValueError.
    """

    def __init__(self, *arguments: Any) -> None:
        self._sending = threading.Lock()
        super().__init__(*arguments)

    def send_goal_async(self, *arguments: Any, **options: Any) -> Any:
        with self._sending:
            return super().send_goal_async(*arguments, **options)

    def take_data(self) -> Any:
        with self._sending:
            return super().take_data()


class ActionCaller:
    """Sends goals of one action and waits for their results."""

    def __init__(self, node: VlaNode, action: Action) -> None:
        self.name = action.name
        self.type = load_type(action.type)
        self._client = _Client(node, self.type, action.name)
        node.keep(self._client, ActionClient.destroy)

    def is_ready(self) -> bool:
        """Whether somebody serves the action."""
        return bool(self._client.server_is_ready())

    def call(
        self,
        goal: Any,
        *,
        cancel: Callable[[], bool] = lambda: False,
        on_feedback: Callable[[Any], None] | None = None,
        accept_s: float = 5.0,
        time_limit_s: float = 600.0,
        cancel_s: float = 3.0,
        lost: Callable[[], str] = lambda: "",
    ) -> Any:
        """The result message. ``cancel() -> True`` cancels the goal and still waits ``cancel_s`` for its result.

        ``lost() -> sentence`` ends the wait when the server is known to be gone. Raises CallError.
        """
        if not self._client.wait_for_server(timeout_sec=accept_s):
            raise CallError(f"Nobody serves the action {self.name}.")
        feedback = (lambda message: on_feedback(message.feedback)) if on_feedback else None
        handle = _wait(self._client.send_goal_async(goal, feedback_callback=feedback), accept_s, f"{self.name} did not answer the goal")
        if not handle.accepted:
            raise CallError(f"{self.name} rejected the goal: it is busy or not active.")
        answered = threading.Event()
        future = handle.get_result_async()
        future.add_done_callback(lambda _: answered.set())
        waited_s, canceled_at_s = 0.0, None
        while not answered.wait(POLL_S):
            waited_s += POLL_S
            if why := lost():
                raise CallError(why)
            if canceled_at_s is None and (cancel() or waited_s > time_limit_s):
                canceled_at_s = waited_s
                handle.cancel_goal_async()
            if canceled_at_s is not None and waited_s > canceled_at_s + cancel_s:
                raise CallError(f"{self.name} did not end within {cancel_s:g} s of being canceled.")
        return future.result().result


def _wait(future: Any, timeout_s: float, what: str) -> Any:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if not done.wait(timeout_s):
        raise CallError(f"{what} within {timeout_s:g} s.")
    return future.result()
