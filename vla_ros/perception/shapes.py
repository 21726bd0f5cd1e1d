"""From the visible points of one thing to its shape, pose and size.

One camera sees the top and the sides that face it; what is hidden is completed from the table, from the symmetry of
known shapes, and only where something stands in the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.perception.outlines import Circle, Rectangle, completed, filled_rectangle, fit_circle, quantile, right_angle


@dataclass(frozen=True)
class ShapeLimits:
    """Where one shape ends and the next begins. Lengths in m."""

    top_band_m: float = 0.006  # points this near to the highest belong to the top
    rim_band_m: float = 0.0035  # the same for a rim, whose walls would pull the circle away from the camera
    plate_height_m: float = 0.028  # lower round things are plates, higher hollow ones bowls
    round_radius_m: tuple[float, float] = (0.045, 0.14)  # of bowls and plates
    ring_residual_m: float = 0.006  # a rim's width is below four times this
    hollow_part: float = 0.06  # at most this part of a rim's points lies inside 0.6 of its radius
    rim_coverage: float = 0.45  # of the circumference
    disc_squareness: float = 0.3  # half way between a disc's 0 and a square's 0.6
    cube_tolerance_m: float = 0.010  # between the three edges of a cube
    hidden_part: float = 0.08  # of its outline: more than this, and it is taken to go on behind what hides it
    wider_m: float = 0.007  # where all points reach this much beyond the top's outline, only a part of the top was seen


@dataclass(frozen=True)
class View:
    """What was seen of one thing."""

    points_m: Array  # [n, 3] base frame
    table_m: float  # the table's height below it
    camera_xy_m: Array  # [2]
    pixel_m: float  # what one pixel covers there
    hidden: float  # 0-1, part of its outline that borders on something nearer to the camera or on top of it
    cut: bool  # touches the edge of the image or of the work region

    @cached_property
    def heights_m(self) -> Array:
        """[n] of the points, sorted."""
        return np.sort(self.points_m[:, 2])

    def above(self, height_m: float) -> Array:
        """[k, 2] places of the points higher than ``height_m``."""
        return np.compress(self.points_m[:, 2] > height_m, self.points_m[:, :2], axis=0)


@dataclass(frozen=True)
class Solid:
    """A box that holds the thing: its shape, centre, size and how sure that is."""

    shape: str
    centre_m: Array  # [3]
    yaw_rad: float
    size_m: Array  # [3]
    sigma_m: float  # standard deviation of the centre's x and y
    confidence: float


def describe(view: View, limits: ShapeLimits) -> Solid:
    """The solid that explains the view best; "unknown" with the box of the seen points when none does."""
    top = _top(view.heights_m)
    face = view.above(top - limits.top_band_m)
    if len(face) >= 12 and np.ptp(face, axis=0).max() > 1.5 * limits.round_radius_m[0]:
        rim = view.above(top - limits.rim_band_m)
        ring = round_solid(view, top, fit_circle(rim if len(rim) > 60 else face), face, limits)
        if ring is not None:
            return ring
    outline = filled_rectangle(face, view.pixel_m) if len(face) >= 8 else right_angle(view.points_m[:, :2])
    if view.hidden > limits.hidden_part:
        cube = _cube_from_sides(view, top, outline, limits)
        if cube is not None:
            return cube
    long, short = outline.extent_m.max(), outline.extent_m.min()
    if outline.squareness < limits.disc_squareness and short > 0.8 * long:
        return _disc(view, top, outline, limits)
    return _block(view, top, outline, limits)


def round_solid(view: View, top: float, circle: Circle, face: Array, limits: ShapeLimits) -> Solid | None:
    """A bowl or a plate when the top is a ring; None otherwise."""
    low, high = limits.round_radius_m
    if not low <= circle.radius_m <= high or circle.residual_m > limits.ring_residual_m or circle.coverage < limits.rim_coverage:
        return None
    distance = np.hypot(*(face - circle.centre_m).T)
    if np.count_nonzero(distance < 0.6 * circle.radius_m) > limits.hollow_part * len(distance):
        return None
    height = top - view.table_m
    rim = np.sort(distance[np.abs(distance - circle.radius_m) < 0.02])
    outer = float(quantile(rim, 0.96)) + view.pixel_m / 2
    shape = "plate" if height < limits.plate_height_m else "bowl"
    centre = np.array([*circle.centre_m, view.table_m + height / 2])
    sure = 0.95 * min(1.0, 0.4 + circle.coverage * 0.65)
    return Solid(shape, centre, 0.0, np.array([2 * outer, 2 * outer, height]), 0.002 + 0.01 * (1 - circle.coverage), sure)


def _disc(view: View, top: float, outline: Rectangle, limits: ShapeLimits) -> Solid:
    """A plate without a rim, or an upright cylinder. A disc of diameter d has the variance d^2/16 along any axis, an edge d^2/12."""
    diameter = float(outline.extent_m.mean()) * np.sqrt(16 / 12)
    bottom, _ = _bottom(view, top, limits)
    height = top - bottom
    shape = "plate" if height < limits.plate_height_m and diameter > 2 * limits.round_radius_m[0] else "cylinder"
    return _solid(shape, view, outline.centre_m, 0.0, np.array([diameter, diameter, height]), top, 0.9)


def _block(view: View, top: float, outline: Rectangle, limits: ShapeLimits) -> Solid:
    """A cube or a box whose top was seen."""
    bottom, seen = _bottom(view, top, limits)
    edge, height = float(outline.extent_m.mean()), top - bottom
    square = abs(outline.extent_m[0] - outline.extent_m[1]) < limits.cube_tolerance_m
    stands_free = top - edge > view.table_m - limits.cube_tolerance_m
    if square and stands_free and (abs(height - edge) < limits.cube_tolerance_m or (not seen and height < edge)):
        if not seen or abs(top - edge - view.table_m) > limits.cube_tolerance_m:
            height = edge
        return _solid("cube", view, outline.centre_m, outline.yaw_rad, np.array([*outline.extent_m, height]), top, 0.95 - 0.3 * view.hidden)
    partial = view.hidden > limits.hidden_part or view.cut
    large = outline.extent_m.max() > 0.3 or height < 0.008
    shape = "unknown" if large or (partial and square) else "box"
    return _solid(shape, view, outline.centre_m, outline.yaw_rad, np.array([*outline.extent_m, height]), top, 0.5 if partial else 0.85)


def _cube_from_sides(view: View, top: float, outline: Rectangle, limits: ShapeLimits) -> Solid | None:
    """A cube whose top is hidden by what lies on it or stands before it: one or two sides as wide as they are high, completed to a square.

    None when the top was seen whole or when the sides are not those of a cube.
    """
    seen = right_angle(view.points_m[:, :2])
    square = abs(outline.extent_m[0] - outline.extent_m[1]) < limits.cube_tolerance_m
    if square and outline.squareness >= limits.disc_squareness and seen.extent_m.max() < outline.extent_m.max() + limits.wider_m:
        return None
    bottom, _ = _bottom(view, top, limits)
    height, widest = top - bottom, float(seen.extent_m.max()) + view.pixel_m
    if abs(widest - height) > 1.5 * limits.cube_tolerance_m:
        return None
    edge = (widest + height) / 2
    rect = completed(seen, edge, view.camera_xy_m)
    size = np.array([edge, edge, height])
    confidence = 0.7 * min(1.0, len(view.points_m) / 100)
    return Solid("cube", np.array([*rect.centre_m, bottom + height / 2]), rect.yaw_rad, size, 0.006, max(confidence, 0.1))


def _top(heights: Array) -> float:
    """Height of the highest face: the middle of the points near the highest ones, which noise does not lift. ``heights`` are sorted."""
    band = heights[np.searchsorted(heights, quantile(heights, 0.98) - 0.004, side="right") :]
    return float(quantile(band, 0.5))


def _bottom(view: View, top: float, limits: ShapeLimits) -> tuple[float, bool]:
    """Height of the lower edge, and whether it was seen: on the table unless the lowest points lie clearly above it."""
    lowest = float(quantile(view.heights_m, 0.02))
    if lowest - view.table_m < 0.014:
        return view.table_m, True
    side_seen = top - lowest > limits.top_band_m * 2
    return lowest - view.pixel_m / 2, side_seen and view.hidden < limits.hidden_part


def _solid(shape: str, view: View, centre_xy: Array, yaw_rad: float, size_m: Array, top: float, confidence: float) -> Solid:
    few = min(1.0, len(view.points_m) / 60)
    sigma = 0.0015 + 0.012 * view.hidden + (0.01 if view.cut else 0.0)
    centre = np.array([*centre_xy, top - size_m[2] / 2])
    sure = confidence * (0.5 + 0.5 * few) * (0.6 if view.cut else 1)
    return Solid(shape, centre, yaw_rad, size_m, sigma, float(min(max(sure, 0.05), 1)))
