"""An arm as the rest of the package sees it: configuration, kinematics, limits, collision shapes. Pinocchio is imported only with Arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vla_ros.robots.config import load_robot_config
from vla_ros.robots.description import LinkShape, missing_meshes, resolved_urdf
from vla_ros.robots.values import Box, CameraConfig, GripperBinding, GripperConfig, JointLimits, RobotConfig, TactileConfig

if TYPE_CHECKING:
    from vla_ros.robots.arm import Arm

__all__ = [
    "Arm",
    "Box",
    "CameraConfig",
    "GripperBinding",
    "GripperConfig",
    "JointLimits",
    "LinkShape",
    "RobotConfig",
    "TactileConfig",
    "load_robot",
    "load_robot_config",
    "missing_meshes",
    "resolved_urdf",
]


def load_robot(name: str) -> Arm:
    """The arm described by config/robots/<name>.yaml. Raises ConfigError, listing the valid names."""
    from vla_ros.robots.arm import Arm

    return Arm(load_robot_config(name))


def __getattr__(name: str) -> Any:
    if name == "Arm":
        from vla_ros.robots.arm import Arm

        return Arm
    raise AttributeError(f"module {__name__} has no attribute {name}")
