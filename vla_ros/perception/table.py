"""The table's plane: known from configuration, measured in each image, with how far the two are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.perception.depth import MAX_DEPTH_MM, Cloud


@dataclass(frozen=True)
class TablePlane:
    """Height over the base frame's xy plane: z = offset_m + slope_x x + slope_y y."""

    offset_m: float
    slope_x: float
    slope_y: float
    residual_m: float  # root mean square of the points used; NaN when the plane is the configured one
    measured: bool  # False: too few points or an implausible plane, the configured height is used
    detail: str  # a sentence for people

    def height_at(self, x_m: float, y_m: float) -> float:
        """The table's height at a place, m."""
        return self.offset_m + self.slope_x * x_m + self.slope_y * y_m


def fit_table(cloud: Cloud, height_m: float, *, search_m: float = 0.02, max_tilt_rad: float = 0.02, step_px: int = 10) -> TablePlane:
    """Least squares through the points within ``search_m`` of the configured height, trimmed twice at three deviations.

    A plane that has too few points, tilts more than ``max_tilt_rad`` or lies off by more than half of ``search_m`` is refused.
    """
    depth = cloud.every(step_px)
    xyz = cloud.sampled(step_px, depth, np.flatnonzero((depth > 0) & (depth < MAX_DEPTH_MM)))
    x, y, z = xyz.take(np.flatnonzero(np.abs(xyz[2] - np.float32(height_m)) < search_m), axis=1).astype(float)
    if len(z) < 100:
        return _configured(height_m, f"only {len(z)} samples near the table's height of {height_m:.3f} m")
    rows = np.stack([np.ones_like(x), x, y])
    keep = np.abs(z - np.median(z)) < search_m / 2
    for _ in range(2):
        used = rows * keep
        sums = used @ rows.T
        solution: Array = np.linalg.solve(sums + 1e-9 * np.eye(3), used @ z)
        residual = z - solution @ rows
        kept = residual[keep]
        keep = np.abs(residual) < 3 * max(math.sqrt(kept @ kept / len(kept)), 5e-4)
    tilt = float(np.hypot(solution[1], solution[2]))
    off = float(solution @ sums[0]) / float(sums[0, 0]) - height_m
    if tilt > max_tilt_rad or abs(off) > search_m / 2:
        return _configured(height_m, f"the measured plane tilts by {tilt:.3f} rad and lies {off * 1e3:+.1f} mm off")
    rms = float(np.sqrt(np.mean(residual[keep] ** 2)))
    detail = f"table {off * 1e3:+.1f} mm off its configured height, residual {rms * 1e3:.1f} mm over {int(keep.sum())} samples"
    return TablePlane(float(solution[0]), float(solution[1]), float(solution[2]), rms, True, detail)


def _configured(height_m: float, why: str) -> TablePlane:
    return TablePlane(height_m, 0.0, 0.0, float("nan"), False, f"configured table height used: {why}; check the camera's pose")
