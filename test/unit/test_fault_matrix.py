"""Faults end in the stop that is expected of them, and a gate that does not notice one is found out."""

from __future__ import annotations

import pytest
from safety_rig import safety

from vla_ros.evaluation.fault_cells import cells
from vla_ros.evaluation.fault_matrix import run_matrix
from vla_ros.safety.clock import Clock
from vla_ros.safety.inputs import Inputs

NAMES = [cell.name for cell in cells(safety())]


def test_the_matrix_has_a_cell_for_every_source_and_way_to_fail():
    assert len(NAMES) == len(set(NAMES)) >= 60


@pytest.mark.parametrize(
    "name",
    [
        "joint_states late",
        "contact nonsense",
        "objects killed",
        "camera_health clock forward",
        "action_chunk duplicated",
        "heartbeat of planner dropped",
        "commands late",
        "a joint reads far off",
        "the monitor's clock leaps ahead by 5 s",
        "the monitor is late by 500 ms",
        "the monitor is killed",
        "emergency stop",
        "a person's arm enters",
        "what is held slips and lies in the path",
    ],
)
def test_a_fault_is_safe(name: str):
    line = next(line for line in run_matrix("panda", name) if line["name"] == name)
    assert line["safe"], line["detail"]


def test_a_gate_that_does_not_miss_the_camera_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Inputs, "_camera_fault", lambda *_: None)
    (line,) = run_matrix("panda", "camera_health killed")
    assert not line["safe"]


def test_a_gate_that_does_not_watch_its_clock_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Clock, "_leap", lambda *_: "")
    (line,) = run_matrix("panda", "clock leaps ahead by 5 s")
    assert not line["safe"]
