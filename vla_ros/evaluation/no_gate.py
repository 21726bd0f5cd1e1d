"""What stands in the gate's place when its price is measured: every chunk is played as it comes.

Only the evaluator without ROS can use it; nothing in the graph knows of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_ros.core.actions import ActionChunk, GatedCommand, SafetyAction, ShortTrajectory
from vla_ros.core.decisions import SafetyDecision, SafetyMode, SafetyReason, SafetyState
from vla_ros.core.geometry import Array
from vla_ros.robots import Arm
from vla_ros.safety.path import ChunkPath

_UNLIMITED = 1e9


class NoGate:
    """Takes what a Gate takes, and lets everything through at the pace that it asks for."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._chunk: ActionChunk | None = None
        self._path: ChunkPath | None = None
        self._start_ns = 0  # when row 0 of the chunk is played
        self._now_ns = self._seq = 0

    def hear(self, *_: Any, **__: Any) -> None:
        """Nothing that is measured changes anything."""

    on_joint_state = on_contact = on_camera_health = on_heartbeat = on_scene = on_plan = hear

    def on_chunk(self, chunk: ActionChunk, now_ns: int) -> SafetyDecision:
        """Played from now on, or from the row on that the chunk before it has come to."""
        old, row = self._chunk, 0.0
        if old is not None and chunk.continues_seq == old.seq:
            row = max((self._row(now_ns) - chunk.continues_row) * old.dt_s / chunk.dt_s, 0.0)
        order = [chunk.names.index(name) for name in self._arm.config.arm_joints]
        unlimited = np.full(self._arm.config.dof, _UNLIMITED)
        self._chunk, self._path = chunk, ChunkPath(np.asarray(chunk.data, dtype=float)[:, order], chunk.dt_s, unlimited, unlimited)
        self._start_ns = now_ns - round(row * chunk.dt_s * 1e9)
        return SafetyDecision(chunk.seq, now_ns, SafetyAction.PASS, SafetyReason.OK, "Not judged.", chunk.seq, chunk.trace_id)

    def tick(self, now_ns: int, steady_ns: int) -> GatedCommand | None:
        """The rest of the chunk, as a trajectory that ends at rest."""
        self._now_ns = now_ns
        chunk, path = self._chunk, self._path
        if chunk is None or path is None:
            return None
        self._seq += 1
        row = self._row(now_ns)
        return GatedCommand(
            seq=self._seq,
            stamp_ns=now_ns,
            action=SafetyAction.PASS,
            trajectory=self._trajectory(chunk, path, row, now_ns),
            speed_scale=1.0,
            chunk_seq=chunk.seq,
            chunk_row=row,
            trace_id=chunk.trace_id,
            decision_id=0,
            gripper_width_m=float(chunk.gripper_width_m[int(row)]),
            gripper_force_n=chunk.gripper_force_n,
        )

    def state(self) -> SafetyState:
        """Always ready."""
        return SafetyState(self._now_ns, SafetyMode.READY, SafetyReason.OK, "There is no gate.", 1.0)

    def _row(self, now_ns: int) -> float:
        assert self._chunk is not None
        return min(max((now_ns - self._start_ns) * 1e-9 / self._chunk.dt_s, 0.0), float(self._chunk.horizon - 1))

    def _trajectory(self, chunk: ActionChunk, path: ChunkPath, row: float, now_ns: int) -> ShortTrajectory:
        rows = np.unique(np.append(row, np.arange(np.ceil(row), chunk.horizon)))
        if len(rows) == 1:
            rows = np.append(rows, rows[0] + 1.0)
        points = [path.at(float(r)) for r in rows]
        times_s: Array = (rows - row) * chunk.dt_s
        velocities = np.array([p.slope for p in points]) / chunk.dt_s
        accelerations = np.array([p.curvature for p in points]) / chunk.dt_s**2
        velocities[-1] = accelerations[-1] = 0.0
        positions = np.array([p.position for p in points])
        return ShortTrajectory(now_ns, self._arm.config.arm_joints, times_s, positions, velocities, accelerations)
