"""demo.launch.xml under the package's own launcher: what is there, who may publish what, and what is left when it ends.

The graph is started once. The tests stand in the order in which they use it: the last one ends it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from ros_harness import Heard, Peer, Ros, wait_until
from rviz_topics import topics_of

from vla_ros.cli.running_graph import NODES, RunningGraph
from vla_ros.core.outcomes import NodeState
from vla_ros.robots import load_robot_config
from vla_ros.ros.interfaces import GATED_COMMAND, HEARTBEAT, JOINT_TRAJECTORY, TOPICS

pytestmark = pytest.mark.launch

RVIZ_FILE = Path(__file__).resolve().parents[2] / "config" / "rviz" / "demo.rviz"
START_S = 60.0
END_S = 20.0  # launcher's patience with SIGINT and SIGTERM, and then some


@dataclass
class Demo:
    """The running graph."""

    graph: RunningGraph
    peer: Peer
    log: Path
    heartbeats: list[Heard]

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def processes(self) -> list[psutil.Process]:
        """The launcher and all that it has started."""
        launcher = psutil.Process(self.graph.pid)
        return [launcher, *launcher.children(recursive=True)]


@pytest.fixture(scope="module")
def demo(shared_ros: Ros, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    log = folder / "launch.log"
    arguments = {"runs": str(folder / "runs"), "pictures": "false"}
    with RunningGraph("demo", arguments, log, lambda line: None) as graph:
        peer = shared_ros.peer("fake_onlooker")
        demo = Demo(graph, peer, log, peer.listen(HEARTBEAT))
        yield demo


def test_every_node_becomes_active_and_beats(demo: Demo) -> None:
    expected = {*NODES, "recorder"}

    def missing() -> set[str]:
        demo.graph.check()
        return expected - {h.message.node for h in demo.heartbeats if h.message.lifecycle_state == NodeState.ACTIVE}

    wait_until(lambda: not missing(), f"heartbeats of {sorted(expected)}", START_S)
    assert {h.message.node for h in demo.heartbeats} == expected


def topics(peer: Peer) -> dict[str, list[str]]:
    return dict(peer.node.get_topic_names_and_types())


def test_everything_that_rviz_shows_is_there_with_its_type(demo: Demo) -> None:
    wanted = topics_of(RVIZ_FILE)
    wait_until(lambda: wanted.keys() <= topics(demo.peer).keys(), f"the topics {sorted(wanted)}")
    live = topics(demo.peer)
    assert {name: live[name] for name in wanted} == {name: [kind] for name, kind in wanted.items()}
    for name in wanted:
        wait_until(lambda n=name: demo.peer.node.count_publishers(n), f"a publisher of {name}")


def publishers(peer: Peer, name: str) -> list[str]:
    return sorted(info.node_name for info in peer.node.get_publishers_info_by_topic(name))


def test_only_the_forwarder_commands_the_controllers_and_only_the_monitor_lets_through(demo: Demo) -> None:
    robot = load_robot_config("panda")
    assert robot.controllers.joint_trajectory == JOINT_TRAJECTORY.name
    wait_until(lambda: publishers(demo.peer, f"/{JOINT_TRAJECTORY.name}"), "the forwarder's publisher")
    assert publishers(demo.peer, f"/{JOINT_TRAJECTORY.name}") == ["motion_forwarder"]
    assert publishers(demo.peer, f"/{GATED_COMMAND.name}") == ["safety_monitor"]
    for action, clients in action_clients(demo.peer).items():
        if "controller" in action:
            assert clients == ["motion_forwarder"], action


def action_clients(peer: Peer) -> dict[str, list[str]]:
    """Action -> the nodes that hold a client of it."""
    from rclpy.action import get_action_client_names_and_types_by_node

    found: dict[str, list[str]] = {}
    for node, namespace in peer.node.get_node_names_and_namespaces():
        for action, _ in get_action_client_names_and_types_by_node(peer.node, node, namespace):
            found.setdefault(action, []).append(node)
    return found


def test_each_topic_of_the_table_is_published_by_whom_the_table_names(demo: Demo) -> None:
    robot = load_robot_config("panda")
    for topic in TOPICS:
        if topic is HEARTBEAT or topic.publishers in ("any node", "people"):
            continue
        name = topic.at(camera="front", finger=next(iter(robot.tactile))).name if "{" in topic.name else topic.name
        allowed = set(topic.publishers.replace(" or driver", "").split(", "))
        found = set(wait_until(lambda n=name: publishers(demo.peer, f"/{n.lstrip('/')}"), f"a publisher of {name}"))
        assert found == allowed, name


def test_a_node_that_is_killed_is_named(demo: Demo) -> None:
    victim = next(p for p in demo.processes() if is_node(p, "world_model"))
    victim.send_signal(signal.SIGKILL)
    wait_until(lambda: "'world_model' was killed by SIGKILL" in demo.output, "a line about the killed node")
    demo.graph.check()
    seen = len(demo.heartbeats)
    wait_until(lambda: {h.message.node for h in demo.heartbeats[seen:]} >= set(NODES) - {"world_model"}, "the others to go on")


def is_node(process: psutil.Process, name: str) -> bool:
    return any(Path(word).name == name for word in process.cmdline()[:2])


def in_domain(domain: str) -> list[psutil.Process]:
    """All other processes of this machine that live in a ROS domain."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("ROS_DOMAIN_ID") == domain:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_ctrl_c_leaves_no_process_behind(demo: Demo) -> None:
    domain = os.environ["ROS_DOMAIN_ID"]
    processes = demo.processes()
    assert len(processes) > len(NODES)
    assert {p.pid for p in processes} <= {p.pid for p in in_domain(domain)}
    launcher: Any = processes[0]
    launcher.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(processes, timeout=END_S)
    assert alive == []
    assert in_domain(domain) == []
    assert "Traceback" not in demo.output, demo.output[-3000:]
    for name in NODES:
        assert f"'{name}' failed" not in demo.output
