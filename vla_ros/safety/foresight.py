"""Does the world model stand behind the motion that is followed? Its answers, and how long an approval has been awaited.

An expert replaces its chunk many times a second, and each needs a verdict of its own. So the wait is not counted from the newest chunk,
which would never be late, but from the oldest one that was followed since the last that was approved.
"""

from __future__ import annotations

from collections import deque

from vla_ros.core.decisions import Verdict
from vla_ros.core.stamps import ns_from_s
from vla_ros.safety.chunk_checks import ChunkId
from vla_ros.safety.config import WorldModelConfig

CHAIN_KEPT = 16  # chunks whose verdict still counts


class Foresight:
    """Knows the chunks that were followed without a break, the current one last."""

    def __init__(self, config: WorldModelConfig) -> None:
        self._config = config
        self._deadline_ns = ns_from_s(config.deadline_s)
        self._chain: deque[tuple[ChunkId, int]] = deque(maxlen=CHAIN_KEPT)  # with the time at which it was taken
        self._judged = -1  # index in the chain of the newest chunk that was answered for
        self._waiting_since_ns: int | None = None  # None: what is followed is approved
        self._unknown = ""  # why it cannot be told what comes of the motion

    def follow(self, chunk: ChunkId, now_ns: int, *, continued: bool) -> None:
        """``chunk`` is followed from now on; ``continued``: it goes on where the one before it was."""
        if not continued:
            self._chain.clear()
            self._judged = -1
        elif len(self._chain) == CHAIN_KEPT:
            self._judged = max(self._judged - 1, -1)
        self._chain.append((chunk, now_ns))
        if self._waiting_since_ns is None:
            self._waiting_since_ns = now_ns

    def answer(self, chunk: ChunkId, verdict: Verdict, detail: str) -> bool:
        """Whether the verdict counts: its chunk is followed, or continued, and no newer one was answered for (which a REJECT survives)."""
        index = next((i for i, (known, _) in enumerate(self._chain) if known == chunk), -1)
        if index < 0 or (index <= self._judged and verdict is not Verdict.REJECT):
            return False
        self._judged = max(index, self._judged)
        if verdict is Verdict.APPROVE:
            later = [taken_ns for _, taken_ns in self._chain][index + 1 :]
            self._waiting_since_ns = later[0] if later else None
            self._unknown = ""
        else:
            self._unknown = detail or "It gives no reason."
        return True

    def doubt(self, now_ns: int) -> str:
        """Why the motion is not to go on at its full pace, as a sentence; empty where nothing speaks against it."""
        if not self._config.required:
            return ""
        if self._unknown:
            return f"The world model cannot approve the motion: {self._unknown}"
        if self._waiting_since_ns is not None and now_ns - self._waiting_since_ns > self._deadline_ns:
            return f"The world model has approved nothing for more than {self._config.deadline_s:g} s; is it running?"
        return ""

    def forget(self) -> None:
        """The clock has jumped: what was waited for does not come any more."""
        self._chain.clear()
        self._judged, self._waiting_since_ns, self._unknown = -1, None, ""
