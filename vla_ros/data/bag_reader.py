"""Reads a bag, whole or torn: raw messages in the order of their log time, or decoded ones.

Decoding is done by the rosbags library: it gives NumPy arrays for numeric sequences and takes a quarter of the time of mcap-ros2-support
for trajectories (nested messages), half for joint states, about the same for images.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from vla_ros.core.errors import DataError
from vla_ros.data.bag_metadata import BagInfo
from vla_ros.data.bag_recovery import mcap_file
from vla_ros.data.bag_scan import RawMessage, chunk_messages, scan

_ALWAYS = 2**63 - 1


@dataclass(frozen=True)
class BagMessage:
    """One message; ``data`` is the decoded message, with the fields of its definition as attributes."""

    topic: str
    type: str
    log_time_ns: int
    publish_time_ns: int
    data: Any


class BagReader:
    """Use as a context manager, or call ``close``."""

    def __init__(self, path: Path) -> None:
        """``path``: a bag's folder, or its MCAP file. Raises DataError when it cannot be read at all."""
        if not path.exists():
            raise DataError(f"No bag at {path}.")
        self.path = mcap_file(path) if path.is_dir() else path
        self._scan = scan(self.path)
        self._stream = self.path.open("rb")
        self._typestore = get_typestore(Stores.EMPTY)
        self._registered: set[str] = set()

    @property
    def info(self) -> BagInfo:
        """Topics, counts and times of what can be read."""
        return self._scan.info()

    @property
    def damage(self) -> str:
        """A sentence on what is lost; empty when the bag is whole."""
        return self._scan.damage

    @property
    def types(self) -> dict[str, str]:
        """Topic -> message type."""
        return {topic.name: topic.type for topic in self.info.topics}

    def raw_messages(
        self, topics: Collection[str] | None = None, start_ns: int = 0, stop_ns: int = _ALWAYS
    ) -> Iterator[tuple[str, RawMessage]]:
        """(topic, message) with start_ns <= log time < stop_ns, ordered by log time; ``topics`` None: all; unknown ones give nothing."""
        names = {c.id: c.topic for c in self._scan.channels.values() if topics is None or c.topic in topics}
        wanted = frozenset(names)
        chunks = [c for c in self._scan.chunks if c.message_start_time < stop_ns and c.message_end_time >= start_ns]
        chunks = [c for c in chunks if not c.message_index_offsets or wanted & c.message_index_offsets.keys()]
        chunks.sort(key=lambda c: c.message_start_time)
        pending: list[RawMessage] = []
        next_starts = [*(c.message_start_time for c in chunks[1:]), 2**64]
        for chunk, next_start_ns in zip(chunks, next_starts, strict=False):
            pending += [m for m in chunk_messages(self._stream, chunk, wanted) if start_ns <= m.log_time_ns < stop_ns]
            pending.sort(key=_log_time)
            ready = bisect_left(pending, next_start_ns, key=_log_time)  # what the next chunk may precede has to wait for it
            for message in pending[:ready]:
                yield names[message.channel_id], message
            del pending[:ready]

    def messages(self, topics: Collection[str] | None = None, start_ns: int = 0, stop_ns: int = _ALWAYS) -> Iterator[BagMessage]:
        """Decoded messages, chosen as in ``raw_messages``. Raises DataError for a message that does not fit its definition."""
        types = self.types
        for topic, raw in self.raw_messages(topics, start_ns, stop_ns):
            kind = types[topic]
            yield BagMessage(topic, kind, raw.log_time_ns, raw.publish_time_ns, self.decode(raw.data, kind))

    def decode(self, cdr: bytes, message_type: str) -> Any:
        """A serialized message of a type that the bag defines."""
        self._register(message_type)
        try:
            return self._typestore.deserialize_cdr(cdr, message_type)
        except Exception as error:  # rosbags' generated code raises whatever a wrong length leads to
            why = f"{type(error).__name__}: {error}"
            raise DataError(f"{self.path}: a message of {message_type} does not fit its definition ({why}).") from error

    def _register(self, message_type: str) -> None:
        """Makes ``message_type`` and what it uses known to the decoder, from the definition in the bag."""
        if message_type in self._registered:
            return
        schema = next((s for s in self._scan.schemas.values() if s.name == message_type), None)
        if schema is None or schema.encoding != "ros2msg":
            raise DataError(f"{self.path} has no ros2msg definition of {message_type}; it cannot be decoded.")
        types = get_types_from_msg(schema.data.decode(), message_type)
        self._typestore.register({name: fields for name, fields in types.items() if name not in self._typestore.types})
        self._registered.add(message_type)

    def close(self) -> None:
        """Closes the file; nothing can be read afterwards."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _log_time(message: RawMessage) -> int:
    return message.log_time_ns
