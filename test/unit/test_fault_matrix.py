"""Faults end in the stop that is expected of them, and a gate that does not notice one is found out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vla_ros.evaluation.fault_cells import Cell, cells
from vla_ros.evaluation.fault_ears import Mode
from vla_ros.evaluation.fault_matrix import run_matrix
from vla_ros.evaluation.gate_oracle import GateOracle
from vla_ros.robots import load_robot
from vla_ros.safety.clock import Clock
from vla_ros.safety.config import load_safety_config
from vla_ros.safety.inputs import Inputs


def cells_of(robot: str) -> list[Cell]:
    return list(cells(load_robot(robot).config, load_safety_config(robot)))


def test_the_matrix_has_a_cell_for_every_source_and_way_to_fail():
    made = {(cell.source, cell.mode) for cell in cells_of("panda") if cell.mode}
    messages = ("joint_states", "contact", "objects", "camera_health", "action_chunk", "plan")
    assert made >= {(source, mode) for source in messages for mode in Mode}
    timeless = set(Mode) - {Mode.CLOCK_BACK, Mode.CLOCK_FORWARD}  # what is stamped by its arrival has no clock
    beats = (f"heartbeat of {node}" for node in load_safety_config("panda").nodes)
    assert made >= {(source, mode) for source in ("deadman", *beats) for mode in timeless}
    assert made >= {("commands", mode) for mode in timeless - {Mode.NONSENSE}}
    names = [cell.name for cell in cells_of("panda")]
    assert len(names) == len(set(names)) >= 60


def test_what_a_robot_does_not_feel_and_nobody_waits_for_is_no_cell():
    robot, config = load_robot("wx250s").config, load_safety_config("wx250s")
    assert not robot.tactile
    assert not [cell.name for cell in cells_of("wx250s") if "contact" in cell.name or "finger" in cell.name]
    alone = replace(config, cameras={}, deadman=replace(config.deadman, experts=()))
    assert not [cell.name for cell in cells(robot, alone) if cell.name.startswith(("camera", "deadman"))]


@pytest.mark.parametrize("robot", ["fr3", "wx250s"])
@pytest.mark.parametrize(
    "name",
    ["joint_states late", "heartbeat of planner killed", "the monitor's clock goes back by 0.05 s", "an object is moved into the path"],
)
def test_other_arms_are_as_safe(robot: str, name: str):
    line = next(line for line in run_matrix(robot, name) if line["name"] == name)
    assert line["safe"], line["detail"]


def test_the_oracle_sees_what_stands_around(monkeypatch: pytest.MonkeyPatch):
    placed: list[int] = []
    monkeypatch.setattr(GateOracle, "place", lambda self, boxes: placed.append(len(boxes)))
    monkeypatch.setattr(GateOracle, "judge", lambda *_: placed.append(-1))
    run_matrix("panda", "joint_states late")
    assert 2 in placed[:-1], "both cubes, before the motion is judged"


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
