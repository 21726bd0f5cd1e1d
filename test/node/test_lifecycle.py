"""How a node starts, obeys its lifecycle and refuses what it cannot be started with: the state publisher as an example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import State, Transition
from ros_harness import Heard, NodeProcess, Peer, Ros, SpunNode, wait_until
from rosgraph_msgs.msg import Clock

from vla_ros.core.outcomes import EXIT_CANNOT_START
from vla_ros.nodes.state_publisher_node import StatePublisherNode
from vla_ros.robots import load_robot_config
from vla_ros.ros.conversions.robot import joint_state_to_msg
from vla_ros.ros.interfaces import CLOCK, HEARTBEAT, JOINT_STATES, ROBOT_DESCRIPTION, TF, Service
from vla_ros.ros.lifecycle import VlaNode

pytestmark = pytest.mark.node

GET_STATE = Service("state_publisher/get_state", "lifecycle_msgs/srv/GetState", "state_publisher", "")
CHANGE_STATE = Service("state_publisher/change_state", "lifecycle_msgs/srv/ChangeState", "state_publisher", "")


def state(peer: Peer) -> int:
    return peer.call(GET_STATE).current_state.id


def change(peer: Peer, transition: int) -> bool:
    return peer.call(CHANGE_STATE, transition=Transition(id=transition)).success


def feed_joints(peer: Peer) -> None:
    """Joint states at 50 Hz from now on."""
    from vla_ros.core.robot_state import JointState

    robot = load_robot_config("panda")
    names = (*robot.arm_joints, *robot.finger_joints)
    zeros = np.zeros(len(names))
    positions = np.array([*robot.home_rad, 0.02, 0.02])
    out = peer.node.create_publisher(type(joint_state_to_msg(JointState(0, names, positions, zeros, zeros))), JOINT_STATES.name, 10)

    def publish() -> None:
        stamp_ns = peer.node.get_clock().now().nanoseconds
        out.publish(joint_state_to_msg(JointState(stamp_ns, names, positions, zeros, zeros)))

    peer.node.create_timer(0.02, publish)


def beats(heard: list[Heard], lifecycle_state: int, more: int = 1) -> None:
    """Returns when ``more`` further heartbeats tell of a state."""
    seen = len(heard)
    wait_until(
        lambda: sum(h.message.lifecycle_state == lifecycle_state for h in heard[seen:]) >= more, f"a heartbeat in state {lifecycle_state}"
    )


def test_a_node_starts_itself_and_says_that_it_is_active(ros: Ros) -> None:
    peer = ros.peer()
    heartbeats, description = peer.listen(HEARTBEAT), peer.listen(ROBOT_DESCRIPTION)
    ros.spin(StatePublisherNode)
    beats(heartbeats, State.PRIMARY_STATE_ACTIVE, more=2)
    assert state(peer) == State.PRIMARY_STATE_ACTIVE
    numbers = [h.message.seq for h in heartbeats]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    wait_until(lambda: description, "the robot's description")
    assert "<robot" in description[0].message.data


def test_without_autostart_it_waits_for_transitions_and_obeys_them(ros: Ros) -> None:
    ros.init(autostart="false")
    spun: SpunNode = ros.spin(StatePublisherNode)
    peer = ros.peer()
    heartbeats, frames = peer.listen(HEARTBEAT), peer.listen(TF)
    feed_joints(peer)
    assert state(peer) == State.PRIMARY_STATE_UNCONFIGURED
    assert not change(peer, Transition.TRANSITION_ACTIVATE), "it is not configured yet"
    assert change(peer, Transition.TRANSITION_CONFIGURE)
    beats(heartbeats, State.PRIMARY_STATE_INACTIVE, more=2)
    assert frames == []
    for _ in range(2):  # and once more, after a cleanup
        assert change(peer, Transition.TRANSITION_ACTIVATE)
        before = len(frames)
        wait_until(lambda n=before: len(frames) > n + 2, "frames")
        assert change(peer, Transition.TRANSITION_DEACTIVATE)
        beats(heartbeats, State.PRIMARY_STATE_INACTIVE)
        before = len(frames)
        beats(heartbeats, State.PRIMARY_STATE_INACTIVE, more=2)
        assert len(frames) == before, "an inactive node publishes nothing"
        assert change(peer, Transition.TRANSITION_CLEANUP)
        wait_until(lambda: not peer.node.get_publishers_info_by_topic("/tf"), "the publisher to go")
        assert change(peer, Transition.TRANSITION_CONFIGURE)
        assert state(peer) == State.PRIMARY_STATE_INACTIVE
    assert change(peer, Transition.TRANSITION_INACTIVE_SHUTDOWN)
    assert state(peer) == State.PRIMARY_STATE_FINALIZED
    assert spun.spins


def test_a_process_beats_until_it_is_interrupted_and_then_ends_well(ros: Ros) -> None:
    process = ros.process("state_publisher", rate=50.0)
    heartbeats = ros.peer().listen(HEARTBEAT)
    beats(heartbeats, State.PRIMARY_STATE_ACTIVE)
    assert process.interrupt() == 0
    assert "Traceback" not in process.output


class Timekeeper(VlaNode):
    """Asks for the time only when it is asked itself."""

    def setup(self) -> None:
        self.poll_clock()


def test_a_polled_clock_tells_the_newest_time_whenever_it_is_asked(ros: Ros) -> None:
    ros.init(use_sim_time="true")
    node = ros.spin(lambda: Timekeeper("timekeeper")).node
    peer = ros.peer()
    clock = peer.node.create_publisher(Clock, CLOCK.name, 10)
    wait_until(lambda: clock.get_subscription_count() == 2, "the node and its peer to listen")
    assert node.now_ns() == 0
    for sec in (5, 9, 4):  # back, too: a simulator that was restarted
        clock.publish(Clock(clock=Time(sec=sec)))
        wait_until(lambda sec=sec: node.now_ns() == sec * 10**9, f"{sec} s")


def test_what_cannot_be_started_says_why_and_what_is_valid(ros: Ros) -> None:
    """Started side by side, because most of the time goes into starting Python."""
    wrong: list[tuple[NodeProcess, tuple[str, ...]]] = [
        (ros.process("state_publisher", rte=10.0), ("unknown parameter 'rte'", "rate", "robot", "autostart")),
        (ros.process("state_publisher", rate="fast"), ("Parameter 'rate' of state_publisher", "of /tf [Hz], 1.0 to 100.0")),
        (ros.process("state_publisher", rate=1000.0), ("Parameter 'rate' of state_publisher", "1.0 to 100.0")),
        (ros.process("state_publisher", robot="pandda"), ("cannot start", "'pandda'", "panda")),
    ]
    for process, words in wrong:
        code: Any = process.exit_code()
        said = process.output
        assert code == EXIT_CANNOT_START, said
        assert "Traceback" not in said
        assert not [word for word in words if word.lower() not in said.lower()], said
