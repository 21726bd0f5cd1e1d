"""Compressing a serialized image gives what an independent library reads as the same image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from data_samples import COMPRESSED, picture
from rosbags.typesys import Stores, get_typestore

from vla_ros.core.errors import DataError
from vla_ros.data.image_cdr import compress_image
from vla_ros.data.images import colour_decode, depth_decode

STORE = get_typestore(Stores.ROS2_KILTED)
IMAGE = "sensor_msgs/msg/Image"


def serialized(data: np.ndarray, width: int, height: int, step: int, encoding: str, frame: str = "camera", big_endian: int = 0) -> bytes:
    header = STORE.types["std_msgs/msg/Header"](STORE.types["builtin_interfaces/msg/Time"](12, 345), frame)
    return bytes(STORE.serialize_cdr(STORE.types[IMAGE](header, height, width, encoding, big_endian, step, data), IMAGE))


def read(cdr: bytes) -> Any:
    return STORE.deserialize_cdr(cdr, COMPRESSED)


@pytest.mark.parametrize("frame", ["", "a", "ab", "abc", "camera_front_optical_frame"])  # every alignment
def test_colour_keeps_header_and_picture(frame: str) -> None:
    rgb = picture(90)
    message = read(compress_image(serialized(rgb.ravel(), 640, 480, 1920, "rgb8", frame)))
    assert (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id) == (12, 345, frame)
    assert message.format == "rgb8; jpeg compressed bgr8"
    assert np.abs(colour_decode(message.data).astype(int) - rgb).mean() < 2


def test_bgr_is_told_from_rgb() -> None:
    bgr = np.ascontiguousarray(picture(90)[:, :, ::-1])
    message = read(compress_image(serialized(bgr.ravel(), 640, 480, 1920, "bgr8")))
    assert np.abs(colour_decode(message.data).astype(int) - picture(90)).mean() < 2


@pytest.mark.parametrize("big_endian", [0, 1])
def test_depth_is_lossless_with_padded_rows(big_endian: int) -> None:
    depth = np.random.default_rng(0).integers(0, 65536, (6, 5)).astype(np.uint16)
    rows = np.zeros((6, 16), np.uint8)
    rows[:, :10] = depth.astype(">u2" if big_endian else "<u2").view(np.uint8)
    message = read(compress_image(serialized(rows.ravel(), 5, 6, 16, "16UC1", big_endian=big_endian)))
    assert message.format == "16UC1; png compressed"
    np.testing.assert_array_equal(depth_decode(message.data), depth)


def test_what_cannot_be_compressed_is_explained() -> None:
    cdr = serialized(picture(90).ravel(), 640, 480, 1920, "rgb8")
    with pytest.raises(DataError, match="ends early"):
        compress_image(cdr[:-10])
    with pytest.raises(DataError, match="ends early"):
        compress_image(cdr[:20])
    with pytest.raises(DataError, match="only plain little-endian CDR"):
        compress_image(b"\x00\x00" + cdr[2:])
    with pytest.raises(DataError, match="valid: rgb8, bgr8"):
        compress_image(serialized(np.zeros(4, np.uint8), 2, 2, 2, "mono8"))
    with pytest.raises(DataError, match="inconsistent: 12 bytes for 3 rows of 4 bytes, 4 pixels"):
        compress_image(serialized(np.zeros(12, np.uint8), 4, 3, 4, "16UC1"))
    with pytest.raises(DataError, match="inconsistent: 4 bytes for 3 rows"):
        compress_image(serialized(np.zeros(4, np.uint8), 1, 3, 3, "rgb8"))
