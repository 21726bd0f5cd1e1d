"""A planned motion as action chunks that continue one another, so that it goes through the gate like any expert's actions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vla_ros.core.actions import ActionChunk, ActionSpace
from vla_ros.core.errors import MotionError
from vla_ros.motion.timing import TimedTrajectory

ROWS = 40  # in a chunk; with 50 ms between rows two seconds
REFRESH_ROW = 10.0  # of the chunk in force, from which on the next one is sent
OVERLAP_ROWS = 2  # rows before the one in force that the next chunk repeats
END_ROW = 0.01  # so near to its last row a chunk has come to its end


class TrajectoryChunks:
    """Hands out ``trajectory`` (evenly sampled) piece by piece, following what the gate has committed."""

    def __init__(
        self,
        trajectory: TimedTrajectory,
        names: tuple[str, ...],
        *,
        expert: str = "move_to",
        first_seq: int = 1,
        trace_id: str = "",
        subtask_id: str = "",
        gripper_width_m: float = float("nan"),
        gripper_force_n: float = 20.0,
        planned_from_ns: Mapping[str, int] | None = None,
    ) -> None:
        """``first_seq``: the expert's next number. ``gripper_width_m``: kept all the way; NaN leaves the gripper as it is.

        ``planned_from_ns``: what else the trajectory was planned from, and the stamps of it; named as inputs of every chunk.

        Raises MotionError for a trajectory that is not evenly sampled.
        """
        steps = np.diff(trajectory.times_s)
        if len(steps) and not np.allclose(steps, steps[0], rtol=1e-6, atol=1e-9):
            raise MotionError("Only evenly sampled trajectories can be cut into chunks.")
        self._rows = trajectory.positions if len(steps) else np.repeat(trajectory.positions, 2, axis=0)
        self._dt_s = float(steps[0]) if len(steps) else 0.05
        self._names, self._expert, self._trace_id, self._subtask_id = names, expert, trace_id, subtask_id
        self._gripper = (gripper_width_m, gripper_force_n)
        self._planned_from_ns = dict(planned_from_ns or {})
        self._seq = first_seq - 1
        self._begin = 0  # row of the trajectory at which the chunk in force begins
        self._sent = 0  # rows of the trajectory that were handed out so far

    @property
    def seq(self) -> int:
        """Number of the last chunk handed out."""
        return self._seq

    def first(self, now_ns: int) -> ActionChunk:
        """The chunk to begin with; ``now_ns`` is the stamp of the joint states that the plan starts from."""
        return self._cut(0, now_ns, continues=False, row=0.0)

    def next(self, now_ns: int, chunk_seq: int, chunk_row: float) -> ActionChunk | None:
        """The chunk that continues the one in force (``chunk_seq``, ``chunk_row`` of the last GatedCommand); None while none is due."""
        if chunk_seq != self._seq or chunk_row < REFRESH_ROW or self._sent >= len(self._rows):
            return None
        row = max(int(chunk_row) - OVERLAP_ROWS, 0)
        return self._cut(self._begin + row, now_ns, continues=True, row=float(row))

    def finished(self, chunk_seq: int, chunk_row: float) -> bool:
        """Whether the gate has committed the last row."""
        return chunk_seq == self._seq and self._sent >= len(self._rows) and chunk_row >= len(self._rows) - 1 - self._begin - END_ROW

    def _cut(self, begin: int, now_ns: int, *, continues: bool, row: float) -> ActionChunk:
        begin = min(begin, len(self._rows) - 2)
        rows = self._rows[begin : begin + ROWS]
        self._begin, self._sent = begin, begin + len(rows)
        self._seq += 1
        return ActionChunk(
            seq=self._seq,
            expert=self._expert,
            subtask_id=self._subtask_id,
            trace_id=self._trace_id,
            stamp_ns=now_ns,
            space=ActionSpace.JOINT_POSITION,
            names=self._names,
            dt_s=self._dt_s,
            data=rows,
            gripper_width_m=np.full(len(rows), self._gripper[0]),
            gripper_force_n=self._gripper[1],
            continues_seq=self._seq - 1 if continues else 0,
            continues_row=row,
            input_stamps_ns={"joint_states": now_ns, **self._planned_from_ns},
        )
