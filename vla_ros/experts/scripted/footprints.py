"""Gaps between outlines seen from above: is there room for fingers, hand or object?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.core.scene import SceneObject
from vla_ros.core.things import ROUND_SHAPES


@dataclass(frozen=True)
class Rectangle:
    """Half extents along its own axes; ``yaw_rad`` turns its first axis from the frame's x axis."""

    centre_m: Array  # [2]
    half_m: Array  # [2]
    yaw_rad: float

    def axes(self) -> Array:
        """[2, 2], one unit axis per row."""
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return np.array([[c, s], [-s, c]])


@dataclass(frozen=True)
class Circle:
    """Of round things."""

    centre_m: Array  # [2]
    radius_m: float


Outline = Rectangle | Circle


def outline_of(thing: SceneObject) -> Outline:
    """What ``thing`` covers of the table."""
    centre = thing.pose.position_m[:2]
    if thing.shape in ROUND_SHAPES:
        return Circle(centre, float(np.max(thing.size_m[:2])) / 2)
    return Rectangle(centre, np.asarray(thing.size_m[:2]) / 2, thing.pose.yaw_rad)


def gap_m(a: Outline, b: Outline) -> float:
    """Distance between two outlines, negative when they overlap (for two rectangles corner to corner: a lower bound)."""
    if isinstance(a, Circle) and isinstance(b, Circle):
        return float(np.linalg.norm(a.centre_m - b.centre_m)) - a.radius_m - b.radius_m
    if isinstance(a, Circle):
        return gap_m(b, a)
    if isinstance(b, Circle):
        outside = np.abs(a.axes() @ (b.centre_m - a.centre_m)) - a.half_m
        return float(np.linalg.norm(np.maximum(outside, 0.0)) + min(np.max(outside), 0.0)) - b.radius_m
    return _rectangles_gap_m(a, b)


def _rectangles_gap_m(a: Rectangle, b: Rectangle) -> float:
    axes = np.vstack([a.axes(), b.axes()])
    apart = np.abs(axes @ (b.centre_m - a.centre_m))
    reach = np.abs(axes @ a.axes().T) @ a.half_m + np.abs(axes @ b.axes().T) @ b.half_m
    return float(np.max(apart - reach))


def smallest_gap_m(outline: Outline, others: Iterable[Outline]) -> float:
    """To the nearest of ``others``; infinite when there are none."""
    return min((gap_m(outline, other) for other in others), default=float("inf"))
