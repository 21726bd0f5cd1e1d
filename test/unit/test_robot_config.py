"""config/robots/*.yaml: what is read, and how a wrong file is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from vla_ros.core.errors import ConfigError
from vla_ros.core.resources import config_path
from vla_ros.robots import load_robot
from vla_ros.robots.config import load_robot_config


@pytest.fixture
def raw() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(config_path("robots", "panda").read_text(encoding="utf-8"))
    return loaded


ROBOTS = sorted(path.stem for path in config_path("robots", "panda").parent.glob("*.yaml"))


@pytest.mark.parametrize("robot", ROBOTS)
def test_each_robot_can_be_loaded_and_is_at_home_within_its_workspace(robot: str) -> None:
    arm = load_robot(robot)
    home_m = arm.fk(arm.config.home_rad)[:3, 3]
    assert arm.config.name == robot
    assert (home_m >= arm.config.workspace.min_m).all()
    assert (home_m <= arm.config.workspace.max_m).all()
    assert {pad.link for pad in arm.config.tactile.values()} <= {shape.link for shape in arm.collision_shapes}, "pads touch something"


def load(raw: dict[str, Any], folder: Path) -> object:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return load_robot_config(str(path))


def test_panda_has_what_the_graph_needs() -> None:
    config = load_robot_config("panda")
    assert config.arm_joints == tuple(f"panda_joint{i}" for i in range(1, 8))
    assert config.gripper.binding.position_from_width(0.08) == pytest.approx(0.04)
    assert config.gripper.binding.width_from_position(0.01) == pytest.approx(0.02)
    assert set(config.cameras) == {"front", "wrist"}
    assert config.cameras["front"].has_depth
    assert not config.cameras["wrist"].has_depth
    assert set(config.tactile) == {"left", "right"}
    assert config.urdf_path.is_file()


def test_front_camera_sees_its_target_in_the_middle() -> None:
    camera = load_robot_config("panda").cameras["front"]
    T = camera.T_parent_camera
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    x, y, z = np.linalg.inv(T) @ np.array([0.45, 0.0, 0.0, 1.0]) @ np.eye(4)[:, :3]
    assert z > 0
    np.testing.assert_allclose([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], [319.5, 239.5], atol=1e-6)
    right_of_robot = np.linalg.inv(T) @ np.array([0.45, -0.2, 0.0, 1.0])
    assert right_of_robot[0] < 0, "the camera faces the robot: what is on the robot's right is on the image's left"
    assert (np.linalg.inv(T) @ np.array([0.45, 0.0, 0.2, 1.0]))[1] < 0, "higher things are further up in the image"


def test_vertical_field_of_view() -> None:
    camera = load_robot_config("panda").cameras["front"]
    assert np.degrees(2 * np.arctan(camera.height_px / 2 / camera.fy)) == pytest.approx(50.0)
    assert camera.fx == camera.fy


def test_values_cannot_be_changed() -> None:
    config = load_robot_config("panda")
    with pytest.raises(ValueError, match="read-only"):
        config.limits.velocity_radps[0] = 100.0
    with pytest.raises(ValueError, match="read-only"):
        config.cameras["front"].T_parent_camera[0, 3] = 0.0


def test_unknown_robot_lists_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match=r"Unknown robot 'pnda'; valid: .*panda.*Did you mean 'panda'"):
        load_robot_config("pnda")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("limits", "velocity_radps"), [1.0] * 6, r"limits: velocity_radps must be a list of 7 finite numbers, found 6"),
        (("limits", "velocity_radps"), [1.0] * 6 + [0.0], r"velocity_radps must be above 0"),
        (("limits", "position_min_rad"), [3.0] + [-1.0] * 6, r"position_min_rad\[0\] = 3 is not below position_max_rad\[0\]"),
        (("limits", "speed"), [1.0] * 7, r"Unknown key 'speed'"),
        (("home_rad",), [0.0] * 7, r"home_rad of panda_joint4 is 0 rad, outside its limits"),
        (("home_rad",), [float("nan")] * 7, r"finite number"),
        (("arm_joints",), ["a"] * 7, r"names a joint twice"),
        (("urdf",), "urdf/none.urdf", r"no file 'urdf/none.urdf'"),
        (("gripper", "width_closed_m"), 0.09, r"below width_open_m"),
        (("gripper", "grasp_force_n"), 100.0, r"above max_force_n"),
        (("gripper", "binding", "joint"), "thumb", r"not one of finger_joints"),
        (("gripper", "binding", "type"), "GripperCommand", r"package/action/Name"),
        (("gripper", "speed_mps"), True, r"speed_mps must be a finite number"),
        (("workspace", "max_m"), [0.1, 0.1, 0.1], r"min_m\[0\] = 0.25 is not below"),
        (("cameras", "front", "vertical_fov_deg"), 180.0, r"front: vertical_fov_deg must be below 180"),
        (("cameras", "front", "look_at_m"), [1.15, 0.0, 0.8], r"must differ from position_m"),
        (("cameras", "front", "quat_xyzw"), [0.0, 0.0, 0.0, 1.0], r"either look_at_m"),
        (("cameras", "front", "width_px"), 0, r"width_px must be a whole number of at least 1"),
        (("cameras", "front", "depth"), "yes please", r"depth must be true or false"),
        (("tactile", "left", "pad_size_m"), [0.0, 1.0], r"pad_size_m must be above 0"),
        (("collision", "ignored_pairs"), ["a"], r"list of \[link, link\]"),
        (("controllers",), [], r"controllers must hold keys and values"),
        (("limits",), None, r"limits must hold keys and values"),
    ],
)
def test_a_wrong_value_is_named(raw: dict[str, Any], tmp_path: Path, path: tuple[str, ...], value: object, message: str) -> None:
    section = raw
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    with pytest.raises(ConfigError, match=message) as caught:
        load(raw, tmp_path)
    assert "mine.yaml" in str(caught.value)


@pytest.mark.parametrize("section", ["limits", "gripper", "cameras", "workspace", "name", "home_rad"])
def test_a_missing_section_is_named(raw: dict[str, Any], tmp_path: Path, section: str) -> None:
    del raw[section]
    with pytest.raises(ConfigError, match=f"missing {section}"):
        load(raw, tmp_path)


def test_a_camera_may_be_given_as_quaternion(raw: dict[str, Any], tmp_path: Path) -> None:
    del raw["cameras"]["front"]["look_at_m"]
    raw["cameras"]["front"]["quat_xyzw"] = [1.0, 0.0, 0.0, 0.0]  # half a turn about x: looks straight down
    config = load(raw, tmp_path)
    np.testing.assert_allclose(config.cameras["front"].T_parent_camera[:3, 2], [0, 0, -1], atol=1e-12)  # type: ignore[attr-defined]
    raw["cameras"]["front"]["quat_xyzw"] = [1.0, 1.0, 0.0, 0.0]
    with pytest.raises(ConfigError, match="not of length 1"):
        load(raw, tmp_path)


def test_configuration_needs_no_kinematics_library() -> None:
    code = "import sys, vla_ros.robots.config as c; c.load_robot_config('panda'); sys.exit(bool({'pinocchio', 'coal'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
