"""What perception needs to know of a robot and a camera, as protocols: the parts that offer them stay out of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from vla_ros.core.geometry import Array


class CameraModel(Protocol):
    """A calibrated pinhole camera without distortion; ``T_parent_camera`` places its optical frame (z forward, x right, y down)."""

    @property
    def name(self) -> str: ...
    @property
    def width_px(self) -> int: ...
    @property
    def height_px(self) -> int: ...
    @property
    def fx(self) -> float: ...
    @property
    def fy(self) -> float: ...
    @property
    def cx(self) -> float: ...
    @property
    def cy(self) -> float: ...
    @property
    def T_parent_camera(self) -> Array: ...


class CollisionShape(Protocol):
    """A primitive fixed to a link: sphere (radius), cylinder and capsule (radius, length along z) or box (full extents)."""

    @property
    def link(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def size_m(self) -> Sequence[float] | Array: ...
    @property
    def T_link_shape(self) -> Array: ...


class RobotDescription(Protocol):
    """The names that select the arm's columns from a joint state."""

    @property
    def arm_joints(self) -> Sequence[str]: ...
    @property
    def finger_joints(self) -> Sequence[str]: ...
    @property
    def base_frame(self) -> str: ...
    @property
    def tcp_frame(self) -> str: ...


class RobotModel(Protocol):
    """Where the robot's body is, given its joints."""

    @property
    def config(self) -> RobotDescription: ...
    @property
    def collision_shapes(self) -> Sequence[CollisionShape]: ...
    def link_poses(self, q: Array, gripper_width_m: float = 0.0) -> Mapping[str, Array]: ...
