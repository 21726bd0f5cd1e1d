"""Turns a serialized sensor_msgs/Image into a serialized sensor_msgs/CompressedImage, without any message object in between.

A recorder gets serialized messages. Making message objects of three cameras' images only to serialize them again would cost more than
the compression itself. Layout: CDR (OMG DDSI-RTPS 2.5, 10.5), which all ROS 2 middlewares use.
"""

from __future__ import annotations

import struct

import numpy as np

from vla_ros.core.errors import DataError
from vla_ros.data.images import depth_png_encode, jpeg_encode, raw_colour

COMPRESSED_TYPE = "sensor_msgs/msg/CompressedImage"
_LITTLE_ENDIAN = b"\x00\x01"  # the first two bytes of the encapsulation header; the other two are options
_HEADER_BYTES = 4


def compress_image(cdr: bytes, quality: int = 90) -> bytes:
    """JPEG for rgb8 and bgr8, 16-bit PNG for 16UC1; the header stays as it was. Raises DataError for another encoding or torn data."""
    reader = _Reader(cdr)
    sec, nanosec = reader.uint32(), reader.uint32()
    frame_id = reader.string()
    height, width, encoding = reader.uint32(), reader.uint32(), reader.string()
    big_endian, step = reader.uint8(), reader.uint32()
    data = np.frombuffer(reader.octets(), np.uint8)
    if encoding == "16UC1":
        if step < 2 * width or data.size != height * step:
            raise DataError(f"A depth image is inconsistent: {data.size} bytes for {height} rows of {step} bytes, {width} pixels each.")
        rows = data.reshape(height, step)[:, : 2 * width]
        depth_mm = np.ascontiguousarray(rows).view(">u2" if big_endian else "<u2").astype(np.uint16)
        name, content = "16UC1; png compressed", depth_png_encode(depth_mm)
    else:
        name, content = f"{encoding}; jpeg compressed bgr8", jpeg_encode(raw_colour(data, height, width, step, encoding), quality)
    writer = _Writer()
    writer.uint32(sec)
    writer.uint32(nanosec)
    writer.string(frame_id)
    writer.string(name)  # as image_transport's compressed images are named
    writer.octets(content)
    return writer.done()


class _Reader:
    """Takes values in order; every value is aligned to its own size, counted from the end of the encapsulation header."""

    def __init__(self, cdr: bytes) -> None:
        if cdr[:2] != _LITTLE_ENDIAN:
            raise DataError(f"A serialized image begins with {cdr[:2].hex(' ')}; only plain little-endian CDR (00 01) is supported.")
        self._body = memoryview(cdr)[_HEADER_BYTES:]
        self._at = 0

    def uint8(self) -> int:
        return int(self._take(1)[0])

    def uint32(self) -> int:
        self._at += -self._at % 4
        return int(struct.unpack("<I", self._take(4))[0])

    def string(self) -> str:
        return bytes(self.octets()[:-1]).decode("utf-8", errors="replace")  # ends with a zero

    def octets(self) -> memoryview:
        return self._take(self.uint32())

    def _take(self, count: int) -> memoryview:
        if self._at + count > len(self._body):
            raise DataError(f"A serialized image ends early: {len(self._body)} bytes, at least {self._at + count} expected.")
        self._at += count
        return self._body[self._at - count : self._at]


class _Writer:
    """The counterpart of ``_Reader``."""

    def __init__(self) -> None:
        self._cdr = bytearray(_LITTLE_ENDIAN + b"\x00\x00")

    def uint32(self, value: int) -> None:
        self._cdr += bytes(-len(self._cdr) % 4) + struct.pack("<I", value)  # the header's length is a multiple of 4

    def string(self, text: str) -> None:
        self.octets(text.encode() + b"\x00")

    def octets(self, content: bytes) -> None:
        self.uint32(len(content))
        self._cdr += content

    def done(self) -> bytes:
        return bytes(self._cdr)
