"""What this package's launch files set for their processes."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from vla_ros.core.resources import share_dir
from vla_ros.launcher.evaluation import ProcessSpec, load_processes
from vla_ros.ros.interfaces import COLOR_IMAGE, DEPTH_IMAGE

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


WITH_RAW_IMAGES = {"sim_robot", "camera_perception", "depth_perception"}


def test_the_nodes_with_shared_memory_are_those_of_raw_images() -> None:
    """For the others a node that was killed and started again could stay unheard."""
    ends = {COLOR_IMAGE.publishers, COLOR_IMAGE.subscribers, DEPTH_IMAGE.publishers, DEPTH_IMAGE.subscribers}
    named = {name.strip() for end in ends for part in end.split(",") for name in part.split(" or ")}
    assert named - {"driver"} == WITH_RAW_IMAGES


@pytest.mark.parametrize("file", ["demo", "graph", "robot"])
def test_every_process_gets_what_the_graph_needs(prefix: Path, file: str) -> None:
    processes = load(prefix, file)
    assert processes
    for process in processes.values():
        profile = Path(process.environment["FASTDDS_DEFAULT_PROFILES_FILE"])
        assert ("<segment_size>" in profile.read_text()) == (process.name in WITH_RAW_IMAGES), process.name
        assert "<interfaceWhiteList>" in profile.read_text()
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"  # with LOCALHOST, ROS adds shared memory to all
        assert process.environment["VLA_ROS_THIS_MACHINE"] == "true"
        assert process.environment["MUJOCO_GL"] == "egl"
        assert process.environment["OMP_NUM_THREADS"] == process.environment["OPENBLAS_NUM_THREADS"] == "1"


def test_over_several_machines_all_nodes_have_the_same_profile(prefix: Path) -> None:
    processes = load(prefix, "demo", ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET")
    for process in processes.values():
        profile = Path(process.environment["FASTDDS_DEFAULT_PROFILES_FILE"]).read_text()
        assert "127.0.0.1" not in profile
        assert "<segment_size>" in profile
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


def test_with_a_profile_of_the_users_own_nodes_are_still_heard_on_this_machine_only(prefix: Path) -> None:
    for process in load(prefix, "demo", FASTDDS_DEFAULT_PROFILES_FILE="/lab/own.xml").values():
        assert process.environment["FASTDDS_DEFAULT_PROFILES_FILE"] == "/lab/own.xml"
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_a_profile_of_the_users_own_for_images_stays_beside_one_for_the_rest(prefix: Path) -> None:
    own = {"FASTDDS_DEFAULT_PROFILES_FILE": "/lab/own.xml", "VLA_ROS_IMAGE_PROFILES": "/lab/images.xml"}
    processes = load(prefix, "demo", **own)
    assert processes["planner"].environment["FASTDDS_DEFAULT_PROFILES_FILE"] == "/lab/own.xml"
    assert processes["sim_robot"].environment["FASTDDS_DEFAULT_PROFILES_FILE"] == "/lab/images.xml"


@pytest.mark.parametrize("chosen", ["LOCALHOST", "SYSTEM_DEFAULT"])
def test_what_env_sh_chose_before_is_chosen_anew(prefix: Path, chosen: str) -> None:
    config = prefix / "share/vla_ros/config"
    given = {"FASTDDS_DEFAULT_PROFILES_FILE": str(config / "fastdds.xml"), "VLA_ROS_IMAGE_PROFILES": str(config / "fastdds_images.xml")}
    processes = load(prefix, "demo", ROS_AUTOMATIC_DISCOVERY_RANGE=chosen, **given)
    for process in processes.values():
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"
        assert process.environment["VLA_ROS_THIS_MACHINE"] == "true"
    assert processes["planner"].environment["FASTDDS_DEFAULT_PROFILES_FILE"] == given["FASTDDS_DEFAULT_PROFILES_FILE"]
    for process in load(prefix, "demo", ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET", **given).values():
        assert process.environment["FASTDDS_DEFAULT_PROFILES_FILE"] == str(config / "fastdds_network.xml")


def test_static_peers_are_reached(prefix: Path) -> None:
    for process in load(prefix, "demo", ROS_STATIC_PEERS="lab-2").values():
        assert process.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
        assert process.environment["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("fastdds_network.xml")


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


UNUSUAL = {
    "robot": "lab_arm", "scene": "lab_table", "seed": "7", "speed": "0.25", "dry_run": "true", "pictures": "false", "runs": "/lab/my runs",
    "autostart": "false", "sim": "false", "expert": "lab_expert", "planner": "openai", "openai_model": "lab",
}  # fmt: skip
ALL = {"robot": '"lab_arm"', "autostart": "false"}
EXPECTED = {
    "sim_robot": {**ALL, "scene": '"lab_table"', "seed": "7"},
    "state_publisher": ALL,
    "safety_monitor": {**ALL, "speed": "0.25", "use_sim_time": "false"},
    "motion_forwarder": {**ALL, "dry_run": "true", "use_sim_time": "false"},
    "camera_perception": ALL,
    "depth_perception": ALL,
    "tactile_perception": ALL,
    "action_expert": {**ALL, "expert": '"lab_expert"'},
    "world_model": ALL,
    "planner": {
        **ALL, "scene": '"lab_table"', "record": "true", "planner": '"openai"',
        "openai_url": '""', "openai_model": '"lab"', "openai_key_variable": '""',
    },
    "recorder": {**ALL, "root": '"/lab/my runs"', "pictures": "false"},
}  # fmt: skip


def parameters(process: ProcessSpec) -> dict[str, str]:
    """What is given on the command line, beside parameter files."""
    given = [word for flag, word in itertools.pairwise(process.command) if flag == "-p"]
    return dict(word.split(":=", 1) for word in given)


def test_every_argument_reaches_the_nodes_that_it_is_for(prefix: Path) -> None:
    processes = load(prefix, "demo", UNUSUAL)
    assert {name: parameters(process) for name, process in processes.items()} == EXPECTED


def test_the_graph_alone_gets_the_same_without_the_simulated_robot(prefix: Path) -> None:
    processes = load(prefix, "graph", {name: value for name, value in UNUSUAL.items() if name != "seed"})
    assert {"sim_robot": EXPECTED["sim_robot"], **{n: parameters(p) for n, p in processes.items()}} == EXPECTED


def test_nodes_that_are_not_wanted_are_left_out(prefix: Path) -> None:
    without = load(prefix, "demo", {"record": "false", "state_publisher": "false"})
    assert set(NODES) - set(without) == {"recorder", "state_publisher"}
    assert parameters(without["planner"])["record"] == "false"


def test_without_arguments_the_nodes_get_the_usual(prefix: Path) -> None:
    processes = load(prefix, "demo")
    assert set(processes) == set(NODES)
    given = {(name, value) for process in processes.values() for name, value in parameters(process).items()}
    usual = {
        ("robot", '"panda"'), ("scene", '"tabletop"'), ("seed", "0"), ("speed", "1.0"), ("dry_run", "false"), ("record", "true"),
        ("pictures", "true"), ("root", '"runs"'), ("autostart", "true"), ("use_sim_time", "true"), ("expert", '"scripted"'),
        ("planner", '"builtin"'), ("openai_url", '""'), ("openai_model", '""'), ("openai_key_variable", '""'),
    }  # fmt: skip
    assert given == usual
