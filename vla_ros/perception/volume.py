"""What stands on the table: pixels whose depth lies where their ray is above the table's plane and inside a region."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array
from vla_ros.perception.depth import MAX_DEPTH_MM, Cloud, Points, Rays
from vla_ros.perception.table import TablePlane

SAME_PLANE_M = 0.0005  # half of the depth's unit: a table measured this near to the last one is taken for the same ...
PLACES = np.array([[1.0, x, y] for x in (0.2, 0.8) for y in (-0.45, 0.45)])  # ... at these (1, x, y)
STEP_PX = 2  # where a pixel is far smaller than what is asked


class Volume:
    """Part of space between two heights over the table and, where given, two corners ``low_xy_m`` and ``high_xy_m`` of the base frame.

    A ray is inside it between two depths, which change only with the table's plane: they are kept as two images, and
    a depth image is compared with them, instead of making three coordinates of every pixel.
    """

    def __init__(
        self,
        heights_m: tuple[float, float],
        low_xy_m: tuple[float, float] = (-np.inf, -np.inf),
        high_xy_m: tuple[float, float] = (np.inf, np.inf),
        step_px: int = 1,
    ) -> None:
        self._low, self._high = (*low_xy_m, heights_m[0]), (*high_xy_m, heights_m[1])
        self._step = step_px
        self._rays: Rays | None = None
        self._table = np.zeros(3)
        self._nearest = self._farthest = np.zeros((0, 0), np.uint16)

    def holds(self, depth_mm: NDArray[np.uint16], rays: Rays, table: TablePlane) -> NDArray[np.uint8]:
        """[h, w] 255 where a point lies inside, 0 elsewhere. ``depth_mm`` is that of every ``step_px``th row and column of ``rays``."""
        plane = np.array([table.offset_m, table.slope_x, table.slope_y])
        if rays is not self._rays or np.abs(PLACES @ (plane - self._table)).max() > SAME_PLANE_M:
            self._rays, self._table = rays, plane
            self._nearest, self._farthest = self._depths_mm(rays, plane)
        return np.asarray(cv2.inRange(depth_mm, self._nearest, self._farthest), dtype=np.uint8)

    def _depths_mm(self, rays: Rays, plane: Array) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """[h, w] least and greatest depth inside; the least is the greater where the ray passes by."""
        directions = rays.directions[:, :: self._step, :: self._step]
        normal = np.array([-plane[1], -plane[2], 1.0])
        rates = (directions[0], directions[1], np.tensordot(normal.astype(np.float32), directions, 1))
        starts = (rays.centre_m[0], rays.centre_m[1], float(normal @ rays.centre_m) - plane[0])
        near, far = np.zeros(directions.shape[1:], np.float32), np.full(directions.shape[1:], MAX_DEPTH_MM / 1000, np.float32)
        for rate, start, low, high in zip(rates, starts, self._low, self._high, strict=True):
            rate = np.where(np.abs(rate) < 1e-9, np.float32(1e-9), rate)
            ends = (np.float32(low - start) / rate, np.float32(high - start) / rate)
            near, far = np.maximum(near, np.minimum(*ends)), np.minimum(far, np.maximum(*ends))
        nearest = np.clip(np.floor(near * 1000) + 1, 1, MAX_DEPTH_MM)
        farthest = np.clip(np.ceil(far * 1000) - 1, 0, MAX_DEPTH_MM - 1)
        return nearest.astype(np.uint16), farthest.astype(np.uint16)


@dataclass(frozen=True)
class Standing:
    """Points above the table, of every STEP_PX-th row and column of a cloud."""

    xyz: Points  # [3, n] m, base frame
    pixels: NDArray[np.intp]  # [n] ascending flat indices into the thinned image
    shape: tuple[int, int]  # of the thinned image

    def between_rows(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where in the points the given rows of the cloud begin."""
        return np.searchsorted(self.pixels, (rows + STEP_PX - 1) // STEP_PX * self.shape[1])

    def image(self, chosen: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
        """[h, w] a mask of the whole cloud's ``shape``: each chosen point speaks for its neighbours too."""
        wide = np.zeros((*self.shape, STEP_PX), dtype=bool)
        wide.reshape(-1, STEP_PX)[self.pixels[chosen]] = True
        whole = wide.reshape(self.shape[0], -1).repeat(STEP_PX, axis=0)
        return whole[: shape[0], : shape[1]]


def standing_points(volume: Volume, cloud: Cloud, table: TablePlane) -> Standing:
    """The points that a ``volume`` of step STEP_PX holds."""
    depth = cloud.every(STEP_PX)
    pixels = np.flatnonzero(volume.holds(depth, cloud.rays, table) > 0)
    return Standing(cloud.sampled(STEP_PX, depth, pixels), pixels, (depth.shape[0], depth.shape[1]))
