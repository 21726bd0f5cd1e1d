"""Reads the records of an MCAP file, whole or torn: its topics, and where its chunks and message indexes lie."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, ChunkIndex, MessageIndex, Schema
from mcap.summary import Summary
from mcap.writer import MCAP0_MAGIC

from vla_ros.core.errors import DataError
from vla_ros.data.bag_metadata import BagInfo, TopicInfo

RECORD_HEADER = struct.Struct("<BQ")  # opcode, length of what follows
_MESSAGE_HEADER = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
# Read errors of the mcap library on torn bytes: too short, not text, not a known compression.
_TORN = (McapError, EOFError, struct.error, ValueError, zstandard.ZstdError)


@dataclass(frozen=True)
class RawMessage:
    """One message as it lies in the file."""

    channel_id: int
    sequence: int
    log_time_ns: int
    publish_time_ns: int
    data: bytes


@dataclass
class Scan:
    """What the whole records of a file hold."""

    path: Path
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkIndex] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)  # channel id -> messages
    has_index: bool = False  # the file was completed; otherwise the rest of these fields says how it ends
    data_end: int = 0  # offset behind the last whole record of data
    missing_indexes: tuple[MessageIndex, ...] = ()  # of the last chunk: what has to be written at data_end
    torn_bytes: int = 0  # behind data_end

    @property
    def damage(self) -> str:
        """A sentence on what is wrong with the file; empty when nothing is."""
        if self.has_index:
            return ""
        messages = sum(self.counts.values())
        return (
            f"{self.path.name} was not completed: {messages} messages in {len(self.chunks)} whole chunks can be read, "
            f"{self.torn_bytes} torn bytes at its end cannot."
        )

    def info(self) -> BagInfo:
        """What metadata.yaml says of these contents."""
        topics = []
        for channel in self.channels.values():
            extra = channel.metadata
            name = self.schemas[channel.schema_id].name if channel.schema_id in self.schemas else ""
            count = self.counts.get(channel.id, 0)
            topics.append(TopicInfo(channel.topic, name, count, extra.get("topic_type_hash", ""), extra.get("offered_qos_profiles", "")))
        start_ns = min((c.message_start_time for c in self.chunks), default=0)
        end_ns = max((c.message_end_time for c in self.chunks), default=0)
        return BagInfo(self.path.name, start_ns, end_ns, tuple(topics))


def scan(path: Path) -> Scan:
    """Topics and chunks of ``path``: from its index, or record by record where it has none. Raises DataError when it is no MCAP file."""
    try:
        with path.open("rb") as stream:
            if stream.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
                raise DataError(f"{path} is not an MCAP file: it does not begin with MCAP's signature.")
            summary = _summary(stream)
            return _from_summary(path, summary) if summary is not None else _from_records(path, stream)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error


def chunk_messages(stream: IO[bytes], chunk: ChunkIndex, wanted: frozenset[int]) -> Iterator[RawMessage]:
    """The messages of one chunk on the ``wanted`` channels, in the order of the file."""
    stream.seek(chunk.chunk_start_offset + RECORD_HEADER.size)
    data = chunk_bytes(Chunk.read(ReadDataStream(stream)))
    for opcode, start, end in _records(data):
        if opcode != Opcode.MESSAGE:
            continue
        channel, sequence, log_time_ns, publish_time_ns = _MESSAGE_HEADER.unpack_from(data, start)
        if channel in wanted:
            yield RawMessage(channel, sequence, log_time_ns, publish_time_ns, data[start + _MESSAGE_HEADER.size : end])


def chunk_bytes(chunk: Chunk) -> bytes:
    """The uncompressed records of a chunk. Raises ValueError when they are not what was written, DataError for an unknown compression."""
    if chunk.compression == "zstd":
        data = zstandard.decompress(chunk.data, chunk.uncompressed_size)
    elif chunk.compression == "":
        data = chunk.data
    else:
        raise DataError(f"Chunk compression '{chunk.compression}' is not supported; valid: zstd, none.")
    if len(data) != chunk.uncompressed_size or (chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc):
        raise ValueError("a chunk is not what was written: its checksum is wrong")
    return data


def _records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(opcode, start, end) of the content of each record in ``data``."""
    position = 0
    while position < len(data):
        opcode, length = RECORD_HEADER.unpack_from(data, position)
        start = position + RECORD_HEADER.size
        position = start + length
        yield opcode, start, position


def _summary(stream: IO[bytes]) -> Summary | None:
    """The file's own index, when it was completed."""
    stream.seek(-len(MCAP0_MAGIC), os.SEEK_END)
    if stream.read() != MCAP0_MAGIC:
        return None
    try:
        stream.seek(0)
        return make_reader(stream).get_summary()
    except _TORN:
        return None


def _from_summary(path: Path, summary: Summary) -> Scan:
    counts = dict(summary.statistics.channel_message_counts) if summary.statistics else {}
    return Scan(path, summary.schemas, summary.channels, summary.chunk_indexes, counts, has_index=True)


def _from_records(path: Path, stream: IO[bytes]) -> Scan:
    """Walks the records until the first one that is torn or belongs to the index."""
    found = Scan(path)
    size = stream.seek(0, os.SEEK_END)
    position = len(MCAP0_MAGIC)
    while (record := _read_record(stream, position, size)) is not None:
        opcode, content = record
        end = position + RECORD_HEADER.size + len(content)
        if opcode in (Opcode.DATA_END, Opcode.FOOTER):
            break
        if opcode == Opcode.MESSAGE:
            raise DataError(f"{path} was written without chunks, which is not supported here; the mcap command line tool can recover it.")
        try:
            if opcode == Opcode.CHUNK:
                _add_chunk(found, content, position, end)
            elif opcode == Opcode.MESSAGE_INDEX and found.chunks:
                index = MessageIndex.read(ReadDataStream(io.BytesIO(content)))
                found.chunks[-1].message_index_offsets[index.channel_id] = position
                found.chunks[-1].message_index_length += end - position
        except _TORN:
            break
        position = end
    _check_last_indexes(found, position)
    found.torn_bytes = size - found.data_end
    return found


def _read_record(stream: IO[bytes], position: int, size: int) -> tuple[int, bytes] | None:
    """Opcode and content of the record at ``position``; None when it is not whole."""
    stream.seek(position)
    header = stream.read(RECORD_HEADER.size)
    if len(header) < RECORD_HEADER.size:
        return None
    opcode, length = RECORD_HEADER.unpack(header)
    if opcode == 0 or position + RECORD_HEADER.size + length > size:  # a file system may leave zeros behind after a power cut
        return None
    return opcode, stream.read(length)


def _add_chunk(found: Scan, content: bytes, position: int, end: int) -> None:
    chunk = Chunk.read(ReadDataStream(io.BytesIO(content)))
    indexes: dict[int, MessageIndex] = {}
    data = chunk_bytes(chunk)
    for opcode, start, stop in _records(data):
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(ReadDataStream(io.BytesIO(data[start:stop])))
            found.schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel = Channel.read(ReadDataStream(io.BytesIO(data[start:stop])))
            found.channels[channel.id] = channel
        elif opcode == Opcode.MESSAGE:
            channel_id, _, log_time_ns, _ = _MESSAGE_HEADER.unpack_from(data, start)
            index = indexes.setdefault(channel_id, MessageIndex(channel_id, []))
            index.records.append((log_time_ns, start - RECORD_HEADER.size))
    for channel_id, index in indexes.items():
        found.counts[channel_id] = found.counts.get(channel_id, 0) + len(index.records)
    found.missing_indexes = tuple(indexes.values())
    found.chunks.append(
        ChunkIndex(
            chunk_length=end - position,
            chunk_start_offset=position,
            compression=chunk.compression,
            compressed_size=len(chunk.data),
            message_end_time=chunk.message_end_time,
            message_index_length=0,
            message_index_offsets={},
            message_start_time=chunk.message_start_time,
            uncompressed_size=chunk.uncompressed_size,
        )
    )


def _check_last_indexes(found: Scan, position: int) -> None:
    """Decides where the data ends: message indexes of the last chunk that are only partly there count as missing."""
    found.data_end = position
    if not found.chunks:
        return
    last = found.chunks[-1]
    if len(last.message_index_offsets) == len(found.missing_indexes):
        found.missing_indexes = ()
        return
    found.data_end = last.chunk_start_offset + last.chunk_length
    last.message_index_offsets.clear()
    last.message_index_length = 0
