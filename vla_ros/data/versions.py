"""What a run was made with: versions of this package, of Python and of the wheels that matter."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

WHEELS = (
    "ros-rclpy",
    "numpy",
    "mujoco",
    "pin",
    "coal",
    "daqp",
    "ompl",
    "ruckig",
    "torch",
    "transformers",
    "opencv-python-headless",
    "av",
    "mcap",
    "rosbags",
)


def collect_versions(checkout: Path) -> dict[str, str]:
    """Name -> version; what is not installed is left out. ``checkout``: a folder that git may know."""
    found = {"vla_ros": git_describe(checkout) or _wheel("vla_ros") or "unknown"}
    found["python"] = platform.python_version()
    found["platform"] = platform.platform()
    found.update({name: number for name in WHEELS if (number := _wheel(name))})
    return found


def git_describe(checkout: Path) -> str:
    """Tag or commit of a git checkout, '-dirty' when files were changed; empty when there is no git or no checkout."""
    try:
        command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--tags"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _wheel(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
