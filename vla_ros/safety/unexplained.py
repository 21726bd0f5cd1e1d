"""Cells in which perception sees something that is no known object, as boxes to keep clear of.

Of such a thing no velocity is measured. What has just come counts as coming on; what has been in one place for a while, as standing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array, transform
from vla_ros.robots import Arm
from vla_ros.robots.clearance import Solid
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.sweep_proof import Breach, NearestPair, SweepProof

STANDING, COMING = "unexplained", "unexplained, coming"  # names of the boxes
STANDS_AFTER_NS = 1_000_000_000
GAP_NS = 500_000_000  # between two scenes, or of a cell's absence, over which nothing counts as seen ever since
GROWTH_STEP_M = 0.05  # of what is kept from what comes, with the age of the image
MOST = 24  # boxes of either kind; where there would be more, they are coarser
MOST_CELLS = 1000  # perception tells of no more within the arm's reach
MANY_CELLS = 200  # are made coarser before they are looked at one by one
SMALLEST_CELL_M = 0.02

_Cell = tuple[int, int, int]
_Box = tuple[tuple[int, ...], tuple[int, ...]]  # lowest cell, and the one beyond the highest


class Unexplained:
    """What of it is near an arm. Standing and coming things are proven apart from each other, and from all that is known.

    For what is inside a margin may come as near to whatever is proven with it.
    """

    def __init__(self, arm: Arm, config: SafetyConfig, kept_m: float, until_rest_s: float) -> None:
        """``kept_m``: from what stands; ``until_rest_s``: the longest time until the arm rests."""
        self._config, self._until_rest_s = config.clearance, until_rest_s
        self.kept_m = {STANDING: kept_m, COMING: kept_m}
        self.proofs = {name: SweepProof(arm, config, capacity=MOST, own=False) for name in self.kept_m}
        self._held: tuple[Array | None, Array] = (None, np.eye(4))
        self._boxes: dict[str, list[Solid]] = {STANDING: [], COMING: []}
        self._since: dict[_Cell, tuple[int, int]] = {}  # when a cell was first and last seen
        self._updated_ns = 0
        self._known: tuple[object, ...] = ()

    def update(self, cells_m: Array, cell_m: float, seen_ns: int, now_ns: int) -> bool:
        """``cells_m`` [n, 3]: middles of cells with an edge of ``cell_m``, seen at ``seen_ns``. Whether the boxes have changed."""
        cells = np.floor(cells_m / cell_m).astype(int) if len(cells_m) else np.zeros((0, 3), dtype=int)
        while len(cells) > MANY_CELLS:
            cells, cell_m = np.unique(cells // 2, axis=0), 2 * cell_m
        standing, coming = self._by_age(cells, cell_m, now_ns)
        late_s = max(now_ns - seen_ns, 0) * 1e-9
        way_m = math.ceil(self._config.unexplained_mps * (self._until_rest_s + late_s) / GROWTH_STEP_M - 1e-6) * GROWTH_STEP_M
        kept_m = {STANDING: self.kept_m[STANDING], COMING: self.kept_m[STANDING] + way_m}
        known = (standing, coming, cell_m if len(cells) else 0.0, way_m if coming else 0.0)
        if known == self._known:
            return False
        boxes = {
            name: boxes_around(np.array(some, dtype=int).reshape(-1, 3), cell_m, kept_m[name], name)
            for name, some in ((STANDING, standing), (COMING, coming))
        }
        self._boxes, self.kept_m, self._known = boxes, kept_m, known
        self._place()
        return True

    def hold(self, size_m: Array | None, T_tcp_held: Array) -> None:
        """What the hand holds is kept clear as well."""
        self._held = (size_m, T_tcp_held)
        self._place()

    def breach(self, before: Array, rows: Array, accelerations: Array | None) -> Breach | None:
        """As SweepProof's."""
        found = (self.proofs[name].breach(before, rows, accelerations) for name in self._present())
        return next((breach for breach in found if breach), None)

    def nearest(self, posture: Array) -> NearestPair | None:
        """The nearest of it, relative to what is kept."""
        return min((self.proofs[name].nearest(posture) for name in self._present()), key=lambda breach: breach.distance_m, default=None)

    def _present(self) -> Iterable[str]:
        return (name for name, boxes in self._boxes.items() if boxes)

    def _place(self) -> None:
        for name, proof in self.proofs.items():
            proof.place(self._boxes[name], *self._held)

    def _by_age(self, cells: NDArray[np.intp], cell_m: float, now_ns: int) -> tuple[tuple[_Cell, ...], tuple[_Cell, ...]]:
        """Those that have been seen for long enough, and the others. One that comes and goes with the noise of the depth stays as old."""
        same = bool(self._known) and self._known[2] in (0.0, cell_m) and 0 <= now_ns - self._updated_ns <= GAP_NS
        old = {cell: times for cell, times in self._since.items() if now_ns - times[1] <= GAP_NS} if same else {}
        self._updated_ns = now_ns
        now: list[_Cell] = sorted((int(i), int(j), int(k)) for i, j, k in cells)
        self._since = old | {cell: (old[cell][0] if cell in old else now_ns, now_ns) for cell in now}
        standing = tuple(cell for cell in now if now_ns - self._since[cell][0] >= STANDS_AFTER_NS)
        return standing, tuple(sorted(set(now) - set(standing)))


def boxes_around(cells: NDArray[np.intp], cell_m: float, grown_m: float, name: str) -> list[Solid]:
    """Boxes that hold all ``cells`` [n, 3] of the grid, larger by ``grown_m`` on each side; at most ``MOST``."""
    boxes = _merged(cells)
    while len(boxes) > MOST:
        cells, cell_m = np.unique(cells // 2, axis=0), 2 * cell_m
        boxes = _merged(cells)
    solids = []
    for low, beyond in boxes:
        low_m, high_m = np.array(low) * cell_m - grown_m, np.array(beyond) * cell_m + grown_m
        solids.append(Solid(name, "box", high_m - low_m, transform(np.eye(3), (low_m + high_m) / 2), grown_m))
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
