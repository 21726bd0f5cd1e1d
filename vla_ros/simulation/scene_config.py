"""Scenes as data: what stands on the table, read from ``config/scenes/<name>.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.core.resources import config_path
from vla_ros.core.things import ROUND_SHAPES
from vla_ros.core.yaml_files import all_positive, check_keys, load_yaml, number, numbers, section

COLOURS: dict[str, tuple[float, float, float]] = {  # as painted, before lighting
    "red": (0.85, 0.04, 0.04),
    "green": (0.04, 0.62, 0.10),
    "blue": (0.04, 0.16, 0.85),
    "yellow": (0.95, 0.82, 0.02),
    "orange": (0.97, 0.42, 0.01),
    "purple": (0.48, 0.06, 0.68),
    "pink": (0.98, 0.45, 0.65),
    "white": (0.95, 0.95, 0.95),
    "black": (0.04, 0.04, 0.04),
}


@dataclass(frozen=True)
class ShapeDefaults:
    """What a shape has unless the scene says otherwise."""

    size_m: tuple[float, float, float]  # full extents
    mass_kg: float


SHAPES: dict[str, ShapeDefaults] = {
    "cube": ShapeDefaults((0.045, 0.045, 0.045), 0.08),
    "box": ShapeDefaults((0.11, 0.03, 0.03), 0.09),
    "cylinder": ShapeDefaults((0.04, 0.04, 0.06), 0.07),
    "bowl": ShapeDefaults((0.14, 0.14, 0.05), 0.30),
    "plate": ShapeDefaults((0.16, 0.16, 0.012), 0.25),
}
DEFAULT_FRICTION = 1.0  # sliding, painted wood against a rubber pad; Coulomb's law with the larger of the two touching
WALL_M = {"bowl": 0.01, "plate": 0.008}  # thickness of the rim; the floor is half as thick


@dataclass(frozen=True)
class ObjectSpec:
    """One thing that can stand on the table."""

    colour: str
    shape: str
    size_m: tuple[float, float, float]  # full extents
    mass_kg: float
    friction: float
    position_m: tuple[float, float] | None = None  # x, y of its centre in `world`; None: the sampler chooses
    yaw_rad: float | None = None  # None: the sampler chooses

    @property
    def name(self) -> str:
        """What people and perception call it: "red cube"."""
        return f"{self.colour} {self.shape}"

    @property
    def rgb(self) -> tuple[float, float, float]:
        """Its paint, 0 to 1."""
        return COLOURS[self.colour]

    @property
    def footprint_radius_m(self) -> float:
        """Of the circle about its centre that holds its outline, whatever its yaw."""
        x, y, _ = self.size_m
        return max(x, y) / 2 if self.is_round else float(np.hypot(x, y)) / 2

    @property
    def is_round(self) -> bool:
        """True for what looks the same from all sides."""
        return self.shape in ROUND_SHAPES

    @property
    def is_container(self) -> bool:
        """True for what other things can lie in."""
        return self.shape in WALL_M


@dataclass(frozen=True)
class Table:
    """A slab whose top is z = 0."""

    centre_m: tuple[float, float]
    size_m: tuple[float, float, float]  # full extents
    colour_rgb: tuple[float, float, float]
    friction: float


@dataclass(frozen=True)
class Lighting:
    """Ambient light and one light from afar."""

    ambient: float  # fractions of full brightness
    diffuse: float
    direction: tuple[float, float, float]  # in which the light shines


@dataclass(frozen=True)
class Sampler:
    """Where objects without a position of their own are put."""

    region_min_m: tuple[float, float]  # of the centres, frame `world`
    region_max_m: tuple[float, float]
    spacing_m: float  # between the outlines' circles, at least
    yaw_range_rad: tuple[float, float]


@dataclass(frozen=True)
class SceneConfig:
    """A scene before its objects are placed."""

    name: str
    description: str
    table: Table
    lighting: Lighting
    sampler: Sampler
    objects: tuple[ObjectSpec, ...]
    path: Path = field(default_factory=Path)

    @property
    def object_keys(self) -> tuple[str, ...]:
        """One unique word for each object, in the order of ``objects``: "red_cube", and "red_cube_2" for the second of a kind."""
        seen: dict[str, int] = {}
        keys = []
        for spec in self.objects:
            seen[spec.name] = seen.get(spec.name, 0) + 1
            word = spec.name.replace(" ", "_")
            keys.append(word if seen[spec.name] == 1 else f"{word}_{seen[spec.name]}")
        return tuple(keys)


def load_scene(name: str) -> SceneConfig:
    """The scene ``name`` of config/scenes, or of a YAML file given by path. Raises ConfigError naming file and key."""
    path = config_path("scenes", name)
    data = load_yaml(path)
    check_keys(data, ("table", "lighting", "sampler", "objects"), ("description",), str(path))
    objects = data["objects"]
    if not isinstance(objects, list) or not objects:
        raise ConfigError(f"{path}: objects: expected a list of at least one object.")
    return SceneConfig(
        name=path.stem,
        description=str(data.get("description", "")),
        table=_table(section(data, "table", str(path)), f"{path}, table"),
        lighting=_lighting(section(data, "lighting", str(path)), f"{path}, lighting"),
        sampler=_sampler(section(data, "sampler", str(path)), f"{path}, sampler"),
        objects=tuple(_object(item, f"{path}, objects[{i}]") for i, item in enumerate(objects)),
        path=path,
    )


def _table(data: Mapping[str, Any], where: str) -> Table:
    check_keys(data, ("centre_m", "size_m", "colour_rgb", "friction"), (), where)
    cx, cy = numbers(data, "centre_m", 2, where)
    sx, sy, sz = all_positive(data, "size_m", 3, where)
    r, g, b = numbers(data, "colour_rgb", 3, where)
    return Table((cx, cy), (sx, sy, sz), (r, g, b), number(data, "friction", where, 0.01))


def _lighting(data: Mapping[str, Any], where: str) -> Lighting:
    check_keys(data, ("ambient", "diffuse", "direction"), (), where)
    x, y, z = numbers(data, "direction", 3, where)
    if not np.linalg.norm((x, y, z)) > 0:
        raise ConfigError(f"{where}: direction must not be zero.")
    return Lighting(number(data, "ambient", where, 0.0), number(data, "diffuse", where, 0.0), (x, y, z))


def _sampler(data: Mapping[str, Any], where: str) -> Sampler:
    check_keys(data, ("region_min_m", "region_max_m", "spacing_m", "yaw_range_rad"), (), where)
    x0, y0 = numbers(data, "region_min_m", 2, where)
    x1, y1 = numbers(data, "region_max_m", 2, where)
    low, high = numbers(data, "yaw_range_rad", 2, where)
    if x0 > x1 or y0 > y1:
        raise ConfigError(f"{where}: region_min_m {[x0, y0]} lies above region_max_m {[x1, y1]}.")
    if low > high:
        raise ConfigError(f"{where}: the first number of yaw_range_rad must not exceed the second, got {[low, high]}.")
    return Sampler((x0, y0), (x1, y1), number(data, "spacing_m", where, 0.0), (low, high))


def _object(data: object, where: str) -> ObjectSpec:
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected a mapping with colour and shape, got {data!r}.")
    check_keys(data, ("colour", "shape"), ("size_m", "mass_kg", "friction", "position_m", "yaw_rad"), where)
    colour, shape = data["colour"], data["shape"]
    if colour not in COLOURS:
        raise ConfigError(f"{where}: {unknown_choice('colour', colour, COLOURS)}")
    if shape not in SHAPES:
        raise ConfigError(f"{where}: {unknown_choice('shape', shape, SHAPES)}")
    defaults = SHAPES[shape]
    sx, sy, sz = all_positive(data, "size_m", 3, where) if "size_m" in data else defaults.size_m
    if shape in WALL_M and min(sx, sy) <= 4 * WALL_M[shape]:
        raise ConfigError(f"{where}: size_m: a {shape} must be wider than {4 * WALL_M[shape]} m, got {[sx, sy, sz]}.")
    position = numbers(data, "position_m", 2, where) if "position_m" in data else None
    return ObjectSpec(
        colour=colour,
        shape=shape,
        size_m=(sx, sy, sz),
        mass_kg=number(data, "mass_kg", where, 0.001) if "mass_kg" in data else defaults.mass_kg,
        friction=number(data, "friction", where, 0.0) if "friction" in data else DEFAULT_FRICTION,
        position_m=(position[0], position[1]) if position else None,
        yaw_rad=number(data, "yaw_rad", where) if "yaw_rad" in data else None,
    )
