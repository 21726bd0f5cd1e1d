"""Numbers that say how good an image is, from a half-size grey picture of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array

GRID = (6, 8)  # rows and columns of the patches that are watched for dirt
_CELL = (16, 16)  # size to which a patch is reduced
_LEVELS = np.arange(256, dtype=np.float32)


MIN_GRADIENT = 24  # grey levels over two pixels of the strongest edges ...
MIN_GRADIENT_SOFT = 10  # ... and of the strongest in a blurred picture
MIN_EDGE_PIXELS = 150  # with fewer, sharpness means nothing


@dataclass(frozen=True)
class ImageMeasures:
    """Grey levels 0-255. What is made of the patches is made when first asked for: dirt is looked for only now and then."""

    mean: float
    bright: float  # 99th percentile
    clipped: float  # 0-1, part of the pixels at the top of the range
    sharpness: float  # energy of the Laplacian per energy of the gradient; NaN where there is too little texture to judge
    checksum: int  # of all pixels looked at; equal for identical content
    half: NDArray[np.uint8]  # [h, w] the picture at half its size

    @cached_property
    def small(self) -> NDArray[np.int16]:
        """[96, 128] the reduced picture, for comparison with other images."""
        return cv2.resize(self.half, (GRID[1] * _CELL[1], GRID[0] * _CELL[0]), interpolation=cv2.INTER_AREA).astype(np.int16)

    @cached_property
    def patch_mean(self) -> Array:
        """GRID, mean grey level."""
        return np.asarray(self.small.reshape(GRID[0], _CELL[0], GRID[1], _CELL[1]).mean(axis=(1, 3)))

    @cached_property
    def patch_texture(self) -> Array:
        """GRID, mean absolute difference between neighbours."""
        texture = np.abs(np.diff(self.small, axis=1))
        padded = np.pad(texture, ((0, 0), (0, 1)), mode="edge")
        return np.asarray(padded.reshape(GRID[0], _CELL[0], GRID[1], _CELL[1]).mean(axis=(1, 3)))


def measure(image: NDArray[np.uint8]) -> ImageMeasures:
    """Of an RGB image [h, w, 3]. Green stands for brightness: it is the channel with the least noise and needs no conversion."""
    half = np.ascontiguousarray(image[::2, ::2, 1])
    histogram = cv2.calcHist([half[::2]], [0], None, [256], [0, 256]).ravel()
    cumulated = np.cumsum(histogram)
    total = float(cumulated[-1])
    return ImageMeasures(
        mean=float(histogram @ _LEVELS) / total,
        bright=float(np.searchsorted(cumulated, 0.99 * total)),
        clipped=float(histogram[252:].sum()) / total,
        sharpness=_sharpness(half),
        checksum=_checksum(half),
        half=half,
    )


def _sharpness(half: NDArray[np.uint8]) -> float:
    """How abruptly the strongest edges rise.

    The variance of the Laplacian alone also falls when the camera looks at a plain table; divided by the energy of the
    gradient at the same pixels it depends on the edges' width only, not on how many there are.
    """
    smooth = cv2.blur(half, (2, 2))
    across = cv2.absdiff(smooth[1:-1, 2:], smooth[1:-1, :-2])
    down = cv2.absdiff(smooth[2:, 1:-1], smooth[:-2, 1:-1])
    gradient = np.add(across, down, dtype=np.int16).reshape(-1)
    strong = np.flatnonzero(gradient > MIN_GRADIENT)
    if len(strong) < MIN_EDGE_PIXELS:
        strong = np.flatnonzero(gradient > MIN_GRADIENT_SOFT)
        if len(strong) < MIN_EDGE_PIXELS:
            return float("nan")
    laplacian = cv2.Laplacian(smooth, cv2.CV_16S, ksize=1)[1:-1, 1:-1].reshape(-1)
    return _energy(laplacian.take(strong)) / _energy(gradient.take(strong))


def _energy(values: NDArray[np.int16]) -> float:
    """Sum of the squares."""
    exact = values.astype(np.float32)
    return float(exact @ exact)


def _checksum(half: NDArray[np.uint8]) -> int:
    words = half.reshape(-1)[: half.size // 8 * 8].view(np.uint64)
    weights = _weights(len(words))
    return int((words * weights).sum(dtype=np.uint64))


_WEIGHTS: dict[int, NDArray[np.uint64]] = {}


def _weights(n: int) -> NDArray[np.uint64]:
    if n not in _WEIGHTS:
        _WEIGHTS[n] = np.random.default_rng(n).integers(1, 2**63, n, dtype=np.uint64) | np.uint64(1)
    return _WEIGHTS[n]
