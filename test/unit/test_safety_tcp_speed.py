"""The TCP's speed: what a path may be followed with, and what a stop may come to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safety_rig import ROBOTS, Rig, chunk_of, home, panda, safety, smooth

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyReason
from vla_ros.evaluation.gate_oracle import Breaches, GateOracle
from vla_ros.evaluation.gate_rig import GateRig
from vla_ros.robots import load_robot
from vla_ros.safety.path import ACCELERATION_SHARE, VELOCITY_SHARE, ChunkPath
from vla_ros.safety.tcp_speed import TcpSpeed

LIMITS = panda().config.cartesian


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_rates_of_the_tcp_are_those_of_the_jacobian(robot):
    arm, rng = load_robot(robot), np.random.default_rng(1)
    limits = arm.config.limits
    rows, velocities = (
        rng.uniform(limits.position_min_rad, limits.position_max_rad, (20, arm.config.dof)),
        rng.normal(size=(20, arm.config.dof)),
    )
    expected = np.array([arm.jacobian(q) @ v for q, v in zip(rows, velocities, strict=True)])
    linear, angular = arm.tcp_rates(rows, velocities)
    np.testing.assert_allclose(np.column_stack([linear, angular]), expected, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.05, 0.1]))
@example(2498, 0.02)
def test_a_path_followed_at_its_pace_keeps_the_share_of_the_limits(seed, dt_s):
    rng, config = np.random.default_rng(seed), safety()
    s = np.linspace(0, 1, 30)[:, None]
    rows = home() + (10 * s**3 - 15 * s**4 + 6 * s**5) * rng.uniform(-1.0, 1.0, 7)
    ample = np.full(7, 1e6)
    path = ChunkPath(rows, dt_s, ample, ample)
    path = path.under(TcpSpeed(panda(), config).highest_pace(*path.looks())[0])
    tcp_m = panda().tcp_positions(rows)
    caps = np.array([path.pace_at(row)[0] for row in range(29)])
    mps = np.linalg.norm(np.diff(tcp_m, axis=0), axis=1) / dt_s * caps
    between_looks = 1.02  # up to 1.4 % in 9000 of these paths; VELOCITY_SHARE leaves 5 %
    assert mps.max() <= VELOCITY_SHARE * config.operation.velocity * LIMITS.linear_velocity_mps * between_looks


def test_what_is_slow_anyway_is_not_slowed_and_what_is_slowed_says_that_it_is_the_tcp():
    speed, still = TcpSpeed(panda(), safety()), np.zeros((4, 7))
    assert speed.highest_pace(np.tile(home(), (4, 1)), still, 0.05)[0].min() > 1000
    turn = np.zeros(7)
    turn[0] = 1.0
    rows = home() + np.linspace(0, 1, 20)[:, None] * turn
    pace, slowed_by = speed.highest_pace(rows, np.tile(turn, (20, 1)), 0.05)
    share = VELOCITY_SHARE * safety().operation.velocity
    centripetal = ACCELERATION_SHARE * safety().operation.acceleration
    off_m = float(np.linalg.norm(panda().fk(home())[:2, 3]))
    by_velocity = min(share * LIMITS.linear_velocity_mps / off_m, share * LIMITS.angular_velocity_radps)
    by_acceleration = np.sqrt(centripetal * LIMITS.linear_acceleration_mps2 / off_m)
    assert pace[5:15] == pytest.approx(min(by_velocity, by_acceleration), rel=1e-3)
    assert by_velocity < by_acceleration
    assert slowed_by is SafetyReason.VELOCITY_LIMIT
    shaken = np.where(np.arange(20) % 2, 0.01, -0.01)[:, None] * turn
    assert speed.highest_pace(home() + shaken, shaken / 0.05, 0.05)[1] is SafetyReason.ACCELERATION_LIMIT


def test_a_motion_that_is_too_fast_is_named():
    speed, turn = TcpSpeed(panda(), safety()), np.zeros(7)
    turn[0] = 2.0
    for rate, word in ((1.0, ""), (5.0, "m/s")):
        rows = home() + np.arange(10)[:, None] * 0.01 * rate * turn
        said = speed.excess(rows, np.tile(rate * turn, (10, 1)), panda().tcp_positions(rows))
        assert (word in said) if word else said == ""
    spin = np.zeros(7)
    spin[6] = 3.0
    rows = home() + np.arange(10)[:, None] * 0.01 * spin
    assert "would turn at 3.00 rad/s; its limit is 2.5 rad/s" in speed.excess(rows, np.tile(spin, (10, 1)), panda().tcp_positions(rows))


def test_a_chunk_that_would_turn_the_hand_too_fast_is_slowed_and_says_so():
    rig = GateRig("panda")
    s = np.linspace(0, 1, 31)[:, None]
    way = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])
    rows = home() + (10 * s**3 - 15 * s**4 + 6 * s**5) * way
    for _ in range(20):
        rig.now_ns += safety().tick_ns
        rig.tell_joints(*rig.motion(rig.now_ns))
        rig.tell_touch()
        rig.tell_heartbeats()
        rig.play(rig.gate.tick(rig.now_ns, rig.now_ns))
    assert rig.gate.on_chunk(chunk_of(rows, rig.now_ns, dt_s=0.03), rig.now_ns).limiting_joint == "panda_joint7"
    for _ in range(3):  # in the third tick it is told how fast the TCP would be: the first one leaves its rows to the second
        rig.gate.drain_decisions()
        rig.now_ns += safety().tick_ns
        rig.gate.tick(rig.now_ns, rig.now_ns)
    (decision,) = rig.gate.drain_decisions()
    assert (decision.action, decision.reason) == (SafetyAction.SLOW, SafetyReason.VELOCITY_LIMIT)
    assert decision.limiting_joint == panda().config.tcp_frame
    assert panda().config.tcp_frame in decision.detail


@pytest.mark.parametrize("sends_each_tick", [False, True])
def test_an_expert_that_goes_on_with_a_chunk_in_each_tick_is_slowed_as_well(sends_each_tick: bool):
    rig, rows, dt_s = Rig().ready(), smooth(80, 1.1 * np.array([1.0, 0.2, -1.0, 0.2, 1.0, 0.3, -1.0])), 0.0124
    decision = rig.send(rows, seq=1, dt_s=dt_s)
    assert decision.action in (SafetyAction.PASS, SafetyAction.SLOW), decision.detail
    for seq in range(2, 150):
        rig.step()
        if sends_each_tick and rig.command.chunk_row < 79:
            again = rig.send(rows, seq=seq, dt_s=dt_s, continues_seq=rig.command.chunk_seq, continues_row=0.0)
            assert again is None or again.action in (SafetyAction.PASS, SafetyAction.SLOW), again.detail
    assert all(d.action < SafetyAction.HOLD or "newer" in d.detail for d in rig.decisions)
    _, positions, velocities, _ = rig.signal()
    fastest = np.linalg.norm(panda().tcp_rates(positions, velocities)[1], axis=1).max()
    allowed = safety().operation.velocity * LIMITS.angular_velocity_radps
    assert 0.9 * allowed < fastest < allowed


def test_the_oracle_sees_a_tcp_that_is_too_fast():
    """So that the benchmark's zero means something."""
    oracle, turn = GateOracle(panda().config), np.zeros(7)
    for rate, kinds in ((0.5, set()), (6.0, {"TCP velocity", "TCP turning"})):
        turn[0] = rate
        found = Breaches()
        oracle.judge(home() + np.arange(20)[:, None] * 0.001 * turn, 0.08, found)
        assert {kind for kind in found.kinds if kind.startswith("TCP")} == kinds
