"""Images, camera intrinsics and point clouds."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import PerceptionError
from vla_ros.robots.values import CameraConfig
from vla_ros.ros.conversions.arrays import header_to_msg

_ENCODINGS = {"rgb8": (np.uint8, 3), "bgr8": (np.uint8, 3), "16UC1": (np.uint16, 1), "mono16": (np.uint16, 1), "32FC1": (np.float32, 1)}


def _pixels(message: Any) -> NDArray[Any]:
    """[h, w(, 3)] view of an image message's data; honours step and byte order."""
    if message.encoding not in _ENCODINGS:
        raise PerceptionError(f"Image encoding '{message.encoding}' in frame {message.header.frame_id}; valid: {', '.join(_ENCODINGS)}.")
    dtype, channels = _ENCODINGS[message.encoding]
    row_bytes = message.width * channels * np.dtype(dtype).itemsize
    raw = np.frombuffer(message.data, np.uint8)
    if message.step < row_bytes or raw.size < message.step * message.height or raw.size == 0:
        raise PerceptionError(
            f"Image of frame {message.header.frame_id} holds {raw.size} bytes; {message.width} x {message.height} {message.encoding} "
            f"with step {message.step} needs {max(message.step, row_bytes) * message.height}."
        )
    rows = raw[: message.step * message.height].reshape(message.height, message.step)[:, :row_bytes]
    pixels = np.ascontiguousarray(rows).view(np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<"))
    return pixels.reshape((message.height, message.width, 3) if channels == 3 else (message.height, message.width))


def colour_from_msg(message: Any) -> NDArray[np.uint8]:
    """uint8 [h, w, 3] RGB. It may alias the message's memory: copy before keeping it beyond the callback."""
    pixels = _pixels(message)
    if message.encoding == "bgr8":
        return np.ascontiguousarray(pixels[:, :, ::-1])
    if message.encoding != "rgb8":
        raise PerceptionError(f"A colour image was expected in frame {message.header.frame_id}; its encoding is {message.encoding}.")
    return pixels


def depth_mm_from_msg(message: Any) -> NDArray[np.uint16]:
    """uint16 [h, w] millimetres, 0 = no return, from 16UC1 (mm) or 32FC1 (m)."""
    pixels = _pixels(message)
    if message.encoding == "32FC1":
        return np.nan_to_num(pixels * 1000.0, nan=0.0, posinf=0.0, neginf=0.0).clip(0, 65535).astype(np.uint16)
    if pixels.ndim != 2:
        raise PerceptionError(f"A depth image was expected in frame {message.header.frame_id}; its encoding is {message.encoding}.")
    return pixels.astype(np.uint16, copy=False)


def image_to_msg(image: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> Any:
    """sensor_msgs/Image of a contiguous array [h, w] or [h, w, 3]."""
    from sensor_msgs.msg import Image

    data = array("B")
    data.frombytes(np.ascontiguousarray(image).data.cast("B"))
    height, width = image.shape[:2]
    message = Image(header=header_to_msg(stamp_ns, frame_id), height=height, width=width, encoding=encoding, step=len(data) // height)
    message.data = data
    return message


def compressed_to_msg(data: bytes, image_format: str, stamp_ns: int, frame_id: str) -> Any:
    """sensor_msgs/CompressedImage; ``image_format`` is jpeg or png."""
    from sensor_msgs.msg import CompressedImage

    return CompressedImage(header=header_to_msg(stamp_ns, frame_id), format=image_format, data=array("B", data))


def camera_info_to_msg(camera: CameraConfig, stamp_ns: int) -> Any:
    """sensor_msgs/CameraInfo of an undistorted pinhole camera."""
    from sensor_msgs.msg import CameraInfo

    k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    return CameraInfo(
        header=header_to_msg(stamp_ns, camera.frame),
        height=camera.height_px,
        width=camera.width_px,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k,
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[k[0], 0.0, k[2], 0.0, 0.0, k[4], k[5], 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def points_to_msg(points_m: NDArray[Any], stamp_ns: int, frame_id: str, colours: NDArray[np.uint8] | None = None) -> Any:
    """sensor_msgs/PointCloud2 of points [n, 3] and, where given, RGB colours [n, 3]."""
    from sensor_msgs.msg import PointCloud2, PointField

    names = ["x", "y", "z"] + (["rgb"] if colours is not None else [])
    rows = np.zeros((len(points_m), len(names)), np.float32)
    rows[:, :3] = points_m
    if colours is not None:
        c = colours.astype(np.uint32)
        rows[:, 3] = ((c[:, 0] << 16) | (c[:, 1] << 8) | c[:, 2]).view(np.float32)
    fields = [PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, name in enumerate(names)]
    data = array("B", rows.tobytes())
    return PointCloud2(
        header=header_to_msg(stamp_ns, frame_id),
        height=1,
        width=len(rows),
        fields=fields,
        point_step=4 * len(names),
        row_step=len(data),
        is_dense=True,
        data=data,
    )


def points_from_msg(message: Any) -> NDArray[np.float32]:
    """[n, 3] metres, of a cloud whose first fields are float32 x, y, z."""
    if [f.name for f in message.fields[:3]] != ["x", "y", "z"]:
        raise PerceptionError(f"Cloud of frame {message.header.frame_id}: the first fields must be x, y, z.")
    rows = np.frombuffer(message.data, np.uint8).reshape(-1, message.point_step)[:, :12]
    return np.ascontiguousarray(rows).view(np.float32).reshape(-1, 3)
