"""Everything above the table that is not the robot and not held, thinned to one point for each cell of a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_ros.perception.depth import Image, Mask
from vla_ros.perception.table import TablePlane
from vla_ros.perception.volume import STEP_PX, Standing


@dataclass(frozen=True)
class ObstacleConfig:
    """Lengths in m, base frame."""

    voxel_m: float = 0.015
    min_height_m: float = 0.010  # above the table
    max_height_m: float = 1.0
    min_points: int = 2  # in one cell: single returns are noise


@dataclass(frozen=True)
class ColouredPoints:
    """Points of the base frame with their colours."""

    points_m: NDArray[np.float32]  # [n, 3]
    rgb: NDArray[np.uint8]  # [n, 3]


def obstacle_points(standing: Standing, colour: Image, free: Mask, table: TablePlane, config: ObstacleConfig) -> ColouredPoints:
    """One point (the mean) and one colour for each cell; ``free`` [n] is False for points of the robot and of what it holds."""
    x, y, z = standing.xyz
    height = z - np.float32(table.slope_x) * x - np.float32(table.slope_y) * y
    height -= np.float32(table.offset_m)
    keep = np.flatnonzero(free & (height > config.min_height_m) & (height < config.max_height_m))
    if len(keep) == 0:
        return ColouredPoints(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))
    points = standing.xyz.take(keep, axis=1)
    cells = np.floor(points / np.float32(config.voxel_m)).astype(np.int64) + 2048
    keys = (cells[0] << 24) | (cells[1] << 12) | cells[2]
    _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(inverse, weights=p, minlength=len(counts)) for p in points], axis=1)
    enough = counts >= config.min_points
    means = (sums[enough] / counts[enough, None]).astype(np.float32)
    rows, columns = np.divmod(standing.pixels[keep[first[enough]]], standing.shape[1])
    return ColouredPoints(means, colour[rows * STEP_PX, columns * STEP_PX])
