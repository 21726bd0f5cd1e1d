"""An action server that does one goal at a time, in a thread of its own.

rclpy runs execute callbacks outside every callback group, and one that blocks stops the whole executor; here the callback only awaits
the worker.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.task import Future

from vla_ros.ros.interfaces import Action, load_type
from vla_ros.ros.lifecycle import VlaNode

RESULT_TIMEOUT_S = 900  # how long a result can be asked for; Jazzy and Kilted differ in their defaults


class Ending(Enum):
    """How a goal ended; the values are rclpy's names for the transitions of a goal handle."""

    SUCCEEDED = "succeed"
    ABORTED = "abort"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Work:
    """One accepted goal, as its worker sees it."""

    goal: Any  # the action's Goal message
    goal_id: str
    cancel: threading.Event  # set when the client cancels or the node stops
    feedback: Callable[[Any], None]


Worker = Callable[[Work], tuple[Ending, Any]]


class OneGoalServer:
    """``worker(work) -> (ending, result)`` runs in a thread; what it raises aborts the goal and is logged.

    A second goal while one runs is rejected, or, where ``busy`` is given, answered by the result that ``busy(goal)`` makes.
    """

    def __init__(self, node: VlaNode, action: Action, worker: Worker, busy: Callable[[Any], Any] | None = None) -> None:
        self._node = node
        self._type = load_type(action.type)
        self._worker = worker
        self._busy = busy
        self._slot = threading.Lock()
        self._cancel = threading.Event()
        self._goal_id = b""
        self._thread: threading.Thread | None = None
        self._server = ActionServer(
            node,
            self._type,
            action.name,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            result_timeout=RESULT_TIMEOUT_S,
        )
        node.keep(self, OneGoalServer.destroy)

    @property
    def is_busy(self) -> bool:
        """Whether a goal runs now."""
        return self._slot.locked()

    def destroy(self) -> None:
        """Cancels the goal that runs, waits at most 2 s for its worker, and ends the server."""
        self._cancel.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
        self._server.destroy()

    def _on_goal(self, goal: Any) -> GoalResponse:
        if not self._node.is_active or (self._busy is None and self.is_busy):
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, handle: Any) -> CancelResponse:
        if bytes(handle.goal_id.uuid) == self._goal_id:
            self._cancel.set()
        return CancelResponse.ACCEPT

    async def _execute(self, handle: Any) -> Any:
        if not self._slot.acquire(blocking=False):
            handle.abort()
            return self._busy(handle.request) if self._busy else self._type.Result()
        try:
            self._cancel = threading.Event()
            self._goal_id = bytes(handle.goal_id.uuid)
            if handle.is_cancel_requested:  # it came between acceptance and here
                self._cancel.set()
            done: Future[tuple[Ending, Any]] = Future(executor=self._node.executor)
            work = Work(handle.request, self._goal_id.hex(), self._cancel, handle.publish_feedback)
            self._thread = threading.Thread(target=self._run, args=(work, done), name="goal", daemon=True)
            self._thread.start()
            ending, result = await done
        finally:
            self._slot.release()
        if ending is Ending.CANCELED and not handle.is_cancel_requested:
            ending = Ending.ABORTED  # the node stops: nobody asked to cancel
        getattr(handle, ending.value)()
        return result

    def _run(self, work: Work, done: Future[tuple[Ending, Any]]) -> None:
        try:
            done.set_result(self._worker(work))
        except Exception as error:
            self._node.get_logger().error(traceback.format_exc())
            result = self._type.Result()
            if hasattr(result, "message"):
                result.message = f"{self._node.get_name()} failed: {error}"
            done.set_result((Ending.ABORTED, result))
