"""Joint states, joint trajectories, taxels and contact."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_ros.core.actions import ShortTrajectory
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import ContactState, FingerContact, JointState
from vla_ros.core.stamps import NS_PER_S, ns_from_s
from vla_ros.ros.conversions.arrays import header_to_msg, ns_from_stamp, packed


def joint_state_from_msg(message: Any) -> JointState:
    """Raises ValueError when positions are missing or not finite; velocities and efforts may be absent (NaN then)."""
    names = tuple(message.name)
    positions = np.array(message.position, dtype=float)
    if len(positions) != len(names) or not np.all(np.isfinite(positions)):
        raise ValueError(f"joint_states: {len(names)} names, positions {positions.tolist()}: one finite position for each name is needed")
    velocities, efforts = (_optional(values, len(names)) for values in (message.velocity, message.effort))
    return JointState(ns_from_stamp(message.header.stamp), names, positions, velocities, efforts)


def _optional(values: Any, n: int) -> Array:
    return np.array(values, dtype=float) if len(values) == n else np.full(n, np.nan)


def joint_state_to_msg(state: JointState) -> Any:
    """sensor_msgs/JointState."""
    from sensor_msgs.msg import JointState as JointStateMsg

    return JointStateMsg(
        header=header_to_msg(state.stamp_ns),
        name=list(state.names),
        position=packed(state.positions),
        velocity=packed(state.velocities),
        effort=packed(state.efforts),
    )


def trajectory_to_msg(trajectory: ShortTrajectory) -> Any:
    """trajectory_msgs/JointTrajectory, as a joint_trajectory_controller takes it."""
    from builtin_interfaces.msg import Duration
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    points = []
    rows = zip(trajectory.times_s, trajectory.positions, trajectory.velocities, trajectory.accelerations, strict=True)
    for time_s, position, velocity, acceleration in rows:
        ns = ns_from_s(float(time_s))
        after = Duration(sec=ns // NS_PER_S, nanosec=ns % NS_PER_S)
        points.append(
            JointTrajectoryPoint(
                positions=packed(position), velocities=packed(velocity), accelerations=packed(acceleration), time_from_start=after
            )
        )
    return JointTrajectory(header=header_to_msg(trajectory.start_ns), joint_names=list(trajectory.names), points=points)


def trajectory_from_msg(message: Any) -> tuple[int, tuple[str, ...], Array, Array, Array | None, Array | None]:
    """(start_ns (0: now), names, times_s [n], positions [n, dof], velocities or None, accelerations or None).

    Raises ValueError for ragged points, and where positions are missing.
    """
    names = tuple(message.joint_names)
    times = np.array([p.time_from_start.sec + p.time_from_start.nanosec / NS_PER_S for p in message.points])
    positions, velocities, accelerations = (
        _rows(message.points, field, len(names)) for field in ("positions", "velocities", "accelerations")
    )
    if positions is None:
        raise ValueError("a trajectory needs positions at every point")
    return ns_from_stamp(message.header.stamp), names, times, positions, velocities, accelerations


def _rows(points: Any, field: str, dof: int) -> Array | None:
    rows = [np.array(getattr(p, field), dtype=float) for p in points]
    lengths = {len(row) for row in rows}
    if lengths <= {0}:
        return None
    if lengths != {dof}:
        raise ValueError(f"{field} of {sorted(lengths)} values where {dof} joints are named")
    return np.array(rows)


def taxels_to_msg(finger: str, frame_id: str, normal_n: Array, stamp_ns: int, shear_n: Array | None = None) -> Any:
    """TactileArray of [rows, cols] normal forces and, where given, [rows, cols, 2] shear."""
    from vla_ros.msg import TactileArray

    rows, cols = normal_n.shape
    message = TactileArray(
        header=header_to_msg(stamp_ns, frame_id), finger=finger, rows=rows, cols=cols, normal_force=packed(normal_n, "f")
    )
    if shear_n is not None:
        message.shear_x, message.shear_y = packed(shear_n[..., 0], "f"), packed(shear_n[..., 1], "f")
    return message


def taxels_from_msg(message: Any) -> tuple[str, Array, Array | None, int]:
    """(finger, normal forces [rows, cols] N, shear [rows, cols, 2] N or None, stamp_ns). Raises ValueError when sizes disagree."""
    shape = (int(message.rows), int(message.cols))
    normal = np.array(message.normal_force, dtype=float)
    if normal.size != shape[0] * shape[1]:
        raise ValueError(f"tactile {message.finger}: {normal.size} taxels where {shape[0]} x {shape[1]} are announced")
    shear = None
    if len(message.shear_x) == normal.size == len(message.shear_y):
        shear = np.stack(
            [np.array(message.shear_x, dtype=float).reshape(shape), np.array(message.shear_y, dtype=float).reshape(shape)], axis=-1
        )
    return message.finger, normal.reshape(shape), shear, ns_from_stamp(message.header.stamp)


def contact_to_msg(contact: ContactState) -> Any:
    """vla_ros/ContactState; one element for each finger in every array."""
    from vla_ros.msg import ContactState as ContactStateMsg

    f = contact.fingers
    return ContactStateMsg(
        header=header_to_msg(contact.stamp_ns),
        fingers=[x.finger for x in f],
        force=packed([x.force_n for x in f]),
        area=packed([x.area_m2 for x in f]),
        centre_x=packed([x.centre_m[0] for x in f]),
        centre_y=packed([x.centre_m[1] for x in f]),
        slip=[x.slip for x in f],
        in_contact=[x.in_contact for x in f],
    )


def contact_from_msg(message: Any) -> ContactState:
    """Raises ValueError when the parallel arrays differ in length."""
    rows = zip(
        message.fingers, message.force, message.area, message.centre_x, message.centre_y, message.slip, message.in_contact, strict=True
    )
    fingers = tuple(FingerContact(n, float(f), float(a), (float(x), float(y)), bool(s), bool(c)) for n, f, a, x, y, s, c in rows)
    return ContactState(ns_from_stamp(message.header.stamp), fingers)
