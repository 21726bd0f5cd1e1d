"""A chunk at the pace that it asks for: what is left where nothing retimes it. For what stands in the gate's place in measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.actions import ActionChunk, ShortTrajectory
from vla_ros.core.geometry import Array
from vla_ros.safety.path import ChunkPath

_UNLIMITED = 1e9
STILL_S = 0.2  # that a trajectory of an arm at rest lasts


@dataclass(frozen=True)
class Playback:
    """A chunk whose row 0 is, or was, played at ``start_ns``. Instants are in ROS time [ns]."""

    chunk: ActionChunk
    path: ChunkPath
    start_ns: int

    def row(self, at_ns: int) -> float:
        """The fractional row then, between the first and the last one."""
        return min(max((at_ns - self.start_ns) * 1e-9 / self.chunk.dt_s, 0.0), float(self.chunk.horizon - 1))

    def motion(self, at_ns: int) -> tuple[Array, Array, Array]:
        """Position, velocity and acceleration [dof] then; at rest from the last row on."""
        row, dt_s = self.row(at_ns), self.chunk.dt_s
        point = self.path.at(row)
        moves = 0.0 if row >= self.chunk.horizon - 1 else 1.0
        return point.position, point.slope * moves / dt_s, point.curvature * moves / dt_s**2

    def trajectory(self, now_ns: int, names: tuple[str, ...]) -> ShortTrajectory:
        """The rest of the chunk, as a trajectory that ends at rest."""
        row, dt_s = self.row(now_ns), self.chunk.dt_s
        rows = np.unique(np.append(row, np.arange(np.ceil(row), self.chunk.horizon)))
        if len(rows) == 1:
            return still(self.path.at(row).position, now_ns, names)
        points = [self.path.at(float(r)) for r in rows]
        velocities = np.array([p.slope for p in points]) / dt_s
        accelerations = np.array([p.curvature for p in points]) / dt_s**2
        velocities[-1] = accelerations[-1] = 0.0
        positions = np.array([p.position for p in points])
        return ShortTrajectory(now_ns, names, (rows - row) * dt_s, positions, velocities, accelerations)


def play(chunk: ActionChunk, rows: Array, old: Playback | None, now_ns: int) -> Playback:
    """``rows`` [n, dof] (rad, in the arm's order) from now on, or from the row on that the chunk before it has come to."""
    row = 0.0
    if old is not None and chunk.continues_seq == old.chunk.seq:
        row = max((old.row(now_ns) - chunk.continues_row) * old.chunk.dt_s / chunk.dt_s, 0.0)
    unlimited = np.full(rows.shape[1], _UNLIMITED)
    return Playback(chunk, ChunkPath(rows, chunk.dt_s, unlimited, unlimited), now_ns - round(row * chunk.dt_s * 1e9))


def still(position: Array, now_ns: int, names: tuple[str, ...]) -> ShortTrajectory:
    """Stays at ``position`` [dof]."""
    rows = np.tile(position, (2, 1))
    return ShortTrajectory(now_ns, names, np.array([0.0, STILL_S]), rows, np.zeros_like(rows), np.zeros_like(rows))
