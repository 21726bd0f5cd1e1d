"""The newest message of a busy topic, deserialized only when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rclpy.serialization import deserialize_message

from vla_ros.ros.interfaces import Topic, load_type
from vla_ros.ros.lifecycle import VlaNode

Value = TypeVar("Value")


class Latest(Generic[Value]):
    """Subscribes ``node`` to ``topic``; ``get()`` turns the newest message into a value by ``from_msg``. Any thread may ask."""

    def __init__(self, node: VlaNode, topic: Topic, from_msg: Callable[[Any], Value]) -> None:
        self.topic = topic
        self._type = load_type(topic.type)
        self._from_msg = from_msg
        self._cdr: bytes = b""
        self._known: tuple[bytes, Value] | None = None
        node.subscribe_to(topic, self._keep, raw=True)

    def _keep(self, cdr: bytes) -> None:
        self._cdr = cdr

    def __bool__(self) -> bool:
        return bool(self._cdr)

    def get(self) -> Value | None:
        """None as long as nothing has come. Raises what ``from_msg`` raises."""
        cdr, known = self._cdr, self._known
        if not cdr:
            return None
        if known is None or known[0] is not cdr:
            known = self._known = (cdr, self._from_msg(deserialize_message(cdr, self._type)))
        return known[1]
