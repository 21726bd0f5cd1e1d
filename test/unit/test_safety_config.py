"""The gate's configuration is checked, and the self-test notices a door that has been broken."""

from __future__ import annotations

import copy
import re
from dataclasses import replace

import numpy as np
import pytest
from safety_rig import ROBOTS, panda, safety

from vla_ros.core.errors import ConfigError
from vla_ros.core.resources import config_path
from vla_ros.core.yaml_files import load_yaml
from vla_ros.robots import Arm, load_robot
from vla_ros.safety import chunk_checks
from vla_ros.safety.config import SafetyConfig, load_safety_config
from vla_ros.safety.self_test import run_self_test


def raw():
    return copy.deepcopy(load_yaml(config_path("safety", "panda")))


def change(path, value):
    mapping = raw()
    *parents, last = path.split(".")
    target = mapping
    for key in parents:
        target = target[key]
    target[last] = value
    return mapping


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("enabled", False, "Unknown key 'enabled'"),
        ("gate", "off", "Unknown key 'gate'"),
        ("operation.velocity", 0, "0.01 to 0.95"),
        ("operation.acceleration", 3.0, "0.01 to 1,"),
        ("operation.velocity", 1.0, "0.95"),
        ("operation.acceleration", 0.9, "braking must be at least as strong"),
        ("braking.jerk", True, "must be a finite number"),
        ("joint_states_age_s", float("inf"), "must be a finite number"),
        ("joint_states_age_s", 60, "0.02 to 0.5"),
        ("start_jump_rad", "much", "must be a finite number"),
        ("lookahead_ticks", 2.5, "whole number"),
        ("tracking_hold_rad", 0.3, "tracking_latch_rad must be above"),
        ("heartbeats", {}, "must name motion_forwarder"),
        ("heartbeats", {"planner": 0.3}, "must name motion_forwarder"),
        ("heartbeats", {"motion_fwd": 0.5}, "must name motion_forwarder"),
        ("heartbeats.motion_forwarder", 1e9, "0.05 to 10"),
        ("cameras", None, "cameras must hold keys and values"),
        ("operation", 0.5, "operation must hold keys and values"),
        ("world_model", "none", "world_model must hold keys and values"),
        ("world_model.required", "no", "required must be true or false"),
        ("world_model.deadline_s", 0, "0.05 to 2"),
        ("world_model.unknown_speed", 1.0, "0 to 0.9"),
    ],
)
def test_a_value_that_makes_no_gate_is_refused_by_name(path, value, says):
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        SafetyConfig.from_mapping(change(path, value), "safety.yaml")
    assert "safety.yaml" in str(caught.value)


def test_every_key_is_needed():
    for key in raw():
        mapping = raw()
        del mapping[key]
        with pytest.raises(ConfigError, match=key):
            SafetyConfig.from_mapping(mapping, "safety.yaml")


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_self_test_passes_on_the_real_door(robot):
    result = run_self_test(load_robot(robot), load_safety_config(robot))
    assert result.passed, result.detail


def test_the_self_test_fails_where_the_border_of_the_workspace_cannot_be_reached():
    wide = replace(panda().config.workspace, min_m=np.full(3, -2.0), max_m=np.full(3, 2.0))
    result = run_self_test(Arm(replace(panda().config, workspace=wide)), safety())
    assert not result.passed
    assert "whose border could not be tried" in result.detail


RULES = [*chunk_checks.FORMAL_RULES, *chunk_checks.ROW_RULES]


@pytest.mark.parametrize("broken", RULES, ids=lambda r: r.__name__)
def test_the_self_test_fails_when_a_check_is_broken(monkeypatch, broken):
    def passes(*_):
        return None

    for name in ("FORMAL_RULES", "ROW_RULES"):
        monkeypatch.setattr(chunk_checks, name, tuple(passes if rule is broken else rule for rule in getattr(chunk_checks, name)))
    assert not run_self_test(panda(), safety()).passed


def test_the_self_test_fails_when_the_door_refuses_everything(monkeypatch):
    def never(*_):
        return chunk_checks.Refusal(chunk_checks.SafetyReason.CHUNK_STALE, "no")

    monkeypatch.setattr(chunk_checks, "FORMAL_RULES", (never,))
    assert "good chunk was refused" in run_self_test(panda(), safety()).detail
