"""What the gate decided: one entry for each change, not one for each tick."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyDecision, SafetyReason
from vla_ros.safety.chunk_checks import Accepted
from vla_ros.safety.motion_guard import Following

KEPT = 1000  # decisions, if nobody reads them


@dataclass(frozen=True)
class Status:
    """What is in force now, and why."""

    action: SafetyAction
    reason: SafetyReason
    detail: str
    speed_scale: float = 1.0
    chunk_seq: int = 0
    trace_id: str = ""
    margins: Accepted | None = None
    joint: str = ""  # or pair of bodies
    clearance_m: float = float("nan")


def following_status(following: Following, override: float, doubt: str = "", unknown_speed: float = 1.0) -> Status:
    """What is in force while a chunk is followed at the speed ``override``; with a ``doubt`` no faster than at ``unknown_speed``."""
    speed = min(override, unknown_speed) if doubt else override
    accepted = following.accepted
    chunk, cap = accepted.chunk, accepted.path.slowest_cap
    common = (min(speed, cap), chunk.seq, chunk.trace_id, accepted)
    if following.finished:
        detail = f"Chunk {chunk.seq} came to its last row; the arm rests there."
        return Status(SafetyAction.PASS, SafetyReason.CHUNK_EXHAUSTED, detail, *common)
    if speed < override and speed <= cap:
        detail = f"Chunk {chunk.seq} is played at {speed:.0%} of its speed. {doubt}"
        return Status(SafetyAction.SLOW, SafetyReason.UNFORESEEN, detail, *common)
    if speed < 1.0 and speed <= cap:
        detail = f"Chunk {chunk.seq} is played at {speed:.0%} of its speed."
        return Status(SafetyAction.SLOW, SafetyReason.SPEED_OVERRIDE, detail, *common)
    if cap < 0.98:
        detail = f"Chunk {chunk.seq} is slowed to {cap:.0%} where it would pass the operational limits ({accepted.tightest_joint})."
        return Status(SafetyAction.SLOW, SafetyReason.VELOCITY_LIMIT, detail, *common)
    return Status(SafetyAction.PASS, SafetyReason.OK, f"Chunk {chunk.seq} of '{chunk.expert}' is followed.", *common)


class Journal:
    """Numbers the decisions and keeps those that were not read yet."""

    def __init__(self) -> None:
        self._count = 0
        self._current: SafetyDecision | None = None
        self._unread: deque[SafetyDecision] = deque(maxlen=KEPT)

    @property
    def current_id(self) -> int:
        """Of the decision in force."""
        return 0 if self._current is None else self._current.id

    def note(self, status: Status, stamp_ns: int) -> SafetyDecision:
        """Enters ``status`` when it is another action, reason or chunk than the one in force."""
        now = self._current
        if now is not None and (now.action, now.reason, now.chunk_seq) == (status.action, status.reason, status.chunk_seq):
            return now
        self._current = self.enter(status, stamp_ns)
        return self._current

    def enter(self, status: Status, stamp_ns: int) -> SafetyDecision:
        """Enters a decision about a chunk that is not followed: it leaves the one in force as it is."""
        self._count += 1
        margins = status.margins
        decision = SafetyDecision(
            id=self._count,
            stamp_ns=stamp_ns,
            action=status.action,
            reason=status.reason,
            detail=status.detail,
            chunk_seq=status.chunk_seq,
            trace_id=status.trace_id,
            speed_scale=status.speed_scale,
            limiting_joint=margins.tightest_joint if margins else status.joint,
            margin_position_rad=margins.margin_position_rad if margins else float("nan"),
            margin_velocity=margins.margin_velocity if margins else float("nan"),
            margin_workspace_m=margins.margin_workspace_m if margins else float("nan"),
            margin_clearance_m=status.clearance_m,
        )
        self._unread.append(decision)
        return decision

    def drain(self) -> list[SafetyDecision]:
        """The decisions since the last call, oldest first."""
        unread = list(self._unread)
        self._unread.clear()
        return unread
