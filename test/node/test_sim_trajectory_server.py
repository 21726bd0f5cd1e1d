"""follow_joint_trajectory of the simulated arm, asked by a real client: feedback, tolerances, and how goals end."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import JointTolerance
from ros_harness import ActionPeer, Heard, Ros, wait_until

from vla_ros.core.actions import ShortTrajectory
from vla_ros.robots import load_robot_config
from vla_ros.ros.conversions.robot import joint_state_from_msg, trajectory_from_msg, trajectory_to_msg
from vla_ros.ros.interfaces import FOLLOW_JOINT_TRAJECTORY, JOINT_STATES, JOINT_TRAJECTORY, SIM_RESET
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.sim_trajectory_server import FollowJointTrajectoryServer, Progress
from vla_ros.simulation.joint_trajectory_controller import JointTrajectoryController, TrajectoryRequest

pytestmark = pytest.mark.node

ROBOT = load_robot_config("panda")
NAMES = ROBOT.arm_joints
HOME = np.array(ROBOT.home_rad)
RESULT = FollowJointTrajectory.Result
LONG_S = 30.0  # a trajectory that no test waits for


class Probe(VlaNode):
    """Serves the action for an arm that is exactly ``off_rad`` and ``off_radps`` from where it should be, in its second joint."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.controller = JointTrajectoryController(NAMES, HOME)
        self.off_rad = self.off_radps = 0.0
        self.holds = 0

    def setup(self) -> None:
        FollowJointTrajectoryServer(self, FOLLOW_JOINT_TRAJECTORY, NAMES, self.accept, self.progress, self.hold)
        self.subscribe_to(JOINT_TRAJECTORY, self.accept)

    def accept(self, message: Any) -> None:
        self.controller.accept(TrajectoryRequest(*trajectory_from_msg(message)), time.time_ns())

    def progress(self) -> Progress | None:
        now_ns = time.time_ns()
        desired = self.controller.sample(now_ns)
        values = np.stack([desired.positions, desired.velocities])
        off = np.zeros_like(values)
        off[:, 1] = self.off_rad, self.off_radps
        end_ns = self.controller.end_ns
        return Progress(now_ns, values, values - off, (now_ns - end_ns) / 1e9) if end_ns else None

    def hold(self) -> None:
        self.holds += 1
        self.controller.hold(self.controller.sample(time.time_ns()).positions)


class Bench:
    """The server, a client of it, and a publisher of the controller's topic."""

    def __init__(self, ros: Ros) -> None:
        node = ros.spin(Probe).node
        assert isinstance(node, Probe)
        self.arm = node
        peer = ros.peer()
        self.client: ActionPeer = peer.action(FOLLOW_JOINT_TRAJECTORY)
        self.topic = peer.publisher(JOINT_TRAJECTORY)

    def off(self, rad: float, radps: float = 0.0) -> None:
        self.arm.off_rad, self.arm.off_radps = rad, radps

    def ends(self, goal: Any) -> tuple[int, int, str]:
        """(status, error code, error string) of a goal."""
        return self.end_of(self.client.send(goal))

    def end_of(self, handle: Any) -> tuple[int, int, str]:
        assert handle.accepted
        status, result = self.client.result(handle)
        return status, result.error_code, result.error_string


@pytest.fixture
def bench(ros: Ros) -> Bench:
    return Bench(ros)


def motion(seconds: float, *, to: np.ndarray = HOME, names: tuple[str, ...] = NAMES) -> Any:
    zeros = np.zeros((1, len(names)))
    return trajectory_to_msg(ShortTrajectory(0, names, np.array([seconds]), to[np.newaxis, : len(names)], zeros, zeros))


def goal(seconds: float, *, goal_time_s: float = 0.0, **fields: Any) -> Any:
    message = FollowJointTrajectory.Goal(trajectory=motion(seconds), **fields)
    message.goal_time_tolerance.nanosec = round(goal_time_s * 1e9)
    return message


def limit(joint: int = 1, **values: float) -> list[Any]:
    return [JointTolerance(name=NAMES[joint], **values)]


def test_a_goal_gives_feedback_and_succeeds_at_its_end(bench: Bench) -> None:
    bench.off(0.02)
    feedback: list[Any] = []
    to = HOME + np.linspace(0.1, 0.3, len(NAMES))
    asked = FollowJointTrajectory.Goal(trajectory=motion(0.3, to=to))
    sent_s = time.monotonic()
    handle = bench.client.send(asked, feedback.append)
    assert bench.end_of(handle) == (GoalStatus.STATUS_SUCCEEDED, RESULT.SUCCESSFUL, "")
    assert time.monotonic() - sent_s > 0.25
    wait_until(lambda: len(feedback) > 3, "feedback")
    last = feedback[-1].feedback
    assert tuple(last.joint_names) == NAMES
    assert last.header.stamp.sec > 0
    desired, actual, error = (np.array(point.positions) for point in (last.desired, last.actual, last.error))
    assert (np.abs(desired - HOME) > 0.05).all()
    np.testing.assert_allclose(desired - actual, error, atol=1e-12)
    np.testing.assert_allclose(error, [0.0, 0.02, 0.0, 0.0, 0.0, 0.0, 0.0], atol=1e-9)
    assert len(last.actual.velocities) == len(NAMES)


def test_a_deviation_on_the_way_ends_the_goal_where_a_tolerance_was_given(bench: Bench) -> None:
    bench.off(0.05)
    status, code, why = bench.ends(goal(LONG_S, path_tolerance=limit(position=0.01)))
    assert (status, code) == (GoalStatus.STATUS_ABORTED, RESULT.PATH_TOLERANCE_VIOLATED)
    assert f"{NAMES[1]} is 0.05 rad off where 0.01 rad are allowed" in why
    assert bench.arm.holds == 1
    bench.off(0.0, 0.3)
    status, code, why = bench.ends(goal(LONG_S, path_tolerance=limit(velocity=0.2)))
    assert (status, code) == (GoalStatus.STATUS_ABORTED, RESULT.PATH_TOLERANCE_VIOLATED)
    assert "0.3 rad/s off" in why
    bench.off(0.05)
    assert bench.ends(goal(0.1, path_tolerance=[*limit(position=-1.0), *limit(0, position=0.01)]))[1] == RESULT.SUCCESSFUL


def test_the_end_must_be_met_within_its_tolerance_and_time(bench: Bench) -> None:
    bench.off(0.05)
    status, code, why = bench.ends(goal(0.1, goal_tolerance=limit(position=0.01), goal_time_s=0.1))
    assert (status, code) == (GoalStatus.STATUS_ABORTED, RESULT.GOAL_TOLERANCE_VIOLATED)
    assert f"{NAMES[1]} is 0.05 rad off where 0.01 rad are allowed" in why
    assert "0.1 s are allowed" in why
    assert bench.arm.holds == 1
    bench.off(0.0, 0.02)  # it has not come to rest, by the controller's own tolerance
    assert bench.ends(goal(0.1, goal_time_s=0.1))[1] == RESULT.GOAL_TOLERANCE_VIOLATED
    assert bench.ends(goal(0.1, goal_time_s=0.1, goal_tolerance=limit(velocity=-1.0)))[1] == RESULT.SUCCESSFUL
    late = bench.client.send(goal(0.1, goal_tolerance=limit(position=0.01)))
    bench.off(0.05)
    wait_until(lambda: (progress := bench.arm.progress()) and progress.since_end_s > 0.2, "the time of the last point to pass")
    bench.off(0.0)  # without a goal_time_tolerance the arm may take its time
    assert bench.end_of(late)[1] == RESULT.SUCCESSFUL


def test_what_cannot_be_followed_ends_with_the_reason_and_disturbs_nothing(bench: Bench) -> None:
    running = bench.client.send(goal(LONG_S))
    end_ns = wait_until(lambda: bench.arm.controller.end_ns, "the goal to begin")
    no_points = goal(1.0)
    no_points.trajectory.points = []
    for bad, code, words in (
        (FollowJointTrajectory.Goal(trajectory=motion(1.0, names=NAMES[:6])), RESULT.INVALID_JOINTS, f"missing {NAMES[6]}"),
        (no_points, RESULT.INVALID_GOAL, "positions at every point"),
        (goal(1.0, path_tolerance=[JointTolerance(name="panda_join1")]), RESULT.INVALID_GOAL, "Did you mean 'panda_joint1'?"),
        (goal(1.0, goal_tolerance=limit(position=-0.5)), RESULT.INVALID_GOAL, "got -0.5"),
    ):
        status, found, why = bench.ends(bad)
        assert (status, found) == (GoalStatus.STATUS_ABORTED, code)
        assert words in why
    wait_until(lambda: running.status == GoalStatus.STATUS_EXECUTING, "the word that the goal runs")
    assert bench.arm.controller.end_ns == end_ns


def test_a_newer_goal_aborts_the_one_before_and_a_cancelled_one_holds_the_arm(bench: Bench) -> None:
    first, second = bench.client.send(goal(LONG_S)), bench.client.send(goal(LONG_S))
    status, code, why = bench.end_of(first)
    assert (status, code) == (GoalStatus.STATUS_ABORTED, RESULT.INVALID_GOAL)
    assert "newer goal" in why
    assert bench.arm.holds == 0
    second.cancel_goal_async()
    assert bench.end_of(second)[0] == GoalStatus.STATUS_CANCELED
    assert bench.arm.holds == 1


def test_a_trajectory_on_the_topic_takes_over_and_the_goal_is_judged_by_it(bench: Bench) -> None:
    """As the stock controller documents it: the goal is overridden, and not aborted."""
    handle = bench.client.send(goal(LONG_S, goal_tolerance=limit(position=0.01)))
    bench.topic.publish(motion(0.1))
    assert bench.end_of(handle) == (GoalStatus.STATUS_SUCCEEDED, RESULT.SUCCESSFUL, "")


def measured(heard: list[Heard]) -> tuple[np.ndarray, np.ndarray]:
    """(rad, rad/s) of the arm's joints now."""
    state = joint_state_from_msg(heard[-1].message).select(NAMES)
    return state.positions, state.velocities


def test_the_simulated_arm_is_where_the_goal_asked_and_stops_with_it(ros: Ros) -> None:
    ros.process("sim_robot", sensor_noise="false")
    peer = ros.peer()
    client = peer.action(FOLLOW_JOINT_TRAJECTORY)
    feedback: list[Any] = []
    to = HOME + 0.05
    asked = FollowJointTrajectory.Goal(
        trajectory=motion(0.5, to=to), goal_tolerance=[JointTolerance(name=n, position=0.005) for n in NAMES]
    )
    asked.goal_time_tolerance.sec = 2
    status, result = client.result(client.send(asked, feedback.append))
    assert (status, result.error_string) == (GoalStatus.STATUS_SUCCEEDED, "")
    wait_until(lambda: feedback and np.abs(np.array(feedback[-1].feedback.actual.positions) - to).max() < 0.005, "the arm to be there")
    joints = peer.listen(JOINT_STATES, matched=True)
    cancelled = client.send(FollowJointTrajectory.Goal(trajectory=motion(4.0, to=to + 0.4)))
    wait_until(lambda: joints and (measured(joints)[0] > to + 0.05).all(), "the arm to be on its way")
    cancelled.cancel_goal_async()
    assert client.result(cancelled)[0] == GoalStatus.STATUS_CANCELED
    wait_until(lambda: np.abs(measured(joints)[1]).max() < 0.01, "the arm to stand still")
    assert (measured(joints)[0] < to + 0.3).all()
    running = client.send(FollowJointTrajectory.Goal(trajectory=motion(LONG_S, to=to)))
    assert peer.call(SIM_RESET, seed=0).success
    status, result = client.result(running)
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, RESULT.INVALID_GOAL)
    assert "reset" in result.error_string
