"""What an RViz2 configuration subscribes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# Display -> the message it shows and the property that holds its topic. Displays with "" have no topic of their own.
DISPLAYS = {
    "rviz_default_plugins/Grid": ("", ""),
    "rviz_default_plugins/TF": ("", ""),
    "rviz_default_plugins/RobotModel": ("std_msgs/msg/String", "Description Topic"),
    "rviz_default_plugins/Image": ("sensor_msgs/msg/Image", "Topic"),
    "rviz_default_plugins/Camera": ("sensor_msgs/msg/Image", "Topic"),
    "rviz_default_plugins/PointCloud2": ("sensor_msgs/msg/PointCloud2", "Topic"),
    "rviz_default_plugins/Marker": ("visualization_msgs/msg/Marker", "Topic"),
    "rviz_default_plugins/MarkerArray": ("visualization_msgs/msg/MarkerArray", "Topic"),
}
GROUP = "rviz_common/Group"


@dataclass(frozen=True)
class Subscription:
    """One display's subscription, as the file describes it."""

    display: str  # its name in the file
    topic: str
    type: str
    reliable: bool
    transient_local: bool


def load(rviz_file: Path) -> dict[str, Any]:
    """The file's content."""
    content = yaml.safe_load(rviz_file.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def subscriptions(rviz_file: Path) -> list[Subscription]:
    """One for each display with a topic, whether it is enabled or not. Raises ValueError for a display that is not in DISPLAYS."""
    return [s for display in _displays(load(rviz_file)["Visualization Manager"]["Displays"]) for s in _subscriptions(display)]


def topics_of(rviz_file: Path) -> dict[str, str]:
    """Topic -> message type of everything that the configuration shows."""
    return {s.topic: s.type for s in subscriptions(rviz_file)}


def _displays(displays: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for display in displays:
        if display["Class"] == GROUP:
            yield from _displays(display["Displays"])
        else:
            yield display


def _subscriptions(display: dict[str, Any]) -> Iterator[Subscription]:
    if display["Class"] not in DISPLAYS:
        raise ValueError(f"The display '{display['Name']}' is a {display['Class']}, of which it is not known what it shows.")
    kind, key = DISPLAYS[display["Class"]]
    if not kind:
        return
    topic = display[key]
    yield Subscription(
        display["Name"],
        topic["Value"],
        kind,
        reliable={"Reliable": True, "Best Effort": False}[topic["Reliability Policy"]],
        transient_local={"Transient Local": True, "Volatile": False}[topic["Durability Policy"]],
    )
