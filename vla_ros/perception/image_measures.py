"""Numbers that say how good an image is, from a half-size grey picture of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array

GRID = (6, 8)  # rows and columns of the patches that are watched for dirt
_CELL = (16, 16)  # size to which a patch is reduced


@dataclass(frozen=True)
class ImageMeasures:
    """Grey levels 0-255."""

    mean: float
    bright: float  # 99th percentile
    clipped: float  # 0-1, part of the pixels at the top of the range
    sharpness: float  # energy of the Laplacian per energy of the gradient; NaN where there is too little texture to judge
    patch_mean: Array  # GRID
    patch_texture: Array  # GRID, mean absolute difference between neighbours
    small: NDArray[np.int16]  # [96, 128] the reduced picture, for comparison with other images
    checksum: int  # of all pixels looked at; equal for identical content


def measure(image: NDArray[np.uint8]) -> ImageMeasures:
    """Of an RGB image [h, w, 3]. Green stands for brightness: it is the channel with the least noise and needs no conversion."""
    half = np.ascontiguousarray(image[::2, ::2, 1])
    grid_rows, grid_columns = GRID
    small = cv2.resize(half, (grid_columns * _CELL[1], grid_rows * _CELL[0]), interpolation=cv2.INTER_AREA).astype(np.int16)
    histogram = cv2.calcHist([half], [0], None, [256], [0, 256]).ravel()
    total = float(histogram.sum())
    bright = float(np.searchsorted(np.cumsum(histogram), 0.99 * total))
    differences = np.abs(np.diff(small, axis=1))
    texture = differences.reshape(grid_rows, _CELL[0], -1)[:, :, : grid_columns * _CELL[1] - 1]
    padded = np.pad(texture, ((0, 0), (0, 0), (0, 1)), mode="edge").reshape(grid_rows, _CELL[0], grid_columns, _CELL[1])
    patches = small.reshape(grid_rows, _CELL[0], grid_columns, _CELL[1])
    return ImageMeasures(
        mean=float(np.dot(histogram, np.arange(256)) / total),
        bright=bright,
        clipped=float(histogram[252:].sum() / total),
        sharpness=_sharpness(half),
        patch_mean=patches.mean(axis=(1, 3)),
        patch_texture=padded.mean(axis=(1, 3)),
        small=small,
        checksum=_checksum(half),
    )


def _sharpness(half: NDArray[np.uint8]) -> float:
    """How abruptly the strongest edges rise.

    The variance of the Laplacian alone also falls when the camera looks at a plain table; divided by the energy of the
    gradient at the same pixels it depends on the edges' width only, not on how many there are.
    """
    smooth = cv2.blur(half, (2, 2))
    gx = cv2.Sobel(smooth, cv2.CV_16S, 1, 0, ksize=1)
    gy = cv2.Sobel(smooth, cv2.CV_16S, 0, 1, ksize=1)
    gradient = np.abs(gx) + np.abs(gy)
    strong = gradient > 24
    if int(np.count_nonzero(strong)) < 150:
        weak = gradient > 10
        if int(np.count_nonzero(weak)) < 150:
            return float("nan")
        strong = weak
    energy = float(np.mean(np.square(gradient[strong], dtype=np.float32)))
    laplacian = cv2.Laplacian(smooth, cv2.CV_16S, ksize=1)
    return float(np.mean(np.square(laplacian[strong], dtype=np.float32))) / energy


def _checksum(half: NDArray[np.uint8]) -> int:
    words = half.reshape(-1)[: half.size // 8 * 8].view(np.uint64)
    weights = _weights(len(words))
    return int((words * weights).sum(dtype=np.uint64))


_WEIGHTS: dict[int, NDArray[np.uint64]] = {}


def _weights(n: int) -> NDArray[np.uint64]:
    if n not in _WEIGHTS:
        _WEIGHTS[n] = np.random.default_rng(n).integers(1, 2**63, n, dtype=np.uint64) | np.uint64(1)
    return _WEIGHTS[n]
