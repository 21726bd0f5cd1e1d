"""Time laws and plans: smooth, inside their limits, at rest at both ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_ros.experts.plans import MotionLimits, RampLaw, RestPlan, StoppingPlan, plan_through

LIMITS = MotionLimits(np.full(3, 0.8), np.full(3, 2.5))
rates = st.floats(0.05, 20.0)


@given(rates, rates)
def test_ramp_law_goes_from_0_to_1_inside_its_limits(max_rate, max_acceleration):
    law = RampLaw.fastest(max_rate, max_acceleration)
    t = np.linspace(-0.1, law.duration_s + 0.1, 4001)
    s = law(t)
    h = t[1] - t[0]
    assert abs(s[0]) < 1e-9
    assert abs(s[-1] - 1.0) < 1e-9
    assert np.all(np.diff(s) >= -1e-12)
    assert np.max(np.diff(s)) / h <= max_rate * 1.001
    assert np.max(np.abs(np.diff(s, 2))) / h**2 <= max_acceleration * 1.01 + 1e-3


@given(st.lists(st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3), min_size=2, max_size=6))
@settings(max_examples=50, deadline=None)
def test_plan_keeps_its_limits_and_ends_where_it_should(waypoints):
    waypoints = np.array(waypoints)
    plan = plan_through(waypoints, LIMITS)
    t = np.linspace(0.0, max(plan.duration_s, 0.01), 801)
    q = plan.positions(t)
    h = t[1]
    np.testing.assert_allclose(q[-1], waypoints[-1], atol=1e-4)
    if isinstance(plan, RestPlan):
        return
    np.testing.assert_allclose(q[0], waypoints[0], atol=1e-6)
    assert np.all(np.abs(np.diff(q, axis=0)) / h <= LIMITS.velocity_radps * 1.02)
    assert np.all(np.abs(np.diff(q, 2, axis=0)) / h**2 <= LIMITS.acceleration_radps2 * 1.05)
    assert np.max(np.abs(q[1] - q[0])) / h < 0.05  # from rest


def test_the_tcp_speed_bounds_the_duration():
    waypoints = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    slow = plan_through(waypoints, LIMITS, length_m=0.5, speed_mps=0.1)
    assert slow.duration_s >= 5.0


def test_waypoints_in_one_place_make_a_rest():
    assert plan_through(np.zeros((4, 3)), LIMITS).duration_s == 0.0


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_stopping_stays_on_the_path_and_comes_to_rest(share):
    plan = plan_through(np.array([[0.0, 0.0, 0.0], [1.0, -0.5, 0.3]]), LIMITS)
    stop = StoppingPlan(plan, share * plan.duration_s, 0.5)
    t = np.linspace(0.0, stop.duration_s + 0.2, 2001)
    q, h = stop.positions(t), t[1]
    before = t <= share * plan.duration_s
    np.testing.assert_allclose(q[before], plan.positions(t[before]), atol=1e-12)
    np.testing.assert_allclose(q[-1], q[-100], atol=1e-9)
    along = q @ np.array([1.0, -0.5, 0.3]) / 1.34
    np.testing.assert_allclose(q, along[:, None] * np.array([1.0, -0.5, 0.3]), atol=1e-9)  # the path is this line
    assert np.all(np.abs(np.diff(q, axis=0)) / h <= LIMITS.velocity_radps * 1.02)
