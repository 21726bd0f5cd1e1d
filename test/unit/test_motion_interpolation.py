"""The curve between a trajectory's points is the one a stock joint_trajectory_controller makes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_ros.core.errors import MotionError
from vla_ros.motion.interpolation import JointSpline, judge


def test_positions_alone_make_lines():
    spline = JointSpline([0.0, 1.0, 3.0], [[0.0], [2.0], [2.0]])
    assert [float(x[0]) for x in spline.sample(0.25)] == [0.5, 2.0, 0.0]
    assert float(spline.sample(2.0)[1][0]) == 0.0


def test_velocities_make_cubics_that_meet_them():
    spline = JointSpline([0.0, 0.5], [[0.0], [1.0]], [[0.3], [-0.2]])
    p, v, _ = spline.sample_many([0.0, 0.499999999])
    assert p[:, 0] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert v[:, 0] == pytest.approx([0.3, -0.2], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=6, max_size=6), st.floats(0.01, 2.0))
def test_a_quintic_is_reproduced_exactly(coefficients, duration):
    """Six conditions fix a quintic: sampling one at two points gives the whole of it back, derivatives too."""
    poly = np.polynomial.Polynomial(coefficients)
    first, second = poly.deriv(), poly.deriv(2)
    ends = np.array([0.0, duration])
    spline = JointSpline(ends, poly(ends)[:, None], first(ends)[:, None], second(ends)[:, None])
    t = np.linspace(0, duration, 20, endpoint=False)
    p, v, a = spline.sample_many(t)
    assert np.allclose(p[:, 0], poly(t), atol=1e-9)
    assert np.allclose(v[:, 0], first(t), atol=1e-8)
    assert np.allclose(a[:, 0], second(t), atol=1e-6)


def test_outside_it_rests_before_and_keeps_the_last_point_after():
    spline = JointSpline([1.0, 2.0], [[1.0], [2.0]], [[0.5], [0.0]], [[0.0], [0.0]])
    assert [float(x[0]) for x in spline.sample(0.0)] == [1.0, 0.0, 0.0]
    assert [float(x[0]) for x in spline.sample(9.0)] == [2.0, 0.0, 0.0]
    p, v, a = spline.sample_many([0.0, 9.0])
    assert p[:, 0].tolist() == [1.0, 2.0]
    assert not v.any()
    assert not a.any()


def test_one_and_many_samples_agree():
    rng = np.random.default_rng(3)
    spline = JointSpline(np.cumsum(rng.uniform(0.01, 0.1, 9)), *rng.normal(size=(3, 9, 7)))
    times = rng.uniform(-0.1, 1.0, 40)
    many = spline.sample_many(times)
    for k, t in enumerate(times):
        for one, array in zip(spline.sample(t), many, strict=True):
            assert np.allclose(one, array[k], atol=1e-9)


def test_a_single_point_is_held():
    spline = JointSpline([0.0], [[0.7, 0.1]])
    assert spline.duration_s == 0.0
    assert spline.sample(3.0)[0].tolist() == [0.7, 0.1]
    assert spline.sample_many([-1.0, 0.0, 3.0])[0].tolist() == [[0.7, 0.1]] * 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([0.0, 0.0], [[0.0], [1.0]]), "must increase"),
        (([0.0], [[0.0], [1.0]]), "as many times"),
        (([0.0, 1.0], [[0.0], [np.nan]]), "not finite"),
        (([0.0, 1.0], [[0.0], [1.0]], [[0.0]]), "must agree"),
        (([0.0, 1.0], [[0.0], [1.0]], None, [[0.0], [0.0]]), "needs velocities"),
        (([], np.zeros((0, 7))), "at least one point"),
    ],
)
def test_trajectories_that_mean_nothing_are_refused(arguments, says):
    with pytest.raises(MotionError, match=says):
        JointSpline(*arguments)


def test_judge_sees_a_peak_between_the_points():
    limits = SimpleNamespace(
        position_min_rad=np.array([-1.0]),
        position_max_rad=np.array([1.0]),
        velocity_radps=np.array([1.0]),
        acceleration_radps2=np.array([10.0]),
    )
    spline = JointSpline([0.0, 1.0], [[0.0], [0.9]], [[0.0], [0.0]], [[0.0], [0.0]])
    peaks = judge(spline, limits)
    assert peaks.position == pytest.approx(0.9)
    assert peaks.velocity == pytest.approx(0.9 * 1.875, rel=1e-3)  # a rest-to-rest quintic peaks at 15/8 of its mean speed
    assert peaks.worst == peaks.velocity
