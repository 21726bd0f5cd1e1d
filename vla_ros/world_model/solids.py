"""A perceived object as boxes and cylinders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array, rotation_about, transform
from vla_ros.core.scene import SceneObject
from vla_ros.core.things import CONTAINERS, ROUND_SHAPES

_UP = np.array([0.0, 0.0, 1.0])
WALLS = 12  # boxes in a bowl's rim
_TURNS = tuple(rotation_about(_UP, 2 * np.pi * k / WALLS) for k in range(WALLS))


@dataclass(frozen=True)
class TwinSolid:
    """Half sizes as MuJoCo takes them: box x y z; cylinder radius, half height, 0."""

    kind: str
    half_m: Array  # [3]
    T_object_solid: Array  # [4, 4]


def kinds_of(shape: str) -> tuple[str, ...]:
    """Kinds of the solids that stand for a shape; what ``solids_of`` returns, in the same order."""
    if shape in CONTAINERS:
        return ("cylinder", *["box"] * WALLS)
    return ("cylinder",) if shape in ROUND_SHAPES else ("box",)


def solids_of(thing: SceneObject, wall_m: float, floor_m: float) -> tuple[TwinSolid, ...]:
    """The solids of one object, for its measured size."""
    x, y, z = np.asarray(thing.size_m, dtype=float) / 2
    if thing.shape in CONTAINERS:
        return _bowl(min(x, y), z, wall_m, floor_m)
    if thing.shape in ROUND_SHAPES:
        return (TwinSolid("cylinder", np.array([max(x, y), z, 0.0]), np.eye(4)),)
    return (TwinSolid("box", np.array([x, y, z]), np.eye(4)),)


def _bowl(radius: float, half_height: float, wall: float, floor: float) -> tuple[TwinSolid, ...]:
    bottom = transform(np.eye(3), np.array([0.0, 0.0, floor / 2 - half_height]))
    solids = [TwinSolid("cylinder", np.array([radius, floor / 2, 0.0]), bottom)]
    half_length = radius * np.tan(np.pi / WALLS)
    for rotation in _TURNS:
        centre = rotation @ np.array([radius - wall / 2, 0.0, 0.0])
        solids.append(TwinSolid("box", np.array([wall / 2, half_length, half_height]), transform(rotation, centre)))
    return tuple(solids)
