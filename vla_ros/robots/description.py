"""The robot's URDF: its collision primitives, and its text with the meshes' places filled in."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from vla_ros.core.errors import ConfigError
from vla_ros.core.geometry import Array, rotation_from_rpy, transform
from vla_ros.robots.values import RobotConfig

MESH_SCHEME = "rtbdata://"  # a path inside the Python package rtbdata (PyPI: rtb-data)
MUJOCO_COMPILER = {"strippath": "false", "discardvisual": "false", "fusestatic": "false", "balanceinertia": "false"}


@dataclass(frozen=True)
class LinkShape:
    """One collision primitive of a link. ``size_m``: sphere (radius,), cylinder (radius, length along z), box (x, y, z: full extents)."""

    link: str
    name: str
    kind: str  # "sphere", "cylinder", "box"
    size_m: tuple[float, ...]
    T_link_shape: Array  # [4, 4]


def mesh_folder() -> Path | None:
    """Folder that ``rtbdata://`` stands for; None where rtb-data is not installed."""
    spec = importlib.util.find_spec("rtbdata")
    return Path(spec.origin).parent if spec and spec.origin else None


def missing_meshes(config: RobotConfig) -> str:
    """Why the robot is shown without its meshes, in a sentence; empty when all are there."""
    names = sorted({m.get("filename", "") for m in _root(config).iter("mesh")})
    wanted = [name.removeprefix(MESH_SCHEME) for name in names if name.startswith(MESH_SCHEME)]
    folder = mesh_folder()
    if not wanted:
        return ""
    if folder is None:
        return (
            f"{config.name} is shown without its {len(wanted)} meshes: the Python package rtb-data is not installed (pip install rtb-data)."
        )
    absent = [name for name in wanted if not (folder / name).is_file()]
    return f"{config.name} is shown without meshes: {folder} lacks {', '.join(absent)}." if absent else ""


def resolved_urdf(config: RobotConfig, *, for_mujoco: bool = False) -> str:
    """The URDF with every mesh as a file:// URI, or without mesh visuals when ``missing_meshes`` says why.

    ``for_mujoco``: plain paths instead of URIs, and MuJoCo told to keep visuals and every fixed frame as a body of its own.
    """
    root = _root(config)
    folder = None if missing_meshes(config) else mesh_folder()
    for link in root.iter("link"):
        for visual in link.findall("visual"):
            mesh = visual.find("geometry/mesh")
            name = mesh.get("filename", "") if mesh is not None else ""
            if mesh is None or not name.startswith(MESH_SCHEME):
                continue
            if folder is None:
                link.remove(visual)
            else:
                path = folder / name.removeprefix(MESH_SCHEME)
                mesh.set("filename", str(path) if for_mujoco else path.as_uri())
    if for_mujoco:
        ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler", MUJOCO_COMPILER)
    return ElementTree.tostring(root, encoding="unicode")


def collision_shapes(config: RobotConfig) -> tuple[LinkShape, ...]:
    """Every collision primitive of the URDF, in its order. Raises ConfigError for a collision mesh."""
    shapes = []
    for link in _root(config).iter("link"):
        name = link.get("name", "")
        for i, collision in enumerate(link.findall("collision")):
            kind, size = _primitive(collision, f"{config.urdf_path}, link {name}")
            shapes.append(LinkShape(name, collision.get("name", f"{name}_{i}"), kind, size, _origin(collision)))
    return tuple(shapes)


def _root(config: RobotConfig) -> ElementTree.Element:
    try:
        return ElementTree.parse(config.urdf_path).getroot()
    except OSError as error:
        raise ConfigError(f"Cannot read {config.urdf_path}: {error.strerror}.") from error
    except ElementTree.ParseError as error:
        raise ConfigError(f"{config.urdf_path}: not valid XML: {error}.") from error


def _primitive(collision: ElementTree.Element, where: str) -> tuple[str, tuple[float, ...]]:
    geometry = collision.find("geometry")
    shape = geometry[0] if geometry is not None and len(geometry) else None
    if shape is not None and shape.tag == "box":
        return "box", tuple(_floats(shape.get("size", "")))
    if shape is not None and shape.tag == "cylinder":
        return "cylinder", (float(shape.get("radius", "")), float(shape.get("length", "")))
    if shape is not None and shape.tag == "sphere":
        return "sphere", (float(shape.get("radius", "")),)
    found = shape.tag if shape is not None else "nothing"
    raise ConfigError(f"{where}: a collision shape must be a box, cylinder or sphere, found {found}.")


def _origin(element: ElementTree.Element) -> Array:
    origin = element.find("origin")
    if origin is None:
        return np.eye(4)
    return transform(rotation_from_rpy(np.array(_floats(origin.get("rpy", "0 0 0")))), np.array(_floats(origin.get("xyz", "0 0 0"))))


def _floats(text: str) -> list[float]:
    return [float(word) for word in text.split()]
