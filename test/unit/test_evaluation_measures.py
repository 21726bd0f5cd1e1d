"""Measures against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from data_samples import LIMITS, decision, empty_joints, signals

from vla_ros.core.actions import SafetyAction
from vla_ros.core.geometry import Array, transform
from vla_ros.core.outcomes import ReportStatus
from vla_ros.data.run_signals import ContactSignal, SubtaskSpan
from vla_ros.evaluation.measures import count_interventions, count_recoveries, measure
from vla_ros.robots import Box

WORKSPACE = Box("base", np.array([-2.0, -2.0, 0.0]), np.array([2.0, 2.0, 1.0]))
PASS, SLOW, HOLD, STOP = SafetyAction.PASS, SafetyAction.SLOW, SafetyAction.HOLD, SafetyAction.STOP


def on_a_circle(q: Array) -> Array:
    """The TCP turns about z at 1 m, 0.3 m high."""
    return transform(np.eye(3), np.array([np.cos(q[0]), np.sin(q[0]), 0.3]))


def test_measures_of_a_turning_joint() -> None:
    found = measure(signals(4.0), LIMITS, WORKSPACE, on_a_circle)
    turned_rad = 0.5 * 3.99
    assert found.duration_s == 4.0
    assert found.path_length_m == pytest.approx(turned_rad * 1.0, rel=1e-3)  # chords of 0.025 rad
    assert found.margin_position_rad == pytest.approx(3.0 - turned_rad)
    assert found.margin_workspace_m == pytest.approx(0.3)
    assert found.peak_speed == pytest.approx(0.25)
    # Five steps of 1 rad/s2 in 10 ms, then none, in one of seven joints.
    assert found.peak_jerk_radps3 == pytest.approx(100.0)
    assert found.rms_jerk_radps3 == pytest.approx(math.sqrt(5 * 100.0**2 / (399 * 7)))
    assert found.recoveries == 1
    assert found.interventions == 1  # the e-stop; no_chunk is idling


def test_peak_force_is_that_of_either_finger() -> None:
    assert measure(signals(10.0), LIMITS, WORKSPACE, on_a_circle).peak_force_n == 15.0


def test_leaving_the_workspace_is_a_negative_margin() -> None:
    small = Box("base", np.array([-0.9, -2.0, 0.0]), np.array([0.9, 2.0, 1.0]))
    assert measure(signals(1.0), LIMITS, small, on_a_circle).margin_workspace_m == pytest.approx(-0.1)


def test_what_was_not_recorded_is_not_a_number() -> None:
    nothing = ContactSignal((), np.zeros(0), np.zeros((0, 0)))
    bare = replace(signals(), joints=empty_joints(7), command=empty_joints(7), contact=nothing, subtasks=(), decisions=())
    found = measure(bare, LIMITS, WORKSPACE, on_a_circle)
    values = [
        found.path_length_m,
        found.margin_position_rad,
        found.margin_workspace_m,
        found.peak_force_n,
        found.peak_jerk_radps3,
        found.rms_jerk_radps3,
    ]
    assert all(math.isnan(v) for v in values)
    assert (found.interventions, found.recoveries) == (0, 0)


@pytest.mark.parametrize(
    ("decisions", "count"),
    [
        ([], 0),
        ([(HOLD, "starting"), (HOLD, "no_chunk"), (PASS, "ok"), (HOLD, "chunk_exhausted"), (SLOW, "speed_override")], 0),
        ([(PASS, "ok"), (SLOW, "velocity_limit"), (PASS, "ok"), (SLOW, "velocity_limit")], 2),
        ([(HOLD, "camera"), (HOLD, "camera"), (HOLD, "joint_states_stale"), (STOP, "estop")], 3),
        ([(STOP, "estop"), (HOLD, "estop"), (STOP, "estop")], 1),  # a chunk was refused meanwhile
    ],
)
def test_interventions(decisions: list[tuple[SafetyAction, str]], count: int) -> None:
    assert count_interventions([decision(float(k), action, reason) for k, (action, reason) in enumerate(decisions)]) == count


@pytest.mark.parametrize(
    ("spans", "count"),
    [
        ([], 0),
        ([("1", 1), ("2", 1)], 0),
        ([("1", 3), ("2", 1)], 2),  # one report in sum
        ([("1", 1), ("1", 2), ("2", 1), ("2", 1)], 2),  # one report for each attempt
    ],
)
def test_recoveries(spans: list[tuple[str, int]], count: int) -> None:
    found = [SubtaskSpan(name, name, 0.0, 1.0, ReportStatus.SUCCEEDED, attempts, "") for name, attempts in spans]
    assert count_recoveries(found) == count
