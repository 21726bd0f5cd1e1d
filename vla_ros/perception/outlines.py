"""Outlines in the plane: rectangles, right angles and circles fitted to points [n, 2] in metres."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array

NOISE_M = 0.0003  # by which the depth's noise widens a hull
THIN_M2 = 1e-6  # a hull of less area is a line
CIRCLE_POINTS, CORNER_POINTS = 250, 200  # are enough for a fit
FAR_M = np.float32(0.01)  # from a side: beyond it, all points are as bad
SECTORS = 24  # of a circle, in which points are looked for
QUARTER = np.pi / 2
COMPLEX = np.array([1, 1j])
TINY = 1e-12 * np.eye(3)


@dataclass(frozen=True)
class Rectangle:
    """A rectangle with its first axis at ``yaw_rad``, in [-pi/4, pi/4)."""

    centre_m: Array  # [2]
    yaw_rad: float
    extent_m: Array  # [2] full, along its first and second axis
    squareness: float  # of the outline: 0 for a disc, 0.6 for a square; says nothing of what is longer than wide


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

    Of the area of the points' hull, so that their density does not matter. Its second moments give the axes of an
    oblong, its fourth moment E[(x+iy)^4] those of a square, where it points along the diagonals; extents follow
    from the variance (a uniform edge of length a has a^2/12). ``border_m`` is added to each extent: half a pixel is lost on each side.
    """
    origin = xy[0]
    hull = cv2.convexHull((xy - origin).astype(np.float32))
    m = cv2.moments(hull)
    if m["m00"] < THIN_M2:
        return right_angle(xy)  # all on one line
    centre = np.array([m["m10"], m["m01"]]) / m["m00"]
    spread = (m["mu20"] + m["mu02"]) / m["m00"]  # E[|x+iy|^2] over the area
    second = complex(m["mu20"] - m["mu02"], 2 * m["mu11"]) / m["m00"]
    fourth = _fourth_moment((hull[:, 0] - centre) @ COMPLEX)
    oblong = abs(second) > 0.15 * spread
    yaw = quarter_turn(cmath.phase(second) / 2 if oblong else (cmath.phase(fourth) - np.pi) / 4)
    along = (second * cmath.exp(-2j * yaw)).real  # variance along the first axis less that along the second
    extent = np.array([math.sqrt(6 * (spread + along)), math.sqrt(6 * (spread - along))]) + (border_m - NOISE_M)
    return Rectangle(origin + centre, yaw, extent, abs(fourth) / spread**2)


def _fourth_moment(corners: NDArray[np.complex128]) -> complex:
    """E[z^4] over a polygon's area: over a triangle (0, a, b), the mean of z^4 is the sum of a^k b^(4-k), divided by 15."""
    a, b = corners, np.concatenate([corners[1:], corners[:1]])
    areas = (a.conj() * b).imag
    aa, ab, bb = a * a, a * b, b * b
    return complex(areas @ (aa * (aa + ab + bb) + bb * (ab + bb))) / (15 * float(areas.sum()))


def right_angle(xy: Array, *, steps: int = 45) -> Rectangle:
    """The rectangle on whose sides points of upright faces lie (one side, or two that meet).

    The angle is the one at which the points lie nearest to the rectangle's sides (the closeness criterion of L-shape fitting);
    ``squareness`` is not measured (0).
    """
    few = xy[:: max(1, len(xy) // CORNER_POINTS)].astype(np.float32)
    angles = np.linspace(-np.pi / 4, np.pi / 4, steps, endpoint=False)
    best = angles[np.argmin(_distance_to_sides(few, angles))]
    fine = best + np.linspace(-1, 1, 9) * (angles[1] - angles[0])
    best = quarter_turn(float(fine[np.argmin(_distance_to_sides(few, fine))]))
    along = np.sort(rotated(xy, best), axis=0)
    low, high = quantile(along, 0.01), quantile(along, 0.99)
    middle = (low + high) / 2
    return Rectangle(rotated(middle[None], -best)[0], best, high - low, 0.0)


def quantile(ordered: Array, part: float) -> Array:
    """The ``part`` quantile of rows sorted along the first axis, interpolated; numpy.quantile takes fifty times as long for so few."""
    at = part * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return np.asarray(ordered[below] + (at - below) * (ordered[above] - ordered[below]))


def _distance_to_sides(xy: NDArray[np.float32], angles_rad: Array) -> NDArray[np.float32]:
    """[k] mean distance of the points to the nearest side of the rectangle that holds them, for each of ``angles_rad`` [k]."""
    c, s = np.cos(angles_rad), np.sin(angles_rad)
    along = np.stack([np.stack([c, s], axis=1), np.stack([-s, c], axis=1)]).astype(np.float32) @ xy.T  # [2, k, n]
    ordered = np.sort(along, axis=2)
    outer = len(xy) // 100  # without the farthest hundredth
    middle = (ordered[:, :, outer] + ordered[:, :, -1 - outer])[:, :, None] / 2
    half = (ordered[:, :, -1 - outer] - ordered[:, :, outer])[:, :, None] / 2
    nearest = np.abs(np.abs(along - middle) - half).min(axis=0)
    return np.asarray(np.minimum(nearest, FAR_M).mean(axis=1))


def completed(seen: Rectangle, edge_m: float, camera_xy_m: Array) -> Rectangle:
    """``seen`` grown to at least ``edge_m`` on both axes, away from the camera: the near sides are the ones that were seen."""
    towards = rotated((camera_xy_m - seen.centre_m)[None], seen.yaw_rad)[0]
    missing = np.maximum(edge_m - seen.extent_m, 0)
    shift = -np.sign(towards) * missing / 2
    return Rectangle(seen.centre_m + rotated(shift[None], -seen.yaw_rad)[0], seen.yaw_rad, seen.extent_m + missing, seen.squareness)


def fit_circle(xy: Array) -> Circle:
    """Algebraic least-squares circle, refitted without the points that are off by more than two deviations."""
    xy = xy[:: max(1, len(xy) // CIRCLE_POINTS)]
    origin = xy.mean(axis=0)
    x, y = np.ascontiguousarray((xy - origin).T)
    rows = np.stack([2 * x, 2 * y, np.ones(len(x)), x * x + y * y])
    keep = np.ones(len(x), dtype=bool)
    for _ in range(3):
        sums = (rows * keep) @ rows.T
        cx, cy, offset = np.linalg.solve(sums[:3, :3] + TINY, sums[:3, 3])
        radius = math.sqrt(max(offset + cx * cx + cy * cy, 0.0))
        off = np.hypot(x - cx, y - cy) - radius
        keep = np.abs(off) <= max(2 * _rms(off[keep]), 0.004)
        if np.count_nonzero(keep) < 8:
            break
    sectors = ((np.arctan2(y - cy, x - cx) + np.pi) * (SECTORS / (2 * np.pi))).astype(int)[keep] % SECTORS
    return Circle(origin + (cx, cy), radius, _rms(off[keep]), np.count_nonzero(np.bincount(sectors)) / SECTORS)


def _rms(values: Array) -> float:
    """Root mean square; infinite for none."""
    return math.sqrt(float(values @ values) / len(values)) if len(values) else math.inf
