"""The simulated controller accepts, interpolates and refuses what a stock joint_trajectory_controller does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_ros.core.errors import MotionError
from vla_ros.simulation.joint_trajectory_controller import JointTrajectoryController, TrajectoryRequest

NAMES = ("a", "b", "c")
S = 1_000_000_000


def request(times, positions, *, start_ns=0, names=NAMES, velocities=None, accelerations=None):
    return TrajectoryRequest(start_ns, names, np.asarray(times, float), np.asarray(positions, float), velocities, accelerations)


def at_rest(rng, times, start_ns=0):
    """A random trajectory with velocities and accelerations that ends at rest."""
    shape = (len(times), 3)
    velocity, acceleration = rng.normal(size=shape), rng.normal(size=shape)
    velocity[-1] = acceleration[-1] = 0
    return request(times, rng.uniform(-1, 1, shape), start_ns=start_ns, velocities=velocity, accelerations=acceleration)


@given(seed=st.integers(0, 100_000), replaced_at_ns=st.integers(0, 3 * S), lead_ms=st.integers(1, 500))
@settings(max_examples=100, deadline=None)
def test_a_replacement_neither_jumps_nor_kicks_and_ends_at_rest(seed, replaced_at_ns, lead_ms):
    rng = np.random.default_rng(seed)
    controller = JointTrajectoryController(NAMES, np.zeros(3))
    controller.accept(at_rest(rng, [0.3, 1.0, 2.0]), 0)
    before = controller.sample(replaced_at_ns)
    new = at_rest(rng, [lead_ms / 1000, 1.0, 1.7], start_ns=replaced_at_ns or 1)
    controller.accept(new, replaced_at_ns or 1)
    after = controller.sample(replaced_at_ns)
    np.testing.assert_allclose(after.positions, before.positions, atol=1e-6)
    np.testing.assert_allclose(after.velocities, before.velocities, atol=1e-5)
    np.testing.assert_allclose(after.accelerations, before.accelerations, atol=1e-3)
    end = controller.sample(controller.end_ns)
    np.testing.assert_allclose(end.positions, new.positions[-1])
    assert not end.velocities.any()
    assert not end.accelerations.any()


@given(seed=st.integers(0, 100_000))
@settings(max_examples=50, deadline=None)
def test_the_desired_motion_is_continuous_everywhere(seed):
    rng = np.random.default_rng(seed)
    controller = JointTrajectoryController(NAMES, rng.uniform(-1, 1, 3))
    controller.accept(at_rest(rng, [0.2, 0.5, 0.9]), 5 * S)
    states = [controller.sample(5 * S + ms * 1_000_000) for ms in range(1000)]
    positions = np.stack([s.positions for s in states])
    velocities = np.stack([s.velocities for s in states])
    steps = np.abs(np.diff(positions, axis=0))
    fastest = np.maximum(np.abs(velocities[1:]), np.abs(velocities[:-1])).max() + 0.5
    assert steps.max() <= fastest * 1e-3
    np.testing.assert_allclose(np.diff(positions, axis=0) * 1e3, (velocities[1:] + velocities[:-1]) / 2, atol=5e-3)


def test_points_are_met_in_any_order_of_names():
    controller = JointTrajectoryController(NAMES, np.zeros(3))
    controller.accept(request([0.5, 1.0], [[3, 1, 2], [6, 4, 5]], names=("c", "a", "b")), 10 * S)
    np.testing.assert_allclose(controller.sample(10 * S + S // 2).positions, [1, 2, 3])
    np.testing.assert_allclose(controller.sample(12 * S).positions, [4, 5, 6])


def test_positions_alone_are_joined_by_lines():
    controller = JointTrajectoryController(NAMES, np.zeros(3))
    controller.accept(request([1.0], [[1, 2, -1]]), 0)
    middle = controller.sample(S // 4)
    np.testing.assert_allclose(middle.positions, [0.25, 0.5, -0.25])
    np.testing.assert_allclose(middle.velocities, [1, 2, -1])


def test_without_a_trajectory_and_after_hold_it_stays():
    controller = JointTrajectoryController(NAMES, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(controller.sample(7 * S).positions, [1, 2, 3])
    controller.accept(request([1.0], [[2, 2, 3]]), 7 * S)
    controller.hold(controller.sample(7 * S + S // 2).positions)
    np.testing.assert_allclose(controller.sample(9 * S).positions, [1.5, 2, 3])
    assert not controller.sample(9 * S).velocities.any()


def test_a_start_in_the_past_goes_on_where_it_should_be_by_now():
    controller = JointTrajectoryController(NAMES, np.zeros(3))
    controller.accept(request([0.0, 1.0], [[0, 0, 0], [1, 1, 1]], start_ns=10 * S), 10 * S + S // 4)
    np.testing.assert_allclose(controller.sample(10 * S + S // 2).positions, 0.5)


END_FAST = np.array([[0.0, 0.0, 0.0], [0.0, 0.2, 0.0]])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (request([1.0], [[0, 0]], names=("a", "b")), ["missing c"]),
        (request([1.0], [[0, 0, 0]], names=("a", "b", "x")), ["missing c", "unknown x"]),
        (request([1.0], [[0, 0, 0]], names=("a", "b", "b")), ["missing c"]),
        (request([1.0, 1.0], np.zeros((2, 3))), ["must increase"]),
        (request([2.0, 1.0], np.zeros((2, 3))), ["must increase"]),
        (request([-1.0, 1.0], np.zeros((2, 3))), ["from 0 on"]),
        (request([1.0, float("nan")], np.zeros((2, 3))), ["finite"]),
        (request([1.0], [[0, float("nan"), 0]]), ["not finite"]),
        (request([1.0, 2.0], np.zeros((2, 3)), velocities=END_FAST), ["end at rest", "b has 0.2 rad/s"]),
        (request([1.0, 2.0], np.zeros((2, 3)), velocities=END_FAST * np.nan), ["end at rest"]),
        (request([1.0], np.zeros((2, 3))), ["2 finite numbers"]),
        (request([], np.zeros((0, 3))), ["1 or more points"]),
        (request([1.0, 2.0], np.zeros((2, 3)), velocities=np.zeros((1, 3))), ["velocities have shape"]),
        (request([1.0], np.zeros((1, 3)), start_ns=S), ["ended 3.000 s ago"]),
    ],
)
def test_what_a_stock_controller_refuses_is_refused_and_changes_nothing(bad, words):
    controller = JointTrajectoryController(NAMES, np.zeros(3))
    controller.accept(request([4.0], [[4, 4, 4]], start_ns=4 * S), 4 * S)
    before = controller.sample(5 * S).positions
    with pytest.raises(MotionError) as error:
        controller.accept(bad, 5 * S)
    for word in words:
        assert word in str(error.value)
    np.testing.assert_array_equal(controller.sample(5 * S).positions, before)
