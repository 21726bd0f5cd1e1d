"""Rotations and rigid transforms. Quaternions are xyzw; ``T_a_b`` maps points given in frame b to frame a."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def quat_normalised(quat_xyzw: Array) -> Array:
    """The unit quaternion along ``quat_xyzw``, with w >= 0. Raises ValueError for a zero or non-finite one."""
    quat = np.asarray(quat_xyzw, dtype=float)
    norm = math.sqrt(float(quat @ quat))
    if not math.isfinite(norm) or norm < 1e-9:
        raise ValueError(f"not a rotation: quaternion {quat.tolist()}")
    quat = quat / norm
    return -quat if quat[3] < 0 else quat


def rotation_from_quat(quat_xyzw: Array) -> Array:
    """[3, 3] rotation matrix."""
    x, y, z, w = quat_normalised(quat_xyzw).tolist()  # arithmetic with floats takes a quarter of that with elements of arrays
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quat_from_rotation(rotation: Array) -> Array:
    """xyzw quaternion of a [3, 3] rotation matrix (Shepperd's method: divide by the largest component)."""
    m = np.asarray(rotation, dtype=float)
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    candidates = np.array([m[0, 0], m[1, 1], m[2, 2], trace])
    i = int(np.argmax(candidates))
    quat = np.empty(4)
    if i == 3:
        quat[:] = (m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + trace)
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        quat[i] = 1 - trace + 2 * m[i, i]
        quat[j] = m[j, i] + m[i, j]
        quat[k] = m[k, i] + m[i, k]
        quat[3] = m[k, j] - m[j, k]
    return quat_normalised(quat)


def rotation_about(axis: Array, angle_rad: float) -> Array:
    """[3, 3] rotation by ``angle_rad`` about ``axis`` (need not be of unit length)."""
    axis = np.asarray(axis, dtype=float)
    half = angle_rad / 2
    vector = axis / np.linalg.norm(axis) * np.sin(half)
    return rotation_from_quat(np.array([*vector, np.cos(half)]))


def rotation_z(angle_rad: float) -> Array:
    """[3, 3] rotation by ``angle_rad`` about the z axis."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotation_from_rpy(rpy_rad: Array) -> Array:
    """[3, 3] rotation of URDF's roll, pitch, yaw (about fixed x, then y, then z)."""
    roll, pitch, yaw = rpy_rad
    x, y, z = np.eye(3)
    return rotation_about(z, yaw) @ rotation_about(y, pitch) @ rotation_about(x, roll)


def yaw_of(rotation: Array) -> float:
    """Heading of a [3, 3] rotation's x axis in the xy plane, rad."""
    return float(np.arctan2(rotation[1, 0], rotation[0, 0]))


def wrap_angle(angle_rad: float) -> float:
    """The same angle in [-pi, pi)."""
    return float((angle_rad + np.pi) % (2 * np.pi) - np.pi)


def transform(rotation: Array, translation_m: Array) -> Array:
    """[4, 4] homogeneous transform."""
    T = np.zeros((4, 4))
    T[:3, :3] = rotation
    T[:3, 3] = translation_m
    T[3, 3] = 1.0
    return T


def inverse(T: Array) -> Array:
    """Inverse of a rigid [4, 4] transform."""
    R = T[:3, :3].T
    return transform(R, -R @ T[:3, 3])


def transform_points(T_a_b: Array, points_b: Array) -> Array:
    """Points [n, 3] of frame b, expressed in frame a."""
    return points_b @ T_a_b[:3, :3].T + T_a_b[:3, 3]


@dataclass(frozen=True)
class Pose:
    """A rigid pose in a frame that the owner of this value names."""

    position_m: Array  # [3]
    quat_xyzw: Array = field(default_factory=lambda: np.array([0.0, 0.0, 0.0, 1.0]))  # [4]

    @staticmethod
    def from_matrix(T: Array) -> Pose:
        """Of a rigid [4, 4] transform."""
        return Pose(np.array(T[:3, 3]), quat_from_rotation(T[:3, :3]))

    @staticmethod
    def upright(position_m: Array, yaw_rad: float) -> Pose:
        """Of something that stands at ``position_m`` [3], turned by ``yaw_rad`` about the vertical."""
        half = wrap_angle(yaw_rad) / 2
        return Pose(np.array(position_m), np.array([0.0, 0.0, np.sin(half), np.cos(half)]))

    def matrix(self) -> Array:
        """[4, 4] transform."""
        return transform(rotation_from_quat(self.quat_xyzw), self.position_m)

    @property
    def yaw_rad(self) -> float:
        """Heading of its x axis in the xy plane."""
        return yaw_of(rotation_from_quat(self.quat_xyzw))
