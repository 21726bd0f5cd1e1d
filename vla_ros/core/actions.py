"""What an expert proposes (ActionChunk) and what the monitor lets through (GatedCommand)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from vla_ros.core.geometry import Array


class ActionSpace(IntEnum):
    """How the columns of a chunk are meant. The numbers are those of ActionChunk.msg."""

    JOINT_POSITION = 0  # rad, absolute
    JOINT_DELTA = 1  # rad, each row relative to the row before it
    TCP_POSE = 2  # x y z [m], qx qy qz qw, in header.frame_id
    TCP_DELTA = 3  # x y z [m], rx ry rz: rotation vector [rad], each row relative to the row before it, in the axes of header.frame_id


@dataclass(frozen=True)
class ActionChunk:
    """A short future of actions, as any policy emits it."""

    seq: int  # counts up from 1 for each source
    expert: str
    subtask_id: str
    trace_id: str
    stamp_ns: int  # stamp of the oldest observation that it was computed from
    space: ActionSpace
    names: tuple[str, ...]  # of the columns (joint names in joint spaces)
    dt_s: float  # between rows
    data: Array  # [horizon, dim]
    gripper_width_m: Array  # [horizon] opening between the fingers
    gripper_force_n: float = 20.0
    continues_seq: int = 0  # the chunk of the same source that this one continues; 0: starts afresh from the measured state
    continues_row: float = 0.0  # the (fractional) row of that chunk at which row 0 of this one lies
    frame_id: str = ""  # of the TCP spaces
    input_stamps_ns: dict[str, int] = field(default_factory=dict)  # input name -> stamp of what was used
    uncertainty: float = float("nan")  # NaN: the expert gives none

    @property
    def horizon(self) -> int:
        """Number of rows."""
        return int(self.data.shape[0])

    @property
    def duration_s(self) -> float:
        """From row 0 to the last row."""
        return (self.horizon - 1) * self.dt_s


class SafetyAction(IntEnum):
    """What the monitor does with a command. The numbers are those of SafetyDecision.msg."""

    PASS = 0
    SLOW = 1
    HOLD = 2  # the braking trajectory is executed; new chunks may resume
    STOP = 3  # latched: only an explicit reset resumes


@dataclass(frozen=True)
class ShortTrajectory:
    """A joint trajectory that ends at rest. All arrays are sampled at ``times_s`` after ``start_ns``."""

    start_ns: int  # absolute ROS time that times_s counts from
    names: tuple[str, ...]
    times_s: Array  # [n], increasing
    positions: Array  # [n, dof] rad
    velocities: Array  # [n, dof] rad/s; the last row is 0
    accelerations: Array  # [n, dof] rad/s2; the last row is 0


@dataclass(frozen=True)
class GatedCommand:
    """One tick of the monitor: the only thing that motion_forwarder moves on."""

    seq: int
    stamp_ns: int
    action: SafetyAction
    trajectory: ShortTrajectory
    speed_scale: float  # 0-1, of what the chunk asked for
    chunk_seq: int  # 0: none is being followed
    chunk_row: float  # fractional row of that chunk consumed at stamp_ns (committed to the controller)
    trace_id: str
    decision_id: int
    gripper_width_m: float  # NaN: leave the gripper as it is
    gripper_force_n: float
    session: int = 0  # of the monitor's process: another number each time it is started


def check_finite(name: str, array: Array) -> None:
    """Raises ValueError when ``array`` holds NaN or infinity."""
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} is not finite")
