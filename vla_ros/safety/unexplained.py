"""Cells in which perception sees something that is no known object, as boxes to keep clear of.

Of such a thing no velocity is measured. What has just come counts as coming on; what has stood for a while, as standing.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array, transform
from vla_ros.robots.clearance import Solid

STANDING, COMING = "unexplained", "unexplained, coming"  # names of the boxes
STANDS_AFTER_NS = 1_000_000_000
MOST = 12  # boxes of either kind; where there would be more, they are coarser
MOST_CELLS = 4000  # a camera sees fewer
SMALLEST_CELL_M = 0.005

_BESIDE = tuple(product((-1, 0, 1), repeat=3))
_Cell = tuple[int, int, int]
_Box = tuple[tuple[int, ...], tuple[int, ...]]  # lowest cell, and the one beyond the highest


class Unexplained:
    """What is kept from it [m] by name; the boxes as of the last update."""

    def __init__(self, standing_m: float, coming_m: float) -> None:
        self.kept_m = {STANDING: standing_m, COMING: coming_m}
        self.solids: list[Solid] = []
        self._since: dict[_Cell, int] = {}  # when a cell was first seen, of those that have been seen ever since
        self._known: tuple[object, ...] = ((), (), 0.0)

    def update(self, cells_m: Array, cell_m: float, now_ns: int) -> bool:
        """``cells_m`` [n, 3]: middles of cells with an edge of ``cell_m``. Whether the boxes have changed."""
        cells: list[_Cell] = [(int(i), int(j), int(k)) for i, j, k in np.floor(cells_m / cell_m)] if len(cells_m) else []
        self._since = {cell: self._since.get(cell, now_ns) for cell in cells}
        standing = tuple(sorted(cell for cell in self._since if now_ns - self._oldest_beside_ns(cell) >= STANDS_AFTER_NS))
        coming = tuple(sorted(self._since.keys() - set(standing)))
        if (standing, coming, cell_m) == self._known:
            return False
        self._known = (standing, coming, cell_m)
        self.solids = [
            solid
            for name, some in ((STANDING, standing), (COMING, coming))
            for solid in boxes_around(np.array(some, dtype=int).reshape(-1, 3), cell_m, self.kept_m[name], name)
        ]
        return True

    def _oldest_beside_ns(self, cell: _Cell) -> int:
        """Of the cell and those beside it: one at the border of what stands comes and goes with the noise of the depth."""
        i, j, k = cell
        beside = ((i + a, j + b, k + c) for a, b, c in _BESIDE)
        return min(self._since[other] for other in beside if other in self._since)


def boxes_around(cells: NDArray[np.intp], cell_m: float, grown_m: float, name: str) -> list[Solid]:
    """Boxes that hold all ``cells`` [n, 3] of the grid, larger by ``grown_m`` on each side; at most ``MOST``."""
    boxes = _merged(cells)
    while len(boxes) > MOST:
        cells, cell_m = np.unique(cells // 2, axis=0), 2 * cell_m
        boxes = _merged(cells)
    solids = []
    for low, beyond in boxes:
        low_m, high_m = np.array(low) * cell_m - grown_m, np.array(beyond) * cell_m + grown_m
        solids.append(Solid(name, "box", high_m - low_m, transform(np.eye(3), (low_m + high_m) / 2)))
    return solids


def _merged(cells: NDArray[np.intp]) -> list[_Box]:
    """Rows of cells become beams, beams plates, plates blocks, where they match side by side."""
    boxes: list[_Box] = [(tuple(cell), tuple(cell + 1)) for cell in cells]
    for axis in range(3):
        boxes = _merged_along(boxes, axis)
    return boxes


def _merged_along(boxes: list[_Box], axis: int) -> list[_Box]:
    def across(box: _Box) -> tuple[tuple[int, ...], ...]:
        return tuple(end[:axis] + end[axis + 1 :] for end in box)

    merged: list[_Box] = []
    for box in sorted(boxes, key=lambda box: (across(box), box[0][axis])):
        if merged and across(merged[-1]) == across(box) and merged[-1][1][axis] == box[0][axis]:
            merged[-1] = (merged[-1][0], box[1])
        else:
            merged.append(box)
    return merged
