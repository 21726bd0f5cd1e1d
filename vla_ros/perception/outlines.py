"""Outlines in the plane: rectangles, right angles and circles fitted to points [n, 2] in metres."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vla_ros.core.geometry import Array

RASTER_M = 0.0015  # cell of the raster on which areas are measured
CIRCLE_POINTS, CORNER_POINTS = 250, 200  # are enough for a fit
QUARTER = np.pi / 2


@dataclass(frozen=True)
class Rectangle:
    """A rectangle with its first axis at ``yaw_rad``, in [-pi/4, pi/4)."""

    centre_m: Array  # [2]
    yaw_rad: float
    extent_m: Array  # [2] full, along its first and second axis
    squareness: float  # of the outline: 0 for a disc, 0.6 for a square, more for what is longer than wide


@dataclass(frozen=True)
class Circle:
    """A circle, and how well the points show it."""

    centre_m: Array  # [2]
    radius_m: float
    residual_m: float  # root mean square distance of the points used
    coverage: float  # 0-1, part of the circumference that has points


def quarter_turn(angle_rad: float) -> float:
    """The same direction of a square's side, in [-pi/4, pi/4)."""
    return float((angle_rad + np.pi / 4) % QUARTER - np.pi / 4)


def rotated(xy: Array, angle_rad: float) -> Array:
    """Coordinates [n, 2] along axes that are turned by ``angle_rad``."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.asarray(xy @ np.array([[c, -s], [s, c]]))


def filled_rectangle(xy: Array, border_m: float = 0.0) -> Rectangle:
    """The rectangle that best equals the area spanned by points all over a convex face.

    The hull of the points is rasterised, so that their density does not matter. Its second moments give the axes of an
    oblong, its fourth moment E[(x+iy)^4] those of a square, where it points along the diagonals; extents follow
    from the variance (a uniform edge of length a has a^2/12). ``border_m`` is added to each extent: half a pixel is lost on each side.
    """
    low = xy.min(axis=0) - 2 * RASTER_M
    hull = cv2.convexHull(((xy - low) / RASTER_M * 16).astype(np.int32))
    width, height = (np.ptp(xy, axis=0) / RASTER_M).astype(int) + 6
    raster = np.zeros((height, width), dtype=np.uint8)
    cv2.fillConvexPoly(raster, hull, 1, shift=4)
    rows, columns = np.nonzero(raster)
    cells = np.stack([columns, rows], axis=1) * RASTER_M + low
    centre = cells.mean(axis=0)
    z = (cells - centre) @ np.array([1, 1j])
    second, fourth = complex(np.mean(z**2)), complex(np.mean(z**4))
    spread = float(np.mean(np.abs(z) ** 2))
    oblong = abs(second) > 0.15 * spread
    yaw = quarter_turn(float(np.angle(second) / 2 if oblong else (np.angle(fourth) - np.pi) / 4))
    extent = np.sqrt(12 * rotated(cells - centre, yaw).var(axis=0)) + border_m - RASTER_M
    return Rectangle(centre, yaw, extent, abs(fourth) / max(spread**2, 1e-12))


def right_angle(xy: Array, *, steps: int = 45) -> Rectangle:
    """The rectangle on whose sides points of upright faces lie (one side, or two that meet).

    The angle is the one at which the points lie nearest to the rectangle's sides (the closeness criterion of L-shape fitting);
    ``squareness`` is not measured (0).
    """
    few = xy[:: max(1, len(xy) // CORNER_POINTS)]
    angles = np.linspace(-np.pi / 4, np.pi / 4, steps, endpoint=False)
    best = angles[np.argmin(_distance_to_sides(few, angles))]
    fine = best + np.linspace(-1, 1, 9) * (angles[1] - angles[0])
    best = quarter_turn(float(fine[np.argmin(_distance_to_sides(few, fine))]))
    along = rotated(xy, best)
    low, high = np.percentile(along, (1, 99), axis=0)
    middle = (low + high) / 2
    return Rectangle(rotated(middle[None], -best)[0], best, high - low, 0.0)


def _distance_to_sides(xy: Array, angles_rad: Array) -> Array:
    """[k] mean distance of the points to the nearest side of the rectangle that holds them, for each of ``angles_rad`` [k]."""
    c, s = np.cos(angles_rad)[:, None], np.sin(angles_rad)[:, None]
    nearest = np.full((len(angles_rad), len(xy)), 0.01)  # beyond it, all points are as bad
    for along in (c * xy[:, 0] + s * xy[:, 1], c * xy[:, 1] - s * xy[:, 0]):
        ordered = np.sort(along, axis=1)
        outer = len(xy) // 100  # without the farthest hundredth
        low, high = ordered[:, outer : outer + 1], ordered[:, -1 - outer : ordered.shape[1] - outer]
        nearest = np.minimum(nearest, np.minimum(np.abs(along - low), np.abs(high - along)))
    return np.asarray(nearest.mean(axis=1))


def completed(seen: Rectangle, edge_m: float, camera_xy_m: Array) -> Rectangle:
    """``seen`` grown to at least ``edge_m`` on both axes, away from the camera: the near sides are the ones that were seen."""
    towards = rotated((camera_xy_m - seen.centre_m)[None], seen.yaw_rad)[0]
    missing = np.maximum(edge_m - seen.extent_m, 0)
    shift = -np.sign(towards) * missing / 2
    return Rectangle(seen.centre_m + rotated(shift[None], -seen.yaw_rad)[0], seen.yaw_rad, seen.extent_m + missing, seen.squareness)


def fit_circle(xy: Array) -> Circle:
    """Algebraic least-squares circle, refitted without the points that are off by more than two deviations."""
    xy = xy[:: max(1, len(xy) // CIRCLE_POINTS)]
    keep = np.ones(len(xy), dtype=bool)
    centre, radius = xy.mean(axis=0), 0.0
    origin = centre
    for _ in range(3):
        p = xy[keep] - origin
        rows = np.column_stack([2 * p, np.ones(len(p))])
        solution = np.linalg.solve(rows.T @ rows + 1e-12 * np.eye(3), rows.T @ (p**2).sum(axis=1))
        centre = solution[:2] + origin
        radius = float(np.sqrt(max(solution[2] + solution[0] ** 2 + solution[1] ** 2, 0.0)))
        off = np.linalg.norm(xy - centre, axis=1) - radius
        keep = np.abs(off) <= max(2 * float(np.std(off[keep])), 0.004)
        if keep.sum() < 8:
            break
    angles = np.arctan2(*(xy[keep] - centre).T[::-1])
    sectors = np.unique(((angles + np.pi) / (2 * np.pi) * 24).astype(int) % 24)
    return Circle(centre, radius, float(np.sqrt(np.mean(off[keep] ** 2))) if keep.any() else float("inf"), len(sectors) / 24)
