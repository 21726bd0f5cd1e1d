"""Tactile arrays: contact forces on the finger pads, shared among the taxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.errors import SimulationError, unknown_choice
from vla_ros.core.geometry import Array, inverse
from vla_ros.robots import TactileConfig
from vla_ros.simulation.world import World


@dataclass(frozen=True)
class TactileReading:
    """One pad at one time. Row 0 is towards the hand, columns run along the pad's y axis."""

    stamp_ns: int
    finger: str
    normal_n: Array  # [rows, cols] pressing into the pad
    shear_n: Array  # [rows, cols, 2] along the pad's x (to the tip) and y, as the pad feels it


class TactilePad:
    """The sensor of one finger. A point's force goes to the four taxels around it, as soft rubber spreads it; sums are kept."""

    def __init__(self, world: World, config: TactileConfig) -> None:
        self._world = world
        self._config = config
        name = f"{config.link}_pad"
        try:
            self._geom = int(world.model.geom(name).id)
        except KeyError as error:
            names = [world.model.geom(i).name for i in range(world.model.ngeom)]
            raise SimulationError(f"Tactile pad '{config.finger}': {unknown_choice('collision shape', name, filter(None, names))}") from error

    def read(self, stamp_ns: int) -> TactileReading:
        config = self._config
        normal = np.zeros((config.rows, config.cols))
        shear = np.zeros((config.rows, config.cols, 2))
        contacts = self._world.contacts(np.array([self._geom]))
        if contacts:
            T_pad_world = inverse(self._world.link_pose(config.frame))
        for contact in contacts:
            sign = 1.0 if contact.geom2 == self._geom else -1.0
            force = T_pad_world[:3, :3] @ (sign * contact.force_n)
            point = T_pad_world[:3, :3] @ contact.position_m + T_pad_world[:3, 3]
            if force[2] >= 0:  # not pressing into the face: an edge or the back
                continue
            weights = self._weights(point[:2])
            normal += weights * -force[2]
            shear += weights[:, :, None] * force[:2]
        return TactileReading(stamp_ns, config.finger, normal, shear)

    def _weights(self, point_m: Array) -> Array:
        """[rows, cols] bilinear shares of a force at ``point_m`` (x, y in the pad's frame); their sum is 1."""
        shape = np.array([self._config.rows, self._config.cols])
        taxel = np.array(self._config.pad_size_m) / shape
        cell = np.clip(point_m / taxel + (shape - 1) / 2, 0, shape - 1)
        rows = np.maximum(0.0, 1 - np.abs(np.arange(shape[0]) - cell[0]))
        cols = np.maximum(0.0, 1 - np.abs(np.arange(shape[1]) - cell[1]))
        return np.outer(rows, cols)
