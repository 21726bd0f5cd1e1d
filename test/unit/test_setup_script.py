"""The set-up scripts: they parse, pin everything, and keep ROS distributions apart."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).parents[2]
SCRIPTS = CHECKOUT / "scripts"
REQUIREMENTS = CHECKOUT / "requirements"
PIN = re.compile(r"[A-Za-z0-9_.-]+(\[[a-z]+\])?==[0-9][0-9A-Za-z.]*(  # import \w+)?")


@pytest.fixture(scope="module")
def requirements() -> ModuleType:
    specification = importlib.util.spec_from_file_location("requirements_script", SCRIPTS / "requirements.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def bash(script: str, **environment: str) -> str:
    command = f"VLA_ROS_ROOT=/co; . {SCRIPTS}/environment.bash\n{script}"
    bare = {"PATH": f"/opt/ros/jazzy/bin:{os.defpath}", **environment}
    return subprocess.run(
        [shutil.which("bash") or "bash", "-c", command], env=bare, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("script", ["scripts/setup.sh", "scripts/env.sh", "scripts/environment.bash", "scripts/check.sh", "vla", ".ci/run"])
def test_scripts_parse(script: str) -> None:
    result = subprocess.run(["bash", "-n", str(CHECKOUT / script)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_setup_names_its_debian_packages() -> None:
    result = subprocess.run([str(SCRIPTS / "setup.sh"), "--debian-packages"], capture_output=True, text=True, check=True)
    assert {"g++", "cmake", "libegl1"} <= set(result.stdout.split())


def test_every_requirement_is_pinned_and_agrees_with_the_constraints(requirements: ModuleType) -> None:
    constraints = {requirements.name_of(pin): pin for pin in requirements.read_pins(REQUIREMENTS / "constraints.txt")}
    for path in sorted(REQUIREMENTS.glob("*.txt")):
        for pin in requirements.read_pins(path):
            assert PIN.fullmatch(pin), f"{path.name}: {pin}"
            version = pin.partition("==")[2].partition(" ")[0]
            name = next(
                (n for n in constraints if n.lower().replace("_", "-") == requirements.name_of(pin).lower().replace("_", "-")), None
            )
            assert name is not None, f"{path.name}: {pin} is not in constraints.txt"
            assert constraints[name] == f"{name}=={version}"


def test_a_ros_of_the_system_keeps_its_own_libraries(requirements: ModuleType) -> None:
    pins = ["numpy==2.4.6  # import numpy", "httpx==0.28.1  # import no_such_module"]
    assert requirements.missing_here(pins) == pins[1:]
    held = requirements.held_constraints(["numpy==2.4.6", "torch==2.13.0"], pins, {"numpy": "1.26.4", "torch": "2.0"}.get)
    assert held == ["numpy==1.26.4", "torch==2.13.0"]


def test_cmake_files_of_the_wheels_are_pointed_to_this_python(requirements: ModuleType) -> None:
    there = "/opt/python/cp311-cp311"
    text = f'INCLUDES "{there}/include/python3.11;{there}/lib/python3.11/site-packages/numpy/_core/include;/usr/include"'
    assert requirements.mended(text, "/usr/include/python3.11", "/v/numpy") == 'INCLUDES "/usr/include/python3.11;/v/numpy;/usr/include"'


def test_a_sourced_ros_leaves_no_trace() -> None:
    foreign = {
        "AMENT_PREFIX_PATH": "/ws/install/a:/opt/ros/jazzy",
        "PYTHONPATH": "/opt/ros/jazzy/lib/python3/site-packages:/mine",
        "LD_LIBRARY_PATH": "/ws/install/a/lib:/opt/ros/jazzy/lib",
        "ROS_DISTRO": "jazzy",
        "ROS_DOMAIN_ID": "7",
    }
    left = bash("leave_ros; env", **foreign)
    assert "jazzy" not in left
    assert "/ws/install" not in left
    assert "PYTHONPATH=/mine" in left
    assert "ROS_DOMAIN_ID=7" in left
    assert "LD_LIBRARY_PATH" not in left


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, "wheels"),
        ({"AMENT_PREFIX_PATH": "/co/.venv"}, "wheels"),
        ({"AMENT_PREFIX_PATH": "/opt/ros/humble", "ROS_DISTRO": "humble", "ROS_VERSION": "2"}, "wheels"),
        ({"AMENT_PREFIX_PATH": "/opt/ros/kilted", "ROS_DISTRO": "kilted", "ROS_VERSION": "2"}, "system kilted"),
        ({"AMENT_PREFIX_PATH": "/opt/ros/kilted", "ROS_DISTRO": "kilted", "ROS_VERSION": "2", "VLA_ROS_USE": "wheels"}, "wheels"),
        ({"CMAKE_PREFIX_PATH": "/opt/ros/noetic", "ROS_DISTRO": "noetic", "ROS_VERSION": "1"}, "wheels"),
    ],
)
def test_a_sourced_ros_is_used_only_when_it_can_be(environment: dict[str, str], mode: str) -> None:
    assert bash("python3() { true; }; choose_mode", **environment) == mode


def test_a_ros_without_rclpy_is_not_used() -> None:
    environment = {"AMENT_PREFIX_PATH": "/opt/ros/kilted", "ROS_DISTRO": "kilted", "ROS_VERSION": "2"}
    assert bash("python3() { false; }; choose_mode", **environment) == "wheels"


def test_pip_installs_every_file_that_the_core_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    setuptools = pytest.importorskip("setuptools")
    monkeypatch.chdir(CHECKOUT)
    found: dict[str, list[tuple[str, list[str]]]] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: found.update(files=arguments["data_files"]))
    exec(compile((CHECKOUT / "setup.py").read_text(), str(CHECKOUT / "setup.py"), "exec"), {"__file__": str(CHECKOUT / "setup.py")})
    installed = {f"{folder}/{Path(name).name}": name for folder, names in found["files"] for name in names}
    shared = [path for folder in ("config", "launch", "urdf") for path in (CHECKOUT / folder).rglob("*") if path.is_file()]
    wanted = {"share/vla_ros/package.xml": "package.xml"}
    wanted |= {f"share/vla_ros/{path.relative_to(CHECKOUT)}": str(path.relative_to(CHECKOUT)) for path in shared}
    assert installed == wanted
