"""Checks that read facts about the machine. The facts are passed in, so every verdict can be tested."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vla_ros.cli.doctor.finding import Finding, fail, ok, warn

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
OLDEST_ROS = "jazzy"
CORES_WANTED = 2
GIB = 2**30
MIB = 2**20
DISK_WANTED, DISK_NEEDED = 5 * GIB, 1 * GIB  # a run's bag and video take up to some hundred MiB
RECEIVE_BUFFER_WANTED = 4 * MIB  # as config/fastdds.xml asks for
SHARED_MEMORY_WANTED, SHARED_MEMORY_NEEDED = 512 * MIB, 128 * MIB  # 32 MiB for each of about a dozen processes, filled by those with images


def check_python(version: tuple[int, int], wheels: bool) -> Finding:
    """The interpreter's version; a ROS of the system brings its own."""
    text = f"{version[0]}.{version[1]}"
    if not wheels or OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        return ok("Python", text)
    return fail("Python", f"{text}; there are wheels for 3.11 to 3.13", "install one of these and run: PYTHON=python3.12 make setup")


def check_architecture(machine: str, wheels: bool) -> Finding:
    """The processor's kind."""
    if not wheels or machine == "x86_64":
        return ok("processor", machine)
    remedy = "install ROS 2 (Jazzy or newer) from its own packages, source its setup.bash and run: make setup"
    return fail("processor", f"{machine}; the ROS 2 wheels are for x86_64 only", remedy)


def check_cores(count: int) -> Finding:
    """How many processes can run at once."""
    if count >= CORES_WANTED:
        return ok("cores", str(count))
    return warn("cores", str(count), f"the whole graph needs {CORES_WANTED} cores to keep up with real time")


def check_debian_packages(wanted: Sequence[str], is_installed: Callable[[str], bool]) -> Finding:
    """The Debian packages that setup.sh names."""
    missing = [package for package in wanted if not is_installed(package)]
    if not missing:
        return ok("Debian packages", f"all {len(wanted)} are there")
    remedy = f"sudo apt-get install -y --no-install-recommends {' '.join(missing)}"
    return fail("Debian packages", f"missing: {', '.join(missing)}", remedy)


def check_pins(requirements: Sequence[Path]) -> Finding:
    """Whether the environment holds the versions that requirements/ names."""
    wrong = []
    for path in requirements:
        for name, wanted in re.findall(r"^([A-Za-z0-9_.-]+)(?:\[.*\])?==([^\s+]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            found = _installed(name)
            if found is None or found.partition("+")[0] != wanted:
                wrong.append(f"{name} {found or 'missing'} (pinned: {wanted})")
    if not wrong:
        return ok("Python packages", "as pinned in requirements/")
    return fail("Python packages", "; ".join(wrong), "run: make setup (if it says that nothing is to do: rm .venv/stamp)")


def check_disk(folder: Path) -> Finding:
    """Room for runs."""
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free at {folder}"
    if free >= DISK_WANTED:
        return ok("disk", text)
    remedy = "make room: each run keeps a recording and a video; old ones lie in runs/"
    return (warn if free >= DISK_NEEDED else fail)("disk", text, remedy)


def check_shared_memory(total: int, free: int) -> Finding:
    """Room for images between processes; both in bytes."""
    text = f"{total / MIB:.0f} MiB, {free / MIB:.0f} MiB free at /dev/shm"
    if total >= SHARED_MEMORY_WANTED and free >= SHARED_MEMORY_NEEDED:
        return ok("shared memory", text)
    remedy = "in a container: docker run --shm-size=1g; left-overs of killed processes: rm /dev/shm/*fastdds* when nothing runs"
    return (warn if free >= SHARED_MEMORY_NEEDED else fail)("shared memory", text, remedy)


def check_receive_buffer(largest: int) -> Finding:
    """How much of what comes by UDP waits for a busy process, in bytes; beyond that it is lost."""
    text = f"{largest / MIB:.1f} MiB"
    if largest >= RECEIVE_BUFFER_WANTED:
        return ok("receive buffer", text)
    why = "with less, messages are lost while the cores are busy"
    remedy = f"{why}; sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER_WANTED} (for good: a line in /etc/sysctl.d)"
    return warn("receive buffer", text, remedy)


def check_ros_mix(environment: Mapping[str, str], checkout: Path, wheels: bool) -> Finding:
    """Whether the shell points to one ROS only, and a usable one."""
    prefixes = [prefix for prefix in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    if not prefixes:
        return fail("ROS environment", "none: AMENT_PREFIX_PATH is empty", "run ./vla doctor, or first: . scripts/env.sh")
    distributions = sorted({match[1] for prefix in prefixes if (match := re.match(r"/opt/ros/([^/]+)", prefix))})
    distribution = environment.get("ROS_DISTRO", "")
    foreign = [prefix for prefix in prefixes if not Path(prefix).is_relative_to(checkout)]
    if wheels and (foreign or distribution):
        found = f"ROS from wheels mixed with {', '.join(foreign) or distribution}"
        return fail("ROS environment", found, "run ./vla, which keeps them apart, or open a shell where nothing else is sourced")
    if len(distributions) > 1:
        return fail("ROS environment", f"several distributions at once: {', '.join(distributions)}", "open a new shell and source one only")
    if not wheels and distribution and distribution < OLDEST_ROS:
        return fail("ROS environment", f"{distribution} is too old", "use Jazzy or newer, or: VLA_ROS_USE=wheels make setup")
    return ok("ROS environment", "Kilted from wheels, nothing else" if wheels else f"{distribution} of the system")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
