"""Keeps a stepped simulation in step with real time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MOST_DEBT_S = 0.05  # what a late tick may catch up afterwards; the rest is given up and shows in the real-time factor


class Pacer:
    """Calls ``tick`` once each ``period_s`` of real time, in a thread of its own, until ``stop``."""

    def __init__(self, period_s: float, tick: Callable[[], None]) -> None:
        self._period_s = period_s
        self._tick = tick
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)
        self.restart_measure()

    def restart_measure(self) -> None:
        """The real-time factor is measured from now on."""
        self._since_s, self._ticks = time.monotonic(), 0

    @property
    def real_time_factor(self) -> float:
        """Simulated by real time since the measure began; 1.0: in step."""
        elapsed = time.monotonic() - self._since_s
        return self._ticks * self._period_s / elapsed if elapsed > 0 else 1.0

    def start(self) -> None:
        """Starts the thread; it cannot be started a second time."""
        self.restart_measure()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the tick that runs, waiting at most 2 s."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            self._tick()
            self._ticks += 1
            due_s = max(due_s + self._period_s, time.monotonic() - MOST_DEBT_S)
