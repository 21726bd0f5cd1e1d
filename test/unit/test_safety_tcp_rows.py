"""Chunks of the TCP become joint rows: on the way asked for, inside the limits, slowed or refused near singular postures, never stuck."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safety_rig import DT_S, ROBOTS, START_NS, SWEEP, Rig, decided, home, panda, poses_along, safety, smooth, tcp_chunk
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from vla_ros.core.actions import ActionChunk, ActionSpace, SafetyAction
from vla_ros.core.decisions import SafetyDecision, SafetyReason
from vla_ros.core.geometry import Array
from vla_ros.robots import Arm, load_robot
from vla_ros.safety.chunk_checks import TCP_ROWS, Accepted, ChunkDoor, Context, Followed, Refusal
from vla_ros.safety.config import load_safety_config
from vla_ros.safety.path import ChunkPath
from vla_ros.safety.tcp_rows import DELTA_COLUMNS, POSE_COLUMNS, SLOWEST_PACE


@cache
def door_of(robot: str) -> ChunkDoor:
    """Of an arm whose workspace ends nowhere: what stretched arms do lies outside the real one."""
    arm = load_robot(robot)
    wide = replace(arm.config.workspace, min_m=np.full(3, -2.0), max_m=np.full(3, 2.0))
    return ChunkDoor(Arm(replace(arm.config, workspace=wide)), load_safety_config(robot))


def deltas_along(poses: Array) -> Array:
    """[n, 6]: row 0 stays where the first pose is."""
    turn = Rotation.from_quat(poses[:, 3:])
    return np.vstack([np.zeros(6), np.column_stack([np.diff(poses[:, :3], axis=0), (turn[1:] * turn[:-1].inv()).as_rotvec()])])


def judge(door: ChunkDoor, chunk: ActionChunk, position: Array, **changes) -> Accepted | Refusal:
    return door.judge(chunk, replace(Context(now_ns=START_NS, position=position, moving=False, last_seq=4), **changes))


def decision_of(rig: Rig, chunk: ActionChunk, ticks: int = 40) -> SafetyDecision:
    """It is judged over several ticks."""
    assert rig.gate.on_chunk(chunk, rig.now_ns) is None
    return decided(rig, chunk, ticks)


def assert_near(arm: Arm, rows: Array, poses: Array, distance_m: float = 1e-3, angle_rad: float = np.radians(0.5)) -> None:
    """The TCP at each of ``rows`` is at its pose of ``poses``."""
    found = poses_along(arm, rows)
    turn = Rotation.from_quat(found[:, 3:]) * Rotation.from_quat(poses[:, 3:]).inv()
    assert np.linalg.norm(found[:, :3] - poses[:, :3], axis=1).max() <= distance_m
    assert turn.magnitude().max() <= angle_rad


def ends(door: ChunkDoor) -> tuple[Array, Array]:
    limits, margin = door.arm.config.limits, door.config.position_margin_rad
    return limits.position_min_rad + margin, limits.position_max_rad - margin


def eased(start: Array, end: Array, rows: int = 40) -> Array:
    s = np.linspace(0, 1, rows)[:, None]
    return start + (10 * s**3 - 15 * s**4 + 6 * s**5) * (end - start)


def good(**changes) -> ActionChunk:
    return tcp_chunk(panda(), poses_along(panda(), smooth(20, SWEEP)), **changes)


def changed(row: int, column: int, value: float) -> Array:
    data = np.array(good().data)
    data[row, column] = value
    return data


def shifted(row: int, *by_m: float) -> Array:
    data = np.array(good().data)
    data[row:, :3] += by_m
    return data


REFUSED = [
    ("another frame", {"frame_id": "world"}, SafetyReason.CHUNK_SPACE, "'panda_link0', not in 'world'"),
    ("no frame", {"frame_id": ""}, SafetyReason.CHUNK_SPACE, "not in ''"),
    ("the arm's joints as names", {"names": panda().config.arm_joints}, SafetyReason.CHUNK_JOINTS, "those of TCP_POSE.*missing: x, y"),
    ("names of deltas", {"names": (*DELTA_COLUMNS, "qw")}, SafetyReason.CHUNK_JOINTS, "not among them: rx, ry, rz"),
    ("six columns", {"data": good().data[:, :6]}, SafetyReason.CHUNK_SHAPE, r"\[rows, 7\]"),
    ("seven of six", {"space": ActionSpace.TCP_DELTA, "names": DELTA_COLUMNS}, SafetyReason.CHUNK_SHAPE, r"\[rows, 6\]"),
    ("NaN", {"data": changed(3, 4, np.nan)}, SafetyReason.CHUNK_NOT_FINITE, "Row 3 of qy"),
    ("infinity", {"data": changed(3, 0, np.inf)}, SafetyReason.CHUNK_NOT_FINITE, "Row 3 of x"),
    (
        "a quaternion of length 0",
        {"data": good().data * ([1] * 3 + [0] * 4)},
        SafetyReason.CHUNK_SHAPE,
        "row 0 must have length 1, got 0.000",
    ),
    ("a long quaternion", {"data": good().data * ([1] * 3 + [1.1] * 4)}, SafetyReason.CHUNK_SHAPE, "got 1.100"),
    ("a place on the moon", {"data": changed(2, 1, 3.8e8)}, SafetyReason.CHUNK_UNREACHABLE, "Row 2 is not reached: y is 3.8e[+]08"),
    (
        "a place out of reach",
        {"data": shifted(12, 0, 0, 1.0)},
        SafetyReason.CHUNK_UNREACHABLE,
        "Row 12 .* mm and .* deg off.*allowed 5 mm and 2 deg",
    ),
    ("a leap on its way", {"data": shifted(12, 0, 0.2, 0)}, SafetyReason.CHUNK_UNREACHABLE, "Row 12 .*cannot go so far in one row"),
    ("a start elsewhere", {"data": shifted(0, 0, 0.1, 0)}, SafetyReason.CHUNK_JUMP, "start with a step"),
    ("an old observation", {"stamp_ns": START_NS - 2_000_000_000}, SafetyReason.CHUNK_STALE, "2.00 s ago"),
    ("a number used before", {"seq": 4}, SafetyReason.CHUNK_SEQUENCE, "after chunk 4"),
]


@pytest.mark.parametrize(("changes", "reason", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_the_door_refuses_with_a_reason(changes, reason, says) -> None:
    verdict = judge(ChunkDoor(panda(), safety()), replace(good(), **changes), home())
    assert isinstance(verdict, Refusal)
    assert verdict.reason == reason, verdict.detail
    assert re.search(says, verdict.detail), verdict.detail


def test_more_rows_than_a_tick_has_time_for_are_refused() -> None:
    still = np.tile(good().data[0], (TCP_ROWS + 1, 1))
    assert isinstance(judge(door_of("panda"), tcp_chunk(panda(), still[:-1]), home()), Accepted)
    assert judge(door_of("panda"), tcp_chunk(panda(), still), home()).reason == SafetyReason.CHUNK_SHAPE


def test_a_tcp_that_leaves_the_workspace_is_refused() -> None:
    arm, door = panda(), ChunkDoor(panda(), safety())
    line = np.tile(poses_along(arm, home()[None])[0], (60, 1))
    line[:, 2] -= eased(np.zeros(1), np.array([arm.fk(home())[2, 3] - arm.config.workspace.min_m[2] + 0.01]), 60)[:, 0]
    verdict = judge(door, tcp_chunk(arm, line), home())
    assert verdict.reason == SafetyReason.WORKSPACE, verdict.detail


@pytest.mark.parametrize("order", [np.arange(7), np.array([6, 2, 0, 1, 3, 5, 4])])
def test_columns_may_come_in_any_order(order) -> None:
    named = replace(good(), names=tuple(np.array(POSE_COLUMNS)[order]), data=good().data[:, order])
    verdict = judge(ChunkDoor(panda(), safety()), named, home())
    assert_near(panda(), verdict.path.rows, good().data)


def test_what_is_accepted_is_a_chunk_of_joint_positions() -> None:
    verdict = judge(ChunkDoor(panda(), safety()), good(gripper_force_n=7.0), home())
    chunk = verdict.chunk
    assert (chunk.space, chunk.names) == (ActionSpace.JOINT_POSITION, panda().config.arm_joints)
    assert (chunk.seq, chunk.trace_id, chunk.dt_s, chunk.gripper_force_n) == (5, good().trace_id, DT_S, 7.0)
    np.testing.assert_array_equal(chunk.data, verdict.path.rows)


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("as_deltas", [False, True])
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_tcp_goes_the_way_that_joints_went(robot: str, as_deltas: bool, seed: int) -> None:
    """Joint rows to poses of the TCP and back: other joints where an arm has more than six, the same way of the TCP."""
    door, rng = door_of(robot), np.random.default_rng(seed)
    low, high = ends(door)
    start = np.clip(np.asarray(door.arm.config.home_rad) + rng.normal(size=len(low)) * 0.3, low, high)
    poses = poses_along(door.arm, eased(start, np.clip(start + rng.normal(size=len(low)) * 0.15, low, high)))
    verdict = judge(door, tcp_chunk(door.arm, deltas_along(poses) if as_deltas else poses), start)
    assert isinstance(verdict, Accepted), verdict.detail
    assert_near(door.arm, verdict.path.rows, poses)
    between = np.array([verdict.path.at(row).position for row in np.arange(0.5, len(poses) - 1)])
    middle = poses_along(door.arm, between)[:, :3] - (poses[1:, :3] + poses[:-1, :3]) / 2
    assert np.linalg.norm(middle, axis=1).max() < 1e-3  # between its rows too


@pytest.mark.parametrize("robot", ROBOTS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), reach_m=st.floats(0.02, 0.8))
def test_rows_keep_the_limits_wherever_a_line_leads(robot: str, seed: int, reach_m: float) -> None:
    door, rng = door_of(robot), np.random.default_rng(seed)
    low, high = ends(door)
    start = rng.uniform(low, high)
    line = np.tile(poses_along(door.arm, start[None])[0], (40, 1))
    line[:, :3] += eased(np.zeros(3), reach_m * rng.normal(size=3))
    verdict = judge(door, tcp_chunk(door.arm, line), start)
    if isinstance(verdict, Refusal):
        assert verdict.reason in (SafetyReason.CHUNK_UNREACHABLE, SafetyReason.CHUNK_JUMP, SafetyReason.ACCELERATION_LIMIT), verdict.detail
        return
    rows, limits = verdict.path.rows, door.arm.config.limits
    assert (rows >= low - 1e-12).all()
    assert (rows <= high + 1e-12).all()
    assert (np.abs(np.diff(rows, axis=0)) <= limits.velocity_radps * DT_S / SLOWEST_PACE + 1e-9).all()
    assert_near(door.arm, rows, line, 0.005 + 1e-9, np.radians(2.0) + 1e-9)


def singular(robot: str) -> list[Array]:
    """Postures in which the hand cannot move in one of six directions: descents of the smallest singular value, from anywhere."""
    door, rng = door_of(robot), np.random.default_rng(1)
    low, high = ends(door)

    def least(q: Array) -> float:
        return float(np.linalg.svd(door.arm.jacobian(q), compute_uv=False)[5])

    starts = (rng.uniform(low, high) for _ in range(20))
    found = [minimize(least, q, method="Powell", bounds=list(zip(low, high, strict=True)), options={"maxiter": 20}).x for q in starts]
    return [q for q in found if least(q) < 1e-5]


def leads_out(robot: str, start: Array) -> None:
    """A short way of the TCP towards home is accepted, and brings the arm there."""
    door = door_of(robot)
    way = np.asarray(door.arm.config.home_rad) - start
    rows = start + np.linspace(0, 1, 30)[:, None] * way * min(1.0, 0.3 / max(float(np.abs(way).max()), 1e-9))
    poses = poses_along(door.arm, rows)
    for data in (poses, deltas_along(poses)):
        verdict = judge(door, tcp_chunk(door.arm, data), start)
        assert isinstance(verdict, Accepted), (start.tolist(), verdict.detail)
        assert_near(door.arm, verdict.path.rows, poses)


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_singular_posture_is_left_towards_home(robot: str) -> None:
    postures = singular(robot)
    assert len(postures) >= 5
    for posture in postures:
        leads_out(robot, posture)


@pytest.mark.parametrize("robot", ROBOTS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), zeros=st.integers(0, 127))
@example(seed=0, zeros=127)
def test_every_posture_is_left_towards_home(robot: str, seed: int, zeros: int) -> None:
    low, high = ends(door_of(robot))
    posture = np.random.default_rng(seed).uniform(low, high)
    leads_out(robot, np.clip(np.where([zeros >> joint & 1 for joint in range(len(low))], 0.0, posture), low, high))


def stretched() -> Array:
    """The WidowX with its hand as far out as it goes: its elbow bends both ways, and neither moves the hand at first."""
    door = door_of("wx250s")
    q = np.zeros(6)
    for _ in range(200):  # to where the hand cannot be farther from the shoulder: the elbow's slope of the distance is 0
        q[2] += 4.0 * float((door.arm.fk(q)[:3, 3] - shoulder()) @ door.arm.jacobian(q)[:3, 2])
    assert abs((door.arm.fk(q)[:3, 3] - shoulder()) @ door.arm.jacobian(q)[:3, 2]) < 1e-6
    return q


@cache
def shoulder() -> Array:
    """[3] of the WidowX: where the axis of its second joint crosses that of the first."""
    return np.array([0.0, 0.0, 0.11065])


@pytest.mark.parametrize("first_m", [0.0, 0.001])
def test_a_stretched_arm_draws_its_hand_in_and_is_slowed_not_refused(first_m: float) -> None:
    """Along the arm no joint has a slope; from the first row on, whether that stays or steps."""
    door, start = door_of("wx250s"), stretched()
    along = door.arm.fk(start)[:3, 3] - shoulder()
    deltas = np.zeros((30, 6))
    deltas[1:, :3] = -0.001 * along / np.linalg.norm(along)
    deltas[0, :3] = -first_m * along / np.linalg.norm(along)
    verdict = judge(door, tcp_chunk(door.arm, deltas), start)
    assert isinstance(verdict, Accepted), verdict.detail
    moved = door.arm.fk(verdict.path.rows[-1])[:3, 3] - door.arm.fk(start)[:3, 3]
    np.testing.assert_allclose(moved, deltas[:, :3].sum(axis=0), atol=1e-3)
    assert verdict.path.slowest_cap < 0.9


def test_a_chunk_that_is_too_fast_is_slowed() -> None:
    door, poses = door_of("panda"), poses_along(panda(), eased(home(), home() + np.eye(7)[0] * 0.8, 20))
    for dt_s, slowest in ((0.1, 1.0), (0.03, 0.8), (0.01, 0.3)):  # at 0.01 s the rows need 3.7 times the speed that joint 1 has
        verdict = judge(door, tcp_chunk(panda(), poses, dt_s=dt_s), home())
        assert isinstance(verdict, Accepted), verdict.detail
        assert 0.5 * slowest < verdict.path.slowest_cap <= slowest
        assert verdict.margin_velocity >= 0.0


def test_a_redundant_elbow_comes_home_while_the_hand_stays() -> None:
    arm, door = panda(), door_of("panda")
    swivelled = home()
    for _ in range(20):  # along the null space of the Jacobian, away from home
        null = np.linalg.svd(arm.jacobian(swivelled))[2][6]
        swivelled = arm.ik(arm.fk(home()), swivelled + 0.03 * null * np.sign(null[0]))
    still = np.tile(poses_along(arm, home()[None]), (TCP_ROWS, 1))
    verdict = judge(door, tcp_chunk(arm, still), swivelled)
    away = np.linalg.norm(verdict.path.rows - home(), axis=1)
    assert_near(arm, verdict.path.rows, still, 2e-4, 2e-3)
    assert away[0] > 0.2
    assert away[-1] < 0.6 * away[0]
    assert (np.abs(np.diff(verdict.path.rows, axis=0)).max() / DT_S) < 0.15


@pytest.mark.parametrize("as_deltas", [False, True])
def test_two_chunks_that_continue_one_another_are_one_way(as_deltas: bool) -> None:
    """The second begins in the middle of the first, with rows half as far apart, and is entered where the first one has got to."""
    arm, door = panda(), door_of("panda")
    way = poses_along(arm, smooth(41, SWEEP))
    data = deltas_along(way) if as_deltas else way
    first = judge(door, tcp_chunk(arm, (deltas_along(way[::2]) if as_deltas else way[::2])[:15], dt_s=0.1), home())
    assert isinstance(first, Accepted), first.detail
    second = tcp_chunk(arm, data[16:], seq=6, continues_seq=5, continues_row=8.0)
    verdict = judge(door, second, home(), followed=Followed(first.chunk, first.path, 9.25), moving=True, last_seq=5)
    assert isinstance(verdict, Accepted), verdict.detail
    assert (verdict.continued, verdict.row) == (True, 2.5)
    assert_near(arm, verdict.path.rows, way[16:])
    np.testing.assert_allclose(verdict.path.rows[:12:2], first.path.rows[8:14], atol=2e-3)  # the elbow too goes on as it went


def test_deltas_of_a_fresh_chunk_begin_where_the_arm_is_commanded_to_be() -> None:
    arm, start = panda(), home() + 0.03
    deltas = np.tile([0.002, 0, 0, 0, 0, 0.01], (10, 1))
    verdict = judge(door_of("panda"), tcp_chunk(arm, deltas, continues_seq=3), start)
    before, after = arm.fk(start), arm.fk(verdict.path.rows[-1])
    np.testing.assert_allclose(after[:3, 3] - before[:3, 3], [0.02, 0, 0], atol=2e-4)
    turn = Rotation.from_matrix(after[:3, :3] @ before[:3, :3].T)  # about the base's axis
    np.testing.assert_allclose(turn.as_rotvec(), [0, 0, 0.1], atol=2e-3)


def test_the_gate_follows_a_way_of_the_tcp_inside_the_limits_of_operation() -> None:
    rig, config = Rig().ready(), safety()
    rows = eased(home(), home() + SWEEP, 21)
    poses = poses_along(panda(), rows)
    decision = decision_of(rig, tcp_chunk(panda(), poses, stamp_ns=rig.now_ns, dt_s=0.04))
    assert decision.action in (SafetyAction.PASS, SafetyAction.SLOW), decision.detail
    assert rig.gate.followed_chunk.space is ActionSpace.JOINT_POSITION
    rig.step(250)
    _, q, v, a = rig.signal()
    limits = panda().config.limits
    assert (np.abs(v) <= config.operation.velocity * limits.velocity_radps + 1e-6).all()
    assert (np.abs(a) <= config.operation.acceleration * limits.acceleration_radps2 + 1e-6).all()
    assert_near(panda(), q[-1:], poses[-1:])
    fine = poses_along(panda(), np.array([ChunkPath(rows, 0.04, np.ones(7), np.ones(7)).at(r).position for r in np.linspace(0, 20, 400)]))
    tcp = poses_along(panda(), q[::20])[:, None, :3]
    assert np.linalg.norm(tcp - fine[None, :, :3], axis=2).min(axis=1).max() < 0.004


def test_a_refused_way_holds_the_arm_and_a_fresh_one_resumes() -> None:
    rig = Rig().ready()
    decision = decision_of(rig, tcp_chunk(panda(), shifted(12, 0, 0, 1.0), stamp_ns=rig.now_ns))
    assert (decision.action, decision.reason) == (SafetyAction.HOLD, SafetyReason.CHUNK_UNREACHABLE)
    assert rig.gate.followed_chunk is None
    rig.step(60)
    again = decision_of(rig, good(seq=6, stamp_ns=rig.now_ns))
    assert again.action in (SafetyAction.PASS, SafetyAction.SLOW), again.detail
