"""The two clocks of the gate, and whether the one that stamps are by has leapt."""

from __future__ import annotations

SLACK_NS = 20_000_000  # it may step back this far without a word (network time)
LEAP_NS = 100_000_000  # ... and from one tick to the next go ahead of the steady clock this far (a simulator catches up 50 ms)


class Clock:
    """``now_ns`` is ROS time and never goes back but by a leap, ``steady_ns`` a steady clock; both of the last tick, 0 before the first."""

    def __init__(self) -> None:
        self.now_ns = self.steady_ns = 0

    def tick(self, now_ns: int, steady_ns: int) -> str:
        """How it has leapt, as a clause, or ""."""
        leap = self._leap(now_ns - self.now_ns, steady_ns - self.steady_ns) if self.now_ns else ""
        self.now_ns, self.steady_ns = now_ns if leap else max(now_ns, self.now_ns), steady_ns
        return leap

    @staticmethod
    def _leap(step_ns: int, steady_step_ns: int) -> str:
        ahead_ns = step_ns - steady_step_ns
        if step_ns >= -SLACK_NS and ahead_ns <= LEAP_NS:
            return ""
        return f"went back by {-step_ns * 1e-9:.2f} s" if step_ns < 0 else f"leapt ahead by {ahead_ns * 1e-9:.2f} s"
