"""Braking, path and tracker on their own."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_rig import SWEEP, chunk_of, home, panda, safety, smooth

from vla_ros.core.decisions import SafetyReason
from vla_ros.motion.interpolation import JointSpline
from vla_ros.safety.braking import Braking, MotionState
from vla_ros.safety.chunk_checks import Accepted
from vla_ros.safety.motion_guard import Following, MotionGuard
from vla_ros.safety.path import LOOK_S, ChunkPath, Tightest
from vla_ros.safety.surroundings import Surroundings
from vla_ros.safety.tracker import Progress, Tracker
from vla_ros.safety.workspace import Workspace

LIMITS = panda().config.limits
V, A, J = LIMITS.velocity_radps * 0.5, LIMITS.acceleration_radps2 * 0.8, LIMITS.jerk_radps3 * 0.25
TICK_S = 0.01
shares = st.lists(st.one_of(st.just(0.0), st.floats(-1, 1)), min_size=7, max_size=7).map(np.array)


@settings(max_examples=200, deadline=None)
@given(shares, shares)
def test_a_stop_from_anywhere_keeps_acceleration_and_jerk_and_ends_at_rest(velocity_share, acceleration_share):
    assert_it_stops(velocity_share * V, acceleration_share * A)


@pytest.mark.parametrize("seed", range(8))
def test_a_stop_keeps_acceleration_and_jerk_and_ends_at_rest(seed):
    """The same from a few states, quickly."""
    rng = np.random.default_rng(seed)
    share = rng.choice([1.0, 0.3, 0.01])
    assert_it_stops(share * rng.uniform(-1, 1, 7) * V, rng.choice([0.0, share]) * rng.uniform(-1, 1, 7) * A)


@pytest.mark.parametrize("steps", [0.64, 1.0, 3.5, 9.0])
@pytest.mark.parametrize("seed", range(12))
def test_a_stop_is_as_short_as_the_grid_allows_whatever_the_jerk(seed, steps):
    """``steps``: ticks in which the largest acceleration is reached; less than one for the Panda's own jerk."""
    rng, jerk = np.random.default_rng(seed), A / (steps * TICK_S)
    share = rng.choice([1.0, 0.3, 0.03])
    v, start = share * rng.uniform(-1, 1, 7) * V, rng.choice([0.0, share]) * rng.uniform(-1, 1, 7) * steps
    a = start * jerk * TICK_S
    v -= np.sign(a) * np.minimum(a**2 / jerk, V)  # so that the velocity keeps its limit on the way
    stop = assert_it_stops(v, a, jerk)
    total = -(v / (TICK_S * TICK_S * jerk) + start / 2)
    assert not all(sums_fit(stop.ticks - 1, *joint, steps) for joint in zip(start, total, strict=True))


def sums_fit(ticks, start, total, steps):
    """Whether one joint can rest within ``ticks``: between its lowest and its highest profile of accelerations."""
    k = np.arange(1, max(ticks, 1))
    high = np.minimum(np.minimum(start + k, ticks - k), steps)
    low = np.maximum(np.maximum(start - k, k - ticks), -steps)
    return abs(start) <= ticks and bool(np.all(low <= high + 1e-9)) and low.sum() - 1e-9 <= total <= high.sum() + 1e-9


def assert_it_stops(v, a, jerk=J):
    braking = Braking(V, A, jerk, TICK_S)
    stop = braking.plan(home(), v, a)
    assert np.all(np.abs(stop.accelerations) <= A * (1 + 1e-9))
    assert np.all(np.abs(np.diff(stop.accelerations, axis=0)) <= jerk * TICK_S * (1 + 1e-6))
    assert stop.ticks * TICK_S <= braking.longest_s
    gained = ((stop.accelerations[1:] + stop.accelerations[:-1]) / 2 * TICK_S).sum(axis=0)
    assert np.allclose(v + gained, 0.0, atol=1e-9)
    assert not stop.velocities[-1].any()
    assert not stop.accelerations[-1].any()
    assert stop.positions[0] == pytest.approx(home())
    if stop.ticks:
        assert_quintic_is_the_same_curve(stop)
    return stop


def assert_quintic_is_the_same_curve(stop):
    """Constant jerk between ticks: the controller's quintic has a straight acceleration between the knots."""
    times = np.arange(stop.ticks + 1) * TICK_S
    spline = JointSpline(times, stop.positions, stop.velocities, stop.accelerations)
    for share in (0.25, 0.5, 0.75):  # in the middle, positions have no part in the acceleration of a quintic
        _, _, a = spline.sample_many(times[:-1] + share * TICK_S)
        assert np.allclose(a, (1 - share) * stop.accelerations[:-1] + share * stop.accelerations[1:], atol=1e-4)


def test_a_stop_is_nearly_as_short_as_physics_allows():
    """Against the time-optimal stop v/a + a/j; the grid costs at most two ticks."""
    for joint in range(7):
        v = np.eye(7)[joint] * V
        ideal_s = V[joint] / A[joint] + A[joint] / J[joint]
        assert Braking(V, A, J, TICK_S).plan(home(), v, np.zeros(7)).ticks * TICK_S <= ideal_s + 2 * TICK_S


def test_a_still_arm_has_nothing_to_stop():
    assert Braking(V, A, J, TICK_S).plan(home(), np.zeros(7), np.zeros(7)).ticks == 0


def test_a_state_that_cannot_be_stopped_is_said_to_be_one():
    with pytest.raises(ValueError, match="no stop within"):
        Braking(V, A, J, TICK_S).plan(home(), 20 * V, np.zeros(7))


def test_a_path_goes_through_its_rows_with_continuous_derivatives():
    rows = home() + np.random.default_rng(1).normal(size=(12, 7)) * 0.05
    path = ChunkPath(rows, 0.05, V, A)
    for row in range(12):
        assert path.at(row).position == pytest.approx(rows[row])
    for row in range(1, 11):
        before, after = path.at(row - 1e-9), path.at(row + 1e-9)
        assert before.slope == pytest.approx(after.slope, abs=1e-6)
        assert before.curvature == pytest.approx(after.curvature, abs=1e-6)
    assert path.at(99).position == pytest.approx(rows[-1])
    assert path.at(-3).position == pytest.approx(rows[0])


def test_two_rows_are_a_line():
    path = ChunkPath(np.array([home(), home() + 0.1]), 0.05, V, A)
    assert path.at(0.25).position == pytest.approx(home() + 0.025)


def test_the_pace_falls_to_nothing_at_the_last_row_and_is_capped_by_the_limits():
    path = ChunkPath(smooth(20, SWEEP * 4), 0.05, V, A)
    assert path.pace_at(19.0)[0] == 0.0
    assert path.slowest_cap < 1.0
    paces = [path.pace_at(r)[0] for r in np.linspace(0, 19, 200)]
    assert max(paces) <= 1.0


def test_a_path_says_which_limit_slows_it():
    fast = ChunkPath(home() + np.linspace(0, 4, 20)[:, None] * np.eye(7)[2], 0.05, V, A)
    assert fast.tightest == Tightest(2, by_acceleration=False)
    there_and_back = np.abs(np.linspace(-0.4, 0.4, 21))[:, None]
    bent = ChunkPath(home() + there_and_back * (np.eye(7)[4] + 0.2 * np.eye(7)[0]), 0.05, V, A)
    assert bent.slowest_cap < 1.0
    assert bent.tightest == Tightest(4, by_acceleration=True)
    still = ChunkPath(np.tile(home(), (5, 1)), 0.05, V, A)
    assert still.slowest_cap == 1.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_the_tracker_keeps_every_limit_on_any_path(seed, speed):
    assert_every_limit_is_kept(seed, speed)


@pytest.mark.parametrize("speed", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_tracker_keeps_every_limit(seed, speed):
    """The same on a few paths, quickly."""
    assert_every_limit_is_kept(seed, speed)


def assert_every_limit_is_kept(seed, speed):
    rng = np.random.default_rng(seed)
    operation_a, operation_j = LIMITS.acceleration_radps2 * 0.4, LIMITS.jerk_radps3 * 0.15
    tracker = Tracker(lambda _: (-V, V), operation_a, operation_j, TICK_S)
    rows = home() + np.cumsum(rng.normal(size=(20, 7)) * rng.choice([0.001, 0.02, 0.2]), axis=0)
    path = ChunkPath(rows, float(rng.choice([0.01, 0.05, 0.2])), V, operation_a)
    state, progress = MotionState(home() + rng.normal(size=7) * 0.02, np.zeros(7), np.zeros(7)), Progress(0.0)
    for _ in range(120):
        before = state
        state, progress = tracker.advance(state, path, progress, speed)
        assert_constant_jerk(before, state)
        assert np.all(np.abs(state.velocity) <= V * 1.01)
        assert np.all(np.abs(state.acceleration) <= operation_a * (1 + 1e-9))
        assert np.all(np.abs(state.acceleration - before.acceleration) <= operation_j * TICK_S * (1 + 1e-9))
        assert 0.0 <= progress.pace <= max(speed, 1e-9)


def assert_constant_jerk(before, after):
    """From one tick to the next position, velocity and acceleration belong to one curve."""
    mean = (before.acceleration + after.acceleration) / 2
    assert after.velocity == pytest.approx(before.velocity + mean * TICK_S, abs=1e-12)
    way = before.velocity * TICK_S + (2 * before.acceleration + after.acceleration) * TICK_S**2 / 6
    assert after.position == pytest.approx(before.position + way, abs=1e-12)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_tracker_reaches_its_highest_speed_and_does_not_pass_it(sign):
    """On a path that is thrice as fast, in the direction that has the less room of two."""
    slow, fast = 0.3 * V, 0.5 * V
    a, j = LIMITS.acceleration_radps2 * 0.4, LIMITS.jerk_radps3 * 0.02
    tracker = Tracker(lambda _: (-fast, slow) if sign > 0 else (-slow, fast), a, j, TICK_S)
    path = ChunkPath(home() + sign * np.outer(np.arange(200), 0.9 * V * 0.05), 0.05, 10 * V, 100 * a)
    state, progress, reached = MotionState(home(), np.zeros(7), np.zeros(7)), Progress(0.0), np.zeros(7)
    for _ in range(300):
        state, progress = tracker.advance(state, path, progress, 1.0)
        reached = np.maximum(reached, sign * state.velocity)
    assert np.all(reached <= slow * (1 + 1e-9))
    assert np.all(reached >= 0.99 * slow)


@pytest.mark.parametrize(("lag_rad", "share"), [(0.0, 1.0), (0.01, 1.0), (0.03, 0.5), (0.05, 0.0), (0.2, 0.0)])
def test_a_path_waits_for_an_arm_that_lags_behind_it(lag_rad, share):
    tracker, path = Tracker(lambda _: (-V, V), A, J, TICK_S), ChunkPath(smooth(20, SWEEP), 0.05, V, A)
    late = MotionState(path.at(9.0).position + lag_rad * np.eye(7)[1], np.zeros(7), np.zeros(7))
    pace = 0.0
    for _ in range(200):
        pace = tracker.advance(late, path, Progress(9.0, pace), 0.8)[1].pace
    assert pace == pytest.approx(share * 0.8)


def test_at_its_last_row_a_path_stands():
    tracker, path = Tracker(lambda _: (-V, V), A, J, TICK_S), ChunkPath(smooth(20, SWEEP), 0.05, V, A)
    there = MotionState(path.rows[-1], np.zeros(7), np.zeros(7))
    for row in (19.0, 18.9999):
        assert tracker.advance(there, path, Progress(row, 0.9), 1.0)[1] == Progress(19.0, 0.0)


def test_a_path_is_settled_only_at_its_end_and_nearly_still():
    tracker, path = Tracker(lambda _: (-V, V), A, J, TICK_S), ChunkPath(smooth(20, SWEEP), 0.05, V, A)
    end, zeros, one = path.rows[-1], np.zeros(7), np.eye(7)[3]

    def settled(row=19.0, off_rad=0.0, speed_radps=0.0):
        return tracker.settled(MotionState(end + off_rad * one, zeros - speed_radps * one, zeros), path, Progress(row))

    assert settled()
    assert settled(off_rad=-1.9e-4, speed_radps=3.9e-3)
    assert not settled(row=18.99)
    assert not settled(off_rad=2.1e-4)
    assert not settled(speed_radps=4.1e-3)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("side", [-1, 1])
def test_the_way_to_the_border_of_the_workspace_is_that_to_its_nearest_side(axis, side):
    """A box around the TCP, 10 mm off on one side and more on all others."""
    tcp_m, room_m = panda().fk(home())[:3, 3], np.full((2, 3), 0.03)
    room_m[(side + 1) // 2, axis] = 0.01
    box = Mock(min_m=tcp_m - room_m[0], max_m=tcp_m + room_m[1])
    arm = Mock(config=Mock(workspace=box), fk=panda().fk, tcp_positions=panda().tcp_positions)
    for margin_m in (0.0, 0.004, 0.015):
        workspace = Workspace(arm, margin_m)
        assert workspace.inside_m(home()) == pytest.approx(0.01 - margin_m)
        assert workspace.rows_inside_m(np.array([home(), home()])) == pytest.approx([0.01 - margin_m] * 2)
        assert f"TCP {'xyz'[axis]} = {tcp_m[axis]:.3f} m" in workspace.describe(home())


@pytest.mark.parametrize(
    ("rows", "dt_s"), [(2, 0.005), (2, 0.5), (3, 0.01), (50, 0.01), (40, 0.05), (41, 0.1), (7, 0.5), (256, 0.005), (100, 0.03)]
)
def test_a_path_is_slowed_wherever_it_is_looked_at(rows, dt_s):
    path = ChunkPath(np.cumsum(np.random.default_rng(rows).random((rows, 2)) * 0.01, axis=0), dt_s, np.full(2, 1e9), np.full(2, 1e9))
    postures, velocities, apart_s = path.looks()
    assert apart_s <= LOOK_S + 1e-12
    at = np.linspace(0, rows - 1, len(postures))
    for row, posture, velocity in zip(at, postures, velocities, strict=True):
        np.testing.assert_allclose(path.at(row).position, posture, atol=1e-12)
        np.testing.assert_allclose(path.at(row).slope / dt_s, velocity, atol=1e-9)
    most = np.linspace(0.1, 0.9, len(postures))
    slowed = path.under(most)
    for segment in range(rows - 1):
        first, last = np.flatnonzero(at <= segment + 1e-9)[-1], np.flatnonzero(at >= segment + 1 - 1e-9)[0]
        lowest = most[first : last + 1].min()
        assert slowed.pace_at(segment)[0] <= lowest + 1e-12
    assert slowed.slowest_cap == pytest.approx(0.1)
    assert path.slowest_cap == 1.0  # it stays as it was


def test_an_arm_that_enters_a_path_in_motion_keeps_its_pace():
    path = ChunkPath(smooth(40, SWEEP), 0.05, V, A)
    velocity = path.at(12).slope / 0.05 * 0.7
    assert path.entry_pace(12, velocity) == pytest.approx(0.7)
    assert path.entry_pace(12, -velocity) == 0.0
    assert path.entry_pace(12, np.zeros(7)) == 0.0


def guard_along(rows) -> tuple[MotionGuard, Following]:
    """At home, with a path that nobody has judged."""
    path = ChunkPath(rows, 0.05, LIMITS.velocity_radps * 0.5, LIMITS.acceleration_radps2 * 0.4)
    accepted = Accepted(chunk_of(rows, 1), path, 0.0, False, 0.0, 0.0, 0.0, "", SafetyReason.OK)
    return MotionGuard(panda(), safety(), Surroundings(panda(), safety()), home(), 0), Following(accepted, Progress(0.0))


def test_ticks_that_are_late_are_caught_up_with_and_the_curve_is_the_same():
    ends = []
    for gaps in ([1] * 60, [1, 2, 3, 1, 1, 2] * 6):
        guard, following = guard_along(smooth(60, SWEEP))
        tick, curve = 0, {}
        for gap in gaps:
            tick += gap
            following, fault = guard.advance(tick * 10_000_000, following, 1.0)
            assert fault is None
            curve[guard.horizon.end] = guard.horizon.state
        assert tick == 60
        ends.append(curve)
    assert len(ends[1]) < len(ends[0])
    for end, state in ends[1].items():
        np.testing.assert_array_equal(np.array(list(vars(state).values())), np.array(list(vars(ends[0][end]).values())))


def test_of_ticks_that_are_caught_up_with_none_is_passed_where_the_last_one_leads_too_far():
    rows = np.linspace(home(), home() + 0.6 * np.eye(7)[6] * (LIMITS.position_max_rad[6] - home()[6]) / 0.3, 20)
    singly, doubly = (guard_along(rows) for _ in range(2))
    tick, following = 0, singly[1]
    while following is not None:
        tick += 1
        following, fault = singly[0].advance(tick * 10_000_000, following, 1.0)
        assert tick < 400
    assert fault.reason is SafetyReason.POSITION_LIMIT
    guard, following = doubly
    for early in range(1, tick - 1):
        following, _ = guard.advance(early * 10_000_000, following, 1.0)
    before = guard.horizon.state.position
    following, fault = guard.advance(tick * 10_000_000, following, 1.0)
    assert (following, fault.reason) == (None, SafetyReason.POSITION_LIMIT)
    assert guard.horizon.rest_position[6] <= singly[0].horizon.rest_position[6]
    assert np.abs(guard.horizon.rest_position - before).max() < 0.2


def amid_ticks_that_were_committed_together() -> tuple[MotionGuard, int, list[MotionState]]:
    """The guard, the time [ns] at which the soonest tick lies amid them, and what is committed from there on."""
    guard, following = guard_along(smooth(60, SWEEP))
    for tick in (*range(1, 30), 29 + safety().lookahead_ticks - 1):
        following, _ = guard.advance(tick * 10_000_000, following, 1.0)
    now_ns = (29 + safety().lookahead_ticks) * 10_000_000
    return guard, now_ns, guard.horizon.states_from(now_ns // 10_000_000 + 1)


@pytest.mark.parametrize("unsafe", [0, 1, 3, 99])
def test_a_stop_from_amid_ticks_that_were_committed_together_is_the_first_that_is_safe(unsafe):
    guard, now_ns, states = amid_ticks_that_were_committed_together()
    assert len(states) == safety().lookahead_ticks - 1
    asked = []

    def verify(stop, before):
        asked.append(before)
        return None if len(asked) > unsafe else "it touches something"

    guard._verify = verify
    guard.cut(now_ns)
    np.testing.assert_array_equal(guard.horizon.state.position, states[min(unsafe, len(states) - 1)].position)
    assert len(asked) == min(unsafe + 1, len(states) - 1)


def test_a_state_from_which_no_stop_can_be_planned_is_passed_over():
    guard, now_ns, states = amid_ticks_that_were_committed_together()
    plan, planned = guard._braking.plan, []

    def cannot_at_first(*state):
        planned.append(state)
        if len(planned) < 3:
            raise ValueError("no stop")
        return plan(*state)

    guard._braking.plan = cannot_at_first
    guard.cut(now_ns)
    np.testing.assert_array_equal(guard.horizon.state.position, states[2].position)


def test_ticks_that_were_committed_one_by_one_are_cut_at_once_whatever_has_come_near():
    guard, following = guard_along(smooth(60, SWEEP))
    for tick in range(1, 30):
        following, _ = guard.advance(tick * 10_000_000, following, 1.0)
    guard._verify = lambda stop, before: "it touches something"
    guard.cut(29 * 10_000_000)
    assert guard.horizon.end == 30


def test_an_arm_that_brakes_already_keeps_to_the_stop_that_was_verified():
    guard, following = guard_along(smooth(30, 3 * SWEEP))
    for tick in range(1, 70):
        following, _ = guard.advance(tick * 10_000_000, following, 1.0)
    for tick in range(70, 79):  # held: the stop is followed
        guard.advance(tick * 10_000_000, None, 1.0)
    assert guard.horizon.stop_tick < 80 < guard.horizon.end
    committed = guard.horizon.rows_from(79)
    guard.cut(78 * 10_000_000)
    np.testing.assert_array_equal(guard.horizon.rows_from(79), committed)


def pushed_past_the_door(target, reason):
    """A guard that is given a path which the door would have refused; returns its curve's positions."""
    rows = np.linspace(home(), target, 60)
    guard, following = guard_along(rows)
    faults, positions = [], []
    for tick in range(1, 500):
        following, fault = guard.advance(tick * 10_000_000, following, 1.0)
        faults += [fault] if fault else []
        positions.append(guard.horizon.state.position)
    assert [f.reason for f in faults] == [reason]
    assert following is None
    assert guard.horizon.at_rest
    return np.array(positions)


def test_no_path_leads_past_a_joint_limit():
    target = home()
    target[6] = LIMITS.position_max_rad[6] + 0.5
    positions = pushed_past_the_door(target, SafetyReason.POSITION_LIMIT)
    assert positions[-1, 6] > LIMITS.position_max_rad[6] - 0.05  # it went as far as it could
    assert np.all(positions <= LIMITS.position_max_rad)


def test_no_path_leads_out_of_the_workspace():
    target = home()
    target[0] += 1.4
    positions = pushed_past_the_door(target, SafetyReason.WORKSPACE)
    box = panda().config.workspace
    tcp = np.array([panda().fk(q)[:3, 3] for q in positions])
    assert np.all(tcp >= box.min_m - 1e-4)
    assert tcp[-1, 0] < box.min_m[0] + 0.03


@pytest.mark.parametrize("rows", [2, 3, 4, 5])
def test_a_path_of_few_rows_goes_through_all_of_them(rows):
    data = home() + np.outer([0.0, 0.01, 0.03, 0.02, 0.05][:rows], np.ones(7))
    path = ChunkPath(data, 0.05, np.ones(7), np.ones(7))
    np.testing.assert_allclose([path.at(float(row)).position for row in range(rows)], data, atol=1e-12)
