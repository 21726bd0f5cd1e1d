"""Makes a bag whole again whose writing was cut short: cuts the torn end off, writes index and metadata.yaml.

Works in place, because the disk of an interrupted recording is often full. Only bytes that no reader can use are cut off.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import DataEnd, Footer, McapRecord, Statistics, SummaryOffset
from mcap.writer import MCAP0_MAGIC

from vla_ros.core.errors import DataError
from vla_ros.data.bag_metadata import BagInfo, write_metadata
from vla_ros.data.bag_scan import Scan, scan


@dataclass(frozen=True)
class Recovery:
    """What was done to a bag."""

    info: BagInfo
    was_whole: bool  # the file had its index already; only metadata.yaml was written


def recover(folder: Path) -> Recovery:
    """Completes the one MCAP file in ``folder`` and writes metadata.yaml anew. May be repeated.

    Raises DataError when there is no such file, or when the disk does not take the index.
    """
    path = mcap_file(folder)
    found = scan(path)
    if not found.has_index:
        _complete(path, found)
    write_metadata(folder, found.info())
    return Recovery(found.info(), found.has_index)


def mcap_file(folder: Path) -> Path:
    """The MCAP file of a bag's folder. Raises DataError unless there is exactly one."""
    files = sorted(folder.glob("*.mcap"))
    if len(files) != 1:
        raise DataError(f"{folder} holds {len(files)} .mcap files; expected the folder of one bag, with one file.")
    return files[0]


def _complete(path: Path, found: Scan) -> None:
    """Cuts ``path`` at the end of its data and appends what an interrupted writer would have written."""
    tail = _tail(found)
    try:
        with path.open("r+b", buffering=0) as stream:
            stream.truncate(found.data_end)
            stream.seek(found.data_end)
            view = memoryview(tail)
            while view:
                view = view[stream.write(view) or 0 :]
            os.fsync(stream.fileno())
    except OSError as error:
        raise DataError(f"Cannot write the index of {path}: {error.strerror}.") from error


def _tail(found: Scan) -> bytes:
    """Missing message indexes, end of data, summary, footer."""
    tail = RecordBuilder()
    if found.chunks and found.missing_indexes:
        last = found.chunks[-1]
        for index in found.missing_indexes:
            last.message_index_offsets[index.channel_id] = found.data_end + tail.count
            index.write(tail)
        last.message_index_length = tail.count
    DataEnd(data_section_crc=0).write(tail)  # 0: not computed
    summary_start = found.data_end + tail.count
    tail.write(_summary_and_footer(found, summary_start))
    tail.write(MCAP0_MAGIC)
    return bytes(tail.end())


def _summary_and_footer(found: Scan, summary_start: int) -> bytes:
    summary = RecordBuilder()
    offsets = [
        offset
        for opcode, records in _summary_groups(found)
        if (offset := _write_group(summary, opcode, records, summary_start)).group_length
    ]
    offset_start = summary_start + summary.count
    for offset in offsets:
        offset.write(summary)
    content = bytes(summary.end())
    footer = RecordBuilder()
    Footer(summary_start=summary_start, summary_offset_start=offset_start, summary_crc=0).write(footer)
    # The checksum covers the footer up to the checksum itself.
    head = bytes(footer.end())[:-4]
    crc = zlib.crc32(head, zlib.crc32(content))
    return content + head + crc.to_bytes(4, "little")


def _summary_groups(found: Scan) -> list[tuple[Opcode, Iterable[McapRecord]]]:
    """The groups of the summary, in the order in which readers need them."""
    info = found.info()
    statistics = Statistics(
        attachment_count=0,
        channel_count=len(found.channels),
        channel_message_counts=found.counts,
        chunk_count=len(found.chunks),
        message_count=info.message_count,
        message_end_time=info.end_ns,
        message_start_time=info.start_ns,
        metadata_count=0,
        schema_count=len(found.schemas),
    )
    return [
        (Opcode.SCHEMA, found.schemas.values()),
        (Opcode.CHANNEL, found.channels.values()),
        (Opcode.STATISTICS, [statistics]),
        (Opcode.CHUNK_INDEX, found.chunks),
    ]


def _write_group(summary: RecordBuilder, opcode: Opcode, records: Iterable[McapRecord], summary_start: int) -> SummaryOffset:
    start = summary.count
    for record in records:
        record.write(summary)
    return SummaryOffset(group_opcode=opcode, group_start=summary_start + start, group_length=summary.count - start)
