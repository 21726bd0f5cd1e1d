"""Meshes get fewer faces and keep their shape."""

from __future__ import annotations

import numpy as np
import pytest

from vla_ros.core.errors import SimulationError
from vla_ros.simulation.meshes import CELL_M, read_stl, simplify


def sphere(n=60, radius=0.1):
    """[faces, 3, 3] of a finely divided sphere."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, n), np.linspace(0, 2 * np.pi, 2 * n), indexing="ij")
    p = radius * np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    first = np.stack([p[:-1, :-1], p[1:, :-1], p[1:, 1:]], axis=2)
    second = np.stack([p[:-1, :-1], p[1:, 1:], p[:-1, 1:]], axis=2)
    return np.concatenate([first.reshape(-1, 3, 3), second.reshape(-1, 3, 3)])


def volume(triangles):
    return float(np.einsum("ij,ij->i", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])).sum() / 6)


def test_a_sphere_stays_a_sphere_with_fewer_faces():
    fine = sphere()
    vertices, faces = simplify(fine)
    assert len(faces) < len(fine) / 3
    assert np.abs(np.linalg.norm(vertices, axis=1) - 0.1).max() < CELL_M / 2
    assert volume(vertices[faces]) == pytest.approx(volume(fine), rel=0.05)


def test_a_small_mesh_keeps_its_details():
    vertices, _ = simplify(sphere(radius=0.01))
    assert len(vertices) > 100


def test_a_binary_stl_is_read(tmp_path):
    record = np.zeros(1, np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")]))
    record["v"][0] = [[0, 0, 0], [1, 0, 0], [0, 1, 0.5]]
    path = tmp_path / "one.stl"
    path.write_bytes(bytes(80) + (1).to_bytes(4, "little") + record.tobytes())
    np.testing.assert_allclose(read_stl(path), [[[0, 0, 0], [1, 0, 0], [0, 1, 0.5]]])


@pytest.mark.parametrize("content", [b"", b"solid text\nfacet normal 0 0 1\n" * 9])
def test_anything_else_is_refused_by_name(tmp_path, content):
    path = tmp_path / "text.stl"
    path.write_bytes(content)
    with pytest.raises(SimulationError, match=r"text\.stl is not a binary STL"):
        read_stl(path)
