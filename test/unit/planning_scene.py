"""Scenes for the planning tests: a table seen from the robot, with the sizes of the shipped scenes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vla_ros.core.geometry import Pose
from vla_ros.core.scene import Scene, SceneObject

SIZES_M = {
    "cube": (0.045, 0.045, 0.045),
    "bowl": (0.14, 0.14, 0.05),
    "plate": (0.16, 0.16, 0.012),
    "cylinder": (0.04, 0.04, 0.08),
    "box": (0.04, 0.12, 0.04),
}
NOW_NS = 5_000_000_000


def thing(name: str, x: float, y: float, z: float | None = None, *, id: str = "", held: bool = False, seen_ns: int = NOW_NS) -> SceneObject:
    """An object "<colour> <shape>" that stands on the table unless ``z`` (height of its middle, m) is given."""
    colour, shape = name.rsplit(" ", 1)
    size = np.array(SIZES_M.get(shape, (0.05, 0.05, 0.05)))
    position = np.array([x, y, size[2] / 2 if z is None else z])
    return SceneObject(id or name.replace(" ", "_"), name, colour, shape, Pose(position), size, 0.95, seen_ns, held=held)


def scene(things: Iterable[SceneObject], stamp_ns: int = NOW_NS) -> Scene:
    return Scene(stamp_ns, "panda_link0", tuple(things))


def table() -> Scene:
    """Four cubes, a bowl, a plate: nothing twice."""
    return scene(
        [
            thing("red cube", 0.45, 0.10),
            thing("green cube", 0.50, -0.05),
            thing("yellow cube", 0.40, -0.20),
            thing("purple cube", 0.60, 0.20),
            thing("blue bowl", 0.55, 0.02),
            thing("white plate", 0.42, 0.25),
        ]
    )
