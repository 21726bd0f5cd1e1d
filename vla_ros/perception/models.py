"""What perception needs to know of a robot and a camera, as protocols: the parts that offer them stay out of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import JointState


class CameraModel(Protocol):
    """A calibrated pinhole camera without distortion; ``T_parent_camera`` places its optical frame (z forward, x right, y down)."""

    @property
    def name(self) -> str:
        """Of the camera, for messages."""
        ...

    @property
    def width_px(self) -> int:
        """Columns of its images."""
        ...

    @property
    def height_px(self) -> int:
        """Rows of its images."""
        ...

    @property
    def fx(self) -> float:
        """Focal length along u, px."""
        ...

    @property
    def fy(self) -> float:
        """Focal length along v, px."""
        ...

    @property
    def cx(self) -> float:
        """Principal point, column (pixel centres lie at whole numbers)."""
        ...

    @property
    def cy(self) -> float:
        """Principal point, row."""
        ...

    @property
    def T_parent_camera(self) -> Array:
        """Optical frame in the parent (for a fixed camera: the base frame), [4, 4]."""
        ...


class CollisionShape(Protocol):
    """A primitive fixed to a link: sphere (radius), cylinder and capsule (radius, length along z) or box (full extents)."""

    @property
    def link(self) -> str:
        """Frame that it is fixed to."""
        ...

    @property
    def kind(self) -> str:
        """ "box", "capsule", "cylinder" or "sphere"."""
        ...

    @property
    def size_m(self) -> Sequence[float] | Array:
        """As the class says."""
        ...

    @property
    def T_link_shape(self) -> Array:
        """Its pose, [4, 4]."""
        ...


class Workspace(Protocol):
    """A box in the base frame."""

    @property
    def min_m(self) -> Array:
        """[3], its lowest corner."""
        ...

    @property
    def max_m(self) -> Array:
        """[3], its highest corner."""
        ...


class RobotDescription(Protocol):
    """The names that select the arm's columns from a joint state, its frames, and where it works."""

    @property
    def arm_joints(self) -> Sequence[str]:
        """In the order of q."""
        ...

    def gripper_width_m(self, joints: JointState) -> float:
        """The opening between both fingers. Raises KeyError where ``joints`` lack the gripper's."""
        ...

    @property
    def base_frame(self) -> str:
        """Frame of all results."""
        ...

    @property
    def tcp_frame(self) -> str:
        """The point between the finger tips; one of the link poses."""
        ...

    @property
    def workspace(self) -> Workspace:
        """Where the TCP may be."""
        ...


class RobotModel(Protocol):
    """Where the robot's body is, given its joints."""

    @property
    def config(self) -> RobotDescription:
        """Names, frames, workspace."""
        ...

    @property
    def collision_shapes(self) -> Sequence[CollisionShape]:
        """Primitives that hold the body."""
        ...

    def link_poses(self, q: Array, gripper_width_m: float = 0.0) -> Mapping[str, Array]:
        """T_base_link [4, 4] by name, for joints ``q`` [dof] rad and an opening."""
        ...
