"""Does a part of the robot move in a fixed camera's picture? Then the picture has to change."""

from __future__ import annotations

import numpy as np

from vla_ros.core.geometry import Array, inverse, transform_points
from vla_ros.core.robot_state import JointState
from vla_ros.perception.body import shape_poses
from vla_ros.perception.models import CameraModel, RobotModel

LOOK_AHEAD_S = 0.1
MIN_PIXELS = 3.0  # that a part moves in LOOK_AHEAD_S
BORDER_PX = 20.0  # a part this near to the image's edge may be outside


def robot_moves_in_view(arm: RobotModel, camera: CameraModel, joints: JointState) -> bool:
    """True when the centre of a collision shape in the image moves by more than MIN_PIXELS in LOOK_AHEAD_S.

    For cameras that stand still in the base frame. Unknown velocities (NaN) count as rest.
    """
    body = joints.select(arm.config.arm_joints)
    velocity = np.nan_to_num(body.velocities)
    if not np.any(np.abs(velocity) > 1e-3):
        return False
    width_m = arm.config.gripper_width_m(joints)
    now = _pixels(arm, camera, body.positions, width_m)
    soon = _pixels(arm, camera, body.positions + LOOK_AHEAD_S * velocity, width_m)
    inside = np.all((now > BORDER_PX) & (now < np.array([camera.width_px, camera.height_px]) - BORDER_PX), axis=1)
    return bool(np.any(inside & (np.linalg.norm(soon - now, axis=1) > MIN_PIXELS)))


def _pixels(arm: RobotModel, camera: CameraModel, q: Array, width_m: float) -> Array:
    """[n, 2] of the shapes' centres; NaN behind the camera."""
    centres = shape_poses(arm.collision_shapes, arm.link_poses(q, width_m))[:, :3, 3]
    x, y, z = transform_points(inverse(np.asarray(camera.T_parent_camera)), centres).T
    z = np.where(z > 0.05, z, np.nan)
    return np.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], axis=1)
