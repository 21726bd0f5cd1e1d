"""What the operating system is told about a process: how urgent it is, and that it keeps the memory it has once had.

A dozen processes share the cores. The way from the safety monitor to the arm has to run when its time has come; pictures and plans may
wait a little.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import gc
import os
import sys
from pathlib import Path

SWITCH_INTERVAL_S = 0.001  # Python's own 5 ms are half a tick: a thread that computes would hold up one that has to answer
REALTIME_PRIORITY = 20  # of 1 to 99: below what drivers and a controller manager (50) take
BACKGROUND_NICENESS, LEISURE_NICENESS = 5, 19
AUTOGROUP = Path("/proc/self/autogroup")
_MMAP_BYTES, _TRIM_BYTES = 32 << 20, 256 << 20  # the most that glibc takes; more than any node lets go at once
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


class Urgency(enum.Enum):
    """Of a process among the others."""

    CONTROL = "control"  # the thread that spins runs when its time has come, whoever else is busy
    NORMAL = "normal"
    BACKGROUND = "background"  # gives way, and takes no core from the others when it wakes up
    LEISURE = "leisure"  # takes what nobody else wants


def prepare_process(urgency: Urgency) -> None:
    """For the calling thread and all that are started from now on."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _keep_memory()
    if urgency is Urgency.BACKGROUND:
        os.nice(BACKGROUND_NICENESS)
        _wake_up_politely()
    elif urgency is Urgency.LEISURE:
        os.nice(LEISURE_NICENESS)
        _set_niceness_of_session(LEISURE_NICENESS)
        _wake_up_politely()


def settle() -> None:
    """What was made until now stays until the end: looking through all of it for garbage would hold a tick up by some 30 ms."""
    gc.collect()
    gc.freeze()


def unsettle() -> None:
    """At the end all of it is garbage: libraries complain about what Python does not take away."""
    gc.unfreeze()


def _wake_up_politely() -> None:
    if hasattr(os, "SCHED_BATCH"):  # Linux
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _set_niceness_of_session(niceness: int) -> None:
    """Linux may share the cores between sessions first (sched(7), autogroup): the niceness of a process counts within its session then."""
    if AUTOGROUP.exists() and os.getsid(0) == os.getpid():  # as the launcher starts nodes; a terminal's session is not ours
        with contextlib.suppress(OSError):  # not allowed, or not just now: the session shares as all do
            AUTOGROUP.write_text(str(niceness), encoding="ascii")


def make_realtime() -> bool:
    """Gives the calling thread, and no other, a real-time priority. False where the system does not allow that."""
    if not hasattr(os, "SCHED_RESET_ON_FORK"):  # not Linux
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(REALTIME_PRIORITY))
    except PermissionError:
        return False
    return True


def make_threads_realtime(name: str) -> int:
    """Gives the threads of this process whose names begin with ``name`` the same priority; how many have it now.

    Those that receive messages were started before the thread that spins was made urgent. Where they wait for a core, it waits for them.
    """
    given = 0
    for task in Path("/proc/self/task").glob("*"):
        with contextlib.suppress(OSError):  # not allowed, or the thread has just ended: the others may still have it
            if (task / "comm").read_text().startswith(name):
                os.sched_setscheduler(int(task.name), os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(REALTIME_PRIORITY))
                given += 1
    return given


def _keep_memory() -> None:
    """Pictures come and go thirty times a second: fresh pages from the kernel for each would cost more than filling them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
