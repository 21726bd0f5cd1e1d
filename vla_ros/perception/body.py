"""Which pixels show the robot or what it holds: those whose points lie inside a primitive that stands for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.core.errors import PerceptionError
from vla_ros.core.geometry import Array
from vla_ros.perception.depth import Deprojector, Mask, Points
from vla_ros.perception.models import CollisionShape
from vla_ros.perception.volume import Standing


@dataclass(frozen=True)
class PlacedShape:
    """A primitive somewhere in the base frame; sizes as in CollisionShape."""

    kind: str
    size_m: Array
    T_base_shape: Array

    @property
    def bounding_radius_m(self) -> float:
        """Of a ball about its centre that holds it."""
        size = self.size_m
        if self.kind == "box":
            return math.hypot(*size) / 2
        return float(size[0]) if self.kind == "sphere" else float(size[0] + size[1] / 2)


def shape_poses(shapes: Sequence[CollisionShape], link_poses: Mapping[str, Array]) -> Array:
    """[n, 4, 4] T_base_shape. Raises PerceptionError for a shape of a link without a pose."""
    for shape in shapes:
        if shape.link not in link_poses:
            raise PerceptionError(f"No pose for link '{shape.link}', which has a collision shape; poses: {', '.join(sorted(link_poses))}.")
    links = np.array([link_poses[shape.link] for shape in shapes]).reshape(-1, 4, 4)
    return np.asarray(links @ np.array([shape.T_link_shape for shape in shapes]).reshape(-1, 4, 4))


def robot_shapes(shapes: Sequence[CollisionShape], link_poses: Mapping[str, Array]) -> list[PlacedShape]:
    """The robot's collision shapes, placed. Raises PerceptionError for a shape of a link without a pose."""
    placed = shape_poses(shapes, link_poses)
    return [PlacedShape(shape.kind, np.asarray(shape.size_m), T) for shape, T in zip(shapes, placed, strict=True)]


def inside(shape: PlacedShape, xyz: Points, margin_m: float) -> Mask:
    """Which points (``xyz`` [3, n], base frame) lie inside the shape grown by ``margin_m``."""
    R, origin = shape.T_base_shape[:3, :3].T, shape.T_base_shape[:3, 3]
    local = R.astype(np.float32) @ xyz
    local -= (R @ origin).astype(np.float32)[:, None]
    size = shape.size_m
    if shape.kind == "box":
        x, y, z = np.abs(local) < (size[:3] / 2 + margin_m).astype(np.float32)[:, None]
        return np.asarray(x & y & z)
    radius2 = np.float32((size[0] + margin_m) ** 2)
    along = np.abs(local[2])
    local *= local
    across = local[0] + local[1]
    if shape.kind == "sphere":
        return np.asarray(across + local[2] < radius2)
    if shape.kind == "cylinder":
        return np.asarray((along < size[1] / 2 + margin_m) & (across < radius2))
    if shape.kind == "capsule":
        return np.asarray(across + np.maximum(along - np.float32(size[1] / 2), 0) ** 2 < radius2)
    raise PerceptionError(f"Unknown collision shape '{shape.kind}'; valid: box, capsule, cylinder, sphere.")


def covered(shapes: Sequence[PlacedShape], standing: Standing, deprojector: Deprojector, margin_m: float) -> Mask:
    """[n] which of the points lie inside any of the shapes grown by ``margin_m``; for each shape only those in its image rows."""
    result = np.zeros(len(standing.pixels), dtype=bool)
    if not shapes:
        return result
    centres = np.array([shape.T_base_shape[:3, 3] for shape in shapes])
    rows = deprojector.rows(centres, np.array([shape.bounding_radius_m for shape in shapes]) + margin_m)
    for shape, (first, after) in zip(shapes, standing.between_rows(rows).T.tolist(), strict=True):
        if first < after:
            result[first:after] |= inside(shape, standing.xyz[:, first:after], margin_m)
    return result
