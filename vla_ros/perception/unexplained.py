"""Where something is that belongs to no object, neither to the robot nor to what it holds: cells of a grid with points in them.

Objects take some images to be told what they are; a hand, a cable or a thing of no known shape may never be. What stands there all the
same is not to be run into. A cell with few points counts when it, or one beside it, has had some in the image before: single returns are
noise. What the robot or a thing hides is remembered for a while, until its place is seen empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from vla_ros.core.geometry import Array, transform
from vla_ros.core.scene import SceneObject
from vla_ros.core.stamps import ns_from_s
from vla_ros.perception.body import PlacedShape, covered, inside
from vla_ros.perception.depth import Deprojector, Mask
from vla_ros.perception.occlusion import Visibility
from vla_ros.perception.table import TablePlane
from vla_ros.perception.volume import Standing

_BESIDE = tuple(product((-1, 0, 1), repeat=3))
Cell = tuple[int, int, int]


@dataclass(frozen=True)
class UnexplainedConfig:
    """Lengths in m, base frame. Points are those of every second row and column."""

    cell_m: float = 0.05
    min_points: int = 8  # in two images; a rod of 1 cm has more, 1 m away
    sure_points: int = 24  # in one image
    min_height_m: float = 0.015  # above the table
    max_height_m: float = 1.0
    explained_m: float = 0.02  # beside an object's box: its own points, a little off
    forgotten_s: float = 5.0  # after which what is hidden is forgotten
    gap_s: float = 0.5  # between two images that follow each other


class Unexplained:
    """Of one camera; what lies beyond ``low_m`` and ``high_m`` [2] along x and y is out of the arm's reach."""

    def __init__(self, config: UnexplainedConfig, deprojector: Deprojector, low_m: Array, high_m: Array) -> None:
        self._config, self._deprojector = config, deprojector
        self._low_m, self._high_m = np.float32(low_m[:2, None]), np.float32(high_m[:2, None])
        self.reset()

    def reset(self) -> None:
        """Forgets all cells."""
        self._before: frozenset[Cell] = frozenset()  # with points in the last image
        self._known: dict[Cell, int] = {}  # when it was last seen
        self._stamp_ns = 0

    def update(
        self,
        standing: Standing,
        free: Mask,
        table: TablePlane,
        objects: Sequence[SceneObject],
        stamp_ns: int,
        visibility: Callable[[Array, Array, bool], Visibility],
    ) -> Array:
        """[n, 3] middles of the cells; ``free`` [points]: neither of the robot nor of what it holds."""
        c = self._config
        if not 0 <= stamp_ns - self._stamp_ns <= ns_from_s(c.gap_s):
            self._before = frozenset()
        if stamp_ns < self._stamp_ns:
            self._known = {}
        self._stamp_ns = stamp_ns
        shapes = [PlacedShape("box", thing.size_m, thing.pose.matrix()) for thing in objects]
        counts = self._counts(standing, free & ~covered(shapes, standing, self._deprojector, c.explained_m), table)
        seen = {cell for cell, count in counts.items() if count >= c.sure_points or self._was_beside(cell)}
        self._before = frozenset(counts)
        hidden = self._hidden({cell: seen_ns for cell, seen_ns in self._known.items() if cell not in seen}, shapes, visibility)
        self._known = hidden | dict.fromkeys(seen, stamp_ns)
        return self._middles(sorted(self._known))

    def _counts(self, standing: Standing, left: Mask, table: TablePlane) -> dict[Cell, int]:
        """Points in each cell that has enough of them."""
        c, (x, y, z) = self._config, standing.xyz
        height = z - np.float32(table.slope_x) * x - np.float32(table.slope_y) * y - np.float32(table.offset_m)
        near = ((standing.xyz[:2] > self._low_m) & (standing.xyz[:2] < self._high_m)).all(axis=0)
        chosen = left & near & (height > c.min_height_m) & (height < c.max_height_m)
        cells, counts = np.unique(np.floor(standing.xyz[:, chosen] / np.float32(c.cell_m)).astype(int), axis=1, return_counts=True)
        enough = counts >= c.min_points
        return {(int(i), int(j), int(k)): int(n) for (i, j, k), n in zip(cells.T[enough], counts[enough], strict=True)}

    def _was_beside(self, cell: Cell) -> bool:
        return any((cell[0] + i, cell[1] + j, cell[2] + k) in self._before for i, j, k in _BESIDE)

    def _hidden(
        self, vanished: dict[Cell, int], shapes: Sequence[PlacedShape], visibility: Callable[[Array, Array, bool], Visibility]
    ) -> dict[Cell, int]:
        """Those of the vanished cells that may still hold something: neither seen empty nor explained by now."""
        c = self._config
        size_m = np.full(3, c.cell_m)
        kept = {}
        for (cell, seen_ns), middle in zip(vanished.items(), self._middles(vanished), strict=True):
            point = middle.astype(np.float32)[:, None]
            explained = any(bool(inside(shape, point, c.explained_m + c.cell_m / 2)[0]) for shape in shapes)
            if explained or self._stamp_ns - seen_ns > ns_from_s(c.forgotten_s):
                continue
            if visibility(transform(np.eye(3), middle), size_m, False) is not Visibility.EMPTY:
                kept[cell] = seen_ns
        return kept

    def _middles(self, cells: Sequence[Cell] | dict[Cell, int]) -> Array:
        return (np.array(list(cells), dtype=float).reshape(-1, 3) + 0.5) * self._config.cell_m
