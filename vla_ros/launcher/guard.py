"""Ends the processes of a launch when the launcher is gone, however it went. Run as a script: `guard.py LAUNCH_ID GRACE_S`.

The launcher holds the other end of this script's standard input, so its death, even by SIGKILL, ends the input. Processes of a launch
carry its id in their environment, which their own children inherit: groups and sessions of their own do not hide them.
Standard library only, and nothing of this package: it starts in a few milliseconds and stays small.
"""

import os
import signal
import sys
import time

VARIABLE = "VLA_ROS_LAUNCH_IDS"
POLL_S = 0.05


def processes_of(launch_id: str) -> list[int]:
    """The ids of the running processes that carry a launch's id."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                variables = file.read().split(b"\0")
        except OSError:  # gone meanwhile, or another user's
            continue
        name = VARIABLE.encode() + b"="
        if any(variable.startswith(name) and launch_id.encode() in variable for variable in variables):
            found.append(int(entry))
    return found


def signal_all(launch_id: str, number: signal.Signals) -> bool:
    """Signal every process of a launch; whether there was one."""
    found = processes_of(launch_id)
    for pid in found:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    return bool(found)


def end_all(launch_id: str, grace_s: float) -> None:
    """Ask every process of a launch to end, then end those that did not in time."""
    if not signal_all(launch_id, signal.SIGINT):
        return
    deadline = time.monotonic() + grace_s
    while processes_of(launch_id) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    while signal_all(launch_id, signal.SIGKILL):
        time.sleep(POLL_S)


def main() -> int:
    """Wait for the end of the input, then end what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_all(sys.argv[1], float(sys.argv[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
