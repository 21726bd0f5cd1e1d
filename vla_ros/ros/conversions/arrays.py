"""Stamps and arrays. rosidl takes an array.array as it is; an ndarray or a list would be checked element by element."""

from __future__ import annotations

import struct
from array import array
from typing import Any

import numpy as np

from vla_ros.core.geometry import Array, Pose
from vla_ros.core.stamps import NS_PER_S


def ns_from_stamp(stamp: Any) -> int:
    """A builtin_interfaces/Time in nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def ns_from_cdr(cdr: bytes) -> int:
    """Stamp of a serialized message that begins with a header, without deserializing it.

    CDR: 4 bytes of encapsulation, then sec and nanosec.
    """
    sec, nanosec = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return int(sec) * NS_PER_S + int(nanosec)


def stamp_to_msg(stamp_ns: int) -> Any:
    """builtin_interfaces/Time."""
    from builtin_interfaces.msg import Time

    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def header_to_msg(stamp_ns: int, frame_id: str = "") -> Any:
    """std_msgs/Header."""
    from std_msgs.msg import Header

    return Header(stamp=stamp_to_msg(stamp_ns), frame_id=frame_id)


def packed(values: Any, typecode: str = "d") -> array[Any]:
    """The values, flattened row by row, as array.array of ``typecode``."""
    data: array[Any] = array(typecode)
    data.frombytes(np.ascontiguousarray(values, dtype=np.dtype(typecode)).tobytes())
    return data


def floats(values: Any, shape: tuple[int, ...] | None = None) -> Array:
    """A float64 copy of a message's array. Raises ValueError when it does not have ``shape``."""
    result = np.array(values, dtype=np.float64)
    if shape is None:
        return result
    if result.size != int(np.prod(shape)):
        raise ValueError(f"has {result.size} values where {' x '.join(map(str, shape))} were announced")
    return result.reshape(shape)


def pose_from_msg(message: Any) -> Pose:
    """A geometry_msgs/Pose in m, quaternion xyzw, in the frame that the message's owner names."""
    p, q = message.position, message.orientation
    return Pose(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))


def pose_to_msg(pose: Pose) -> Any:
    """geometry_msgs/Pose."""
    from geometry_msgs.msg import Point, Quaternion
    from geometry_msgs.msg import Pose as PoseMsg

    (x, y, z), (qx, qy, qz, qw) = pose.position_m, pose.quat_xyzw
    return PoseMsg(
        position=Point(x=float(x), y=float(y), z=float(z)), orientation=Quaternion(x=float(qx), y=float(qy), z=float(qz), w=float(qw))
    )


def vector_to_msg(vector: Array) -> Any:
    """geometry_msgs/Vector3 of [3]."""
    from geometry_msgs.msg import Vector3

    return Vector3(x=float(vector[0]), y=float(vector[1]), z=float(vector[2]))


def vector_from_msg(message: Any) -> Array:
    """[3] of a Vector3 or a Point."""
    return np.array([message.x, message.y, message.z])
