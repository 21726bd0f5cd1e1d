"""Chunks and gated commands."""

from __future__ import annotations

from typing import Any

from vla_ros.core.actions import ActionChunk, ActionSpace, GatedCommand, SafetyAction, ShortTrajectory
from vla_ros.ros.conversions.arrays import floats, header_to_msg, ns_from_stamp, packed, stamp_to_msg


def chunk_to_msg(chunk: ActionChunk) -> Any:
    """vla_ros/ActionChunk; ``data`` [horizon, dim] goes row by row."""
    from vla_ros.msg import ActionChunk as ActionChunkMsg

    return ActionChunkMsg(
        header=header_to_msg(chunk.stamp_ns, chunk.frame_id),
        expert=chunk.expert,
        subtask_id=chunk.subtask_id,
        trace_id=chunk.trace_id,
        seq=chunk.seq,
        continues_seq=chunk.continues_seq,
        continues_row=float(chunk.continues_row),
        input_names=list(chunk.input_stamps_ns),
        input_stamps=[stamp_to_msg(ns) for ns in chunk.input_stamps_ns.values()],
        space=int(chunk.space),
        names=list(chunk.names),
        dt=float(chunk.dt_s),
        horizon=chunk.horizon,
        dim=int(chunk.data.shape[1]),
        data=packed(chunk.data),
        gripper_width=packed(chunk.gripper_width_m),
        gripper_force=float(chunk.gripper_force_n),
        uncertainty=float(chunk.uncertainty),
    )


def chunk_from_msg(message: Any) -> ActionChunk:
    """Raises ValueError when the announced shape, the space or the parallel arrays do not agree."""
    horizon, dim = int(message.horizon), int(message.dim)
    try:
        data = floats(message.data, (horizon, dim))
    except ValueError as error:
        raise ValueError(f"chunk {message.seq} of {message.expert}: data {error}") from error
    return ActionChunk(
        seq=int(message.seq),
        expert=message.expert,
        subtask_id=message.subtask_id,
        trace_id=message.trace_id,
        stamp_ns=ns_from_stamp(message.header.stamp),
        space=ActionSpace(message.space),
        names=tuple(message.names),
        dt_s=float(message.dt),
        data=data,
        gripper_width_m=floats(message.gripper_width),
        gripper_force_n=float(message.gripper_force),
        continues_seq=int(message.continues_seq),
        continues_row=float(message.continues_row),
        frame_id=message.header.frame_id,
        uncertainty=float(message.uncertainty),
        input_stamps_ns={name: ns_from_stamp(s) for name, s in zip(message.input_names, message.input_stamps, strict=True)},
    )


def gated_to_msg(command: GatedCommand) -> Any:
    """vla_ros/GatedCommand; the trajectory's arrays [n, dof] go row by row."""
    from vla_ros.msg import GatedCommand as GatedCommandMsg

    t = command.trajectory
    return GatedCommandMsg(
        header=header_to_msg(command.stamp_ns),
        session=command.session,
        seq=command.seq,
        action=int(command.action),
        decision_id=command.decision_id,
        trace_id=command.trace_id,
        chunk_seq=command.chunk_seq,
        chunk_row=float(command.chunk_row),
        speed_scale=float(command.speed_scale),
        start=stamp_to_msg(t.start_ns),
        joint_names=list(t.names),
        time_from_start=packed(t.times_s),
        positions=packed(t.positions),
        velocities=packed(t.velocities),
        accelerations=packed(t.accelerations),
        gripper_width=float(command.gripper_width_m),
        gripper_force=float(command.gripper_force_n),
    )


def gated_from_msg(message: Any) -> GatedCommand:
    """Raises ValueError when the arrays do not agree in length."""
    shape = (len(message.time_from_start), len(message.joint_names))
    trajectory = ShortTrajectory(
        ns_from_stamp(message.start),
        tuple(message.joint_names),
        floats(message.time_from_start),
        floats(message.positions, shape),
        floats(message.velocities, shape),
        floats(message.accelerations, shape),
    )
    return GatedCommand(
        seq=int(message.seq),
        stamp_ns=ns_from_stamp(message.header.stamp),
        action=SafetyAction(message.action),
        trajectory=trajectory,
        speed_scale=float(message.speed_scale),
        chunk_seq=int(message.chunk_seq),
        chunk_row=float(message.chunk_row),
        trace_id=message.trace_id,
        decision_id=int(message.decision_id),
        gripper_width_m=float(message.gripper_width),
        gripper_force_n=float(message.gripper_force),
        session=int(message.session),
    )
