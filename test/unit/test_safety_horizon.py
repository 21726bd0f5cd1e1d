"""The commanded curve: what is committed stays, what follows is the stop, and time that was slept through has happened."""

from __future__ import annotations

import numpy as np
import pytest
from safety_rig import home, panda, safety

from vla_ros.safety.braking import MotionState, braking_of
from vla_ros.safety.horizon import KEPT_NS, PAST_AT_REST, REST_S, ROOM, Horizon

TICK_NS = 10_000_000
ORIGIN_NS = 1_000_000_000
BRAKING = braking_of(panda(), safety())
SPEED_RADPS = 0.3


def resting() -> Horizon:
    return Horizon(home(), ORIGIN_NS, TICK_NS, panda().config.arm_joints)


def moving(knots: int) -> Horizon:
    """``knots`` committed at a constant speed of joint 1, and the stop behind them."""
    horizon, velocity = resting(), SPEED_RADPS * np.eye(7)[0]
    for n in range(1, knots + 1):
        position = home() + n * 0.01 * velocity
        horizon.commit([MotionState(position, velocity, np.zeros(7))], BRAKING.plan(position, velocity, np.zeros(7)))
    return horizon


def tick_ns(tick: float) -> int:
    return ORIGIN_NS + round(tick * TICK_NS)


def test_ticks_are_counted_from_the_origin():
    horizon = resting()
    assert [horizon.tick_at(tick_ns(t)) for t in (0, 0.99, 1, 7.5)] == [0, 0, 1, 7]
    assert horizon.tick_at(ORIGIN_NS - 1) == -1


def test_it_rests_until_something_is_committed_and_after_its_stop():
    horizon = moving(3)
    assert resting().at_rest
    assert not horizon.at_rest
    assert horizon.end == 3
    ticks = BRAKING.plan(home(), SPEED_RADPS * np.eye(7)[0], np.zeros(7)).ticks
    for _ in range(ticks):
        assert not horizon.at_rest
        horizon.follow_stop()
    assert horizon.at_rest
    assert horizon.end == 3 + ticks
    rest = horizon.state.position
    assert rest == pytest.approx(horizon.rest_position)
    assert not horizon.state.velocity.any()
    horizon.follow_stop()
    assert horizon.state.position == pytest.approx(rest)


def test_an_arm_counts_as_still_only_when_no_motion_is_left_in_what_is_committed():
    horizon = moving(3)
    while not horizon.at_rest:
        horizon.follow_stop()
    assert not horizon.is_still(tick_ns(2)), "it moves until then"
    assert not horizon.is_still(tick_ns(horizon.end - 1))
    assert horizon.is_still(tick_ns(horizon.end))
    assert horizon.is_still(tick_ns(horizon.end + 5))
    assert not moving(3).is_still(tick_ns(50)), "the stop was not followed yet"


def test_what_was_slept_through_has_happened_by_the_stop():
    late, followed = moving(3), moving(3)
    for _ in range(5):
        followed.follow_stop()
    late.skip_to(8)
    assert late.end == 8
    assert late.state.position == pytest.approx(followed.state.position)
    part = moving(3)
    part.skip_to(4)
    assert part.end == 4, "and no tick more"
    late.skip_to(6)
    assert late.end == 8, "time does not go back"


@pytest.mark.parametrize("long", [1_000, 10_000_000])
def test_a_long_sleep_ends_at_rest_where_the_stop_ended(long):
    horizon = moving(3)
    rest = horizon.rest_position
    horizon.skip_to(long)
    assert horizon.end == long
    assert horizon.at_rest
    for tick in (long - PAST_AT_REST, long):
        assert horizon.position_at(tick_ns(tick)) == pytest.approx(rest)
    assert horizon.is_still(tick_ns(long - 1))


def stop_from(state: MotionState):
    return BRAKING.plan(state.position, state.velocity, state.acceleration)


def test_a_cut_takes_back_what_comes_after_its_tick_and_nothing_else():
    horizon = moving(8)
    assert len(horizon.states_from(8)) == len(horizon.states_from(9)) == 1
    states = horizon.states_from(5)
    assert len(states) == 4
    assert states[0].position[0] - home()[0] == pytest.approx(5 * 0.01 * SPEED_RADPS)
    assert horizon.end == 8
    horizon.cut(5, stop_from(states[0]))
    assert horizon.end == 5
    np.testing.assert_array_equal(horizon.state.position, states[0].position)
    horizon.follow_stop()
    assert horizon.end == 6
    assert abs(horizon.state.velocity[0]) < SPEED_RADPS
    again = moving(8)
    stop = stop_from(again.states_from(7)[0])
    again.cut(7, stop)
    again.follow_stop()
    assert again.state.position == pytest.approx(stop.positions[1]), "from its first row on"


def test_what_is_committed_begins_with_the_oldest_knot():
    horizon = moving(4)
    states = horizon.states_from(-3)
    assert len(states) == 5
    assert states[0].position == pytest.approx(home())


def test_rows_are_what_is_committed_from_a_tick_on_and_the_stop():
    horizon = moving(6)
    stop = BRAKING.plan(horizon.state.position, horizon.state.velocity, np.zeros(7))
    rows = horizon.rows_from(4)
    assert len(rows) == 3 + stop.ticks
    assert rows[0] == pytest.approx(horizon.position_at(tick_ns(4)))
    assert rows[2:] == pytest.approx(stop.positions)
    assert len(horizon.rows_from(6)) == len(horizon.rows_from(9)) == 1 + stop.ticks
    assert len(horizon.rows_from(-9)) == 7 + stop.ticks
    assert len(resting().rows_from(0)) == 1
    horizon.follow_stop()
    assert horizon.rows_from(7) == pytest.approx(stop.positions[1:])


def test_positions_between_knots_lie_on_a_line_and_beyond_them_at_the_ends():
    horizon = moving(6)
    for tick in (0.0, 1.0, 2.25, 5.5, 6.0):
        assert horizon.position_at(tick_ns(tick))[0] - home()[0] == pytest.approx(tick * 0.01 * SPEED_RADPS)
    assert horizon.position_at(tick_ns(-4)) == pytest.approx(home())
    assert horizon.position_at(tick_ns(40)) == pytest.approx(horizon.state.position)


def test_old_knots_are_forgotten_and_ticks_stay_what_they_were():
    kept = KEPT_NS // TICK_NS
    room = ROOM * kept
    horizon = moving(room + 30)
    oldest = room - kept
    for tick in (oldest, oldest + 1, room - 1, room, room + 30):
        assert horizon.position_at(tick_ns(tick))[0] - home()[0] == pytest.approx(tick * 0.01 * SPEED_RADPS)
    assert horizon.position_at(tick_ns(oldest - 5)) == pytest.approx(horizon.position_at(tick_ns(oldest)))


def test_a_message_begins_one_tick_ago_and_holds_what_is_committed_and_the_stop():
    horizon = moving(8)
    message = horizon.message(tick_ns(3.4))
    assert message.start_ns == tick_ns(2)
    assert message.times_s == pytest.approx(0.01 * np.arange(len(message.times_s)))
    for n, position in enumerate(message.positions[:7]):
        assert position == pytest.approx(horizon.position_at(tick_ns(2 + n)))
    stop = BRAKING.plan(horizon.state.position, horizon.state.velocity, np.zeros(7))
    assert message.positions[6:] == pytest.approx(stop.positions)
    assert message.velocities[6:] == pytest.approx(stop.velocities)
    assert message.accelerations[6:] == pytest.approx(stop.accelerations)
    assert message.names == panda().config.arm_joints
    assert horizon.message(tick_ns(30)).start_ns == tick_ns(8)
    assert horizon.message(tick_ns(-30)).start_ns == tick_ns(0)


def test_a_message_at_rest_has_two_points_and_outlasts_its_way():
    horizon = resting()
    horizon.skip_to(9)
    message = horizon.message(tick_ns(6))
    assert len(message.times_s) == 2
    assert message.start_ns == tick_ns(5)
    assert message.times_s == pytest.approx([0.0, 0.04 + REST_S])
    assert horizon.message(tick_ns(8)).times_s == pytest.approx([0.0, 0.02 + REST_S])
    assert message.positions == pytest.approx(np.tile(home(), (2, 1)))


def test_a_knot_that_needs_no_stop_is_at_rest_to_the_last_bit():
    horizon = resting()
    nearly = 1e-12 * np.ones(7)
    horizon.commit([MotionState(home(), nearly, nearly)], BRAKING.plan(home(), nearly, nearly))
    assert not horizon.state.velocity.any()
    assert not horizon.state.acceleration.any()
    assert horizon.state.position == pytest.approx(home())
    assert horizon.at_rest
