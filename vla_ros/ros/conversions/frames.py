"""Transforms for tf2."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vla_ros.core.geometry import Array, Pose
from vla_ros.ros.conversions.arrays import header_to_msg, pose_from_msg, pose_to_msg, vector_to_msg


def transforms_to_msg(transforms: Iterable[tuple[str, str, Array]], stamp_ns: int) -> Any:
    """tf2_msgs/TFMessage of (parent, child, T_parent_child [4, 4])."""
    from geometry_msgs.msg import Transform, TransformStamped
    from tf2_msgs.msg import TFMessage

    message = TFMessage()
    for parent, child, T in transforms:
        pose = Pose.from_matrix(T)
        transform = Transform(translation=vector_to_msg(pose.position_m), rotation=pose_to_msg(pose).orientation)
        message.transforms.append(TransformStamped(header=header_to_msg(stamp_ns, parent), child_frame_id=child, transform=transform))
    return message


def transforms_from_msg(message: Any) -> list[tuple[str, str, Array, int]]:
    """(parent, child, T_parent_child, stamp_ns) of each transform in a tf2_msgs/TFMessage."""
    from vla_ros.ros.conversions.arrays import ns_from_stamp

    result = []
    for t in message.transforms:
        pose = pose_from_msg(_PoseLike(t.transform))
        result.append((t.header.frame_id, t.child_frame_id, pose.matrix(), ns_from_stamp(t.header.stamp)))
    return result


class _PoseLike:
    """A geometry_msgs/Transform read as a pose."""

    def __init__(self, transform: Any) -> None:
        self.position, self.orientation = transform.translation, transform.rotation
