"""An object of a scene as boxes and cylinders: what collides and what is seen are the same parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.simulation.scene_config import WALL_M, ObjectSpec

WALL_BOXES = 20  # of a rim: its outline leaves the circle by less than 1 mm
FOOT_M = 0.0015  # the rim begins so far above the table


@dataclass(frozen=True)
class Part:
    """A solid in the frame of the object, whose origin is the centre of the object's extents."""

    kind: str  # "box": half extents x y z; "cylinder": radius, half height, unused
    half_size_m: tuple[float, float, float]
    centre_m: tuple[float, float, float]
    yaw_rad: float = 0.0

    @property
    def volume_m3(self) -> float:
        """Of the solid."""
        a, b, c = self.half_size_m
        return 8 * a * b * c if self.kind == "box" else 2 * np.pi * a * a * b


def parts_of(spec: ObjectSpec) -> tuple[Part, ...]:
    """The solids that make up the object."""
    x, y, z = (size / 2 for size in spec.size_m)
    if spec.is_container:
        return _vessel(min(x, y), z, WALL_M[spec.shape])
    if spec.shape == "cylinder":
        return (Part("cylinder", (min(x, y), z, 0.0), (0.0, 0.0, 0.0)),)
    return (Part("box", (x, y, z), (0.0, 0.0, 0.0)),)


def _vessel(outer_radius: float, half_height: float, wall: float) -> tuple[Part, ...]:
    """A floor and a ring of boxes, open at the top. It stands on the floor alone: 20 boxes on the table would be 80 contacts."""
    floor_half = wall / 4
    floor = Part("cylinder", (outer_radius - wall / 2, floor_half, 0.0), (0.0, 0.0, floor_half - half_height))
    wall_half = half_height - FOOT_M / 2
    middle = outer_radius - wall / 2
    half_length = outer_radius * float(np.tan(np.pi / WALL_BOXES))
    ring = [
        Part("box", (wall / 2, half_length, wall_half), (middle * float(np.cos(a)), middle * float(np.sin(a)), FOOT_M / 2), float(a))
        for a in np.arange(WALL_BOXES) * 2 * np.pi / WALL_BOXES
    ]
    return (floor, *ring)


def inner_radius_m(spec: ObjectSpec) -> float:
    """Of a bowl's or plate's opening."""
    return min(spec.size_m[:2]) / 2 - WALL_M[spec.shape]


def quat_wxyz_of_yaw(yaw_rad: float) -> Array:
    """[4] MuJoCo's quaternion of a rotation about z."""
    return np.array([np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2)])
