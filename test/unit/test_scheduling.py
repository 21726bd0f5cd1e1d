"""What a node's process asks of the operating system, seen in the system's own books."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux only")

LOOK = "import os, threading; from vla_ros.core.scheduling import *; "


def _in_a_process(code: str) -> list[str]:
    """What ``code`` prints: these settings cannot be taken back, so a process of its own has them."""
    return subprocess.run([sys.executable, "-c", LOOK + code], check=True, capture_output=True, text=True, timeout=60).stdout.split()


def test_background_gives_way_and_so_do_its_threads() -> None:
    code = (
        "prepare_process(Urgency.BACKGROUND);"
        "t = threading.Thread(target=lambda: print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))); t.start(); t.join()"
    )
    policy, niceness = _in_a_process(code)
    assert (int(policy), int(niceness)) == (os.SCHED_BATCH, min(19, os.nice(0) + 5))


def test_leisure_counts_against_other_sessions_too() -> None:
    code = (
        "os.setsid() if os.getsid(0) != os.getpid() else None; prepare_process(Urgency.LEISURE);"
        "print(os.getpriority(os.PRIO_PROCESS, 0), AUTOGROUP.read_text().split()[-1] if AUTOGROUP.exists() else 19)"
    )
    assert _in_a_process(code) == ["19", "19"]


def test_realtime_is_for_the_calling_thread_alone() -> None:
    code = (
        "print(make_realtime(), os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK);"
        "t = threading.Thread(target=lambda: print(os.sched_getscheduler(0))); t.start(); t.join()"
    )
    done, policy, policy_of_thread = _in_a_process(code)
    assert int(policy) == (os.SCHED_FIFO if done == "True" else os.SCHED_OTHER)
    assert int(policy_of_thread) == os.SCHED_OTHER


NAMED_THREADS = """
import pathlib
go, named = threading.Event(), threading.Event()
def work():
    pathlib.Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("dds.x")
    named.set()
    go.wait()
threads = [threading.Thread(target=work), threading.Thread(target=go.wait)]
for thread in threads: thread.start()
named.wait()
print(make_threads_realtime("dds."), *[os.sched_getscheduler(t.native_id) & ~os.SCHED_RESET_ON_FORK for t in threads])
go.set()
"""


def test_threads_are_made_realtime_by_their_names() -> None:
    given, named, other = map(int, _in_a_process("\n" + NAMED_THREADS))
    assert (given, named) in [(1, os.SCHED_FIFO), (0, os.SCHED_OTHER)]  # 0: the system does not allow it
    assert other == os.SCHED_OTHER


def test_where_realtime_is_refused_the_process_goes_on() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0)); os.geteuid() or os.setuid(65534);"
        "print(make_realtime(), os.sched_getscheduler(0))"
    )
    assert _in_a_process(code) == ["False", str(os.SCHED_OTHER)]


def test_memory_that_was_had_once_is_kept() -> None:
    code = (
        "import resource; prepare_process(Urgency.NORMAL);"
        "pictures = lambda: [b'1' * (1 << 20) for _ in range(16)];"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt;"
        "pictures(); before = faults(); [pictures() and None for _ in range(20)]; print(faults() - before)"
    )
    (faults,) = _in_a_process(code)
    assert int(faults) < 4096  # of 16 MiB; anew each time they would be twenty times as many
