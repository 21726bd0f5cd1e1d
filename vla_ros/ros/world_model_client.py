"""Asks the world model about chunks without ever waiting for it: one question at a time, the newest chunk first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from vla_ros.core.decisions import Verdict
from vla_ros.core.stamps import ns_from_s
from vla_ros.ros.interfaces import EVALUATE_CHUNK, load_type

VERDICTS = {int(verdict): verdict for verdict in Verdict}
LOST_NS = ns_from_s(1.0)  # a question that old is not answered any more: who was asked has died, or hangs


class WorldModelClient:
    """``on_verdict(chunk_message, verdict, detail)`` is called for every answer; ``steady_ns``: a clock that never jumps."""

    def __init__(
        self, client: Any, on_verdict: Callable[[Any, Verdict, str], None], deadline_s: float, steady_ns: Callable[[], int]
    ) -> None:
        self._client = client
        self._on_verdict = on_verdict
        self._deadline_s = deadline_s
        self._steady_ns = steady_ns
        self._service = load_type(EVALUATE_CHUNK.type)
        self._question: Any = None  # the future of its answer
        self._asked_ns = 0
        self._next: Any = None

    def ask(self, chunk_message: Any, joints_message: Any) -> None:
        """Has the chunk evaluated from these joints, now or once the question before it is answered (a newer chunk takes its place)."""
        if self._question is not None and self._client.service_is_ready() and self._steady_ns() - self._asked_ns < LOST_NS:
            self._next = (chunk_message, joints_message)
            return
        self._give_up()
        if not self._client.service_is_ready():
            return
        request = self._service.Request(chunk=chunk_message, joints=joints_message, deadline=self._deadline_s)
        self._question, self._asked_ns = self._client.call_async(request), self._steady_ns()
        self._question.add_done_callback(partial(self._answered, chunk_message))

    def _give_up(self) -> None:
        if self._question is not None:
            self._client.remove_pending_request(self._question)
        self._question = self._next = None

    def _answered(self, chunk: Any, future: Any) -> None:
        if future is not self._question:
            return
        self._question = None
        if (response := future.result()) is not None:
            self._on_verdict(chunk, VERDICTS.get(response.verdict, Verdict.UNKNOWN), response.detail)
        if self._next is not None:
            newest, self._next = self._next, None
            self.ask(*newest)
