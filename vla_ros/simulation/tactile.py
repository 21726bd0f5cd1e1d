"""Tactile arrays: contact forces on the finger pads, shared among the taxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.errors import SimulationError, unknown_choice
from vla_ros.core.geometry import Array
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
        self._shape = (config.rows, config.cols)
        name = f"{config.link}_pad"
        try:
            self._geom = int(world.model.geom(name).id)
        except KeyError as error:
            names = [world.model.geom(i).name for i in range(world.model.ngeom)]
            raise SimulationError(f"Tactile pad '{config.finger}': {unknown_choice('shape', name, filter(None, names))}") from error

    def read(self, stamp_ns: int) -> TactileReading:
        """The forces as of the last step."""
        config = self._config
        points, forces = self._world.forces_on(self._geom)
        if not len(points):
            return TactileReading(stamp_ns, config.finger, np.zeros(self._shape), np.zeros((*self._shape, 2)))
        T_world_pad = self._world.link_pose(config.frame)
        rotation = T_world_pad[:3, :3]
        forces = forces @ rotation  # in the pad's frame
        points = (points - T_world_pad[:3, 3]) @ rotation
        forces = forces * (forces[:, 2:] < 0)  # what does not press into the face touches an edge or the back
        weights = self._weights(points[:, :2])
        normal = np.einsum("krc,k->rc", weights, -forces[:, 2])
        shear = np.einsum("krc,ki->rci", weights, forces[:, :2])
        return TactileReading(stamp_ns, config.finger, normal, shear)

    def _weights(self, points_m: Array) -> Array:
        """[k, rows, cols] bilinear shares of forces at ``points_m`` [k, 2] (x, y in the pad's frame); each sums to 1."""
        shape = np.array(self._shape)
        taxel = np.array(self._config.pad_size_m) / shape
        cells = np.clip(points_m / taxel + (shape - 1) / 2, 0, shape - 1)
        rows = np.maximum(0.0, 1 - np.abs(np.arange(shape[0]) - cells[:, :1]))
        cols = np.maximum(0.0, 1 - np.abs(np.arange(shape[1]) - cells[:, 1:]))
        shares: Array = rows[:, :, None] * cols[:, None, :]
        return shares
