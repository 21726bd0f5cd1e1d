"""What the forwarder refuses to hand to the controllers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vla_ros.core.actions import GatedCommand, SafetyAction, ShortTrajectory
from vla_ros.motion.forwarding import SILENT_NS, ArmUnknown, Forwarding

NAMES = ("a", "b")
TICK_NS = 10_000_000
HOME = np.zeros(2)


def moving(seq: int, from_s: float, speed: float = 1.0) -> GatedCommand:
    """A stop from ``speed`` that begins at ``from_s`` on a curve of constant speed before it."""
    times = np.array([0.0, 0.05, 0.15])
    start = speed * from_s
    positions = np.outer([start, start + 0.05 * speed, start + 0.1 * speed], np.ones(2))
    velocities = np.outer([speed, speed, 0.0], np.ones(2))
    trajectory = ShortTrajectory(round(from_s * 1e9), NAMES, times, positions, velocities, np.zeros((3, 2)))
    return GatedCommand(seq, round(from_s * 1e9), SafetyAction.PASS, trajectory, 1.0, 1, 0.0, "", 1, float("nan"), 0.0)


def at_rest(seq: int, position: np.ndarray, stamp_ns: int = 0) -> GatedCommand:
    zeros = np.zeros((2, 2))
    trajectory = ShortTrajectory(stamp_ns, NAMES, np.array([0.0, 0.2]), np.array([position, position]), zeros, zeros)
    return GatedCommand(seq, stamp_ns, SafetyAction.PASS, trajectory, 1.0, 0, 0.0, "", 1, float("nan"), 0.0)


def started() -> Forwarding:
    forwarding = Forwarding(NAMES)
    first = at_rest(1, HOME)
    forwarding.check(first, 0, 0, lambda: HOME)
    forwarding.passed(first, 0)
    return forwarding


def test_consecutive_commands_of_one_curve_pass():
    forwarding = started()
    begun = replace(moving(2, 0.0), stamp_ns=0)
    forwarding._passed = (begun.trajectory, 0, 0)
    for tick in range(1, 4):
        command = moving(2 + tick, tick * 0.01)
        forwarding.check(command, tick * TICK_NS, tick * TICK_NS, lambda: HOME)
        forwarding.passed(command, tick * TICK_NS)


def test_after_a_gap_a_command_that_would_make_the_arm_leap_is_refused():
    forwarding = started()
    forwarding._passed = (moving(2, 0.0).trajectory, 0, 0)
    with pytest.raises(ValueError, match="leap"):
        forwarding.check(moving(3, 0.3), 300_000_000, 300_000_000, lambda: HOME)


@pytest.mark.parametrize("speed", [0.01, 1.0])
def test_commands_that_all_come_late_from_rest_on_do_not_make_the_arm_leap_from_end_to_end(speed: float):
    """By their stamps alone they agree with each other."""
    late_ns, forwarding = 200_000_000, started()
    forwarding.check(at_rest(2, HOME), late_ns, late_ns, lambda: HOME)
    forwarding.passed(at_rest(2, HOME), late_ns)
    for tick in range(1, 30):
        now_ns = tick * TICK_NS + late_ns
        with pytest.raises(ValueError, match="its motion is over"):
            forwarding.check(moving(2 + tick, tick * 0.01, speed), now_ns, now_ns, lambda: HOME)


def test_where_commands_disagree_by_the_time_that_the_controller_plays_them_is_told():
    forwarding = started()
    forwarding._passed = (moving(2, 0.0).trajectory, 0, 0)
    forwarding.check(moving(3, 0.01), TICK_NS, TICK_NS, lambda: HOME)
    with pytest.raises(ValueError, match="leap"):
        forwarding.check(moving(4, 0.01), 12 * TICK_NS, TICK_NS, lambda: HOME)


def test_after_a_time_in_which_the_clock_stood_still_the_first_motion_is_compared_where_it_begins():
    forwarding = started()
    paused_ns = 5_000_000_000  # the steady clock went on
    forwarding.repeated(at_rest(2, HOME), paused_ns)
    begun = moving(3, 0.0, 0.015)
    forwarding.check(replace(begun, stamp_ns=0), 0, paused_ns + TICK_NS, lambda: HOME)


def test_the_first_command_must_be_at_rest_where_the_arm_stands():
    with pytest.raises(ValueError, match="at rest"):
        Forwarding(NAMES).check(moving(1, 0.0), 0, 0, lambda: HOME)
    with pytest.raises(ValueError, match="where the arm stands"):
        Forwarding(NAMES).check(at_rest(1, HOME + 0.1), 0, 0, lambda: HOME)


def test_an_arm_that_was_not_heard_of_yet_is_waited_for():
    forwarding = Forwarding(NAMES)
    with pytest.raises(ArmUnknown, match="no joint states"):
        forwarding.check(at_rest(1, HOME), 0, 0, lambda: None)
    forwarding.check(at_rest(2, HOME), TICK_NS, TICK_NS, lambda: HOME)


def test_an_arm_that_was_moved_by_others_is_met_where_it_stands():
    forwarding = started()
    moved = HOME + 0.5
    with pytest.raises(ValueError, match="where the arm stands"):
        forwarding.check(at_rest(2, moved), TICK_NS, TICK_NS, lambda: HOME)
    forwarding.check(at_rest(3, moved), 2 * TICK_NS, 2 * TICK_NS, lambda: moved)


def test_rest_is_told_once():
    forwarding = started()
    assert not forwarding.is_news(at_rest(2, HOME + 1e-9))
    assert forwarding.is_news(at_rest(2, HOME + 1e-3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": ("a", "c")}, "joints"),
        ({"positions": np.array([[np.nan, 0.0], [0.0, 0.0]])}, "finite"),
        ({"times_s": np.array([0.2, 0.0])}, "increase"),
        ({"velocities": np.array([[0.0, 0.0], [0.1, 0.0]])}, "at rest"),
    ],
)
def test_what_no_controller_may_get_is_refused(change: dict[str, object], words: str):
    command = at_rest(2, HOME)
    with pytest.raises(ValueError, match=words):
        started().check(replace(command, trajectory=replace(command.trajectory, **change)), TICK_NS, TICK_NS, lambda: HOME)


def test_commands_of_a_session_only_count_up():
    forwarding = started()
    with pytest.raises(ValueError, match="command 1 came after 1"):
        forwarding.check(at_rest(1, HOME), TICK_NS, TICK_NS, lambda: HOME)


@pytest.mark.parametrize("seq", [1, 2, 700], ids=["its first", "its first was missed", "heard late"])
def test_a_monitor_that_was_started_again_is_heard_when_the_old_one_is_silent(seq):
    forwarding = started()
    forwarding.check(at_rest(500, HOME), TICK_NS, TICK_NS, lambda: HOME)
    forwarding.check(replace(at_rest(seq, HOME), session=7), TICK_NS + SILENT_NS, TICK_NS + SILENT_NS, lambda: HOME)
    with pytest.raises(ValueError, match="another monitor"):
        forwarding.check(at_rest(501, HOME), 2 * TICK_NS + SILENT_NS, 2 * TICK_NS + SILENT_NS, lambda: HOME)


def test_two_monitors_at_once_do_not_take_turns():
    forwarding = started()
    for tick in range(1, 40):
        forwarding.check(at_rest(1 + tick, HOME), tick * TICK_NS, tick * TICK_NS, lambda: HOME)
        with pytest.raises(ValueError, match=r"another monitor \(session 7\)"):
            forwarding.check(replace(at_rest(1000 + tick, HOME), session=7), tick * TICK_NS, tick * TICK_NS, lambda: HOME)
