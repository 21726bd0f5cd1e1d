"""Depth images to points in the base frame, and which pixels show the robot or what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import PerceptionError
from vla_ros.core.geometry import Array, inverse, transform_points
from vla_ros.perception.models import CameraModel, CollisionShape

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Points = NDArray[np.float32]
MAX_DEPTH_M = 5.0  # farther returns say nothing about a table-top


@dataclass(frozen=True)
class Cloud:
    """Points of the image's region of interest, as planes: ``xyz[:, v, u]``. Where ``valid`` is False, xyz is the camera's centre."""

    xyz: Points  # [3, h, w] m, base frame
    depth_m: Points  # [h, w] along the optical axis; 0 where there is no return
    valid: Mask  # [h, w]
    origin_px: tuple[int, int]  # (u, v) of the region's first pixel in the whole image


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
        self._rays = np.einsum("ij,jhw->ihw", self.T_base_camera[:3, :3], rays_camera).astype(np.float32)
        self.centre_m = self.T_base_camera[:3, 3].copy()

    def cloud(self, depth_mm: NDArray[np.uint16]) -> Cloud:
        """The points of the region of interest. Raises PerceptionError for a wrong image."""
        check_depth(depth_mm, self._camera)
        depth_m = depth_mm[self.roi] * np.float32(0.001)
        valid = (depth_m > 0) & (depth_m < MAX_DEPTH_M)
        xyz = self._rays * depth_m
        xyz += self.centre_m.astype(np.float32)[:, None, None]
        return Cloud(xyz, depth_m, valid, (self.roi[1].start, self.roi[0].start))

    def project(self, points_m: Array) -> tuple[Array, Array]:
        """Pixels [n, 2] (u, v; NaN behind the camera) and depths [n] m of points [n, 3] in the base frame."""
        camera = self._camera
        local = transform_points(self._T_camera_base, np.atleast_2d(points_m))
        z = local[:, 2]
        safe = np.where(z > 1e-3, z, np.nan)
        return np.stack([camera.fx * local[:, 0] / safe + camera.cx, camera.fy * local[:, 1] / safe + camera.cy], axis=1), z

    def window(self, centre_m: Array, radius_m: float) -> tuple[slice, slice] | None:
        """Rows and columns of the region of interest that can show a ball; None when it lies outside or around the camera."""
        local = transform_points(self._T_camera_base, centre_m[None])[0]
        nearest = local[2] - radius_m
        height, width = self._rays.shape[1:]
        if nearest < 0.02:
            return (slice(0, height), slice(0, width)) if local[2] > -radius_m else None
        camera, v0, u0 = self._camera, self.roi[0].start, self.roi[1].start
        u, v = camera.fx * local[0] / local[2] + camera.cx - u0, camera.fy * local[1] / local[2] + camera.cy - v0
        ru, rv = camera.fx * radius_m / nearest + 2, camera.fy * radius_m / nearest + 2
        off_axis = 1 + float(np.hypot(local[0], local[1]) / local[2])  # a ball off the axis shows as an ellipse
        rows = slice(max(0, int(v - rv * off_axis)), min(height, int(v + rv * off_axis) + 1))
        columns = slice(max(0, int(u - ru * off_axis)), min(width, int(u + ru * off_axis) + 1))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

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
            return float(np.linalg.norm(size)) / 2
        return float(size[0]) if self.kind == "sphere" else float(size[0] + size[1] / 2)


def robot_shapes(shapes: Iterable[CollisionShape], link_poses: Mapping[str, Array]) -> list[PlacedShape]:
    """The robot's collision shapes, placed. Raises PerceptionError for a shape of a link without a pose."""
    placed = []
    for shape in shapes:
        if shape.link not in link_poses:
            raise PerceptionError(f"No pose for link '{shape.link}', which has a collision shape; poses: {', '.join(sorted(link_poses))}.")
        size = np.atleast_1d(np.asarray(shape.size_m, dtype=float))
        placed.append(PlacedShape(shape.kind, size, link_poses[shape.link] @ shape.T_link_shape))
    return placed


def inside(shape: PlacedShape, xyz: Points, margin_m: float) -> Mask:
    """Which points (``xyz`` [3, ...], base frame) lie inside the shape grown by ``margin_m``."""
    T = inverse(shape.T_base_shape).astype(np.float32)
    flat = xyz.reshape(3, -1)
    local = T[:3, :3] @ flat + T[:3, 3:4]
    size = shape.size_m
    if shape.kind == "box":
        result = np.all(np.abs(local) < (size[:3] / 2 + margin_m).astype(np.float32)[:, None], axis=0)
    elif shape.kind == "sphere":
        result = np.einsum("in,in->n", local, local) < (size[0] + margin_m) ** 2
    elif shape.kind in ("cylinder", "capsule"):
        across = local[0] ** 2 + local[1] ** 2
        beyond = np.abs(local[2]) - np.float32(size[1] / 2)
        if shape.kind == "cylinder":
            result = (beyond < margin_m) & (across < (size[0] + margin_m) ** 2)
        else:
            result = across + np.maximum(beyond, 0) ** 2 < (size[0] + margin_m) ** 2
    else:
        raise PerceptionError(f"Unknown collision shape '{shape.kind}'; valid: box, capsule, cylinder, sphere.")
    return np.asarray(result, dtype=bool).reshape(xyz.shape[1:])


def mask_of(shapes: Iterable[PlacedShape], cloud: Cloud, deprojector: Deprojector, margin_m: float) -> Mask:
    """[h, w] pixels of the cloud that lie inside any of the shapes grown by ``margin_m``.

    Only the shapes' windows are computed, and of them every second row and column, each for its neighbours too: a pixel is far
    smaller than the margin.
    """
    coarse_xyz = np.ascontiguousarray(cloud.xyz[:, ::2, ::2])
    coarse = np.zeros(coarse_xyz.shape[1:], dtype=bool)
    for shape in shapes:
        window = deprojector.window(shape.T_base_shape[:3, 3], shape.bounding_radius_m + margin_m)
        if window is not None:
            half = tuple(slice(s.start // 2, (s.stop + 1) // 2) for s in window)
            coarse[half] |= inside(shape, np.ascontiguousarray(coarse_xyz[:, half[0], half[1]]), margin_m)
    height, width = cloud.valid.shape
    mask = np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)[:height, :width]
    return mask & cloud.valid
