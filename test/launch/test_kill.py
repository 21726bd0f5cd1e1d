"""kill -9 of monitor and forwarder at full speed: the arm comes to rest by itself, inside its limits.

Simulated robot, monitor and forwarder are processes; a fake expert sends one fast motion after another. What reached the controller is
recorded with the time of its arrival, and the curve that a joint_trajectory_controller makes of it is judged at 1 kHz.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from fake_world_model import FakeWorldModel
from ros_harness import Heard, NodeProcess, Peer, Ros, wait_until

from vla_ros.core.actions import ActionChunk, ActionSpace
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.resources import config_path
from vla_ros.core.robot_state import JointState
from vla_ros.core.yaml_files import load_yaml
from vla_ros.motion.interpolation import judge_samples
from vla_ros.robots import load_robot_config
from vla_ros.ros.conversions.actions import chunk_to_msg
from vla_ros.ros.conversions.robot import joint_state_from_msg, trajectory_from_msg
from vla_ros.ros.interfaces import ACTION_CHUNK, HEARTBEAT, JOINT_STATES, JOINT_TRAJECTORY, SAFETY_STATE, load_type
from vla_ros.simulation.joint_trajectory_controller import JointTrajectoryController, TrajectoryRequest

pytestmark = pytest.mark.launch

ROBOT = load_robot_config("panda")
REACH_RAD = 0.5  # of joint 1 to both sides: the TCP stays in the workspace
DT_S = 0.05
MS = 1_000_000
STOP_S = 0.5  # allowed from the kill to rest
REST_RADPS = 0.01
FULL_SPEED = 0.9  # of the fastest that the monitor lets through: half of the joint's limit


@dataclass
class Bench:
    """The simulated robot and all that is heard of it."""

    ros: Ros
    peer: Peer
    joints: list[Heard]
    trajectories: list[Heard]
    states: list[Heard]
    beats: list[Heard]
    expert: Any = None
    chunks: int = 0

    @property
    def measured(self) -> JointState:
        return joint_state_from_msg(self.joints[-1].message).select(ROBOT.arm_joints)

    def endpoints(self) -> set[bytes]:
        """Who publishes trajectories and who listens to chunks, dead or alive."""
        node = self.peer.node
        found = [*node.get_publishers_info_by_topic(JOINT_TRAJECTORY.name), *node.get_subscriptions_info_by_topic(ACTION_CHUNK.name)]
        return {bytes(info.endpoint_gid) for info in found}

    def arrivals(self, first: int) -> list[tuple[int, Any]]:
        """The trajectories from number ``first`` on, with the simulated time at which the middleware delivered them."""
        received_ns = np.array([h.received_ns for h in self.joints])
        stamps_ns = [joint_state_from_msg(h.message).stamp_ns for h in self.joints]
        return [(stamps_ns[np.searchsorted(received_ns, h.received_ns) - 1], h.message) for h in self.trajectories[first:]]

    def swing_until(self, is_reached: Callable[[], bool]) -> None:
        """The fake expert proposes until the arm gets there: what was just started, or has lost its peer, may not hear the first time."""
        for _ in range(5):
            self._propose()
            give_up_s = time.monotonic() + 4.0  # a swing takes two
            while time.monotonic() < give_up_s:
                if is_reached():
                    return
                time.sleep(0.002)
        raise AssertionError(f"the monitor says {self.states[-1].message.detail}")

    def _propose(self) -> None:
        """The arm is to turn to its other side, as fast as joint 1 may, with the wrist turning too."""
        start = self.measured
        sweep = np.zeros(7)
        sweep[0] = -np.sign(start.positions[0] or 1.0) * REACH_RAD - start.positions[0]
        sweep[6] = 0.8 * sweep[0]
        rows = round(1.875 * abs(sweep[0]) / (0.95 * 0.5 * ROBOT.limits.velocity_radps[0]) / DT_S) + 1
        s = np.linspace(0, 1, rows)[:, None]
        self.chunks += 1
        out = ActionChunk(
            seq=self.chunks,
            expert="fake_expert",
            subtask_id="",
            trace_id=f"fake-{self.chunks}",
            stamp_ns=start.stamp_ns,
            space=ActionSpace.JOINT_POSITION,
            names=ROBOT.arm_joints,
            dt_s=DT_S,
            data=start.positions + (10 * s**3 - 15 * s**4 + 6 * s**5) * sweep,
            gripper_width_m=np.full(rows, np.nan),
            input_stamps_ns={"joint_states": start.stamp_ns},
        )
        self.expert.publish(chunk_to_msg(out))


@pytest.fixture(scope="module")
def safety(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Panda's, with full speed in blind zones too: the swings are high above the table."""
    values = load_yaml(config_path("safety", "panda"))
    values["clearance"]["blind_speed"] = 1.0
    path = tmp_path_factory.mktemp("safety") / "panda.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bench(shared_ros: Ros) -> Bench:
    shared_ros.process("sim_robot", sensor_noise="false")
    shared_ros.process("tactile_perception")
    peer = shared_ros.peer("fake_expert")
    joints = peer.listen(JOINT_STATES, matched=True)
    wait_until(lambda: joints, "joint states")
    FakeWorldModel(peer)
    return Bench(shared_ros, peer, joints, peer.listen(JOINT_TRAJECTORY), peer.listen(SAFETY_STATE), peer.listen(HEARTBEAT))


@pytest.fixture
def stack(bench: Bench, safety: Path) -> Iterator[dict[str, NodeProcess]]:
    """A fresh monitor and forwarder that are ready to move the arm and are heard; those that were killed still stand in the ROS graph."""
    states, beats, known = len(bench.states), len(bench.beats), bench.endpoints()
    processes = {
        "safety_monitor": bench.ros.process("safety_monitor", use_sim_time="true", safety=str(safety)),
        "motion_forwarder": bench.ros.process("motion_forwarder", use_sim_time="true"),
    }
    bench.expert = bench.expert or bench.peer.node.create_publisher(load_type(ACTION_CHUNK.type), ACTION_CHUNK.name, 10)
    bench.chunks = 0
    wait_until(lambda: len(bench.endpoints() - known) == 2, "the forwarder's publisher and the monitor's subscription")
    wait_until(lambda: {h.message.node for h in bench.beats[beats:]} >= processes.keys(), "heartbeats of both")
    wait_until(lambda: any(h.message.mode == SafetyMode.READY for h in bench.states[states:]), "the monitor to be ready")
    yield processes
    for process in processes.values():
        process.close()


@pytest.mark.parametrize(
    "victims", [("safety_monitor",), ("motion_forwarder",), ("safety_monitor", "motion_forwarder")], ids=["monitor", "forwarder", "both"]
)
def test_the_arm_stops_by_itself_inside_its_limits(bench: Bench, stack: dict[str, NodeProcess], victims: tuple[str, ...]) -> None:
    start, first = bench.measured, len(bench.trajectories)
    fastest_radps = 0.5 * ROBOT.limits.velocity_radps[0]
    bench.swing_until(lambda: abs(bench.measured.velocities[0]) > FULL_SPEED * fastest_radps)
    for victim in victims:
        stack[victim].kill()
    killed_ns = bench.measured.stamp_ns
    rest = wait_until(lambda: resting_since(bench, killed_ns), "the arm to rest")
    assert (rest.stamp_ns - killed_ns) * 1e-9 < STOP_S
    bench_is_quiet(bench)
    arrived = bench.arrivals(first)
    assert len(arrived) > 20, "it was in full motion"
    judge_what_arrived(arrived, start)
    judge_where_it_ended(bench, arrived, start)


def resting_since(bench: Bench, since_ns: int) -> JointState | None:
    """The first joint states after ``since_ns`` at which the arm rests."""
    recent = (joint_state_from_msg(h.message).select(ROBOT.arm_joints) for h in bench.joints[-300:])
    return next((j for j in recent if j.stamp_ns > since_ns and np.abs(j.velocities).max() < REST_RADPS), None)


def bench_is_quiet(bench: Bench) -> None:
    """Nobody commands motion any more, and the arm stays where it is for half a second."""
    rest, heard, sent = bench.measured.positions, len(bench.joints), len(bench.trajectories)
    wait_until(lambda: len(bench.joints) > heard + 50, "half a second of joint states")
    np.testing.assert_allclose(bench.measured.positions, rest, atol=2e-3)
    for later in bench.trajectories[sent:]:
        assert not any(np.any(p.velocities) for p in later.message.points)


def judge_what_arrived(arrived: list[tuple[int, Any]], start: JointState) -> None:
    """Played as a joint_trajectory_controller plays it, no limit is passed: neither by the curve nor between its samples."""
    times_ns, position, velocity, acceleration = played(arrived, start.positions)
    peaks = judge_samples(position, velocity, acceleration, ROBOT.limits)
    assert peaks.worst <= 1.0, peaks
    dt_s = np.diff(times_ns)[:, None] * 1e-9
    steps = np.abs(np.diff(position, axis=0)) / dt_s / ROBOT.limits.velocity_radps
    kicks = np.abs(np.diff(velocity, axis=0)) / dt_s / ROBOT.limits.acceleration_radps2
    assert steps.max() <= 1.0
    assert kicks.max() <= 1.0
    assert np.abs(velocity).max() > FULL_SPEED * 0.5 * ROBOT.limits.velocity_radps[0]
    assert not np.any(velocity[-1])
    assert not np.any(acceleration[-1])


def played(arrived: list[tuple[int, Any]], start_rad: np.ndarray) -> tuple[np.ndarray, ...]:
    """(times [ns], position, velocity, acceleration) at 1 kHz, until one second after the last message has come to its end."""
    controller = JointTrajectoryController(ROBOT.arm_joints, start_rad)
    ends = [t for t, _ in arrived[1:]] + [arrived[-1][0] + 10**9]
    times, samples = [], []
    for (begin, message), end in zip(arrived, ends, strict=True):
        controller.accept(TrajectoryRequest(*trajectory_from_msg(message)), begin)
        for now_ns in range(begin, end, MS):
            desired = controller.sample(now_ns)
            times.append(now_ns)
            samples.append((desired.positions, desired.velocities, desired.accelerations))
    return np.array(times), *(np.array(column) for column in zip(*samples, strict=True))


def judge_where_it_ended(bench: Bench, arrived: list[tuple[int, Any]], start: JointState) -> None:
    """Every message ends at rest, and the arm stands where the last one does: on its way, not at its target."""
    for _, message in arrived:
        last = message.points[-1]
        assert not np.any(last.velocities)
        assert not np.any(last.accelerations)
    end = np.array(arrived[-1][1].points[-1].positions)
    np.testing.assert_allclose(bench.measured.positions, end, atol=0.01)
    assert 0.1 < abs(end[0] - start.positions[0]) < abs(start.positions[0]) + REACH_RAD - 0.05


def test_a_stack_that_died_can_be_started_again(bench: Bench, stack: dict[str, NodeProcess]) -> None:
    start = bench.measured.positions[0]
    bench.swing_until(lambda: bench.measured.positions[0] * np.sign(start or 1.0) < -0.95 * REACH_RAD)
    assert time.monotonic() - bench.joints[-1].monotonic_s < 1.0
