"""A latched stop that outlives its process."""

from __future__ import annotations

from pathlib import Path

import pytest
from safety_rig import Rig, smooth

from vla_ros.core.decisions import SafetyMode, SafetyReason
from vla_ros.core.errors import ConfigError
from vla_ros.safety.faults import Fault
from vla_ros.safety.stop_file import StopFile, stop_path

STOP = Fault(SafetyReason.TRACKING_ERROR, "joint 1 is off.", cut=True, latch=True)


def test_a_stop_is_there_until_it_is_cleared(tmp_path: Path) -> None:
    path = tmp_path / "stops" / "one.json"
    StopFile(path).save(STOP)
    kept = StopFile(path).load()
    assert kept is not None
    assert (kept.reason, kept.latch) == (SafetyReason.TRACKING_ERROR, True)
    assert "joint 1 is off" in kept.detail
    StopFile(path).clear()
    StopFile(path).clear()
    assert StopFile(path).load() is None


@pytest.mark.parametrize("text", ["", "{", '{"reason": "estop"}', '{"reason": "whim", "detail": ""}', "[]", "\x00"])
def test_what_cannot_be_read_counts_as_a_stop(tmp_path: Path, text: str) -> None:
    path = tmp_path / "one.json"
    path.write_text(text)
    kept = StopFile(path).load()
    assert kept is not None
    assert (kept.reason, kept.latch) == (SafetyReason.ESTOP, True)


def test_a_folder_in_its_place_counts_as_a_stop(tmp_path: Path) -> None:
    (tmp_path / "one.json").mkdir()
    kept = StopFile(tmp_path / "one.json").load()
    assert kept is not None
    assert kept.latch


def test_where_nothing_can_be_kept_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="ROS_HOME"):
        StopFile(tmp_path / "file" / "stops" / "one.json")


def test_runs_domains_and_namespaces_have_their_own() -> None:
    home = {"ROS_HOME": "/home"}
    environments = ({}, {"ROS_DOMAIN_ID": "7"}, {"VLA_ROS_RUN": "a"}, {"VLA_ROS_RUN": "b"}, {"VLA_ROS_RUN": "b", "ROS_DOMAIN_ID": "7"})
    paths = [stop_path(home | e, namespace) for e in environments for namespace in ("/", "/left", "/left/arm")]
    assert len(set(paths)) == len(paths)
    assert {path.parent for path in paths} == {Path("/home/vla_ros/stops")}
    assert stop_path(home | {"VLA_ROS_RUN": "../../etc"}, "/").parent == Path("/home/vla_ros/stops")


def test_a_gate_that_is_kept_stopped_moves_nothing_before_it_is_reset() -> None:
    rig = Rig()
    rig.gate.keep_stopped(STOP)
    rig.step(100)
    assert rig.gate.state().mode == SafetyMode.STOPPED_LATCHED
    assert rig.send(smooth(20, [0.2] * 7)).reason == SafetyReason.TRACKING_ERROR
    assert rig.gate.reset()[0]
    assert rig.gate.latched is None
    rig.step(2)
    assert rig.gate.state().mode == SafetyMode.READY
