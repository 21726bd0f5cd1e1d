"""Each rule of the door refuses what breaks it, with its reason and a sentence that can be acted on."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_rig import START_NS, SWEEP, chunk_of, home, panda, safety, smooth

from vla_ros.core.actions import ActionSpace
from vla_ros.core.decisions import SafetyReason
from vla_ros.safety.chunk_checks import Accepted, ChunkDoor, Context, Followed, Refusal
from vla_ros.safety.path import VELOCITY_SHARE

JOINTS = panda().config.arm_joints
LIMITS = panda().config.limits


def good(**changes):
    return replace(chunk_of(smooth(20, SWEEP), START_NS, seq=5), **changes)


def context(**changes):
    return replace(Context(now_ns=START_NS, position=home(), moving=False, last_seq=4), **changes)


def judge(chunk, **changes):
    return ChunkDoor(panda(), safety()).judge(chunk, context(**changes))


def with_row(row, joint, value):
    rows = smooth(20, SWEEP)
    rows[row, joint] = value
    return rows


def ramp(joint, step):
    rows = np.tile(home(), (10, 1))
    rows[:, joint] += np.arange(10) * step
    return rows


def test_a_good_chunk_is_accepted_with_its_margins():
    verdict = judge(good())
    assert isinstance(verdict, Accepted)
    assert verdict.row == 0.0
    rows = smooth(20, SWEEP)
    assert verdict.margin_position_rad == pytest.approx(np.minimum(rows - LIMITS.position_min_rad, LIMITS.position_max_rad - rows).min())
    speeds = np.abs(np.diff(rows, axis=0)) / 0.05 / LIMITS.velocity_radps
    assert verdict.margin_velocity == pytest.approx(1 - speeds.max())
    assert verdict.tightest_joint == JOINTS[int(np.argmax(speeds.max(axis=0)))]


TABLE = [
    ("joints said to be TCP poses", {"space": ActionSpace.TCP_POSE}, SafetyReason.CHUNK_SPACE, "in 'panda_link0', not in ''"),
    ("joints said to be TCP deltas", {"space": ActionSpace.TCP_DELTA}, SafetyReason.CHUNK_SPACE, "TCP_DELTA"),
    ("a space nobody knows", {"space": 17}, SafetyReason.CHUNK_SPACE, "17"),
    ("a wrong name", {"names": ("elbow", *JOINTS[1:])}, SafetyReason.CHUNK_JOINTS, "elbow"),
    ("a joint twice", {"names": (JOINTS[0], *JOINTS[:6])}, SafetyReason.CHUNK_JOINTS, "panda_joint7"),
    ("no names", {"names": ()}, SafetyReason.CHUNK_JOINTS, "panda_joint1"),
    ("six columns", {"data": smooth(20, SWEEP)[:, :6]}, SafetyReason.CHUNK_SHAPE, r"\[20, 6\]"),
    ("a flat list", {"data": home()}, SafetyReason.CHUNK_SHAPE, r"\[7\]"),
    ("complex numbers", {"data": smooth(20, SWEEP) + 0j}, SafetyReason.CHUNK_SHAPE, "complex128"),
    ("text", {"data": smooth(20, SWEEP).astype(str)}, SafetyReason.CHUNK_SHAPE, "real numbers"),
    ("one row", {"data": smooth(20, SWEEP)[:1], "gripper_width_m": np.zeros(1)}, SafetyReason.CHUNK_SHAPE, "2 to 256"),
    ("too many rows", {"data": np.tile(home(), (257, 1)), "gripper_width_m": np.zeros(257)}, SafetyReason.CHUNK_SHAPE, "257"),
    ("too few widths", {"gripper_width_m": np.zeros(19)}, SafetyReason.CHUNK_SHAPE, "gripper"),
    ("widths in text", {"gripper_width_m": np.full(20, "0.04")}, SafetyReason.CHUNK_SHAPE, "gripper"),
    ("dt 0", {"dt_s": 0.0}, SafetyReason.CHUNK_SHAPE, "0.005"),
    ("dt NaN", {"dt_s": float("nan")}, SafetyReason.CHUNK_SHAPE, "nan"),
    ("dt of minutes", {"dt_s": 60.0}, SafetyReason.CHUNK_SHAPE, "60"),
    ("NaN", {"data": with_row(3, 2, np.nan)}, SafetyReason.CHUNK_NOT_FINITE, "Row 3 of panda_joint3"),
    ("infinity", {"data": with_row(19, 6, -np.inf)}, SafetyReason.CHUNK_NOT_FINITE, "Row 19 of panda_joint7"),
    ("a gripper wider than it is", {"gripper_width_m": np.full(20, 0.2)}, SafetyReason.POSITION_LIMIT, "0.2000 m"),
    ("an infinite width", {"gripper_width_m": np.full(20, np.inf)}, SafetyReason.POSITION_LIMIT, "inf"),
    ("no force", {"gripper_force_n": 0.0}, SafetyReason.POSITION_LIMIT, "above 0"),
    ("a force against it", {"gripper_force_n": -1.0}, SafetyReason.POSITION_LIMIT, "above 0"),
    ("a force that is no number", {"gripper_force_n": np.nan}, SafetyReason.POSITION_LIMIT, "nan N"),
    ("a crushing force", {"gripper_force_n": 5000.0}, SafetyReason.POSITION_LIMIT, "5000"),
    ("a row that is no number", {"continues_seq": 3, "continues_row": float("nan")}, SafetyReason.CHUNK_NOT_FINITE, "nan"),
    ("a row beyond all chunks", {"continues_seq": 3, "continues_row": -1.7e308}, SafetyReason.CHUNK_SHAPE, "1.7e"),
    ("an old observation", {"stamp_ns": START_NS - 2_000_000_000}, SafetyReason.CHUNK_STALE, "2.00 s ago"),
    ("no stamp", {"stamp_ns": 0}, SafetyReason.CHUNK_STALE, "ago"),
    ("a stamp of the future", {"stamp_ns": START_NS + 200_000_000}, SafetyReason.CHUNK_STALE, "lies 0.20 s in the future"),
    ("a number used before", {"seq": 4}, SafetyReason.CHUNK_SEQUENCE, "after chunk 4"),
    ("number 0", {"seq": 0}, SafetyReason.CHUNK_SEQUENCE, "from 1"),
    ("a start elsewhere", {"data": smooth(20, SWEEP) + 0.06}, SafetyReason.CHUNK_JUMP, "0.060 rad"),
]


@pytest.mark.parametrize(("changes", "reason", "says"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_door_refuses(changes, reason, says):
    verdict = judge(good(**changes))
    assert isinstance(verdict, Refusal)
    assert verdict.reason == reason
    assert re.search(says, verdict.detail), verdict.detail


@pytest.mark.parametrize("joint", range(7))
@pytest.mark.parametrize("side", [-1, 1])
def test_a_position_inside_the_margin_of_any_limit_is_refused(joint, side):
    start = home()
    edge = LIMITS.position_max_rad[joint] if side > 0 else LIMITS.position_min_rad[joint]
    start[joint] = edge - side * 0.05
    rows = np.tile(start, (20, 1))
    rows[:, joint] += np.linspace(0, side * 0.045, 20)
    verdict = judge(good(data=rows), position=start)
    assert isinstance(verdict, Refusal)
    assert (verdict.reason, verdict.joint) == (SafetyReason.POSITION_LIMIT, JOINTS[joint])


@pytest.mark.parametrize("joint", range(7))
def test_velocity_and_acceleration_are_judged_for_each_joint(joint):
    limit = LIMITS.velocity_radps[joint]
    verdict = judge(good(data=ramp(joint, 1.01 * limit * 0.05), gripper_width_m=np.zeros(10)))
    assert isinstance(verdict, Refusal)
    assert verdict.joint == JOINTS[joint]
    assert verdict.reason in (SafetyReason.VELOCITY_LIMIT, SafetyReason.POSITION_LIMIT)
    jerky = np.tile(home(), (10, 1))
    jerky[5:, joint] += 1.01 * LIMITS.acceleration_radps2[joint] * 0.02**2
    verdict = judge(good(data=jerky, dt_s=0.02, gripper_width_m=np.zeros(10)))
    assert isinstance(verdict, Refusal)
    assert (verdict.reason, verdict.joint) == (SafetyReason.ACCELERATION_LIMIT, JOINTS[joint])


def test_a_tcp_that_leaves_the_workspace_is_refused_with_its_place():
    rows = smooth(40, np.array([1.4, 0, 0, 0, 0, 0, 0]))
    verdict = judge(good(data=rows, dt_s=0.1, gripper_width_m=np.zeros(40)))
    assert isinstance(verdict, Refusal)
    assert verdict.reason == SafetyReason.WORKSPACE
    assert "TCP x" in verdict.detail


def test_a_single_row_outside_the_workspace_is_enough():
    rows = smooth(40, np.array([1.4, 0, 0, 0, 0, 0, 0]))
    box, margin_m = panda().config.workspace, safety().workspace_margin_m
    tcp = np.array([panda().fk(q)[:3, 3] for q in rows])
    outside = np.flatnonzero(np.any((tcp < box.min_m + margin_m) | (tcp > box.max_m - margin_m), axis=1))
    last = int(outside[0])
    verdict = judge(good(data=rows[: last + 1], dt_s=0.1, gripper_width_m=np.zeros(last + 1)))
    assert (verdict.reason, f"Row {last} " in verdict.detail) == (SafetyReason.WORKSPACE, True)


def test_an_arm_outside_may_come_back_but_not_go_farther():
    outside = home()
    outside[0] += 1.4
    back = np.linspace(outside, home(), 60)
    assert isinstance(judge(good(data=back, dt_s=0.1, gripper_width_m=np.zeros(60)), position=outside), Accepted)
    away = outside + np.linspace(0, 0.4, 60)[:, None] * np.eye(7)[0]
    assert judge(good(data=away, dt_s=0.1, gripper_width_m=np.zeros(60)), position=outside).reason == SafetyReason.WORKSPACE


def test_nan_widths_leave_the_gripper_alone_and_are_accepted():
    assert isinstance(judge(good(gripper_width_m=np.full(20, np.nan))), Accepted)


def test_numbers_of_any_precision_are_numbers():
    assert isinstance(judge(good(data=smooth(20, SWEEP).astype(np.float32), gripper_width_m=np.zeros(20, dtype=np.float32))), Accepted)
    assert isinstance(judge(good(gripper_width_m=np.zeros(20, dtype=int))), Accepted)


def test_whole_numbers_are_numbers():
    assert judge(good(data=np.zeros((20, 7), dtype=int))).reason == SafetyReason.POSITION_LIMIT  # joint 4 cannot be 0


def followed(row):
    accepted = judge(good(seq=4), last_seq=0)
    return Followed(accepted.chunk, accepted.path, row)


def test_a_continuation_is_entered_where_the_old_chunk_is():
    chunk = good(data=smooth(20, SWEEP)[5:], gripper_width_m=np.zeros(15), continues_seq=4, continues_row=5.0)
    verdict = judge(chunk, followed=followed(7.5), moving=True)
    assert verdict.row == pytest.approx(2.5)


def test_a_continuation_is_never_entered_before_its_first_row():
    chunk = good(data=smooth(20, SWEEP)[9:], gripper_width_m=np.zeros(11), continues_seq=4, continues_row=9.0)
    assert judge(chunk, followed=followed(8.9), moving=True).row == 0.0
    assert judge(chunk, followed=followed(2.0), moving=True).reason == SafetyReason.CHUNK_JUMP


def test_a_chunk_that_continues_something_else_starts_afresh():
    verdict = judge(good(continues_seq=2, continues_row=5.0), followed=followed(7.5), moving=True, position=smooth(20, SWEEP)[0])
    assert verdict.row == 0.0


def test_what_was_seen_before_a_hold_is_not_acted_on():
    assert judge(good(), not_before_ns=START_NS + 1).reason == SafetyReason.CHUNK_STALE


def test_numbers_may_start_again_only_at_rest_and_with_something_newer():
    again = good(seq=1)
    assert isinstance(judge(again, last_stamp_ns=START_NS - 10), Accepted)
    assert judge(again, last_stamp_ns=START_NS).reason == SafetyReason.CHUNK_SEQUENCE
    assert judge(again, last_stamp_ns=START_NS - 10, moving=True).reason == SafetyReason.CHUNK_SEQUENCE


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.float64, np.float32, np.int64]),
    st.tuples(st.integers(0, 300), st.integers(0, 9)),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-5, 2**63),
    st.integers(-(2**40), 2**62),
)
def test_nothing_crashes_the_door(seed, kind, shape, dt_s, seq, stamp_ns):
    rng = np.random.default_rng(seed)
    data = rng.choice([0.0, -1.0, 1e3, 1e9], size=shape).astype(kind)
    chunk = good(data=data, dt_s=dt_s, seq=seq, stamp_ns=stamp_ns, gripper_width_m=np.zeros(shape[0]), continues_row=dt_s, continues_seq=4)
    assert isinstance(judge(chunk, followed=followed(3.0), moving=bool(seed % 2)), Refusal)


def test_what_is_wrong_with_one_joint_names_it():
    assert judge(good(data=with_row(3, 2, np.nan))).joint == "panda_joint3"
    assert judge(good(data=ramp(5, 0.005), gripper_width_m=np.zeros(10))).tightest_joint == "panda_joint6"
    verdict = judge(good(data=with_row(3, 5, 9.0)))
    assert (verdict.joint, "panda_joint6 would be at 9.000 rad in row 3" in verdict.detail) == ("panda_joint6", True)


# --- exactly at each limit ----------------------------------------------------------------------------------------------


def rows_of(chunk, count, dt_s=0.05):
    return replace(chunk, data=np.tile(home(), (count, 1)), gripper_width_m=np.full(count, np.nan), dt_s=dt_s)


@pytest.mark.parametrize(("count", "dt_s"), [(2, 0.05), (256, 0.05), (20, 0.005), (20, 0.5)])
def test_the_shortest_and_the_longest_chunk_are_taken(count, dt_s):
    assert isinstance(judge(rows_of(good(), count, dt_s)), Accepted)


@pytest.mark.parametrize("dt_s", [0.0049, 0.501, -0.05])
def test_a_time_between_rows_outside_its_range_is_refused(dt_s):
    assert judge(rows_of(good(), 20, dt_s)).reason == SafetyReason.CHUNK_SHAPE


GRIPPER = panda().config.gripper


@pytest.mark.parametrize(
    ("width_m", "force_n", "is_taken"),
    [
        (GRIPPER.width_open_m, GRIPPER.max_force_n, True),
        (GRIPPER.width_closed_m, GRIPPER.max_force_n, True),
        (GRIPPER.width_open_m + 1e-4, 10.0, False),
        (GRIPPER.width_closed_m - 1e-4, 10.0, False),
        (GRIPPER.width_open_m, GRIPPER.max_force_n + 0.1, False),
        (np.nan, 0.0, True),
    ],
)
def test_widths_and_forces_of_the_gripper_are_taken_up_to_its_own(width_m, force_n, is_taken):
    verdict = judge(good(gripper_width_m=np.full(20, width_m), gripper_force_n=force_n))
    assert isinstance(verdict, Accepted) if is_taken else (verdict.reason, verdict.joint) == (SafetyReason.POSITION_LIMIT, "gripper")


def test_one_row_that_moves_the_gripper_needs_a_force():
    widths = np.full(20, np.nan)
    widths[7] = 0.04
    assert judge(good(gripper_width_m=widths, gripper_force_n=0.0)).joint == "gripper"
    widths[7] = 0.3
    assert "row 7 is 0.3000 m" in judge(good(gripper_width_m=widths)).detail


AGE_NS = round(safety().chunk_age_s * 1e9)


@pytest.mark.parametrize(
    ("stamp_ns", "not_before_ns", "is_taken"),
    [
        (START_NS - AGE_NS + 1000, 0, True),
        (START_NS - AGE_NS - 1000, 0, False),
        (START_NS + 49_999_000, 0, True),
        (START_NS + 50_001_000, 0, False),
        (START_NS - 5, START_NS - 5, True),
        (START_NS - 6, START_NS - 5, False),
    ],
)
def test_a_stamp_is_good_from_the_oldest_that_is_allowed_to_the_difference_of_clocks(stamp_ns, not_before_ns, is_taken):
    verdict = judge(good(stamp_ns=stamp_ns), not_before_ns=not_before_ns)
    assert isinstance(verdict, Accepted) if is_taken else verdict.reason == SafetyReason.CHUNK_STALE


def test_a_stamp_of_zero_is_none_even_when_the_clock_has_just_begun():
    early = {"now_ns": 500_000_000}
    assert judge(good(stamp_ns=0), **early).reason == SafetyReason.CHUNK_STALE
    assert isinstance(judge(good(stamp_ns=1), **early), Accepted)


def test_another_expert_waits_while_the_arm_moves_and_the_same_one_does_not():
    theirs = followed(0.0)
    other = replace(theirs, chunk=replace(theirs.chunk, expert="another"))
    verdict = judge(good(), followed=other, moving=True)
    assert (verdict.reason, "'another'" in verdict.detail) == (SafetyReason.CHUNK_SOURCE, True)
    assert isinstance(judge(good(), followed=other, moving=False), Accepted)
    assert isinstance(judge(good(), followed=theirs, moving=True), Accepted)


def test_numbers_need_not_be_consecutive_but_only_1_begins_anew():
    assert isinstance(judge(good(seq=99)), Accepted)
    assert judge(good(seq=2), last_stamp_ns=START_NS - 10).reason == SafetyReason.CHUNK_SEQUENCE
    assert judge(good(seq=-1)).reason == SafetyReason.CHUNK_SEQUENCE


MARGIN_RAD = safety().position_margin_rad


@pytest.mark.parametrize("side", [-1, 1])
def test_an_arm_beyond_the_margin_may_stay_or_come_back_and_go_no_farther(side):
    edge = LIMITS.position_max_rad[6] if side > 0 else LIMITS.position_min_rad[6]
    start = home()
    start[6] = edge - side * MARGIN_RAD / 2

    def to(position):
        rows = np.tile(start, (20, 1))
        rows[:, 6] = np.linspace(start[6], position, 20)
        return judge(good(data=rows), position=start)

    assert reason_of(to(start[6] + side * 1e-4)) == SafetyReason.POSITION_LIMIT
    assert reason_of(to(start[6])) is None
    assert reason_of(to(edge - side * 0.05)) is None


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("joint", [0, 3, 6])
def test_speed_and_acceleration_are_taken_up_to_the_limit_in_both_directions(joint, sign):
    v, a = LIMITS.velocity_radps[joint], LIMITS.acceleration_radps2[joint]

    def speeds(share):
        rows = np.tile(home(), (3, 1))
        rows[:, joint] += sign * np.arange(3) * share * v * 0.05
        return judge(good(data=rows, gripper_width_m=np.zeros(3)))

    def accelerations(share):
        rows = np.tile(home(), (3, 1))
        rows[2, joint] += sign * share * a * 0.02**2
        return judge(good(data=rows, gripper_width_m=np.zeros(3), dt_s=0.02))

    assert reason_of(speeds(1.001)) == SafetyReason.VELOCITY_LIMIT
    assert re.search(r"rad/s at row 0; the limit is .* rad/s\.", speeds(1.001).detail)
    assert re.search(r"rad/s2 at row 0; the limit is .* rad/s2\.", accelerations(1.001).detail)
    assert reason_of(speeds(0.999)) != SafetyReason.VELOCITY_LIMIT
    assert reason_of(accelerations(1.001)) == SafetyReason.ACCELERATION_LIMIT
    assert reason_of(accelerations(0.999)) is None


def reason_of(verdict):
    return verdict.reason if isinstance(verdict, Refusal) else None


JUMP_RAD = safety().start_jump_rad


@pytest.mark.parametrize("off_rad", [JUMP_RAD, -JUMP_RAD])
def test_a_start_may_be_as_far_off_as_allowed_and_no_farther(off_rad):
    off = off_rad * np.eye(7)[2]
    assert isinstance(judge(good(), position=home() + 0.999 * off), Accepted)
    verdict = judge(good(), position=home() + 1.001 * off)
    assert (verdict.reason, verdict.joint) == (SafetyReason.CHUNK_JUMP, "panda_joint3")


@pytest.mark.parametrize("row", [6.0, 6.3, 18.9])
def test_a_continuation_is_compared_where_it_is_entered_between_its_rows_too(row):
    rows = np.array(smooth(20, SWEEP))
    same = good(data=rows, continues_seq=4, continues_row=0.0)
    assert isinstance(judge(same, followed=followed(row), moving=True, position=home() + 9), Accepted)
    for off_rad in (0.06, -0.06):
        aside = replace(same, data=rows + off_rad * np.eye(7)[5])
        verdict = judge(aside, followed=followed(row), moving=True, position=rows[0])
        assert (verdict.reason, verdict.joint) == (SafetyReason.CHUNK_JUMP, "panda_joint6")


def test_a_continuation_that_is_over_already_is_compared_at_its_last_row():
    old = followed(9.0)
    rows = np.array([old.path.at(float(n)).position for n in range(5, 10)])
    verdict = judge(good(data=rows, gripper_width_m=np.zeros(5), continues_seq=4, continues_row=4.0), followed=old, moving=True)
    assert verdict.row == 4.0
    rows[-1] += 0.06 * np.eye(7)[1]
    slow = good(data=rows, gripper_width_m=np.zeros(5), continues_seq=4, continues_row=4.0, dt_s=0.2)
    beyond = replace(slow, continues_row=-30.0)
    assert judge(beyond, followed=old, moving=True).reason == SafetyReason.CHUNK_JUMP


def test_a_continuation_of_what_is_not_followed_starts_afresh_whatever_it_says():
    verdict = judge(good(continues_seq=4, continues_row=3.0))
    assert (verdict.row, verdict.continued) == (0.0, False)
    first = judge(good(seq=1), last_seq=0)
    chunk = good(seq=2, data=smooth(20, SWEEP)[3:], gripper_width_m=np.zeros(17), continues_seq=1, continues_row=3.0)
    verdict = judge(chunk, followed=Followed(first.chunk, first.path, 5.0), last_seq=1, moving=True)
    assert (verdict.row, verdict.continued) == (2.0, True)


def test_deltas_add_up_from_where_the_arm_is_commanded_to_be():
    rows = smooth(20, SWEEP)
    chunk = good(space=ActionSpace.JOINT_DELTA, data=np.diff(rows, axis=0), gripper_width_m=np.zeros(19))
    assert judge(chunk, position=rows[0]).path.rows == pytest.approx(rows[1:])


def test_a_path_is_followed_with_the_operational_share_of_the_speed():
    rows = ramp(0, 0.9 * LIMITS.velocity_radps[0] * 0.05)[:5]
    verdict = judge(good(data=rows, gripper_width_m=np.zeros(5)))
    share = safety().operation.velocity
    assert verdict.path.slowest_cap == pytest.approx(VELOCITY_SHARE * share / 0.9)
    door = ChunkDoor(panda(), safety())
    assert door.acceleration == pytest.approx(safety().operation.acceleration * LIMITS.acceleration_radps2)


@pytest.mark.parametrize("dt_s", [0.05, 0.025])
def test_deltas_that_continue_a_chunk_add_up_from_its_path(dt_s):
    old, steps = followed(7.5), round(0.05 / dt_s)
    path = np.array([old.path.at(7.0 + n / steps).position for n in range(-1, 12 * steps)])
    chunk = good(
        space=ActionSpace.JOINT_DELTA,
        data=np.diff(path, axis=0),
        gripper_width_m=np.zeros(len(path) - 1),
        continues_seq=4,
        continues_row=7.0,
        dt_s=dt_s,
    )
    verdict = judge(chunk, followed=old, moving=True)
    assert isinstance(verdict, Accepted), verdict
    assert verdict.continued
    assert verdict.row == pytest.approx(0.5 * steps)
    assert verdict.path.rows == pytest.approx(path[1:], abs=2e-3)


def test_deltas_that_continue_a_chunk_at_its_beginning_start_at_its_first_row():
    old = followed(1.0)
    rows = smooth(20, SWEEP)
    chunk = good(space=ActionSpace.JOINT_DELTA, data=np.diff(rows, axis=0), gripper_width_m=np.zeros(19))
    chunk = replace(chunk, continues_seq=4, continues_row=1.0)
    assert judge(chunk, followed=old, moving=True).path.rows == pytest.approx(rows[1:])


def test_the_margin_of_the_workspace_is_that_of_the_row_farthest_out():
    verdict = judge(good())
    box = panda().config.workspace
    tcp = np.array([panda().fk(q)[:3, 3] for q in smooth(20, SWEEP)])
    inside_m = min((tcp - box.min_m).min(), (box.max_m - tcp).min())
    assert verdict.margin_workspace_m == pytest.approx(inside_m - safety().workspace_margin_m)
