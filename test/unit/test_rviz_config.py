"""config/rviz/demo.rviz shows topics that exist, with displays that can show them and QoS that meets the publisher's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rviz_topics import Subscription, load, subscriptions, topics_of

from vla_ros.robots.config import load_robot_config
from vla_ros.robots.description import resolved_urdf
from vla_ros.ros.interfaces import COLOR_IMAGE, OBJECT_MARKERS, POINTS, ROBOT_DESCRIPTION, SAFETY_MARKERS, TOPICS, Topic
from vla_ros.ros.qos import durability_word, reliability_word

RVIZ_FILE = Path(__file__).resolve().parents[2] / "config" / "rviz" / "demo.rviz"
SUBSCRIPTIONS = subscriptions(RVIZ_FILE)


def absolute(topic: Topic) -> str:
    return topic.name if topic.name.startswith("/") else f"/{topic.name}"


def graph() -> dict[str, Topic]:
    """Every topic of the graph in the root namespace, for the robot's cameras and fingers."""
    robot = load_robot_config("panda")
    topics = [t.at(camera=c, finger=f) if "{" in t.name else t for t in TOPICS for c in robot.cameras for f in robot.tactile]
    return {absolute(t): t for t in topics}


@pytest.mark.parametrize("shown", SUBSCRIPTIONS, ids=lambda s: s.display)
def test_each_topic_exists_with_the_type_that_the_display_shows(shown: Subscription) -> None:
    topic = graph().get(shown.topic)
    assert topic is not None, f"{shown.display}: no topic {shown.topic} in the interface table"
    assert shown.type == topic.type


@pytest.mark.parametrize("shown", SUBSCRIPTIONS, ids=lambda s: s.display)
def test_each_subscription_asks_for_no_more_than_is_offered(shown: Subscription) -> None:
    """A reliable subscriber hears nothing from a best-effort publisher, a transient-local one nothing from a volatile one."""
    qos = graph()[shown.topic].qos
    assert not shown.reliable or reliability_word(qos) == "reliable"
    assert not shown.transient_local or durability_word(qos) == "transient_local"


@pytest.mark.parametrize("shown", SUBSCRIPTIONS, ids=lambda s: s.display)
def test_what_is_sent_once_reaches_a_late_joiner(shown: Subscription) -> None:
    if durability_word(graph()[shown.topic].qos) == "transient_local":
        assert shown.transient_local


def test_robot_camera_points_objects_and_safety_are_shown() -> None:
    wanted = (ROBOT_DESCRIPTION, COLOR_IMAGE.at(camera="front"), POINTS, OBJECT_MARKERS, SAFETY_MARKERS)
    assert topics_of(RVIZ_FILE) == {absolute(t): t.type for t in wanted}


def test_the_fixed_frame_is_one_that_the_robot_hangs_on() -> None:
    frame = load(RVIZ_FILE)["Visualization Manager"]["Global Options"]["Fixed Frame"]
    assert frame == "world"
    assert f'<link name="{frame}"' not in resolved_urdf(load_robot_config("panda"))  # state_publisher adds it above the base


def test_frames_are_off_until_wanted() -> None:
    displays = {d["Class"]: d["Enabled"] for d in load(RVIZ_FILE)["Visualization Manager"]["Displays"]}
    assert displays["rviz_default_plugins/TF"] is False
    assert displays["rviz_default_plugins/RobotModel"] is True


def test_an_unknown_display_is_named(tmp_path: Path) -> None:
    content = load(RVIZ_FILE)
    content["Visualization Manager"]["Displays"][0] |= {"Class": "somebody/Else", "Name": "Strange"}
    changed = tmp_path / "changed.rviz"
    changed.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"'Strange' is a somebody/Else"):
        subscriptions(changed)
