"""The interface table says who publishes, subscribes and serves; here it is compared with what the nodes do."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from vla_ros.robots.config import load_robot_config
from vla_ros.ros import interfaces
from vla_ros.ros.interfaces import HEARTBEAT, TOPICS, Action, Service, Topic
from vla_ros.ros.recording_profile import recorded_topics

NODES = Path(__file__).resolve().parents[2] / "vla_ros" / "nodes"
OUTSIDE = {"driver", "controller", "RViz", "people"}  # parties that are no nodes of this package
HELPERS = {"forwarder": "motion_forwarder"}  # files of a node beside its own: forwarder_move_to.py, planner_senses.py
CALLS = {
    "publish_on": "publishes",
    "subscribe_to": "subscribes",
    "Latest": "subscribes",
    "Inbox": "subscribes",
    "serve": "serves",
    "OneGoalServer": "serves",
    "FollowJointTrajectoryServer": "serves",
    "GatedTrajectoryServer": "serves",
}
TABLE = {name: entry for name, entry in vars(interfaces).items() if isinstance(entry, Topic | Service | Action)}


def node_of(path: Path) -> str:
    first = path.stem.split("_")[0]
    return path.stem.removesuffix("_node") if path.stem.endswith("_node") else HELPERS.get(first, first)


def names_in(scope: ast.AST) -> Iterator[str]:
    return (n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id in TABLE)


@cache
def done(what: str) -> dict[str, set[str]]:
    """Entry of the table -> nodes whose files do ``what`` with it; also through a loop variable or a local name."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in NODES.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        local: dict[str, list[str]] = {}
        for item in ast.walk(tree):
            if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
                local[item.targets[0].id] = list(names_in(item.value))
            if isinstance(item, ast.For) and isinstance(item.target, ast.Name):
                local[item.target.id] = list(names_in(item.iter))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and CALLS.get(getattr(call.func, "attr", getattr(call.func, "id", ""))) == what:
                used = (
                    call.args[1] if isinstance(call.func, ast.Name) else call.args[0]
                )  # Latest(node, TOPIC, ...), self.serve(SERVICE, ...)
                for name in ast.walk(used):
                    if isinstance(name, ast.Name):
                        for entry in [name.id] if name.id in TABLE else local.get(name.id, []):
                            found[entry].add(node_of(path))
    return found


def said(cell: str) -> set[str]:
    return {party for part in cell.split(", ") for party in part.split(" or ")} - OUTSIDE


@pytest.mark.parametrize("name", [n for n, e in TABLE.items() if isinstance(e, Topic)])
def test_publishers_and_subscribers_are_those_of_the_code(name: str) -> None:
    topic = TABLE[name]
    publishers, subscribers = said(topic.publishers), said(topic.subscribers)
    if not publishers & {"all", "any node"}:
        assert publishers == done("publishes").get(name, set())
    elsewhere = {"CLOCK": {"safety_monitor", "motion_forwarder"}, "TF_STATIC": {"depth_perception"}}  # by use_sim_time; by ros/tf.py
    found = done("subscribes").get(name, set()) | elsewhere.get(name, set())
    assert subscribers - {"recorder"} == found - {"recorder"}  # which takes most of what it hears as raw bytes, by its own list


def test_what_the_recorder_is_said_to_hear_is_in_the_bag() -> None:
    robot = load_robot_config("panda")
    recorded = {t.name for t in recorded_topics(robot)}
    heard = [t.name for t in TOPICS if "recorder" in said(t.subscribers) and t is not HEARTBEAT]  # it only listens for who has died
    named = {name.format(camera=camera, finger=finger) for name in heard for camera in robot.cameras for finger in robot.tactile}
    assert named - recorded == set()


@pytest.mark.parametrize("name", [n for n, e in TABLE.items() if not isinstance(e, Topic)])
def test_servers_are_those_of_the_code(name: str) -> None:
    assert said(TABLE[name].server) == done("serves").get(name, set())


def test_every_entry_has_one_name() -> None:
    names = [(type(e), e.name) for e in TABLE.values()]
    assert len(names) == len(set(names))
