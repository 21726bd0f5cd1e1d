"""Which profile of Fast DDS scripts/env.sh chooses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "install/vla_ros/share/vla_ros/config"
NAMES = ("FASTDDS_DEFAULT_PROFILES_FILE", "VLA_ROS_IMAGE_PROFILES", "ROS_AUTOMATIC_DISCOVERY_RANGE", "VLA_ROS_THIS_MACHINE")
LOCAL = (str(CONFIG / "fastdds.xml"), str(CONFIG / "fastdds_images.xml"), "SYSTEM_DEFAULT", "true")
NETWORK = (str(CONFIG / "fastdds_network.xml"),) * 2

pytestmark = pytest.mark.skipif(not (ROOT / "build/stamp").is_file(), reason="needs a checkout that was set up")


def chosen(*steps: str, **given: str) -> tuple[str, ...]:
    """What env.sh leaves, sourced in each of ``steps`` after what that says."""
    bare = {name: value for name, value in os.environ.items() if name not in (*NAMES, "ROS_STATIC_PEERS")}
    lines = [f"{step}\n. scripts/env.sh" for step in steps or ("",)]
    show = "; ".join(f'echo "${{{name}:-}}"' for name in NAMES)
    done = subprocess.run(
        ["bash", "-c", "\n".join([*lines, show])], cwd=ROOT, env={**bare, **given}, capture_output=True, text=True, check=True, timeout=60
    )
    return tuple(done.stdout.split("\n")[: len(NAMES)])


@pytest.mark.parametrize(
    "steps", [("",), ("", ""), ("export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST",), ("", "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST")]
)
def test_within_one_machine(steps: tuple[str, ...]) -> None:
    assert chosen(*steps) == LOCAL


@pytest.mark.parametrize("before", [(), ("",)])
def test_over_several_machines(before: tuple[str, ...]) -> None:
    assert chosen(*before, "export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET") == (*NETWORK, "SUBNET", "false")


def test_static_peers_are_reached() -> None:
    assert chosen(ROS_STATIC_PEERS="lab-2") == (*NETWORK, "LOCALHOST", "false")


def test_a_profile_of_the_users_own_is_for_all() -> None:
    assert chosen(FASTDDS_DEFAULT_PROFILES_FILE="/lab/own.xml") == ("/lab/own.xml", "/lab/own.xml", "LOCALHOST", "false")
