"""Images, camera intrinsics and point clouds."""

from __future__ import annotations

import math
import struct
from array import array
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import PerceptionError
from vla_ros.core.stamps import NS_PER_S
from vla_ros.robots.values import CameraConfig
from vla_ros.ros.conversions.arrays import header_to_msg, ns_from_cdr

MOST_DISTORTION_PX = 1.0  # by which a lens may move a point without being taken for one that does
_LITTLE_ENDIAN = bytes((0, 1, 0, 0))  # encapsulation header of plain CDR
_ENCODINGS = {"rgb8": (np.uint8, 3), "bgr8": (np.uint8, 3), "16UC1": (np.uint16, 1), "mono16": (np.uint16, 1), "32FC1": (np.float32, 1)}


def image_to_cdr(image: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> bytes:
    """A serialized sensor_msgs/Image, which publishers take as it is, of a contiguous array [h, w] or [h, w, 3].

    A message object would cost two more copies of every picture. Layout: plain CDR (OMG DDSI-RTPS 2.5, 10.5).
    """
    height, width = image.shape[:2]
    pixels = np.ascontiguousarray(image)
    header = _LITTLE_ENDIAN + struct.pack("<iI", *divmod(stamp_ns, NS_PER_S)) + _string(frame_id)
    kind = _aligned(header) + struct.pack("<II", height, width) + _string(encoding) + b"\0"  # the 0: not big-endian
    return b"".join((_aligned(kind), struct.pack("<II", pixels.nbytes // height, pixels.nbytes), pixels.data.cast("B")))


def _string(text: str) -> bytes:
    encoded = text.encode() + b"\0"
    return struct.pack("<I", len(encoded)) + encoded


def _aligned(cdr: bytes) -> bytes:
    """Filled up to a multiple of 4, as a 32-bit value needs it."""
    return cdr + bytes(-len(cdr) % 4)


@dataclass(frozen=True)
class ImageView:
    """A serialized sensor_msgs/Image, looked at where it lies: nothing is copied."""

    stamp_ns: int
    frame_id: str
    height: int
    width: int
    encoding: str
    is_bigendian: bool
    step: int  # bytes from row to row
    data: NDArray[np.uint8]  # [step * height]

    @classmethod
    def of(cls, cdr: bytes) -> ImageView:
        """Raises PerceptionError when the bytes end early."""
        order = "<" if cdr[1] & 1 else ">"
        try:
            frame_id, at = _text(cdr, 12, order)
            height, width = struct.unpack_from(order + "II", cdr, at)
            encoding, at = _text(cdr, at + 8, order, align=1)
            at_step = at + 1 + -(at + 1) % 4
            step, count = struct.unpack_from(order + "II", cdr, at_step)
            data = np.frombuffer(cdr, np.uint8, count, at_step + 8)
        except (struct.error, ValueError) as error:
            raise PerceptionError(f"A serialized image of {len(cdr)} bytes is not whole: {error}.") from error
        return cls(ns_from_cdr(cdr), frame_id, height, width, encoding, bool(cdr[at]), step, data)

    def colour(self) -> NDArray[np.uint8]:
        """uint8 [h, w, 3] RGB, read-only where the image is RGB. Raises PerceptionError for another encoding or too few bytes."""
        pixels = self._pixels()
        if self.encoding == "bgr8":
            return np.ascontiguousarray(pixels[:, :, ::-1])
        if self.encoding != "rgb8":
            raise PerceptionError(f"A colour image was expected in frame {self.frame_id}; its encoding is {self.encoding}.")
        return pixels

    def depth_mm(self) -> NDArray[np.uint16]:
        """uint16 [h, w] millimetres, 0 = no return, from 16UC1 (mm) or 32FC1 (m). Raises PerceptionError as ``colour``."""
        pixels = self._pixels()
        if self.encoding == "32FC1":
            return np.nan_to_num(pixels * 1000.0, nan=0.0, posinf=0.0, neginf=0.0).clip(0, 65535).astype(np.uint16)
        if pixels.ndim != 2:
            raise PerceptionError(f"A depth image was expected in frame {self.frame_id}; its encoding is {self.encoding}.")
        return pixels.astype(np.uint16, copy=False)

    def _pixels(self) -> NDArray[Any]:
        """[h, w(, 3)] of the data; honours step and byte order."""
        if self.encoding not in _ENCODINGS:
            raise PerceptionError(f"Image encoding '{self.encoding}' in frame {self.frame_id}; valid: {', '.join(_ENCODINGS)}.")
        dtype, channels = _ENCODINGS[self.encoding]
        row_bytes = self.width * channels * np.dtype(dtype).itemsize
        if self.step < row_bytes or self.data.size < self.step * self.height or self.data.size == 0:
            raise PerceptionError(
                f"Image of frame {self.frame_id} holds {self.data.size} bytes; {self.width} x {self.height} {self.encoding} "
                f"with step {self.step} needs {max(self.step, row_bytes) * self.height}."
            )
        rows = self.data[: self.step * self.height].reshape(self.height, self.step)[:, :row_bytes]
        pixels = np.ascontiguousarray(rows).view(np.dtype(dtype).newbyteorder(">" if self.is_bigendian else "<"))
        return pixels.reshape((self.height, self.width, 3) if channels == 3 else (self.height, self.width))


def _text(cdr: bytes, at: int, order: str, align: int = 4) -> tuple[str, int]:
    """The string whose length stands at ``at``, and where the next value of ``align`` bytes begins."""
    (count,) = struct.unpack_from(order + "I", cdr, at)
    end = at + 4 + count
    return cdr[at + 4 : end - 1].decode("utf-8", errors="replace"), end + -end % align


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


def camera_from_info(camera: CameraConfig, message: Any) -> CameraConfig:
    """``camera`` with the intrinsics that its driver tells. Raises PerceptionError, with the reason, where they cannot be used."""
    size, told = (camera.width_px, camera.height_px), (int(message.width), int(message.height))
    if told != size:
        raise PerceptionError(
            f"camera_info of '{camera.name}' is for {told[0]} x {told[1]} pixels; its configuration says {size[0]} x {size[1]}."
        )
    k = np.array(message.k).reshape(3, 3)
    if not (np.isfinite(k).all() and k[0, 0] > 0 and k[1, 1] > 0):
        raise PerceptionError(f"camera_info of '{camera.name}' has no focal length: K is {k.ravel().tolist()}.")
    bent_px = _distortion_px(k, np.array(message.d, dtype=float), *size)
    if bent_px > MOST_DISTORTION_PX:
        raise PerceptionError(
            f"The lens of '{camera.name}' moves points by up to {bent_px:.1f} pixels; at most {MOST_DISTORTION_PX:g} are ignored. "
            "Send rectified images, with a camera_info whose K is theirs and whose D is zero."
        )
    return replace(camera, fx=float(k[0, 0]), fy=float(k[1, 1]), cx=float(k[0, 2]), cy=float(k[1, 2]))


def _distortion_px(k: NDArray[Any], d: NDArray[Any], width_px: int, height_px: int) -> float:
    """How far the lens moves the image's corners and the middles of its sides."""
    if not d.any():
        return 0.0
    x, y = np.meshgrid([0.0, (width_px - 1) / 2, width_px - 1.0], [0.0, (height_px - 1) / 2, height_px - 1.0])
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    try:
        straight = cv2.undistortPoints(points[:, None], k, d, P=k)[:, 0]
    except cv2.error:  # so many coefficients belong to no model
        return math.inf
    return float(np.linalg.norm(straight - points, axis=1).max())


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
