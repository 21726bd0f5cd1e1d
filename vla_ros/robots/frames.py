"""The tree of the URDF's links: which is fixed to which, for /tf and /tf_static."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from vla_ros.robots.values import RobotConfig


@dataclass(frozen=True)
class LinkEdge:
    """One joint of the URDF, as the two links that it connects."""

    parent: str
    child: str
    is_fixed: bool


def link_tree(config: RobotConfig) -> tuple[LinkEdge, ...]:
    """Every joint of the URDF as an edge between links, in the file's order."""
    joints = ElementTree.parse(config.urdf_path).getroot().iter("joint")
    return tuple(
        LinkEdge(joint.find("parent").get("link", ""), joint.find("child").get("link", ""), joint.get("type") == "fixed")  # type: ignore[union-attr]
        for joint in joints
        if joint.find("parent") is not None
    )
