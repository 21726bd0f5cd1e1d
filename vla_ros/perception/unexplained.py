"""Where something is that belongs to no object, neither to the robot nor to what it holds: cells of a grid with points in them.

Objects take some images to be told what they are; a hand, a cable or a thing of no known shape may never be. What stands there all the
same is not to be run into. A cell counts when it, or one beside it, has had points in the image before as well: single returns are noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.core.scene import SceneObject
from vla_ros.perception.body import PlacedShape, covered
from vla_ros.perception.depth import Deprojector, Mask
from vla_ros.perception.table import TablePlane
from vla_ros.perception.volume import Standing

_BESIDE = tuple(product((-1, 0, 1), repeat=3))
Cell = tuple[int, int, int]


@dataclass(frozen=True)
class UnexplainedConfig:
    """Lengths in m, base frame."""

    cell_m: float = 0.05
    min_points: int = 8  # of every second row and column: a rod of 1 cm has more, 1 m away
    min_height_m: float = 0.015  # above the table
    explained_m: float = 0.02  # beside an object's box: its own points, a little off


class Unexplained:
    """Remembers one image."""

    def __init__(self, config: UnexplainedConfig, deprojector: Deprojector) -> None:
        self._config, self._deprojector = config, deprojector
        self._before: frozenset[Cell] = frozenset()

    def reset(self) -> None:
        """Forgets the last image."""
        self._before = frozenset()

    def update(self, standing: Standing, free: Mask, table: TablePlane, objects: Sequence[SceneObject]) -> Array:
        """[n, 3] middles of the cells; ``free`` [points]: neither of the robot nor of what it holds."""
        c = self._config
        x, y, z = standing.xyz
        high = z - np.float32(table.slope_x) * x - np.float32(table.slope_y) * y > np.float32(table.offset_m + c.min_height_m)
        shapes = [PlacedShape("box", thing.size_m, thing.pose.matrix()) for thing in objects]
        left = free & high & ~covered(shapes, standing, self._deprojector, c.explained_m)
        cells, counts = np.unique(np.floor(standing.xyz[:, left] / np.float32(c.cell_m)).astype(int), axis=1, return_counts=True)
        now = frozenset((int(i), int(j), int(k)) for i, j, k in cells.T[counts >= c.min_points])
        lasting = sorted(cell for cell in now if any((cell[0] + i, cell[1] + j, cell[2] + k) in self._before for i, j, k in _BESIDE))
        self._before = now
        return (np.array(lasting, dtype=float).reshape(-1, 3) + 0.5) * c.cell_m
