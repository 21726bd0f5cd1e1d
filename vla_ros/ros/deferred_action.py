"""An action server whose goals end when somebody says so, from any thread.

A coroutine that awaits the end would be resumed at every wake-up of the executor and keep a core busy; here nothing waits.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import GoalEvent, ServerGoalHandle

from vla_ros.ros.interfaces import Action, load_type
from vla_ros.ros.lifecycle import VlaNode

RESULT_TIMEOUT_S = 900  # how long a result can be asked for; Jazzy and Kilted differ in their defaults
SUCCEEDED, ABORTED, CANCELED = "succeed", "abort", "canceled"  # methods of a goal handle


class DeferredActionServer:
    """``begin(handle)`` is called, in the executor's thread, for each accepted goal; ``end`` finishes it.

    A goal whose ``begin`` raises is aborted with the reason.
    """

    def __init__(
        self,
        node: VlaNode,
        action: Action,
        begin: Callable[[Any], None],
        *,
        accept: Callable[[Any], bool] = lambda goal: True,
        on_cancel: Callable[[Any], None] = lambda handle: None,
    ) -> None:
        self.type = load_type(action.type)
        self._node = node
        self._begin = begin
        self._accept = accept
        self._on_cancel = on_cancel
        self._is_destroyed = False
        self._server = ActionServer(
            node,
            self.type,
            action.name,
            execute_callback=self._never,
            goal_callback=lambda goal: GoalResponse.ACCEPT if self._accept(goal) else GoalResponse.REJECT,
            handle_accepted_callback=self._start,
            cancel_callback=self._cancel,
            result_timeout=RESULT_TIMEOUT_S,
        )
        node.keep(self, DeferredActionServer.destroy)

    def end(self, handle: Any, ending: str, result: Any) -> None:
        """``ending``: SUCCEEDED, ABORTED or CANCELED (which counts as ABORTED where nobody asked to cancel)."""
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._end, handle, partial(_finish, ending, result))

    def failure(self, error: Exception) -> Any:
        """Logs an exception that is being handled; the result of a goal that ends with it."""
        self._node.get_logger().error(traceback.format_exc())
        result = self.type.Result()
        if hasattr(result, "message"):
            result.message = f"{self._node.get_name()} failed: {error}"
        return result

    def destroy(self) -> None:
        """No more goals."""
        self._is_destroyed = True
        self._server.destroy()

    def _start(self, handle: ServerGoalHandle) -> None:
        handle._update_state(GoalEvent.EXECUTE)
        try:
            self._begin(handle)
        except Exception as error:
            self.end(handle, ABORTED, self.failure(error))

    def _end(self, handle: ServerGoalHandle, finish: Callable[[Any], Any]) -> None:
        if not self._is_destroyed:
            self._server.notify_execute(handle, finish)

    def _cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        self._on_cancel(handle)
        return CancelResponse.ACCEPT

    def _never(self, handle: Any) -> Any:
        raise TypeError("goals of a DeferredActionServer are ended by end()")


def _finish(ending: str, result: Any, handle: Any) -> Any:
    if ending == CANCELED and not handle.is_cancel_requested:
        ending = ABORTED
    getattr(handle, ending)()
    return result
