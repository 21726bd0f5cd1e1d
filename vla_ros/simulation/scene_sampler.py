"""Places a scene's objects on the table: the same seed, the same places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.errors import ConfigError
from vla_ros.core.geometry import Array, Pose
from vla_ros.simulation.scene_config import ObjectSpec, SceneConfig

_RESTARTS = 200
_TRIES_PER_OBJECT = 60


@dataclass(frozen=True)
class PlacedObject:
    """An object with the pose of its centre in `world`."""

    key: str  # unique in the scene: "red_cube"
    spec: ObjectSpec
    pose: Pose

    @property
    def name(self) -> str:
        """What people call it: "red cube"."""
        return self.spec.name


def sample_scene(config: SceneConfig, rng: np.random.Generator) -> tuple[PlacedObject, ...]:
    """Every object of the scene at rest on the table, no two closer than the sampler's spacing.

    Depends on nothing but ``config`` and the state of ``rng``. Raises ConfigError when the region has no room for them.
    """
    for _ in range(_RESTARTS):
        positions = _try_positions(config, rng)
        if positions is not None:
            break
    else:
        raise ConfigError(
            f"{config.path}: sampler: {len(config.objects)} objects do not fit with spacing_m {config.sampler.spacing_m}; "
            "widen the region, lower the spacing or take objects away."
        )
    placed = []
    for key, spec, (x, y) in zip(config.object_keys, config.objects, positions, strict=True):
        yaw = rng.uniform(*config.sampler.yaw_range_rad) if spec.yaw_rad is None else spec.yaw_rad
        quat = np.array([0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)])
        placed.append(PlacedObject(key, spec, Pose(np.array([x, y, spec.size_m[2] / 2]), quat)))
    return tuple(placed)


def _try_positions(config: SceneConfig, rng: np.random.Generator) -> Array | None:
    """[n, 2] centres, or None when some object found no place: fixed ones first, then the widest first."""
    radii = np.array([spec.footprint_radius_m for spec in config.objects])
    positions = np.full((len(radii), 2), np.nan)
    for i, spec in enumerate(config.objects):
        if spec.position_m is not None:
            positions[i] = spec.position_m
    free = [i for i in np.argsort(-radii, kind="stable") if config.objects[i].position_m is None]
    for i in free:
        spot = _free_spot(config, rng, radii[i], positions, radii)
        if spot is None:
            return None
        positions[i] = spot
    return positions


def _free_spot(config: SceneConfig, rng: np.random.Generator, radius: float, positions: Array, radii: Array) -> Array | None:
    """[2] a centre in the region that keeps the spacing to every object placed so far."""
    region = config.sampler
    spots = rng.uniform(region.region_min_m, region.region_max_m, size=(_TRIES_PER_OBJECT, 2))
    placed = ~np.isnan(positions[:, 0])
    gaps = np.linalg.norm(spots[:, None] - positions[None, placed], axis=2) - radii[placed] - radius
    good = np.flatnonzero(np.all(gaps >= region.spacing_m, axis=1))
    return spots[good[0]] if good.size else None
