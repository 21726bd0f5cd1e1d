"""Say what is missing on this machine and how to get it.

Each line is OK, WARN (works, with a limit) or FAIL (the demo cannot run). The exit code is 1 where anything fails.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from vla_ros.cli.doctor import machine, probes
from vla_ros.cli.doctor.finding import Finding, Level, warn

NOT_SET_UP = ("constraints", "mutation")  # files in requirements/ that name nothing that set-up installs

RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--quick leaves out what takes seconds."""
    parser.add_argument("--quick", action="store_true", help="read facts only: no picture is drawn, no message sent")


def run(options: argparse.Namespace) -> int:
    """Check one thing after the other, printing each as it is known."""
    worst = Level.OK
    for check in checks(options.quick):
        finding = check()
        print(finding.lines(), flush=True)
        worst = max(worst, finding.level, key=list(Level).index)
    return 1 if worst is Level.FAIL else 0


def checks(quick: bool) -> Iterator[Callable[[], Finding]]:
    """The checks in the order in which they explain one another."""
    checkout = Path(os.environ.get("VLA_ROS_ROOT", sys.prefix))
    wheels = uses_wheels(checkout)
    yield lambda: machine.check_python(sys.version_info[:2], wheels)
    yield lambda: machine.check_architecture(platform.machine(), wheels)
    yield lambda: machine.check_cores(len(os.sched_getaffinity(0)))
    yield lambda: debian_packages(checkout)
    yield lambda: machine.check_ros_mix(os.environ, checkout, wheels)
    if wheels:
        yield lambda: machine.check_pins(sorted(path for path in (checkout / "requirements").glob("*.txt") if path.stem not in NOT_SET_UP))
    yield lambda: machine.check_disk(Path.cwd())
    yield shared_memory
    if RECEIVE_BUFFER.exists():  # Linux
        yield lambda: machine.check_receive_buffer(int(RECEIVE_BUFFER.read_text(encoding="ascii")))
    if not quick:
        yield probes.check_realtime
        yield probes.check_rendering
        yield probes.check_cv_bridge
        yield probes.check_dds


def uses_wheels(checkout: Path) -> bool:
    """Whether this checkout was set up with ROS from wheels."""
    mode = checkout / ".venv" / "ros_mode"
    return mode.is_file() and mode.read_text(encoding="utf-8").strip() == "wheels"


def debian_packages(checkout: Path) -> Finding:
    """The packages that setup.sh would install."""
    setup = checkout / "scripts" / "setup.sh"
    if shutil.which("dpkg-query") is None or not setup.is_file():
        return warn("Debian packages", "not checked: no Debian system or no checkout", "see that a C++ compiler, CMake and EGL are there")
    wanted = subprocess.run([str(setup), "--debian-packages"], capture_output=True, text=True, check=True).stdout.split()
    return machine.check_debian_packages(wanted, is_debian_package_installed)


def is_debian_package_installed(package: str) -> bool:
    """Whether dpkg says so."""
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"


def shared_memory() -> Finding:
    """The size of /dev/shm."""
    usage = shutil.disk_usage("/dev/shm")
    return machine.check_shared_memory(usage.total, usage.free)
