"""An action server that does one goal at a time, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vla_ros.ros.deferred_action import ABORTED, CANCELED, SUCCEEDED, DeferredActionServer
from vla_ros.ros.interfaces import Action
from vla_ros.ros.lifecycle import VlaNode

JOIN_S = 2.0  # for the worker to end when the node stops


class Ending(Enum):
    """How a goal ended, for the action's status."""

    SUCCEEDED = SUCCEEDED
    ABORTED = ABORTED
    CANCELED = CANCELED


@dataclass(frozen=True)
class Work:
    """One accepted goal, as its worker sees it."""

    goal: Any  # the action's Goal message
    goal_id: str
    cancel: threading.Event  # set when the client cancels or the node stops
    feedback: Callable[[Any], None]


Worker = Callable[[Work], tuple[Ending, Any]]


class OneGoalServer:
    """``worker(work) -> (ending, result)`` runs in a thread.

    A second goal while one runs is rejected, or, where ``busy`` is given, answered by the result that ``busy(goal)`` makes.
    """

    def __init__(self, node: VlaNode, action: Action, worker: Worker, busy: Callable[[Any], Any] | None = None) -> None:
        self._node = node
        self._worker = worker
        self._busy = busy
        self._work: Work | None = None
        self._thread: threading.Thread | None = None
        self._server = DeferredActionServer(node, action, self._begin, accept=self._accepts, on_cancel=self._on_cancel)
        node.end_work_with(self.cancel, self._has_ended)
        node.keep(self, OneGoalServer.stop)

    def cancel(self) -> None:
        """Asks the worker to end."""
        work = self._work
        if work is not None:
            work.cancel.set()

    def stop(self) -> None:
        """Has the worker end."""
        self.cancel()
        if self._thread is not None:
            self._thread.join(timeout=JOIN_S)

    def _has_ended(self) -> bool:
        return self._thread is None or not self._thread.is_alive()

    def _accepts(self, goal: Any) -> bool:
        return self._node.is_active and not self._node.is_stopping and (self._work is None or self._busy is not None)

    def _begin(self, handle: Any) -> None:
        if self._work is not None:
            result = self._busy(handle.request) if self._busy else self._server.type.Result()
            self._server.end(handle, ABORTED, result)
            return
        self._work = Work(handle.request, bytes(handle.goal_id.uuid).hex(), threading.Event(), handle.publish_feedback)
        self._thread = threading.Thread(target=self._run, args=(handle, self._work), name="goal", daemon=True)
        self._thread.start()

    def _on_cancel(self, handle: Any) -> None:
        work = self._work  # its thread may end it meanwhile
        if work is not None and bytes(handle.goal_id.uuid).hex() == work.goal_id:
            work.cancel.set()

    def _run(self, handle: Any, work: Work) -> None:
        try:
            ending, result = self._worker(work)
        except Exception as error:
            ending, result = Ending.ABORTED, self._server.failure(error)
        self._work = None
        self._server.end(handle, ending.value, result)
