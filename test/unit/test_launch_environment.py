"""What this package's launch files set for their processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_ros.core.resources import share_dir
from vla_ros.launcher.evaluation import ProcessSpec, load_processes

NODES = (
    "sim_robot", "state_publisher", "safety_monitor", "motion_forwarder", "camera_perception", "depth_perception", "tactile_perception",
    "action_expert", "world_model", "planner", "recorder",
)  # fmt: skip


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An install prefix in which every node is there; parameter files are those of this package."""
    index = tmp_path / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    (index / "vla_ros").touch()
    (tmp_path / "share/vla_ros").symlink_to(share_dir())
    folder = tmp_path / "lib/vla_ros"
    folder.mkdir(parents=True)
    for name in NODES:
        (folder / name).touch(mode=0o755)
    return tmp_path


def load(prefix: Path, file: str, arguments: dict[str, str] | None = None, **environment: str) -> dict[str, ProcessSpec]:
    path = share_dir() / "launch" / f"{file}.launch.xml"
    processes = load_processes(path, arguments or {}, {"AMENT_PREFIX_PATH": str(prefix), **environment})
    return {process.name: process for process in processes}


@pytest.mark.parametrize("file", ["demo", "graph", "robot"])
def test_every_process_gets_what_the_graph_needs(prefix: Path, file: str) -> None:
    processes = load(prefix, file)
    assert processes
    for process in processes.values():
        profile = Path(process.environment["FASTDDS_DEFAULT_PROFILES_FILE"])
        assert "<segment_size>" in profile.read_text(), process.name
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
        assert process.environment["MUJOCO_GL"] == "egl"
        assert process.environment["OMP_NUM_THREADS"] == process.environment["OPENBLAS_NUM_THREADS"] == "1"


def test_every_launch_names_its_own_run(prefix: Path) -> None:
    """By it a monitor that is respawned finds the stop that was latched in its run, and no other."""
    runs = [{process.environment["VLA_ROS_RUN"] for process in load(prefix, "demo").values()} for _ in range(2)]
    assert [len(names) for names in runs] == [1, 1]
    assert runs[0] != runs[1]


def test_what_the_user_has_set_stays(prefix: Path) -> None:
    own = {
        "FASTDDS_DEFAULT_PROFILES_FILE": "/lab/own.xml",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "MUJOCO_GL": "osmesa",
        "OMP_NUM_THREADS": "4",
        "OPENBLAS_NUM_THREADS": "2",
        "VLA_ROS_RUN": "lab-7",
    }
    for process in load(prefix, "demo", **own).values():
        assert {name: process.environment[name] for name in own} == own


def test_the_server_of_the_openai_planner_reaches_the_planner_as_text(prefix: Path) -> None:
    given = {"openai_url": "http://127.0.0.1:8000/v1", "openai_model": "7", "openai_key_variable": "LAB_KEY"}
    command = load(prefix, "demo", {"planner": "openai", **given})["planner"].command
    for name, value in given.items():
        assert f'{name}:="{value}"' in command
