"""What the gate lets through, when it holds and how it goes on."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from safety_rig import START_NS, SWEEP, TICK_NS, Rig, chunk_of, felt, home, largest_disagreement, panda, safety, sample, smooth, standing

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyMode, SafetyReason, Verdict
from vla_ros.core.robot_state import ContactState, JointState
from vla_ros.core.scene import CameraFault, CameraHealth
from vla_ros.motion.interpolation import judge_samples
from vla_ros.safety.chunk_checks import ChunkId
from vla_ros.safety.inputs import Inputs
from vla_ros.safety.self_test import SelfTest


def moving_rig(ticks: int = 60) -> Rig:
    """A rig in the middle of a sweep."""
    rig = Rig().ready()
    assert rig.send(smooth(40, SWEEP)).action == SafetyAction.PASS
    rig.step(ticks)
    assert np.abs(rig.command.trajectory.velocities).max() > 0.1
    return rig


def settle(rig: Rig, ticks: int = 80) -> None:
    rig.step(ticks)
    assert np.abs(rig.command.trajectory.velocities).max() < 1e-4


def test_nothing_is_commanded_before_joint_states():
    rig = Rig()
    assert rig.step(5, joints=False) is None
    assert rig.gate.state().mode == SafetyMode.STARTING
    assert rig.send(smooth(10, SWEEP)).reason == SafetyReason.JOINT_STATES_STALE
    rig.step()
    assert rig.command.trajectory.positions[0] == pytest.approx(home())


def test_an_arm_that_still_moves_is_not_taken_over():
    rig = Rig()
    rig.gate.on_joint_state(standing(rig.now_ns + TICK_NS, home(), np.full(7, 0.3)))
    assert rig.step(joints=False) is None
    assert rig.gate.state().reason == SafetyReason.STARTING


def test_an_arm_that_is_about_to_come_to_rest_is_not_taken_over_before_it_has_stood_for_a_while():
    rig = Rig()

    def step(speed_radps: float):
        rig.gate.on_joint_state(standing(rig.now_ns + TICK_NS, home(), np.full(7, speed_radps)))
        return rig.step(joints=False)

    assert step(0.3) is None
    for _ in range(9):
        assert step(0.9 * safety().at_rest_radps) is None
    assert "for a while" in rig.gate.state().detail
    assert step(0.0) is not None


def test_a_chunk_is_followed_to_its_last_row_and_the_arm_rests_there():
    rig = Rig().ready()
    rows = smooth(40, SWEEP)
    rig.send(rows)
    rig.step(260)
    assert rig.command.trajectory.positions[-1] == pytest.approx(rows[-1], abs=5e-4)
    assert rig.command.chunk_row == 39.0
    assert rig.gate.state().reason == SafetyReason.CHUNK_EXHAUSTED
    _, p, v, a = rig.signal()
    assert judge_samples(p, v, a, panda().config.limits).velocity < 0.51
    assert not v[-1].any()


def test_the_commanded_curve_stays_close_to_the_rows():
    rig = Rig().ready()
    rows = smooth(40, SWEEP)
    rig.send(rows)
    rig.step(260)
    _, p, _, _ = rig.signal()
    for row in rows:
        assert np.abs(p - row).max(axis=1).min() < 0.003


def dry_run(rig: Rig, rows: np.ndarray, ticks: int) -> None:
    """The forwarder beats as one that passes nothing on, and the arm stays at home."""
    rig.send(rows)
    for _ in range(ticks):
        for node in safety().nodes:
            rig.gate.on_heartbeat(node, rig.steady_ns + TICK_NS, dry_run=node == "motion_forwarder")
        rig.gate.on_joint_state(standing(rig.now_ns + TICK_NS, home()))
        rig.gate.on_contact(felt(rig.now_ns + TICK_NS))
        rig.now_ns, rig.steady_ns = rig.now_ns + TICK_NS, rig.steady_ns + TICK_NS
        rig.gate.tick(rig.now_ns, rig.steady_ns)
        rig.decisions += rig.gate.drain_decisions()


@pytest.mark.parametrize("share", [1.0, 0.1], ids=["long", "short"])
def test_a_dry_run_is_held_by_its_name_and_nothing_latches(share):
    rig = Rig().ready()
    dry_run(rig, smooth(40, SWEEP * share), 300)
    held = [d for d in rig.decisions if d.action >= SafetyAction.HOLD]
    assert {d.reason for d in held} == {SafetyReason.DRY_RUN}
    assert "nothing is sent to the arm" in held[0].detail
    assert rig.gate.state().mode == SafetyMode.READY, "it is ready for the next goal"


def test_an_arm_that_does_not_follow_is_a_fault_when_it_is_no_dry_run():
    rig = Rig().ready()
    rig.gate.on_heartbeat("planner", rig.steady_ns, dry_run=True)  # not on the way to the arm
    rig.send(smooth(40, SWEEP))
    rig.step(60)
    rig.offset = np.full(7, 0.15)
    rig.step()
    assert rig.gate.state().reason == SafetyReason.TRACKING_ERROR


def test_columns_may_come_in_any_order():
    rig = Rig().ready()
    rows = smooth(40, SWEEP)
    order = [3, 0, 6, 1, 5, 2, 4]
    names = tuple(panda().config.arm_joints[i] for i in order)
    assert rig.send(rows[:, order], names=names).action == SafetyAction.PASS
    rig.step(260)
    assert rig.command.trajectory.positions[-1] == pytest.approx(rows[-1], abs=5e-4)


def test_speed_override_scales_the_time():
    def ticks_to_the_end(speed):
        rig = Rig().ready()
        rig.gate.set_speed(speed)
        rig.send(smooth(40, SWEEP))
        for tick in range(1500):
            if rig.step().chunk_row >= 39.0:
                return tick
        raise AssertionError("never arrived")

    full, half = ticks_to_the_end(1.0), ticks_to_the_end(0.5)
    assert half == pytest.approx(2 * full, rel=0.05)
    with pytest.raises(ValueError, match="0 to 1"):
        Rig().gate.set_speed(1.5)


def test_speed_zero_holds_and_nothing_moves_when_it_is_raised_but_by_a_fresh_chunk():
    rig = moving_rig()
    rig.gate.set_speed(0.0)
    settle(rig)
    assert rig.gate.state().mode == SafetyMode.HOLDING
    assert "speed override is 0" in rig.gate.state().detail
    rested = rig.command.trajectory.positions[-1]
    refused = rig.send(rested + smooth(40, SWEEP) - home(), gripper_width_m=np.full(40, 0.0))
    assert refused.reason == SafetyReason.SPEED_OVERRIDE
    rig.step(100)
    rig.gate.set_speed(1.0)
    rig.step(260)
    assert rig.command.trajectory.positions[-1] == pytest.approx(rested, abs=1e-9)
    assert rig.command.gripper_width_m != 0.0, "the gripper waits for nothing either"
    assert rig.send(rested + smooth(40, 0.2 * SWEEP) - home()).action == SafetyAction.PASS
    rig.step(260)
    assert rig.command.trajectory.positions[-1] == pytest.approx(rested + 0.2 * SWEEP, abs=5e-4)


def test_at_speed_zero_an_arm_that_leaves_its_command_latches_as_ever():
    rig = Rig().ready()
    rig.gate.set_speed(0.0)
    rig.step(5)
    rig.offset = np.eye(7)[0] * (safety().tracking_latch_rad + 0.1)
    rig.step(5)
    assert rig.gate.state().mode == SafetyMode.STOPPED_LATCHED
    assert rig.gate.state().reason == SafetyReason.TRACKING_ERROR


def test_a_chunk_near_the_hard_limits_is_slowed_to_the_operational_ones():
    rig = Rig().ready()
    sweep = np.zeros(7)
    sweep[0] = 0.5
    decision = rig.send(smooth(12, sweep), dt_s=0.05)  # 15/8 * 0.5 rad / 0.55 s = 1.7 rad/s; operational 1.09
    assert (decision.action, decision.limiting_joint) == (SafetyAction.SLOW, "panda_joint1")
    rig.step(200)
    _, p, v, a = rig.signal()
    assert judge_samples(p, v, a, panda().config.limits).velocity < 0.51
    assert p[-1] == pytest.approx(home() + sweep, abs=5e-4)


# --- chunks that continue one another -----------------------------------------------------------------------------------


def test_continued_chunks_give_the_same_motion_as_one_chunk():
    whole = Rig().ready()
    rows = smooth(60, SWEEP)
    whole.send(rows)
    whole.step(350)

    parts = Rig().ready()
    parts.send(rows[:24], seq=1)
    first = 0
    seq = 1
    for _ in range(350):
        command = parts.step()
        if command.chunk_seq == seq and command.chunk_row > 6 and first + 24 < 60:
            row = int(command.chunk_row)
            first, seq = first + row, seq + 1
            decision = parts.send(rows[first : first + 24], seq=seq, continues_seq=seq - 1, continues_row=row)
            assert decision.action == SafetyAction.PASS, decision
    _, p_whole, _, _ = whole.signal()
    _, p_parts, _, a_parts = parts.signal()
    n = min(len(p_whole), len(p_parts))
    assert np.abs(p_whole[:n] - p_parts[:n]).max() < 2e-3
    assert seq >= 6
    assert np.abs(a_parts / panda().config.limits.acceleration_radps2).max() < 0.41


def test_a_continued_chunk_with_another_dt_is_entered_at_the_same_moment():
    rig = moving_rig()
    row = rig.command.chunk_row
    s = np.linspace(0, 1, 391)[:, None]
    fine = home() + (10 * s**3 - 15 * s**4 + 6 * s**5) * SWEEP  # the same motion at dt / 10
    start = 10 * int(row) - 20
    assert rig.send(fine[start : start + 200], seq=2, dt_s=0.005, continues_seq=1, continues_row=int(row) - 2).action == SafetyAction.PASS
    rig.step(2)  # the first one leaves its rows to the second
    assert rig.command.chunk_seq == 2
    assert rig.command.chunk_row == pytest.approx((row - (int(row) - 2)) * 10 + 4, abs=0.3)


def test_a_continuation_that_jumps_is_refused_and_the_arm_stops():
    rig = moving_rig()
    decision = rig.send(smooth(40, SWEEP) + 0.2, seq=2, continues_seq=1, continues_row=0.0)
    assert (decision.action, decision.reason) == (SafetyAction.HOLD, SafetyReason.CHUNK_JUMP)
    settle(rig, 45)
    _, p, v, a = rig.signal()
    assert judge_samples(p, v, a, panda().config.limits).worst <= 1.0


def test_deltas_add_up_from_the_commanded_position():
    rig = Rig().ready()
    rows = smooth(40, SWEEP)
    deltas = np.diff(rows, axis=0, prepend=home()[None])
    assert rig.send(deltas, space=1).action == SafetyAction.PASS
    rig.step(260)
    assert rig.command.trajectory.positions[-1] == pytest.approx(rows[-1], abs=5e-4)


# --- faults -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "reason"),
    [({"joints": False}, SafetyReason.JOINT_STATES_STALE), ({"hearts": False}, SafetyReason.HEARTBEAT)],
)
def test_a_silent_input_holds_and_only_a_fresh_chunk_resumes(missing, reason):
    rig = moving_rig()
    old = chunk_of(smooth(40, SWEEP), rig.now_ns, seq=2)
    rig.step(100, **missing)
    assert rig.gate.state().mode == SafetyMode.HOLDING
    assert rig.command.action == SafetyAction.HOLD
    assert reason in [d.reason for d in rig.decisions]
    assert not rig.command.trajectory.velocities[-1].any()
    where = rig.command.trajectory.positions[-1]
    rig.step(80)
    assert rig.gate.state().mode == SafetyMode.READY
    assert rig.command.trajectory.positions[-1] == pytest.approx(where)  # the old chunk is not resumed
    assert rig.gate.on_chunk(replace(old, stamp_ns=rig.now_ns - 900_000_000), rig.now_ns).reason == SafetyReason.CHUNK_STALE
    assert rig.send(np.linspace(where, where + 0.05, 10), seq=3).action == SafetyAction.PASS
    rig.step(100)
    assert rig.command.trajectory.positions[-1] == pytest.approx(where + 0.05, abs=1e-3)


def test_a_hold_is_ordered_in_the_tick_that_sees_the_fault():
    rig = moving_rig()
    late = int(safety().heartbeats["motion_forwarder"] * 1e9 / TICK_NS)
    commands = [rig.step(dead=("motion_forwarder",)).action for _ in range(late + 1)]
    assert commands[:late] == [SafetyAction.PASS] * late
    assert commands[late] == SafetyAction.HOLD


def test_vision_chunks_need_the_camera_and_others_do_not():
    black = CameraHealth(0, "front", CameraFault.BLACK, False, "mean 2 of 255, at least 10 expected.", 0.0, 30.0)
    for inputs, expected in (({"objects": 1}, SafetyReason.CAMERA), ({}, SafetyReason.CAMERA), ({"joint_states": 1}, SafetyReason.OK)):
        rig = Rig().ready()
        rig.send(smooth(40, SWEEP), input_stamps_ns=inputs)
        rig.step(20)
        rig.gate.on_camera_health(replace(black, stamp_ns=rig.now_ns))
        rig.step(camera=False, scene=False)
        assert rig.gate.state().reason == expected
        refused = rig.send(smooth(40, SWEEP), seq=2, input_stamps_ns=inputs)
        assert (refused.reason == SafetyReason.CAMERA) == (expected == SafetyReason.CAMERA)


def test_a_finger_that_is_pressed_too_hard_holds_at_once():
    rig = moving_rig()
    rig.gate.on_contact(felt(rig.now_ns, left_n=200.0))
    rig.step(touch=False)
    assert rig.gate.state().reason == SafetyReason.CONTACT


def test_fingers_that_are_not_heard_of_any_more_hold_the_arm_until_they_are():
    rig = moving_rig(40)
    rig.step(50, touch=False)
    assert rig.command.action == SafetyAction.PASS
    rig.step(1, touch=False)
    assert rig.gate.state().reason == SafetyReason.CONTACT_STALE
    assert "tactile_perception" in rig.gate.state().detail
    refused = rig.send(smooth(40, SWEEP), seq=2)
    assert refused.reason == SafetyReason.CONTACT_STALE
    settle(rig)
    assert rig.gate.state().mode == SafetyMode.READY


def test_nothing_moves_before_the_fingers_were_heard_of():
    rig = Rig()
    rig.step(3, touch=False)
    assert rig.gate.state().reason == SafetyReason.CONTACT_STALE
    rig.gate.on_contact(ContactState(rig.now_ns, felt(rig.now_ns).fingers[:1]))
    rig.step(touch=False)
    assert "lacks the finger right" in rig.gate.state().detail


def test_a_robot_without_taxels_is_not_asked_what_it_feels():
    arm = copy.copy(panda())
    object.__setattr__(arm, "config", replace(arm.config, tactile={}))
    inputs = Inputs(arm, safety())
    inputs.on_joint_state(standing(START_NS, home()))
    inputs.on_heartbeat("motion_forwarder", 0)
    assert inputs.fault(START_NS, 0) is None
    assert "contact" not in inputs.ages_s(START_NS, 0)


def test_a_planner_that_dies_stops_the_motion_of_its_plan_at_once_and_no_other():
    rig = moving_rig()
    died_ns = rig.now_ns
    rig.step(100, dead=("planner",))
    held = next(d for d in rig.decisions if d.action == SafetyAction.HOLD)
    assert held.reason == SafetyReason.HEARTBEAT
    assert "'planner' has been silent" in held.detail
    times, _, v, _ = rig.signal()
    assert times[np.abs(v).max(axis=1) > 1e-6][-1] - died_ns < 500_000_000
    here = rig.command.trajectory.positions[-1]
    way_home = np.linspace(here, home(), 40)
    assert rig.send(way_home, seq=2, subtask_id="1").reason == SafetyReason.HEARTBEAT
    rig.step(100, dead=("planner",))
    assert rig.gate.state().mode == SafetyMode.HOLDING
    assert rig.send(way_home, expert="move_to", subtask_id="").action == SafetyAction.PASS
    rig.step(50, dead=("planner",))
    assert rig.gate.state().reason == SafetyReason.OK


def verdict_on(seq: int, expert: str = "scripted", stamp_ns: int = START_NS + 2 * TICK_NS) -> ChunkId:
    """By default the stamp of moving_rig's chunk."""
    return ChunkId(expert, seq, stamp_ns)


def test_an_unsafe_verdict_of_the_world_model_holds_only_its_own_chunk():
    rig = moving_rig()
    for another in (verdict_on(1, expert="move_to"), verdict_on(1, stamp_ns=START_NS - 10**9)):
        rig.gate.on_world_model(another, Verdict.REJECT, "the arm would hit the bowl")
        assert rig.step().action == SafetyAction.PASS, "of another expert, or from before it was started again"
    rig.gate.on_world_model(verdict_on(9), Verdict.REJECT, "the arm would hit the bowl")
    assert rig.step().action == SafetyAction.PASS
    rig.gate.on_world_model(verdict_on(1), Verdict.REJECT, "the arm would hit the bowl")
    assert rig.step().action == SafetyAction.HOLD
    assert rig.gate.state().detail == "the arm would hit the bowl"


def test_a_verdict_counts_for_the_chunks_that_continue_the_one_it_is_about():
    rig = moving_rig()
    row = int(rig.command.chunk_row)
    assert rig.send(smooth(40, SWEEP)[row:], seq=2, continues_seq=1, continues_row=row).action == SafetyAction.PASS
    rig.gate.on_world_model(verdict_on(1), Verdict.REJECT, "the arm would hit the bowl")
    assert rig.step().action == SafetyAction.HOLD


def test_a_blind_camera_holds_until_it_sees_again_or_something_needs_no_camera():
    black = CameraHealth(0, "front", CameraFault.BLACK, False, "mean 2 of 255, at least 10 expected.", 0.0, 30.0)
    rig = Rig().ready()
    rig.send(smooth(40, SWEEP), input_stamps_ns={})
    rig.step(20)
    for _ in range(150):
        rig.gate.on_camera_health(replace(black, stamp_ns=rig.now_ns))
        rig.step(camera=False)
    assert (rig.gate.state().mode, rig.gate.state().reason) == (SafetyMode.HOLDING, SafetyReason.CAMERA)
    here = rig.command.trajectory.positions[-1]
    assert rig.send(np.linspace(here, home(), 40), expert="move_to").action == SafetyAction.PASS  # the way home
    rig.step(250)
    assert rig.gate.state().mode == SafetyMode.READY


def test_a_requested_stop_is_quick_and_does_not_latch():
    rig = moving_rig(ticks=90)
    asked_ns = rig.now_ns
    rig.gate.hold("planner")
    rig.step(100)
    times, _, v, _ = rig.signal()
    assert times[np.abs(v).max(axis=1) > 1e-6][-1] - asked_ns < 400_000_000
    assert rig.gate.state().mode == SafetyMode.READY


def test_an_arm_whose_velocity_is_not_measured_is_judged_by_its_steps():
    rig = Rig()
    nan = np.full(7, np.nan)

    def step(offset):
        rig.now_ns += TICK_NS
        rig.gate.on_joint_state(JointState(rig.now_ns, panda().config.arm_joints, home() + offset, nan, nan))
        return rig.gate.tick(rig.now_ns, rig.now_ns)

    assert step(0.0) is None
    for _ in range(10):
        assert step(0.01) is None, "it has moved, and may be about to come to rest"
    assert step(0.01) is not None


def test_joint_states_that_lack_a_joint_or_are_not_finite_are_not_used():
    rig = moving_rig()
    joints = panda().config.arm_joints
    rig.gate.on_joint_state(JointState(rig.now_ns + 1, joints[:6], home()[:6], np.zeros(6), np.zeros(6)))
    rig.step(joints=False)
    assert "panda_joint7" in rig.gate.state().detail
    rig.step(60)
    rig.gate.on_joint_state(JointState(rig.now_ns + 1, joints, np.full(7, np.nan), np.zeros(7), np.zeros(7)))
    rig.step(joints=False)
    assert "not finite" in rig.gate.state().detail


def test_joint_states_of_a_time_to_come_do_not_shut_out_the_true_ones():
    rig = moving_rig()
    rig.gate.on_joint_state(standing(rig.now_ns + 3600 * 10**9, home()))
    assert rig.step(joints=False).action == SafetyAction.HOLD
    assert "ahead of the monitor's clock" in rig.gate.state().detail
    rig.step(100)
    assert rig.gate.state().mode == SafetyMode.READY


def test_of_strangers_nothing_is_kept():
    rig = Rig().ready()
    for n in range(1000):
        rig.gate.on_heartbeat(f"stranger_{n}", rig.steady_ns)
        rig.gate.on_camera_health(CameraHealth(rig.now_ns, f"stranger_{n}", CameraFault.OK, True, "", 0.0, 30.0))
    kept = rig.gate._inputs
    assert len(kept._heard_ns) == len(safety().nodes)
    assert set(kept._cameras) == set(safety().cameras)


def test_tracking_error_holds_and_a_large_one_latches():
    rig = moving_rig()
    rig.offset[2] = 0.15
    assert rig.step().action == SafetyAction.HOLD
    assert "panda_joint3" in rig.gate.state().detail
    rig.offset[2] = 0.4
    assert rig.step().action == SafetyAction.STOP


def test_a_clock_that_goes_back_anchors_anew():
    rig = moving_rig()
    rig.now_ns = START_NS - 3_000_000_000
    rig.sent.clear()
    assert rig.step(joints=False) is None
    assert (rig.gate.state().mode, rig.gate.state().reason) == (SafetyMode.STARTING, SafetyReason.TIME_JUMP)
    rig.step(60)
    assert rig.gate.state().mode == SafetyMode.READY
    assert rig.command.trajectory.positions[0] == pytest.approx(home())
    assert rig.send(smooth(40, SWEEP), seq=2).action == SafetyAction.PASS


@pytest.mark.parametrize("leap_ns", [110_000_000, 5_000_000_000])
def test_a_clock_that_leaps_ahead_commands_nothing_until_the_arm_was_looked_at_anew(leap_ns):
    rig = moving_rig()
    rig.now_ns += leap_ns  # the steady clock does not
    assert rig.step(joints=False, scene=False) is None
    assert rig.gate.state().mode == SafetyMode.STARTING
    assert rig.send(smooth(40, SWEEP), seq=2).action == SafetyAction.HOLD
    rig.now_ns -= leap_ns  # what the joints say is true
    assert rig.step(scene=False) is None


def test_a_tick_that_comes_late_is_no_leap_of_the_clock():
    rig = moving_rig()
    assert rig.step(1, jitter_ns=5_000_000_000) is not None
    rig.now_ns += 90_000_000
    assert rig.step() is not None


def test_ticks_that_come_late_follow_the_stop_that_was_sent():
    rig = moving_rig()
    before = rig.command.trajectory
    rig.step(1, jitter_ns=190_000_000)
    times = np.arange(rig.now_ns, rig.now_ns + TICK_NS, 1_000_000)
    assert np.abs(sample(before, times)[0] - sample(rig.command.trajectory, times)[0]).max() < 1e-9


# --- sources and numbers ------------------------------------------------------------------------------------------------


def test_a_second_source_waits_until_the_arm_rests():
    rig = moving_rig()
    decision = rig.send(rig.command.trajectory.positions[0] + np.zeros((10, 1)), expert="move_to")
    assert (decision.action, decision.reason) == (SafetyAction.HOLD, SafetyReason.CHUNK_SOURCE)
    rig.step(260)
    assert rig.command.trajectory.positions[-1] == pytest.approx(home() + SWEEP, abs=5e-4)  # the first one was not disturbed
    assert rig.send(home() + SWEEP + np.zeros((10, 1)), expert="move_to").action == SafetyAction.PASS


def test_a_duplicate_is_refused_and_changes_nothing():
    rig = moving_rig()
    assert rig.send(smooth(40, SWEEP), seq=1).reason == SafetyReason.CHUNK_SEQUENCE
    assert rig.step().action == SafetyAction.PASS


def test_an_expert_that_was_started_anew_may_count_from_one_again():
    rig = Rig().ready()
    rig.send(smooth(10, SWEEP * 0.1), seq=17)
    rig.step(120)
    assert rig.send(home() + SWEEP * 0.1 + np.zeros((5, 1)), seq=1).action == SafetyAction.PASS


def test_a_bad_chunk_of_the_followed_expert_stops_the_arm():
    rig = moving_rig()
    rows = smooth(40, SWEEP)
    rows[5, 3] = np.nan
    assert rig.send(rows, seq=2).reason == SafetyReason.CHUNK_NOT_FINITE
    assert rig.step().action == SafetyAction.HOLD
    settle(rig, 45)


# --- gripper ------------------------------------------------------------------------------------------------------------


def test_the_gripper_follows_the_rows_and_is_kept_in_a_stop():
    rig = Rig().ready()
    assert np.isnan(rig.command.gripper_width_m)
    widths = np.where(np.arange(40) < 10, 0.08, 0.02)
    rig.send(smooth(40, SWEEP), gripper_width_m=widths, gripper_force_n=25.0)
    rig.step(10)
    assert rig.command.gripper_width_m == 0.08
    rig.step(70)
    assert (rig.command.gripper_width_m, rig.command.gripper_force_n) == (0.02, 25.0)
    rig.gate.estop("test")
    assert rig.step(30).gripper_width_m == 0.02


# --- emergency stop -----------------------------------------------------------------------------------------------------


def test_an_emergency_stop_brakes_from_the_next_tick_and_latches():
    rig = moving_rig(ticks=90)
    before, at = rig.command.trajectory, rig.now_ns
    rig.gate.estop("operator")
    after = rig.step().trajectory
    assert largest_disagreement(before, after, rig.now_ns, rig.now_ns + TICK_NS) < 1e-9  # still on its way to the controller
    assert largest_disagreement(before, after, rig.now_ns + 2 * TICK_NS, rig.now_ns + 3 * TICK_NS) > 1e-4  # no waiting for the look-ahead
    rig.step(60)
    times, p, v, a = rig.signal()
    assert judge_samples(p, v, a, panda().config.limits).worst <= 1.0
    moving = times[np.abs(v).max(axis=1) > 1e-6]
    assert (moving[-1] - at) * 1e-9 < 0.32  # two ticks and the longest stop from the operational velocity
    assert rig.gate.state().mode == SafetyMode.STOPPED_LATCHED
    assert "operator" in rig.gate.state().detail
    assert rig.send(np.tile(p[-1], (10, 1)), seq=2).reason == SafetyReason.ESTOP
    assert rig.step(200).action == SafetyAction.STOP


def test_reset_needs_an_arm_at_rest_and_starts_where_it_is():
    rig = moving_rig()
    rig.gate.estop("operator")
    rig.step()
    ok, why = rig.gate.reset()
    assert not ok
    assert "still moves" in why
    rig.step(60)
    rig.offset[1] = 0.05  # pushed by hand while stopped
    rig.step()
    assert rig.gate.reset() == (True, "Reset: the monitor is ready for a fresh chunk.")
    rig.step()
    assert rig.gate.state().mode == SafetyMode.READY
    assert rig.command.trajectory.positions[0] == pytest.approx(rig.sent[-3][1].positions[-1] + rig.offset, abs=1e-6)


def test_reset_without_joint_states_or_with_a_failing_self_test_is_refused():
    results = [SelfTest(True, ""), SelfTest(False, "Self-test failed: as told.")]
    rig = Rig(self_test=lambda arm, config: results.pop(0)).ready()
    rig.gate.estop("operator")
    rig.step(50, joints=False)
    assert "joint states" in rig.gate.reset()[1]
    rig.step(2)
    assert rig.gate.reset() == (False, "Not reset: Self-test failed: as told.")
    assert rig.gate.state().mode == SafetyMode.STOPPED_LATCHED


def test_reset_when_nothing_is_latched_says_so():
    assert Rig().ready().gate.reset() == (True, "Nothing to reset: no stop is latched.")


def test_a_failed_self_test_never_becomes_ready():
    rig = Rig(self_test=lambda arm, config: SelfTest(False, "Self-test failed: as told."))
    assert rig.step(10) is None
    state = rig.gate.state()
    assert (state.mode, state.reason, state.self_test_passed) == (SafetyMode.STARTING, SafetyReason.SELF_TEST, False)
    assert rig.send(smooth(10, SWEEP)).action == SafetyAction.HOLD


# --- what is told -------------------------------------------------------------------------------------------------------


def test_one_decision_for_each_change():
    rig = Rig().ready()
    rig.step(50)
    rig.send(smooth(40, SWEEP))
    rig.step(260)
    assert [d.reason for d in rig.decisions] == [SafetyReason.NO_CHUNK, SafetyReason.OK, SafetyReason.CHUNK_EXHAUSTED]
    assert [d.id for d in rig.decisions] == [1, 2, 3]
    assert rig.command.decision_id == 3
    passed = rig.decisions[1]
    assert passed.margin_velocity > 0.5
    assert passed.margin_position_rad > 0.3
    assert passed.margin_workspace_m > 0.0


def test_commands_are_numbered_without_gaps_and_ages_are_told():
    rig = Rig().ready()
    first = rig.command.seq
    assert [rig.step().seq for _ in range(5)] == list(range(first + 1, first + 6))
    ages = rig.gate.state().input_ages_s
    assert ages["joint_states"] == 0.0
    assert ages["motion_forwarder"] == 0.0


def test_an_arm_that_was_pushed_a_little_at_rest_can_be_moved_again():
    rig = Rig().ready()
    pushed = home()
    pushed[5] += 0.07  # beyond the largest start jump, within the tracking bound
    for _ in range(40):
        rig.gate.on_joint_state(standing(rig.now_ns + TICK_NS, pushed))
        rig.step(joints=False)
    decision = rig.send(np.linspace(pushed, pushed + 0.02, 20))
    assert decision.action == SafetyAction.PASS, decision.detail
    assert rig.command.trajectory.positions[0] == pytest.approx(pushed, abs=1e-3)


def test_commands_that_do_not_arrive_end_the_motion_which_goes_on_from_where_the_arm_stands():
    """The forwarder refuses what does not continue the arm's own braking, and would refuse for ever what goes on without the arm."""
    rig = Rig().ready()
    target = home()
    target[5] += 0.07  # within the tracking bound
    assert rig.send(np.linspace(home(), target, 40)).action == SafetyAction.PASS
    stopped = None
    for _ in range(250):
        rig.gate.on_joint_state(standing(rig.now_ns + TICK_NS, home()))
        rig.step(joints=False)
        stopped = stopped or next((s for s in [rig.gate.state()] if s.reason == SafetyReason.TRACKING_ERROR), None)
    assert stopped is not None
    assert "stands still" in stopped.detail
    assert rig.command.trajectory.positions == pytest.approx(np.tile(home(), (len(rig.command.trajectory.positions), 1)), abs=1e-3)
    assert rig.send(np.linspace(home(), target, 20), seq=2).action == SafetyAction.PASS
    rig.step(250)
    assert rig.arm_state()[0] == pytest.approx(target, abs=5e-3)


def test_an_arm_that_is_blocked_is_not_pushed_against_for_ever():
    rig = Rig().ready()
    blocked = home()
    blocked[5] += 0.15  # beyond the tracking bound
    for _ in range(40):
        rig.gate.on_joint_state(standing(rig.now_ns + TICK_NS, blocked))
        rig.step(joints=False)
    assert rig.command.trajectory.positions[-1] == pytest.approx(blocked, abs=1e-3)


def test_somebody_else_who_commands_the_arm_ends_all_motion():
    rig = moving_rig()
    rig.gate.bypass("more than one publishes on gated_command (a, b)")
    rig.step(60)
    state = rig.gate.state()
    assert (state.mode, state.reason) == (SafetyMode.STOPPED_LATCHED, SafetyReason.BYPASS)
    assert "a, b" in state.detail
    assert not rig.command.trajectory.velocities.any()


def test_no_reset_before_the_commanded_stop_is_over():
    """An arm that has hardly begun to move looks still, but what was committed goes on for some ticks."""
    rig = Rig().ready()
    rig.send(smooth(30, SWEEP))
    rig.step(10)
    rig.gate.estop("test")
    rig.step(1)
    assert rig.gate._guard.horizon.at_rest
    assert not rig.gate.reset()[0]
    rig.step(60)
    assert rig.gate.reset()[0]
    _, p, _, _ = rig.signal()
    assert np.abs(np.diff(p, 2, axis=0)).max() / 1e-6 < max(panda().config.limits.acceleration_radps2)
