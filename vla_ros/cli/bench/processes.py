"""What each process of a graph takes of the processor and of the memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

MIB = 2**20
LAUNCHER = "launcher"


def process_name(command: Sequence[str], package: str = "vla_ros") -> str:
    """The node that a command line starts; else the Python file that is run; else the program."""
    for word in command:
        if f"/lib/{package}/" in word:
            return Path(word).name
        if word.endswith(".py"):
            return Path(word).stem
    return Path(command[0]).name if command else "?"


class GraphProcesses:
    """The launcher with process id ``root`` and all its descendants as they are now; a process that ends later is left out."""

    def __init__(self, root: int, clock: Callable[[], float] = time.monotonic) -> None:
        launcher = psutil.Process(root)
        self._clock = clock
        self._processes: list[tuple[str, Any]] = [(LAUNCHER, launcher)]
        self._processes += [(process_name(child.cmdline()), child) for child in launcher.children(recursive=True)]
        self._before: dict[int, float] = {}
        self.begin()

    def begin(self) -> None:
        """``cpu_percent`` counts from now on."""
        self._since_s = self._clock()
        self._before = {process.pid: used for _, process in self._processes if (used := _cpu_s(process)) is not None}
        psutil.cpu_percent()

    def cpu_percent(self) -> dict[str, float]:
        """Mean share of one core since ``begin``, by name."""
        elapsed_s = self._clock() - self._since_s
        shares: dict[str, float] = {}
        for name, process in self._processes:
            used_s = _cpu_s(process)
            if used_s is not None and process.pid in self._before:
                shares[name] = shares.get(name, 0.0) + 100.0 * (used_s - self._before[process.pid]) / elapsed_s
        return shares

    def machine_percent(self) -> float:
        """How busy all cores together were since ``begin``, whoever kept them busy; 100: none was idle."""
        return float(psutil.cpu_percent())

    def memory_mib(self) -> dict[str, float]:
        """Proportional set size by name: what several processes share is divided among them, so that the sum is what the graph takes."""
        sizes: dict[str, float] = {}
        for name, process in self._processes:
            try:
                sizes[name] = sizes.get(name, 0.0) + process.memory_full_info().pss / MIB
            except psutil.NoSuchProcess:
                continue
        return sizes


def _cpu_s(process: Any) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return None
    return float(times.user + times.system)
