"""Subscriptions that are emptied when their owner looks, instead of waking the process for every message.

Most nodes look at a topic of 100 Hz ten times a second: waking Python for each message would cost more than all of their thinking. DDS
keeps the newest messages meanwhile. Under any other executor than LeanExecutor the messages come through callbacks, to the same effect.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rclpy.serialization import deserialize_message

from vla_ros.ros.interfaces import Topic, load_type
from vla_ros.ros.lifecycle import VlaNode

Value = TypeVar("Value")


@dataclass(frozen=True)
class Letter:
    """A serialized message."""

    cdr: bytes
    received_ns: int  # system time
    sequence: int = 0  # of its publisher; 0 where the middleware does not tell
    publisher: bytes = b""


class Inbox:
    """``depth``: how many messages DDS keeps until they are looked at; of more, the oldest are lost. Any one thread may look."""

    def __init__(self, node: VlaNode, topic: Topic, depth: int = 1) -> None:
        self.topic = topic
        self.message_type = load_type(topic.type)
        self._fallback: deque[Letter] = deque(maxlen=depth)
        self._subscription = node.subscribe_polled(topic, lambda cdr: self._fallback.append(Letter(cdr, time.time_ns())), depth)

    def take(self) -> list[Letter]:
        """What has come since the last call, oldest first."""
        letters = list(self._fallback)
        self._fallback.clear()
        handle, kind = self._subscription.handle, self._subscription.msg_type
        while (taken := handle.take_message(kind, True)) is not None:
            letters.append(_letter(*taken))
        return letters

    def take_messages(self) -> list[Any]:
        """The same, deserialized."""
        return [deserialize_message(letter.cdr, self.message_type) for letter in self.take()]


def _letter(cdr: bytes, info: Any) -> Letter:
    publisher = info.get("publisher_gid") or {}
    sequence = int(info.get("publication_sequence_number") or 0)
    return Letter(cdr, int(info["received_timestamp"]) or time.time_ns(), sequence, bytes(publisher.get("data", b"")))


class Losses:
    """Counts what did not arrive, by the gaps in the publishers' sequence numbers."""

    def __init__(self) -> None:
        self.count = 0
        self._last: dict[tuple[str, bytes], int] = {}

    def note(self, name: str, letter: Letter) -> None:
        """Takes a message of topic ``name`` into account."""
        key = (name, letter.publisher)
        last = self._last.get(key, 0)
        if last and letter.sequence > last + 1:
            self.count += letter.sequence - last - 1
        if letter.sequence:
            self._last[key] = letter.sequence


class Latest(Generic[Value]):
    """The newest message of a topic, as a value."""

    def __init__(self, node: VlaNode, topic: Topic, from_msg: Callable[[Any], Value]) -> None:
        self.topic = topic
        self._inbox = Inbox(node, topic)
        self._from_msg = from_msg
        self._value: Value | None = None

    def get(self) -> Value | None:
        """None as long as nothing has come. Raises what ``from_msg`` raises."""
        letters = self._inbox.take()
        if letters:
            self._value = self._from_msg(deserialize_message(letters[-1].cdr, self._inbox.message_type))
        return self._value

    def get_new(self) -> Value | None:
        """The same, but None when nothing has come since the last look."""
        before = self._value
        value = self.get()
        return None if value is before else value
