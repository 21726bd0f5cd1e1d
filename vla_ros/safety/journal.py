"""What the gate decided: one entry for each change, not one for each tick."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyDecision, SafetyReason
from vla_ros.safety.chunk_checks import Accepted
from vla_ros.safety.motion_guard import Following
from vla_ros.safety.pace import Pace

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


def following_status(following: Following, pace: Pace) -> Status:
    """What is in force while a chunk is followed at ``pace``."""
    accepted = following.accepted
    chunk, cap = accepted.chunk, accepted.path.slowest_cap
    common = (min(pace.share, cap), chunk.seq, chunk.trace_id, accepted)
    if following.finished:
        detail = f"Chunk {chunk.seq} came to its last row; the arm rests there."
        return Status(SafetyAction.PASS, SafetyReason.CHUNK_EXHAUSTED, detail, *common)
    if pace.share < 1.0 and pace.share <= cap:
        detail = f"Chunk {chunk.seq} is played at {pace.share:.0%} of its speed. {pace.why}".rstrip()
        return Status(SafetyAction.SLOW, pace.reason, detail, *common)
    if cap < 0.98:
        limit = f"limit of {accepted.slowed_by.value.removesuffix('_limit')} ({accepted.tightest_joint})"
        return Status(
            SafetyAction.SLOW, accepted.slowed_by, f"Chunk {chunk.seq} is slowed to {cap:.0%} to keep the operational {limit}.", *common
        )
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
        """Enters ``status`` when it is another action, reason or chunk than the one in force, or its chunk has another limiting joint."""
        now, margins = self._current, status.margins
        is_same = now is not None and (now.action, now.reason, now.chunk_seq) == (status.action, status.reason, status.chunk_seq)
        if now and is_same and (margins is None or now.limiting_joint == margins.tightest_joint):
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
