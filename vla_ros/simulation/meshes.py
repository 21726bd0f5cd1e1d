"""Robot meshes with few faces: a CPU renders them several times faster, and at 640x480 they look the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vla_ros.core.errors import SimulationError
from vla_ros.core.geometry import Array

CELL_M = 0.013  # vertices inside one cell of this edge become one; the Panda's 38 000 faces become 11 000
CELL_FRACTION = 0.04  # of a small mesh's diagonal, where that is less: fingers keep their shape

_STL_HEADER_BYTES = 84
_STL_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stl(path: Path) -> Array:
    """[faces, 3 corners, 3] of a binary STL file, in its own unit. Raises SimulationError for anything else."""
    content = path.read_bytes()
    count = int.from_bytes(content[80:_STL_HEADER_BYTES], "little") if len(content) >= _STL_HEADER_BYTES else -1
    if len(content) != _STL_HEADER_BYTES + count * _STL_RECORD.itemsize:
        raise SimulationError(f"{path} is not a binary STL file; convert the mesh or leave the package of meshes out.")
    records = np.frombuffer(content, _STL_RECORD, count, _STL_HEADER_BYTES)
    return records["corners"].astype(float)


def simplify(triangles: Array) -> tuple[Array, Array]:
    """Vertices [n, 3] and faces [m, 3] after vertex clustering: every cell's vertices are merged at their mean."""
    corners = triangles.reshape(-1, 3)
    cell_m = min(CELL_M, CELL_FRACTION * float(np.linalg.norm(np.ptp(corners, axis=0))))
    cells = np.floor(corners / cell_m).astype(np.int64)
    _, cluster = np.unique(cells, axis=0, return_inverse=True)
    cluster = cluster.reshape(-1)
    counts = np.bincount(cluster)
    vertices = np.stack([np.bincount(cluster, corners[:, axis]) / counts for axis in range(3)], axis=1)
    faces = cluster.reshape(-1, 3)
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    turned = faces[np.arange(len(faces))[:, None], (np.argmin(faces, axis=1)[:, None] + np.arange(3)) % 3]
    return vertices, np.unique(turned, axis=0)  # the two sides of a thin wall stay two faces
