"""Writes a rosbag2 folder (one MCAP file and metadata.yaml) from raw serialized messages.

The file grows by whole MCAP records only, so it stays readable whatever happens: a killed process loses what was written since the last
flush, a full disk loses the record that did not fit. bag_recovery.py rebuilds index and metadata of such a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from mcap.writer import CompressionType, Writer

from vla_ros.core.errors import DataError
from vla_ros.core.stamps import NS_PER_S
from vla_ros.data.bag_metadata import BagInfo, QosProfile, TopicInfo, embedded_metadata, qos_to_yaml, write_metadata
from vla_ros.data.bag_recovery import recover

Compression = Literal["zstd", "none"]
_COMPRESSION = {"zstd": CompressionType.ZSTD, "none": CompressionType.NONE}
CHUNK_BYTES = 4 * 1024 * 1024  # of 1, 4 MiB: 4 MiB costs less than half of the processor time with raw images


@dataclass
class _Topic:
    channel_id: int
    type: str
    type_hash: str
    qos_yaml: str
    count: int = 0


class BagWriter:
    """Use as a context manager, or call ``close``. Not thread-safe: one thread writes.

    ``flush_interval_ns``: of log time; what may be lost when the process is killed. After a failed write every further call raises
    DataError, so that nobody takes the recording for whole.
    """

    def __init__(
        self,
        folder: Path,
        compression: Compression = "none",
        *,
        flush_interval_ns: int = NS_PER_S,
        chunk_bytes: int = CHUNK_BYTES,
        ros_distro: str = "",
    ) -> None:
        """Creates ``folder``. Raises DataError when it exists or cannot be written."""
        if compression not in _COMPRESSION:
            raise DataError(f"Bag compression '{compression}' is unknown; valid: {', '.join(_COMPRESSION)}.")
        self.folder = folder
        self._flush_interval_ns = flush_interval_ns
        self._ros_distro = ros_distro
        self._topics: dict[str, _Topic] = {}
        self._schemas: dict[str, int] = {}
        self._count = self._start_ns = self._end_ns = self._last_flush_ns = 0
        self._failure = ""
        self._closed = False
        self._file = _RecordFile(_new_bag_file(folder))
        self._mcap = Writer(self._file, chunk_size=chunk_bytes, compression=_COMPRESSION[compression])
        with self._reporting():
            self._mcap.start(profile="ros2", library="vla_ros")

    @property
    def message_count(self) -> int:
        """Messages taken so far, including those that the next flush writes."""
        return self._count

    @property
    def size_bytes(self) -> int:
        """Size of the file now."""
        return self._file.tell()

    def add_topic(
        self, name: str, message_type: str, definition: str, type_hash: str = "", qos_profiles: Sequence[QosProfile] = ()
    ) -> None:
        """Announces a topic of type ``package/msg/Name``; ``definition`` is its ros2msg text with all it uses.

        Raises DataError when the topic is there already, or when this or an earlier write failed.
        """
        self._check_usable()
        if name in self._topics:
            raise DataError(f"Topic '{name}' is already in the bag {self.folder}, as {self._topics[name].type}.")
        qos_yaml = qos_to_yaml(qos_profiles)
        with self._reporting():
            if message_type not in self._schemas:
                self._schemas[message_type] = self._mcap.register_schema(message_type, "ros2msg", definition.encode())
            metadata = {"offered_qos_profiles": qos_yaml, "topic_type_hash": type_hash}
            channel_id = self._mcap.register_channel(name, "cdr", self._schemas[message_type], metadata)
        self._topics[name] = _Topic(channel_id, message_type, type_hash, qos_yaml)

    def write(self, topic: str, cdr: bytes, log_time_ns: int, publish_time_ns: int) -> None:
        """Appends one serialized message. Raises DataError for an unknown topic, or when this or an earlier write failed."""
        self._check_usable()
        entry = self._topics.get(topic)
        if entry is None:
            raise DataError(f"Topic '{topic}' was not added to the bag {self.folder}.")
        with self._reporting():
            self._mcap.add_message(entry.channel_id, log_time_ns, cdr, publish_time_ns, entry.count)
        if self._count == 0:
            self._start_ns = self._end_ns = self._last_flush_ns = log_time_ns
        entry.count += 1
        self._count += 1
        self._start_ns = min(self._start_ns, log_time_ns)
        self._end_ns = max(self._end_ns, log_time_ns)
        if abs(log_time_ns - self._last_flush_ns) >= self._flush_interval_ns:  # the clock jumps back when a simulation is reset
            self._last_flush_ns = log_time_ns
            self.flush()

    def flush(self) -> None:
        """Hands everything taken so far to the operating system. Raises DataError when it does not take it."""
        self._check_usable()
        with self._reporting():
            self._mcap.flush()

    def close(self) -> BagInfo:
        """Completes file and metadata.yaml. Raises DataError when any write failed; what is on the disk is then made readable first."""
        if self._closed:
            return self.info()
        self._closed = True
        try:
            with self._reporting():
                self._mcap.flush()
                self._mcap.add_metadata("rosbag2", embedded_metadata(self.info()))
                self._mcap.finish()
                self._file.sync()
            write_metadata(self.folder, self.info())
        except DataError as error:
            self._failure = self._failure or str(error)
        finally:
            self._file.close()
        if self._failure:
            raise DataError(f"{self._failure} {self._salvage()}")
        return self.info()

    def info(self) -> BagInfo:
        """What has been taken so far."""
        topics = tuple(TopicInfo(name, t.type, t.count, t.type_hash, t.qos_yaml) for name, t in self._topics.items())
        return BagInfo(self._file.path.name, self._start_ns, self._end_ns, topics, self._ros_distro)

    def _salvage(self) -> str:
        """A sentence on what can be read of a bag whose writing failed."""
        try:
            kept = recover(self.folder).info.message_count
        except DataError as error:
            return f"Its index could not be written either ({error}); free some space, then recover the bag."
        return f"{kept} of {self._count} messages are kept and can be read."

    def _check_usable(self) -> None:
        if self._failure:
            raise DataError(self._failure)
        if self._closed:
            raise DataError(f"The bag {self.folder} is closed.")

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turns an error of the disk into a DataError that stays: nothing may be written behind a gap."""
        if self._failure:
            raise DataError(self._failure)
        try:
            yield
        except OSError as error:
            self._failure = f"Recording to {self._file.path} failed after {self._file.tell()} bytes: {error.strerror}."
            raise DataError(self._failure) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _RecordFile:
    """An unbuffered file whose every ``write`` is whole records: one that does not fit leaves no trace."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._size = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        written = 0
        try:
            while written < len(view):
                written += os.write(self._descriptor, view[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise
        self._size += written
        return written

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing is held back here; the MCAP writer calls this after each flush of its own."""

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def _new_bag_file(folder: Path) -> Path:
    """The path of the first MCAP file of a new bag, named as rosbag2 does."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise DataError(f"{folder} exists already; a bag is never written over another one. Choose another folder.") from None
    except OSError as error:
        raise DataError(f"Cannot create {folder}: {error.strerror}.") from error
    return folder / f"{folder.name}_0.mcap"
