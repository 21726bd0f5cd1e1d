"""What is known of a robot before it moves: the values that config/robots/<name>.yaml holds. All arrays are read-only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import JointState


@dataclass(frozen=True)
class VelocityEnvelope:
    """A bound on velocity that falls towards the ends of a joint's range: sqrt(2 deceleration way) - offset.

    ``way`` is what is left to the end. Each array is [dof]. Source: Franka's documentation, position-based velocity limits of the FR3.
    """

    position_min_rad: Array
    position_max_rad: Array
    offset_radps: Array
    deceleration_radps2: Array

    def highest(self, positions: Array) -> Array:
        """[..., dof] fastest motion [rad/s], 0 or more, towards the upper ends from ``positions``."""
        return self._bound(self.position_max_rad - positions)

    def lowest(self, positions: Array) -> Array:
        """[..., dof] fastest motion [rad/s], 0 or less, towards the lower ends from ``positions``."""
        return -self._bound(positions - self.position_min_rad)

    def _bound(self, way: Array) -> Array:
        return np.maximum(np.sqrt(np.maximum(2 * self.deceleration_radps2 * way, 0.0)) - self.offset_radps, 0.0)


@dataclass(frozen=True)
class JointLimits:
    """Of the arm's joints, in the order of ``RobotConfig.arm_joints``; each array is [dof]."""

    position_min_rad: Array
    position_max_rad: Array
    velocity_radps: Array
    acceleration_radps2: Array
    jerk_radps3: Array
    effort_nm: Array
    velocity_envelopes: tuple[VelocityEnvelope, ...] = ()  # all hold, where there are any

    def highest_velocity(self, positions: Array) -> Array:
        """[..., dof] rad/s, 0 or more, at ``positions`` [..., dof]."""
        highest = self.velocity_radps
        for envelope in self.velocity_envelopes:
            highest = np.minimum(highest, envelope.highest(positions))
        return highest

    def lowest_velocity(self, positions: Array) -> Array:
        """[..., dof] rad/s, 0 or less, at ``positions`` [..., dof]."""
        lowest = -self.velocity_radps
        for envelope in self.velocity_envelopes:
            lowest = np.maximum(lowest, envelope.lowest(positions))
        return lowest

    def velocity_range(self, positions: Array) -> tuple[Array, Array]:
        """Lowest and highest velocity."""
        return self.lowest_velocity(positions), self.highest_velocity(positions)

    def speed_along(self, rows: Array) -> Array:
        """[n - 1, dof] highest speed [rad/s] from each of ``rows`` [n, dof] to the next one, in the direction in which they go."""
        highest = self.highest_velocity(np.maximum(rows[:-1], rows[1:]))
        if not self.velocity_envelopes:
            return np.broadcast_to(highest, (len(rows) - 1, len(highest)))  # the same in both directions
        return np.where(np.diff(rows, axis=0) > 0, highest, -self.lowest_velocity(np.minimum(rows[:-1], rows[1:])))


@dataclass(frozen=True)
class CartesianLimits:
    """Of the TCP with respect to the base."""

    linear_velocity_mps: float
    linear_acceleration_mps2: float
    linear_jerk_mps3: float
    angular_velocity_radps: float
    angular_acceleration_radps2: float
    angular_jerk_radps3: float


@dataclass(frozen=True)
class GripperBinding:
    """How the gripper is commanded: an interface's type and name, and how a width becomes the position of its joint."""

    type: str  # "control_msgs/action/GripperCommand"
    name: str  # of the action or topic, relative to the robot's namespace
    joint: str  # the joint that the command and joint_states speak of
    position_per_width: float  # joint position [m or rad] for each metre of opening
    position_at_zero: float = 0.0  # where both fingers would meet

    def position_from_width(self, width_m: float) -> float:
        """Position of the joint [m or rad] at an opening of ``width_m``."""
        return self.position_at_zero + width_m * self.position_per_width

    def width_from_position(self, position: float) -> float:
        """Opening [m] at a position of the joint [m or rad]."""
        return (position - self.position_at_zero) / self.position_per_width


@dataclass(frozen=True)
class GripperConfig:
    """A parallel gripper. A width is the opening between both fingers; the speed is that of the width."""

    width_open_m: float
    width_closed_m: float
    max_force_n: float
    grasp_force_n: float  # what the scripted expert and move_to ask for
    speed_mps: float
    binding: GripperBinding


@dataclass(frozen=True)
class Controllers:
    """Names of the arm's controller interfaces, relative to the robot's namespace."""

    joint_trajectory: str  # topic

    @property
    def follow_joint_trajectory(self) -> str:
        """Action that the same controller offers beside the topic. Source: ros2_control's joint_trajectory_controller."""
        space, slash, _ = self.joint_trajectory.rpartition("/")
        return f"{space}{slash}follow_joint_trajectory"


WORLD_FRAME = "world"  # the base of each robot stands at its origin


@dataclass(frozen=True)
class CameraConfig:
    """A pinhole camera without distortion. Pixel centres lie at whole numbers, as in sensor_msgs/CameraInfo."""

    name: str
    parent: str  # frame in which its pose is given
    frame: str  # optical frame: z forward, x right, y down
    T_parent_camera: Array  # [4, 4]
    width_px: int
    height_px: int
    fx: float
    fy: float
    cx: float
    cy: float
    has_depth: bool
    rate_hz: float


@dataclass(frozen=True)
class TactileConfig:
    """One finger's array of taxels. Its frame: x along the finger to the tip, z out of the pad."""

    finger: str  # "left", "right"
    link: str
    frame: str
    rows: int  # along the finger, row 0 towards the hand
    cols: int  # across the finger
    pad_size_m: tuple[float, float]  # along, across


@dataclass(frozen=True)
class Box:
    """Axes-parallel box in ``frame``."""

    frame: str
    min_m: Array  # [3]
    max_m: Array  # [3]

    def contains(self, point_m: Array) -> bool:
        """Whether a point [3], given in ``frame``, lies inside or on the border."""
        return bool((point_m >= self.min_m).all() and (point_m <= self.max_m).all())


@dataclass(frozen=True)
class RobotConfig:
    """One robot: everything in its YAML file."""

    name: str
    urdf_path: Path
    base_frame: str
    tcp_frame: str
    arm_joints: tuple[str, ...]
    finger_joints: tuple[str, ...]
    home_rad: Array  # [dof]
    limits: JointLimits
    cartesian: CartesianLimits
    gripper: GripperConfig
    controllers: Controllers
    cameras: dict[str, CameraConfig]
    tactile: dict[str, TactileConfig]
    workspace: Box  # of the TCP
    ignored_collision_pairs: tuple[tuple[str, str], ...]

    @property
    def dof(self) -> int:
        """Number of arm joints."""
        return len(self.arm_joints)

    def gripper_width_m(self, joints: JointState) -> float:
        """The opening between both fingers. Raises KeyError where ``joints`` lack the gripper's."""
        binding = self.gripper.binding
        return binding.width_from_position(float(joints.select((binding.joint,)).positions[0]))
