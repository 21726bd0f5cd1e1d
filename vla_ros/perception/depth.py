"""Depth images to points in the base frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import PerceptionError
from vla_ros.core.geometry import Array, inverse, transform_points
from vla_ros.perception.models import CameraModel

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Points = NDArray[np.float32]
MAX_DEPTH_MM = 5000  # farther returns say nothing about a table-top


class Rays:
    """Where the pixels of one camera's region of interest look, in the base frame: ``centre_m + directions * depth``."""

    def __init__(self, directions: Points, centre_m: Array) -> None:
        self.directions = directions  # [3, h, w] per metre of depth along the optical axis
        self.centre_m = centre_m  # [3]
        self._thinned: dict[int, Points] = {}

    def every(self, step_px: int) -> Points:
        """[3, n] directions of every ``step_px``th row and column, kept together: gathered each time they cost a cache miss each."""
        if step_px not in self._thinned:
            self._thinned[step_px] = np.ascontiguousarray(self.directions[:, ::step_px, ::step_px]).reshape(3, -1)
        return self._thinned[step_px]

    def points(self, directions: Points, depth_m: Points) -> Points:
        """[3, n] points at ``depth_m`` [n] along ``directions`` [3, n]."""
        xyz = directions * depth_m
        xyz += self.centre_m.astype(np.float32)[:, None]
        return xyz


@dataclass(frozen=True)
class Cloud:
    """What a depth image's region of interest shows. Points are made where they are asked for: most pixels are the table's."""

    depth_mm: NDArray[np.uint16]  # [h, w] along the optical axis; no return where it is 0 or more than MAX_DEPTH_MM
    rays: Rays
    origin_px: tuple[int, int]  # (u, v) of the region's first pixel in the whole image

    def every(self, step_px: int) -> NDArray[np.uint16]:
        """[h, w] the depths of every ``step_px``th row and column."""
        return np.ascontiguousarray(self.depth_mm[::step_px, ::step_px])

    def points(self, pixels: NDArray[np.intp]) -> Points:
        """[3, n] m, base frame, of flat indices [n]."""
        depth_m = self.depth_mm.reshape(-1).take(pixels) * np.float32(0.001)
        return self.rays.points(self.rays.every(1).take(pixels, axis=1), depth_m)

    def sampled(self, step_px: int, depth_mm: NDArray[np.uint16], pixels: NDArray[np.intp]) -> Points:
        """The same of ``depth_mm``, which is ``every(step_px)``, and flat indices into it."""
        return self.rays.points(self.rays.every(step_px).take(pixels, axis=1), depth_mm.reshape(-1).take(pixels) * np.float32(0.001))


def check_depth(depth_mm: NDArray[np.uint16], camera: CameraModel) -> None:
    """Raises PerceptionError unless ``depth_mm`` is uint16 [height_px, width_px]."""
    expected = (camera.height_px, camera.width_px)
    if not isinstance(depth_mm, np.ndarray) or depth_mm.dtype != np.uint16 or depth_mm.shape != expected:
        got = f"{depth_mm.dtype} {depth_mm.shape}" if isinstance(depth_mm, np.ndarray) else type(depth_mm).__name__
        raise PerceptionError(
            f"Depth image of camera '{camera.name}': expected uint16 {expected} (mm, 0 = no return), got {got}; "
            "metres become millimetres with numpy.round(depth * 1000).astype(numpy.uint16)."
        )


def check_colour(image: Image, camera: CameraModel) -> None:
    """Raises PerceptionError unless ``image`` is uint8 [height_px, width_px, 3]."""
    expected = (camera.height_px, camera.width_px, 3)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape != expected:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise PerceptionError(f"Colour image of camera '{camera.name}': expected uint8 {expected} in RGB, got {got}.")


class Deprojector:
    """Turns depth images of one fixed camera into clouds of the part of space between two corners (base frame, m)."""

    def __init__(self, camera: CameraModel, region_min_m: Array, region_max_m: Array) -> None:
        self._camera = camera
        self.T_base_camera = np.asarray(camera.T_parent_camera, dtype=float)
        self._T_camera_base = inverse(self.T_base_camera)
        self.roi = self._region_of_interest(np.asarray(region_min_m, dtype=float), np.asarray(region_max_m, dtype=float))
        v, u = np.mgrid[self.roi]
        rays_camera = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)])
        directions = np.einsum("ij,jhw->ihw", self.T_base_camera[:3, :3], rays_camera).astype(np.float32)
        self.centre_m = self.T_base_camera[:3, 3].copy()
        self.rays = Rays(directions, self.centre_m)

    def cloud(self, depth_mm: NDArray[np.uint16]) -> Cloud:
        """The points of the region of interest. Raises PerceptionError for a wrong image."""
        check_depth(depth_mm, self._camera)
        return Cloud(np.ascontiguousarray(depth_mm[self.roi]), self.rays, (self.roi[1].start, self.roi[0].start))

    def project(self, points_m: Array) -> tuple[Array, Array]:
        """Pixels [n, 2] (u, v; NaN behind the camera) and depths [n] m of points [n, 3] in the base frame."""
        camera = self._camera
        local = transform_points(self._T_camera_base, np.atleast_2d(points_m))
        z = local[:, 2]
        safe = np.where(z > 1e-3, z, np.nan)
        return np.stack([camera.fx * local[:, 0] / safe + camera.cx, camera.fy * local[:, 1] / safe + camera.cy], axis=1), z

    def rows(self, centres_m: Array, radii_m: Array) -> NDArray[np.intp]:
        """[2, n] first row of the region of interest that can show each of n balls, and the first after it."""
        local = transform_points(self._T_camera_base, centres_m)
        nearest = local[:, 2] - radii_m
        height = self.rays.directions.shape[1]
        around = (nearest < 0.02) & (local[:, 2] > -radii_m)
        z = np.maximum(local[:, 2], 0.02)
        v = self._camera.fy * local[:, 1] / z + self._camera.cy - self.roi[0].start
        off_axis = 1 + np.hypot(local[:, 0], local[:, 1]) / z  # a ball off the axis shows as an ellipse
        reach = (self._camera.fy * radii_m / np.maximum(nearest, 0.02) + 2) * off_axis
        first, after = np.where(around, 0, v - reach), np.where(around, height, v + reach + 1)
        after = np.where(local[:, 2] > -radii_m, after, 0)
        return np.clip(np.stack([first, after]), 0, height).astype(np.intp)

    def _region_of_interest(self, low_m: Array, high_m: Array) -> tuple[slice, slice]:
        corners = np.array([[x, y, z] for x in (low_m[0], high_m[0]) for y in (low_m[1], high_m[1]) for z in (low_m[2], high_m[2])])
        pixels, depths = self.project(corners)
        camera = self._camera
        if np.any(depths < 0.05):
            return slice(0, camera.height_px), slice(0, camera.width_px)
        u0, v0 = np.clip(np.floor(pixels.min(axis=0)), 0, None).astype(int)
        u1, v1 = np.ceil(pixels.max(axis=0)).astype(int) + 1
        rows, columns = slice(int(v0), int(min(v1, camera.height_px))), slice(int(u0), int(min(u1, camera.width_px)))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            raise PerceptionError(
                f"Camera '{camera.name}' does not see the work region {low_m.tolist()}..{high_m.tolist()} m; "
                "check its pose in config/robots/."
            )
        return rows, columns
