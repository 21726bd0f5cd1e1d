"""Asks the world model about chunks without ever waiting for it: one question at a time, the newest chunk first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vla_ros.ros.interfaces import EVALUATE_CHUNK, load_type

DEADLINE_S = 0.3


class WorldModelClient:
    """``on_verdict(chunk_message, is_safe, detail)`` is called for every answer; UNKNOWN counts as neither and is not passed on."""

    def __init__(self, client: Any, on_verdict: Callable[[Any, bool, str], None]) -> None:
        self._client = client
        self._on_verdict = on_verdict
        self._service = load_type(EVALUATE_CHUNK.type)
        self._asked: Any = None
        self._next: Any = None

    def ask(self, chunk_message: Any, joints_message: Any) -> None:
        """Has the chunk evaluated from these joints, now or once the question before it is answered (a newer chunk takes its place)."""
        if self._asked is not None and self._client.service_is_ready():
            self._next = (chunk_message, joints_message)
            return
        if not self._client.service_is_ready():
            self._asked = self._next = None
            return
        self._asked = chunk_message
        self._client.call_async(self._service.Request(chunk=chunk_message, joints=joints_message, deadline=DEADLINE_S)).add_done_callback(
            self._answered
        )

    def _answered(self, future: Any) -> None:
        chunk, self._asked = self._asked, None
        response = future.result()
        if response is not None and chunk is not None and response.verdict != self._service.Response.UNKNOWN:
            self._on_verdict(chunk, response.verdict == self._service.Response.APPROVE, response.detail)
        if self._next is not None:
            newest, self._next = self._next, None
            self.ask(*newest)
