"""Objects, detections, camera health."""

from __future__ import annotations

from typing import Any

from vla_ros.core.scene import CameraFault, CameraHealth, Scene, SceneObject
from vla_ros.ros.conversions.arrays import (
    floats,
    header_to_msg,
    ns_from_stamp,
    packed,
    pose_from_msg,
    pose_to_msg,
    stamp_to_msg,
    vector_from_msg,
    vector_to_msg,
)


def _object_to_msg(o: SceneObject) -> Any:
    from geometry_msgs.msg import PoseWithCovariance

    from vla_ros.msg import SceneObject as SceneObjectMsg

    return SceneObjectMsg(
        id=o.id,
        name=o.name,
        colour=o.colour,
        shape=o.shape,
        pose=PoseWithCovariance(pose=pose_to_msg(o.pose), covariance=packed(o.covariance)),
        velocity=vector_to_msg(o.velocity_mps),
        size=vector_to_msg(o.size_m),
        confidence=float(o.confidence),
        last_seen=stamp_to_msg(o.last_seen_ns),
        occluded=bool(o.occluded),
        held=bool(o.held),
    )


def _object_from_msg(m: Any) -> SceneObject:
    return SceneObject(
        id=m.id,
        name=m.name,
        colour=m.colour,
        shape=m.shape,
        pose=pose_from_msg(m.pose.pose),
        size_m=vector_from_msg(m.size),
        confidence=float(m.confidence),
        last_seen_ns=ns_from_stamp(m.last_seen),
        covariance=floats(m.pose.covariance, (6, 6)),
        velocity_mps=vector_from_msg(m.velocity),
        occluded=bool(m.occluded),
        held=bool(m.held),
    )


def scene_to_msg(scene: Scene) -> Any:
    """vla_ros/SceneObjects in the scene's frame."""
    from vla_ros.msg import SceneObjects

    return SceneObjects(
        header=header_to_msg(scene.stamp_ns, scene.frame_id),
        table_height=float(scene.table_height_m),
        objects=[_object_to_msg(o) for o in scene.objects],
        unexplained_cell=float(scene.unexplained_cell_m),
        unexplained=packed(scene.unexplained_m),
    )


def scene_from_msg(message: Any) -> Scene:
    """Raises ValueError when a covariance is not 6 x 6, or a cell not of three numbers."""
    objects = tuple(_object_from_msg(o) for o in message.objects)
    cells_m = floats(message.unexplained).reshape(-1, 3)
    stamp_ns, frame_id = ns_from_stamp(message.header.stamp), message.header.frame_id
    return Scene(stamp_ns, frame_id, objects, float(message.table_height), cells_m, float(message.unexplained_cell))


def detections_to_msg(scene: Scene) -> Any:
    """vision_msgs/Detection3DArray of the same objects, for other tools."""
    from geometry_msgs.msg import PoseWithCovariance
    from vision_msgs.msg import BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesis, ObjectHypothesisWithPose

    header = header_to_msg(scene.stamp_ns, scene.frame_id)
    detections = []
    for o in scene.objects:
        pose = pose_to_msg(o.pose)
        hypothesis = ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=o.name, score=float(o.confidence)),
            pose=PoseWithCovariance(pose=pose, covariance=packed(o.covariance)),
        )
        detections.append(
            Detection3D(header=header, results=[hypothesis], bbox=BoundingBox3D(center=pose, size=vector_to_msg(o.size_m)), id=o.id)
        )
    return Detection3DArray(header=header, detections=detections)


def health_to_msg(health: CameraHealth) -> Any:
    """vla_ros/CameraHealth."""
    from vla_ros.msg import CameraHealth as CameraHealthMsg

    return CameraHealthMsg(
        header=header_to_msg(health.stamp_ns),
        camera=health.camera,
        fault=int(health.fault),
        usable=bool(health.usable),
        detail=health.detail,
        age=float(health.age_s),
        rate=float(health.rate_hz),
    )


def health_from_msg(message: Any) -> CameraHealth:
    """Raises ValueError for an unknown fault."""
    return CameraHealth(
        ns_from_stamp(message.header.stamp),
        message.camera,
        CameraFault(message.fault),
        bool(message.usable),
        message.detail,
        float(message.age),
        float(message.rate),
    )
