"""A chunk played forward kinematically: joints, opening of the gripper, poses of every solid that moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.actions import ActionChunk, ActionSpace
from vla_ros.core.geometry import Array, inverse
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import SceneObject
from vla_ros.robots import Arm
from vla_ros.world_model.twin import Twin, TwinGeom


@dataclass(frozen=True)
class Rollout:
    """Row by row; ``T_base_geom`` belongs to ``geoms``."""

    times_s: Array  # [n]
    q_rad: Array  # [n, dof]
    width_m: Array  # [n] expected opening
    T_base_tcp: Array  # [n, 4, 4]
    geoms: tuple[TwinGeom, ...]
    T_base_geom: Array  # [n, geoms, 4, 4]
    release_row: int | None  # at which a held object is let go

    def same_as_before(self, row: int) -> bool:
        """Nothing has moved since the row before."""
        if row == 0:
            return False
        return bool(np.array_equal(self.q_rad[row], self.q_rad[row - 1]) and self.width_m[row] == self.width_m[row - 1])


def joint_rows(chunk: ActionChunk, start_rad: Array) -> Array | None:
    """[n, dof] absolute joint positions of a chunk; None for spaces that this world model does not know."""
    if chunk.space is ActionSpace.JOINT_POSITION:
        return np.asarray(chunk.data, dtype=float)
    if chunk.space is ActionSpace.JOINT_DELTA:
        return np.asarray(start_rad + np.cumsum(chunk.data, axis=0))
    return None


def expected_widths(chunk: ActionChunk, width_m: float, speed_mps: float, least_m: float) -> Array:
    """[n] opening of the gripper: it moves to each row's command at ``speed_mps``, and not below ``least_m`` (the object between)."""
    widths = np.empty(chunk.horizon)
    for i, wanted in enumerate(chunk.gripper_width_m):
        widths[i] = width_m
        if np.isfinite(wanted):
            step = speed_mps * chunk.dt_s
            width_m = max(width_m + float(np.clip(wanted - width_m, -step, step)), min(least_m, width_m))
    return widths


def roll_out(
    chunk: ActionChunk,
    rows_rad: Array,
    joints: JointState,
    arm: Arm,
    twin: Twin,
    held: SceneObject | None,
    T_tcp_held: Array | None,
    least_m: float,
) -> Rollout:
    """Plays ``rows_rad`` forward; a held object moves with the TCP until the gripper opens, then stays there.

    ``least_m`` is the opening at which the fingers meet what is between them.
    """
    config = arm.config
    width = config.gripper_width_m(joints)
    widths = expected_widths(chunk, width, config.gripper.speed_mps, least_m)
    stays = ("", config.arm_joints[0])  # what only the first joint turns stays at the base: it touches nothing on the table
    geoms = tuple(g for g in twin.arm_geoms if arm.moving_joint[g.owner] not in stays)
    carried = twin.object_geoms[held.id] if held is not None else ()
    release = _release_row(widths, least_m) if held is not None else None
    n = len(rows_rad)
    owners = list(dict.fromkeys([config.tcp_frame, *(g.owner for g in geoms)]))
    T_link = np.empty((n, len(owners), 4, 4))
    for i, (q, opening) in enumerate(zip(rows_rad, widths, strict=True)):
        links = arm.link_poses(q, float(opening), owners)
        for k, owner in enumerate(owners):
            T_link[i, k] = links[owner]
    T_tcp = T_link[:, 0].copy()
    T_owner = T_link[:, [owners.index(g.owner) for g in geoms]]
    if held is not None and T_tcp_held is not None:
        T_held = T_tcp @ T_tcp_held
        if release is not None:
            T_held[release + 1 :] = T_held[release]
        T_owner = np.concatenate([T_owner, np.repeat(T_held[:, None], len(carried), axis=1)], axis=1)
    offsets = np.stack([g.T_owner_geom for g in (*geoms, *carried)])
    times = np.arange(n, dtype=np.float64) * chunk.dt_s
    return Rollout(times, rows_rad, widths, T_tcp, (*geoms, *carried), T_owner @ offsets, release)


def _release_row(widths: Array, held_width_m: float) -> int | None:
    """The row at which the opening has grown past the held object."""
    rows = np.flatnonzero(widths > held_width_m + 0.004)
    return int(rows[0]) if len(rows) else None


def object_in_hand(thing: SceneObject, T_base_tcp: Array) -> Array:
    """T_tcp_object of a held object as seen, moved to where a parallel gripper can hold it: its middle between the pads."""
    T = inverse(T_base_tcp) @ thing.pose.matrix()
    half = float(np.max(thing.size_m)) / 2
    T[:3, 3] = np.clip(T[:3, 3], [-0.02, 0.0, -half], [0.02, 0.0, half])
    return T
