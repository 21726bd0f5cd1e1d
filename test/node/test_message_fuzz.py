"""Messages that nobody would send break nothing and move nothing that must not move; a gate that cannot bear them is found out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from rclpy.serialization import deserialize_message, serialize_message

from vla_ros.cli.bench.message_fuzz import TOPICS, fuzz_topic
from vla_ros.cli.bench.message_mutation import mutant
from vla_ros.nodes import safety_monitor_inputs
from vla_ros.ros.interfaces import CAMERA_HEALTH, OBJECTS, Topic, load_type

MUTANTS = 300


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_mutants_break_nothing(topic: Topic) -> None:
    found = fuzz_topic(topic, "panda", MUTANTS, seed=9)  # of these few episodes some stand nearly still
    assert found["crashes"] == 0, found["first_crash"]
    assert found["breaches"] == 0, found["first_breach"]
    assert found["mutants"] >= MUTANTS
    assert found["unread"] > 0
    assert found["moved_rad"] > 0.1, "an arm that stands breaks nothing"


def test_a_value_that_no_conversion_refuses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety_monitor_inputs, "UNREADABLE", (RuntimeError,))
    assert fuzz_topic(CAMERA_HEALTH, "panda", 300, seed=3)["crashes"] > 0


def test_mutants_are_changed_and_the_message_is_not() -> None:
    rng = np.random.default_rng(0)
    message: Any = load_type(OBJECTS.type)(objects=[load_type("vla_ros/msg/SceneObject")(id="cube")])
    before = _read(bytes(serialize_message(message)), type(message))
    read = [_read(mutant(message, rng), type(message)) for _ in range(200)]
    assert message == before
    assert sum(m != before for m in read) > 150
    assert sum(m is not None for m in read) > 100


def _read(cdr: bytes, kind: Any) -> Any:
    try:
        return deserialize_message(cdr, kind)
    except RuntimeError:
        return None
