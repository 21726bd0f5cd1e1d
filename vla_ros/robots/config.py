"""Reads config/robots/<name>.yaml. Needs no kinematics library; every error names file, section and key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from vla_ros.core.errors import ConfigError
from vla_ros.core.geometry import Array, rotation_from_quat, transform
from vla_ros.core.resources import config_path, share_dir
from vla_ros.core.yaml_files import all_positive, check_keys, load_yaml, number, numbers, positive, section, text, whole_number
from vla_ros.robots.values import (
    Box,
    CameraConfig,
    CartesianLimits,
    Controllers,
    GripperBinding,
    GripperConfig,
    JointLimits,
    RobotConfig,
    TactileConfig,
    VelocityEnvelope,
)

SECTIONS = ("limits", "cartesian", "gripper", "controllers", "cameras", "tactile", "workspace", "collision")
TEXTS = ("name", "urdf", "base_frame", "tcp_frame")
LISTS = ("arm_joints", "finger_joints", "home_rad")


def load_robot_config(name: str) -> RobotConfig:
    """The robot ``name`` of config/robots/, or the one in the YAML file ``name``. Raises ConfigError; an unknown robot: with the list."""
    path = config_path("robots", name)
    raw = load_yaml(path)
    check_keys(raw, (*TEXTS, *LISTS, *SECTIONS), (), str(path))
    joints = _names(raw, "arm_joints", str(path))
    fingers = _names(raw, "finger_joints", str(path))
    limits = _limits(section(raw, "limits", str(path)), len(joints), f"{path}, limits")
    return RobotConfig(
        name=text(raw, "name", str(path)),
        urdf_path=_urdf_path(text(raw, "urdf", str(path)), path),
        base_frame=text(raw, "base_frame", str(path)),
        tcp_frame=text(raw, "tcp_frame", str(path)),
        arm_joints=joints,
        finger_joints=fingers,
        home_rad=_home(raw, limits, joints, str(path)),
        limits=limits,
        cartesian=_cartesian(section(raw, "cartesian", str(path)), f"{path}, cartesian"),
        gripper=_gripper(section(raw, "gripper", str(path)), fingers, f"{path}, gripper"),
        controllers=_controllers(section(raw, "controllers", str(path)), f"{path}, controllers"),
        cameras=_each(_camera, section(raw, "cameras", str(path)), f"{path}, cameras"),
        tactile=_each(_tactile, section(raw, "tactile", str(path)), f"{path}, tactile"),
        workspace=_workspace(section(raw, "workspace", str(path)), f"{path}, workspace"),
        ignored_collision_pairs=_pairs(section(raw, "collision", str(path)), f"{path}, collision"),
    )


def _each(read: Any, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {str(name): read(str(name), section(raw, name, where), f"{where}, {name}") for name in raw}


def _urdf_path(name: str, config_file: Path) -> Path:
    """Relative paths count from the share folder (config/, urdf/ beside each other), then from the configuration file's folder."""
    for base in (share_dir(), config_file.parent):
        if (base / name).is_file():
            return base / name
    raise ConfigError(f"{config_file}: urdf: no file '{name}' in {share_dir()} or {config_file.parent}.")


def _home(raw: Mapping[str, Any], limits: JointLimits, joints: tuple[str, ...], where: str) -> Array:
    home = _vector(raw, "home_rad", len(joints), where)
    for i, joint in enumerate(joints):
        low, high = limits.position_min_rad[i], limits.position_max_rad[i]
        if not low <= home[i] <= high:
            raise ConfigError(f"{where}: home_rad of {joint} is {home[i]:g} rad, outside its limits {low:g} to {high:g} rad.")
    return home


def _limits(raw: Mapping[str, Any], dof: int, where: str) -> JointLimits:
    names = [f.name for f in fields(JointLimits) if f.name != "velocity_envelopes"]
    check_keys(raw, names, ("velocity_envelopes",), where)
    given = _list(raw, "velocity_envelopes", where)
    envelopes = tuple(_envelope(item, dof, f"{where}, velocity_envelopes[{i}]") for i, item in enumerate(given))
    limits = JointLimits(**{name: _vector(raw, name, dof, where) for name in names}, velocity_envelopes=envelopes)
    _check_order(limits.position_min_rad, limits.position_max_rad, "position_min_rad", "position_max_rad", where)
    for name in names[2:]:
        if not (getattr(limits, name) > 0).all():
            raise ConfigError(f"{where}: every {name} must be above 0, found {getattr(limits, name).tolist()}.")
    return limits


def _envelope(raw: Any, dof: int, where: str) -> VelocityEnvelope:
    names = [f.name for f in fields(VelocityEnvelope)]
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where} must be a section with {', '.join(names)}, found {raw!r}.")
    check_keys(raw, names, (), where)
    envelope = VelocityEnvelope(**{name: _vector(raw, name, dof, where) for name in names})
    _check_order(envelope.position_min_rad, envelope.position_max_rad, "position_min_rad", "position_max_rad", where)
    if (envelope.offset_radps < 0).any() or (envelope.deceleration_radps2 <= 0).any():
        raise ConfigError(f"{where}: every offset_radps must be 0 or more, every deceleration_radps2 above 0.")
    return envelope


def _list(raw: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = raw.get(key, [])
    if not isinstance(value, list):
        raise ConfigError(f"{where}: {key} must be a list, found {value!r}.")
    return value


def _cartesian(raw: Mapping[str, Any], where: str) -> CartesianLimits:
    names = [f.name for f in fields(CartesianLimits)]
    check_keys(raw, names, (), where)
    return CartesianLimits(**{name: positive(raw, name, where) for name in names})


def _gripper(raw: Mapping[str, Any], fingers: tuple[str, ...], where: str) -> GripperConfig:
    names = ("width_open_m", "width_closed_m", "max_force_n", "grasp_force_n", "speed_mps", "binding")
    check_keys(raw, names, (), where)
    closed = number(raw, "width_closed_m", where)
    opened = number(raw, "width_open_m", where)
    if not 0 <= closed < opened:
        raise ConfigError(f"{where}: width_closed_m {closed:g} must be 0 or more and below width_open_m {opened:g}.")
    most, grasp = positive(raw, "max_force_n", where), positive(raw, "grasp_force_n", where)
    if grasp > most:
        raise ConfigError(f"{where}: grasp_force_n {grasp:g} is above max_force_n {most:g}.")
    binding = _binding(section(raw, "binding", where), fingers, f"{where}, binding")
    return GripperConfig(opened, closed, most, grasp, positive(raw, "speed_mps", where), binding)


def _binding(raw: Mapping[str, Any], fingers: tuple[str, ...], where: str) -> GripperBinding:
    check_keys(raw, ("type", "name", "joint", "position_per_width"), ("position_at_zero",), where)
    kind = text(raw, "type", where)
    if kind.count("/") != 2:
        raise ConfigError(f"{where}: type '{kind}' is not of the form package/action/Name or package/msg/Name.")
    joint = text(raw, "joint", where)
    if joint not in fingers:
        raise ConfigError(f"{where}: joint '{joint}' is not one of finger_joints: {', '.join(fingers)}.")
    at_zero = number(raw, "position_at_zero", where) if "position_at_zero" in raw else 0.0
    return GripperBinding(kind, text(raw, "name", where), joint, positive(raw, "position_per_width", where), at_zero)


def _controllers(raw: Mapping[str, Any], where: str) -> Controllers:
    names = [f.name for f in fields(Controllers)]
    check_keys(raw, names, (), where)
    return Controllers(**{name: text(raw, name, where) for name in names})


def _camera(name: str, raw: Mapping[str, Any], where: str) -> CameraConfig:
    required = ("parent", "frame", "position_m", "width_px", "height_px", "vertical_fov_deg", "depth", "rate_hz")
    check_keys(raw, required, ("look_at_m", "up", "quat_xyzw"), where)
    width, height = whole_number(raw, "width_px", where), whole_number(raw, "height_px", where)
    fov_deg = positive(raw, "vertical_fov_deg", where)
    if fov_deg >= 180:
        raise ConfigError(f"{where}: vertical_fov_deg must be below 180, found {fov_deg:g}.")
    if not isinstance(raw["depth"], bool):
        raise ConfigError(f"{where}: depth must be true or false, found {raw['depth']!r}.")
    focal_px = height / 2 / math.tan(math.radians(fov_deg) / 2)
    return CameraConfig(
        name=name,
        parent=text(raw, "parent", where),
        frame=text(raw, "frame", where),
        T_parent_camera=_frozen(transform(_camera_rotation(raw, where), _vector(raw, "position_m", 3, where))),
        width_px=width,
        height_px=height,
        fx=focal_px,
        fy=focal_px,
        cx=(width - 1) / 2,
        cy=(height - 1) / 2,
        has_depth=raw["depth"],
        rate_hz=positive(raw, "rate_hz", where),
    )


def _camera_rotation(raw: Mapping[str, Any], where: str) -> Array:
    """[3, 3], columns: the image's right, down and viewing directions in the parent."""
    if ("look_at_m" in raw) == ("quat_xyzw" in raw):
        raise ConfigError(f"{where}: give either look_at_m (and up) or quat_xyzw.")
    if "quat_xyzw" in raw:
        quat = _vector(raw, "quat_xyzw", 4, where)
        if abs(np.linalg.norm(quat) - 1) > 1e-3:
            raise ConfigError(f"{where}: quat_xyzw {quat.tolist()} is not of length 1.")
        return rotation_from_quat(quat)
    up = _vector(raw, "up", 3, where) if "up" in raw else np.array([0.0, 0.0, 1.0])
    forward = _vector(raw, "look_at_m", 3, where) - _vector(raw, "position_m", 3, where)
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6:
        raise ConfigError(f"{where}: look_at_m must differ from position_m, and up must not point along the line between them.")
    right, forward = right / np.linalg.norm(right), forward / np.linalg.norm(forward)
    return np.column_stack([right, np.cross(forward, right), forward])


def _tactile(name: str, raw: Mapping[str, Any], where: str) -> TactileConfig:
    check_keys(raw, ("link", "frame", "rows", "cols", "pad_size_m"), (), where)
    along, across = all_positive(raw, "pad_size_m", 2, where)
    rows, cols = whole_number(raw, "rows", where), whole_number(raw, "cols", where)
    link, frame = text(raw, "link", where), text(raw, "frame", where)
    return TactileConfig(name, link, frame, rows, cols, (along, across))


def _workspace(raw: Mapping[str, Any], where: str) -> Box:
    check_keys(raw, ("frame", "min_m", "max_m"), (), where)
    low, high = _vector(raw, "min_m", 3, where), _vector(raw, "max_m", 3, where)
    _check_order(low, high, "min_m", "max_m", where)
    return Box(text(raw, "frame", where), low, high)


def _pairs(raw: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    check_keys(raw, ("ignored_pairs",), (), where)
    pairs = raw["ignored_pairs"]
    if not isinstance(pairs, list) or not all(isinstance(p, list) and len(p) == 2 for p in pairs):
        raise ConfigError(f"{where}: ignored_pairs must be a list of [link, link], found {pairs!r}.")
    return tuple((str(a), str(b)) for a, b in pairs)


def _check_order(low: Array, high: Array, low_name: str, high_name: str, where: str) -> None:
    for i in np.flatnonzero(low >= high):
        raise ConfigError(f"{where}: {low_name}[{i}] = {low[i]:g} is not below {high_name}[{i}] = {high[i]:g}.")


def _names(raw: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = raw[key]
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ConfigError(f"{where}: {key} must be a list of names, found {value!r}.")
    if len(set(value)) != len(value):
        raise ConfigError(f"{where}: {key} names a joint twice: {', '.join(value)}.")
    return tuple(value)


def _vector(raw: Mapping[str, Any], key: str, length: int, where: str) -> Array:
    return _frozen(np.array(numbers(raw, key, length, where)))


def _frozen(array: Array) -> Array:
    array = np.asarray(array, dtype=float)
    array.setflags(write=False)
    return array
