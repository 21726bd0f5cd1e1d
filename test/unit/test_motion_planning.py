"""Planned motions: free of collisions, inside the limits, explained when impossible, and followed by the gate chunk by chunk."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_rig import Rig, home, panda

from vla_ros.core.actions import SafetyAction
from vla_ros.core.errors import ConfigError, MotionError
from vla_ros.core.geometry import transform
from vla_ros.motion.backend import MotionRequest, create_backend, register_backend
from vla_ros.motion.chunks import TrajectoryChunks
from vla_ros.motion.interpolation import JointSpline, judge
from vla_ros.motion.planner import CLEARANCE_M, plan_joint_path
from vla_ros.motion.timing import LimitShares, time_path
from vla_ros.robots.collision import CollisionModel, Obstacle

COLLISION = CollisionModel(panda())


def above(x, y, z=0.3):
    """A posture with the gripper pointing down at a place [m]."""
    T = panda().fk(home())
    T[:3, 3] = (x, y, z)
    return panda().ik(T, home())


LEFT, RIGHT, FRONT = above(0.5, 0.3), above(0.5, -0.3), above(0.65, 0.0)


def post(x, y, height=0.9):
    return Obstacle("post", "box", (0.06, 0.06, height), transform(np.eye(3), np.array([x, y, height / 2])))


def test_a_free_line_is_taken_as_it_is():
    path = plan_joint_path(panda(), COLLISION, LEFT, RIGHT)
    assert path == pytest.approx(np.stack([LEFT, RIGHT]))


def test_a_post_in_the_way_is_gone_around():
    obstacles = (post(0.5, 0.0, 0.45),)
    path = plan_joint_path(panda(), COLLISION, LEFT, RIGHT, obstacles, time_limit_s=20.0)
    assert len(path) > 2
    assert path[0] == pytest.approx(LEFT)
    assert path[-1] == pytest.approx(RIGHT)
    for a, b in pairwise(path):
        for share in np.linspace(0, 1, 20):
            assert not COLLISION.in_collision(a + share * (b - a), obstacles, CLEARANCE_M * 0.5)


def test_a_pose_is_reached():
    T = panda().fk(home())
    T[:3, 3] += [0.1, 0.15, -0.2]
    path = plan_joint_path(panda(), COLLISION, home(), T)
    assert panda().fk(path[-1]) == pytest.approx(T, abs=2e-3)


@pytest.mark.parametrize(
    ("goal", "says"),
    [
        (np.zeros(6), r"7 finite joint positions"),
        (np.full(7, np.nan), r"finite"),
        (home() + np.array([0, 0, 0, 3.0, 0, 0, 0]), r"goal has panda_joint4 at 0.644 rad"),
        (home() + np.array([1.5, 0, 0, 0, 0, 0, 0]), r"outside the workspace"),
    ],
)
def test_goals_that_cannot_be_are_explained(goal, says):
    with pytest.raises(MotionError, match=says):
        plan_joint_path(panda(), COLLISION, home(), goal)


def test_a_pose_out_of_reach_is_an_error_of_motion():
    with pytest.raises(MotionError):
        plan_joint_path(panda(), COLLISION, home(), transform(np.eye(3), np.array([3.0, 0.0, 0.5])))


def test_a_start_in_collision_names_the_pair():
    tcp = panda().fk(home())[:3, 3]
    with pytest.raises(MotionError, match=r"In the start panda_\w+ touches post"):
        plan_joint_path(panda(), COLLISION, home(), LEFT, (post(tcp[0], tcp[1]),))


@pytest.mark.parametrize("gap_m", [0.003, 0.008])
def test_an_arm_that_stands_near_a_thing_may_leave_it(gap_m):
    tcp = panda().fk(home())[:3, 3]
    top_m = 0.02
    while COLLISION.min_distance(home(), (post(tcp[0], tcp[1], top_m),))[0] > gap_m:
        top_m += 0.0005
    path = plan_joint_path(panda(), COLLISION, home(), LEFT, (post(tcp[0], tcp[1], top_m),))
    assert path[-1] == pytest.approx(LEFT)


def test_no_path_in_the_time_is_said(monkeypatch):
    wall = Obstacle("wall", "box", (3.0, 0.04, 3.0), transform(np.eye(3), np.array([1.75, 0.0, 1.0])))
    with pytest.raises(MotionError, match=r"No free path to the goal was found within 0\.4 s"):
        plan_joint_path(panda(), COLLISION, LEFT, RIGHT, (wall,), time_limit_s=0.4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0.05, 0.9))
def test_a_timed_path_keeps_its_shares_of_the_limits(seed, segments, share):
    rng = np.random.default_rng(seed)
    waypoints = home() + np.cumsum(rng.normal(size=(segments + 1, 7)) * 0.15, axis=0)
    trajectory = time_path(waypoints, panda().config.limits, LimitShares(share, share, share))
    spline = JointSpline(trajectory.times_s, trajectory.positions, trajectory.velocities, trajectory.accelerations)
    assert np.abs(trajectory.velocities / panda().config.limits.velocity_radps).max() <= share * (1 + 1e-6)
    assert np.abs(trajectory.accelerations / panda().config.limits.acceleration_radps2).max() <= share * (1 + 1e-6)
    assert judge(spline, panda().config.limits).velocity <= share * 1.25
    assert trajectory.positions[0] == pytest.approx(waypoints[0])
    assert trajectory.positions[-1] == pytest.approx(waypoints[-1])
    assert not trajectory.velocities[-1].any()
    for waypoint in waypoints:
        assert np.abs(trajectory.positions - waypoint).max(axis=1).min() < 1e-9


def test_a_path_of_one_place_takes_no_time():
    assert time_path(home()[None, :], panda().config.limits).duration_s == 0.0
    assert time_path(np.stack([home(), home()]), panda().config.limits).duration_s == 0.0


def test_shares_that_mean_nothing_are_refused():
    with pytest.raises(MotionError, match="velocity limits must be above 0"):
        time_path(np.stack([home(), LEFT]), panda().config.limits, LimitShares(velocity=0.0))
    with pytest.raises(MotionError, match="finite waypoints"):
        time_path(np.full((2, 7), np.nan), panda().config.limits)


def test_backends_are_found_by_name():
    trajectory = create_backend("ompl", panda()).plan(MotionRequest(home(), LEFT))
    assert trajectory.positions[-1] == pytest.approx(LEFT)
    with pytest.raises(ConfigError, match="valid: ompl"):
        create_backend("moveit", panda())
    with pytest.raises(ConfigError, match="already a motion backend 'ompl'"):
        register_backend("ompl", lambda arm: None)


def play(trajectory, rig=None, first_seq=1):
    """Sends the chunks as the gate asks for them; returns (rig, seconds until the last row is committed)."""
    rig = rig or Rig().ready()
    chunks = TrajectoryChunks(trajectory, panda().config.arm_joints, first_seq=first_seq)
    assert rig.gate.on_chunk(chunks.first(rig.now_ns), rig.now_ns).action == SafetyAction.PASS
    for tick in range(3000):
        command = rig.step()
        following = chunks.next(rig.now_ns, command.chunk_seq, command.chunk_row)
        if following is not None:
            decision = rig.gate.on_chunk(following, rig.now_ns)
            assert decision.action == SafetyAction.PASS, decision
        if chunks.finished(command.chunk_seq, command.chunk_row):
            rig.step(60)
            return rig, tick * 0.01
    raise AssertionError("never arrived")


def test_a_long_motion_passes_the_gate_chunk_by_chunk_without_being_slowed():
    trajectory = time_path(np.stack([home(), LEFT, FRONT, RIGHT]), panda().config.limits, LimitShares(0.2, 0.1, 0.01))
    assert len(trajectory.times_s) > 80
    rig, took_s = play(trajectory)
    assert rig.command.trajectory.positions[-1] == pytest.approx(trajectory.positions[-1], abs=5e-4)
    assert took_s < trajectory.duration_s + 0.6
    assert {d.action for d in rig.decisions} == {SafetyAction.PASS}


def test_a_motion_at_the_default_shares_is_not_slowed():
    trajectory = time_path(np.stack([home(), LEFT]), panda().config.limits)
    rig, took_s = play(trajectory)
    assert {d.action for d in rig.decisions} == {SafetyAction.PASS}
    assert took_s < trajectory.duration_s + 0.6


def test_a_motion_to_where_the_arm_is_ends_at_once():
    _, took_s = play(time_path(home()[None, :], panda().config.limits))
    assert took_s < 0.3


def test_uneven_samples_are_refused():
    trajectory = time_path(np.stack([home(), LEFT]), panda().config.limits)
    uneven = trajectory.times_s.copy()
    uneven[1] += 0.01
    with pytest.raises(MotionError, match="evenly sampled"):
        TrajectoryChunks(replace(trajectory, times_s=uneven), panda().config.arm_joints)
