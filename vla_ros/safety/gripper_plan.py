"""What the gripper is told: now, and once the arm gets to the rows that are committed."""

from __future__ import annotations

from collections import deque

import numpy as np

from vla_ros.safety.faults import Fault
from vla_ros.safety.motion_guard import Following, MotionGuard


class GripperPlan:
    """For a gripper that opens to ``open_m``. ``width_m`` (NaN: as it is) and ``force_n`` are what it is told now."""

    def __init__(self, open_m: float) -> None:
        self.width_m, self.force_n = float("nan"), 0.0
        self._open_m = open_m
        self._ahead: deque[tuple[int, float, float]] = deque()  # tick from which a width and a force hold

    def widest_m(self, measured_m: float) -> float:
        """Now and as far as it is committed; fully open where that is not known."""
        told = [width for width in (self.width_m, *(width for _, width, _ in self._ahead)) if np.isfinite(width)]
        return max(measured_m, *told) if told and np.isfinite(measured_m) else self._open_m

    def follow(self, guard: MotionGuard, following: Following) -> Fault | None:
        """The row that was committed closes or opens the gripper when the arm gets there; why it may not be opened there, or None."""
        chunk = following.accepted.chunk
        width = float(chunk.gripper_width_m[int(following.progress.row + 1e-9)])
        planned = self._ahead[-1][1:] if self._ahead else (self.width_m, self.force_n)
        if np.isfinite(width) and planned != (width, chunk.gripper_force_n):
            if fault := guard.opening_fault(width):
                return fault
            self._ahead.append((guard.horizon.end, width, chunk.gripper_force_n))
        return None

    def reach(self, tick: int) -> None:
        """The arm is at ``tick`` of what is committed."""
        while self._ahead and self._ahead[0][0] <= tick:
            _, self.width_m, self.force_n = self._ahead.popleft()

    def give_up(self) -> None:
        """What was committed is not followed any more; the gripper stays as it is."""
        self._ahead.clear()

    def soften(self, force_n: float) -> None:
        """No harder than that from now on."""
        self.force_n = min(self.force_n, force_n)
