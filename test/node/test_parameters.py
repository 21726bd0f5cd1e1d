"""Parameters as a launch file or a command line gives them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

import rclpy
from ros_harness import Ros

from vla_ros.core.errors import ConfigError
from vla_ros.ros.parameters import declare, parameter

pytestmark = pytest.mark.node


@dataclass(frozen=True)
class Config:
    """A float with a range, and an integer."""

    speed: float = parameter(0.5, "pace", low=0.0, high=1.0)
    seed: int = parameter(0, "of the sampler")


def declared(ros: Ros, **given: str) -> Config:
    ros.init(**given)
    node = rclpy.create_node("tried")
    try:
        return declare(node, Config)
    finally:
        node.destroy_node()


@pytest.mark.parametrize(("given", "speed"), [("1", 1.0), ("0", 0.0), ("0.25", 0.25)])
def test_a_whole_number_is_taken_for_a_float(ros: Ros, given: str, speed: float) -> None:
    config = declared(ros, speed=given)
    assert config.speed == speed
    assert isinstance(config.speed, float)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"speed": "7"}, r"'speed' of tried: .*7\.0.*0\.0 to 1\.0"),
        ({"speed": "-0.5"}, r"'speed' of tried: .*-0\.5.*0\.0 to 1\.0"),
        ({"speed": "fast"}, r"'speed' of tried: .*'fast'.*'DOUBLE'.*0\.0 to 1\.0"),
        ({"speed": "true"}, r"'speed' of tried: .*'BOOL'.*'DOUBLE'"),
        ({"seed": "1.5"}, r"'seed' of tried: .*'1\.5'.*'INTEGER'"),
    ],
)
def test_a_wrong_value_is_refused_with_name_value_and_range(ros: Ros, given: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        declared(ros, **given)
