"""Is a remembered object's place seen empty, or can the camera not see it?"""

from __future__ import annotations

from enum import Enum

import numpy as np

from vla_ros.core.geometry import Array, transform_points
from vla_ros.perception.depth import MAX_DEPTH_MM, Cloud, Deprojector, Mask

MIN_VISIBLE = 0.35  # part of an object's top that has to be in view before its place can be called empty
MIN_EMPTY = 0.7  # part of what is in view that has to show something farther away


class Visibility(Enum):
    """What an image says about a place."""

    EMPTY = "empty"  # the camera sees what lies behind the place
    HIDDEN = "hidden"  # something nearer, the robot, no return or the image's edge is in the way
    OCCUPIED = "occupied"  # a surface is where the object's should be


class VisibilityTest:
    """Looks up remembered boxes in one depth image."""

    def __init__(self, cloud: Cloud, robot: Mask, deprojector: Deprojector) -> None:
        self._cloud, self._robot, self._deprojector = cloud, robot, deprojector

    def __call__(self, T_base_object: Array, size_m: Array, hollow: bool) -> Visibility:
        """Of the top face (the rim, when ``hollow``) of a box of extents ``size_m`` [3]."""
        pixels, expected = self._deprojector.project(transform_points(T_base_object, _top_samples(size_m, hollow)))
        u0, v0 = self._cloud.origin_px
        height, width = self._cloud.depth_mm.shape
        u, v = np.nan_to_num(pixels, nan=-1e6).round().astype(int).T - np.array([[u0], [v0]])
        inside = (u >= 0) & (v >= 0) & (u < width) & (v < height)
        u, v = u[inside], v[inside]
        depth_mm = self._cloud.depth_mm[v, u]
        behind = depth_mm * 0.001 - expected[inside]
        tolerance = float(np.clip(0.6 * size_m[2], 0.006, 0.02))
        readable = (depth_mm > 0) & (depth_mm < MAX_DEPTH_MM) & ~self._robot[v, u]
        empty = int(np.sum(readable & (behind > tolerance)))
        there = int(np.sum(readable & (np.abs(behind) <= tolerance)))
        if empty + there < MIN_VISIBLE * len(expected):
            return Visibility.HIDDEN
        return Visibility.EMPTY if empty > MIN_EMPTY * (empty + there) else Visibility.OCCUPIED


def _top_samples(size_m: Array, hollow: bool) -> Array:
    """[25, 3] points on the top, in the box's frame."""
    if hollow:
        angle = np.linspace(0, 2 * np.pi, 25, endpoint=False)
        x, y = (size_m[0] / 2 - 0.005) * np.cos(angle), (size_m[1] / 2 - 0.005) * np.sin(angle)
    else:
        grid = np.linspace(-0.35, 0.35, 5)
        x, y = (a.ravel() for a in np.meshgrid(grid * size_m[0], grid * size_m[1]))
    return np.stack([x, y, np.full(25, size_m[2] / 2)], axis=1)
