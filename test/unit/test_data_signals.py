"""A bag becomes signals: by message type, in the stamps' time, of the last episode only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_samples import FINGERS, JOINTS, BagMaker, S

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.errors import DataError
from vla_ros.core.outcomes import EpisodeEvent, ReportStatus
from vla_ros.data.bag_signals import read_run_signals
from vla_ros.robots.values import GripperBinding

START = 100 * S


GRIPPER = GripperBinding("", "", FINGERS[0], position_per_width=0.5, position_at_zero=-0.005)


def make_bag(folder: Path, namespace: str = "") -> Path:
    maker = BagMaker(folder)
    maker.write(f"{namespace}/episode", "vla_ros/msg/Episode", START - 50 * S, event=EpisodeEvent.STARTED, instruction="an earlier goal")
    maker.write(f"{namespace}/episode", "vla_ros/msg/Episode", START - 40 * S, event=EpisodeEvent.FINISHED, outcome="failed")
    maker.write(f"{namespace}/episode", "vla_ros/msg/Episode", START, event=EpisodeEvent.STARTED, instruction="tidy up")
    for k in range(200):
        stamp_ns = START + k * S // 100
        names = [*reversed(JOINTS), *FINGERS]
        position = np.array([*(np.arange(7)[::-1] + k), 0.01, 0.02])
        maker.write(f"{namespace}/joint_states", "sensor_msgs/msg/JointState", stamp_ns, name=names, position=position, velocity=position)
        rows = {"positions": np.zeros(14), "velocities": np.zeros(14), "accelerations": np.concatenate([np.full(7, k / 1.0), np.zeros(7)])}
        start = maker.time(stamp_ns - S // 10)
        times = np.array([0.1, 0.3])
        command = {"start": start, "joint_names": list(JOINTS), "time_from_start": times, **rows}
        maker.write(f"{namespace}/gated_command", "vla_ros/msg/GatedCommand", stamp_ns, **command)
        contact = {"fingers": ["left", "right"], "force": np.array([1.0 * k, 2.0 * k])}
        maker.write(f"{namespace}/perception/contact", "vla_ros/msg/ContactState", stamp_ns, **contact)
        mode = SafetyMode.HOLDING if 50 <= k < 60 else SafetyMode.READY
        maker.write(
            f"{namespace}/safety/state", "vla_ros/msg/SafetyState", stamp_ns, mode=int(mode), reason="camera" if 50 <= k < 60 else "ok"
        )
    report = {"subtask_id": "1", "description": "pick up the cube"}
    topic = f"{namespace}/subtask_report"
    maker.write(topic, "vla_ros/msg/SubtaskReport", START + S // 2, status=ReportStatus.RUNNING, attempts=1, **report)
    maker.write(topic, "vla_ros/msg/SubtaskReport", START + S, status=ReportStatus.FAILED, attempts=1, reason="dropped", **report)
    maker.write(topic, "vla_ros/msg/SubtaskReport", START + 2 * S, status=ReportStatus.SUCCEEDED, attempts=2, duration=0.75, **report)
    decision = {"action": SafetyAction.HOLD, "reason": "camera", "margin_position": 0.25}
    maker.write(f"{namespace}/safety/decision", "vla_ros/msg/SafetyDecision", START + S // 2, **decision)
    maker.write(f"{namespace}/reasoning", "vla_ros/msg/ReasoningTrace", START + S // 4, phase="plan", text="because")
    ended = {"event": EpisodeEvent.FINISHED, "outcome": "succeeded", "reason": "verified"}
    maker.write(f"{namespace}/episode", "vla_ros/msg/Episode", START + 2 * S, **ended)
    maker.bag.close()
    return folder


def test_signals_are_those_of_the_messages(tmp_path: Path) -> None:
    run = read_run_signals(make_bag(tmp_path / "bag"), JOINTS, GRIPPER)
    assert (run.instruction, run.outcome, run.reason, run.start_ns, run.duration_s) == ("tidy up", "succeeded", "verified", START, 2.0)
    np.testing.assert_allclose(run.joints.times_s, np.arange(200) / 100)
    np.testing.assert_allclose(run.joints.positions[3], np.arange(7) + 3)
    np.testing.assert_allclose(run.command.times_s, np.arange(200) / 100, atol=1e-9)
    np.testing.assert_allclose(run.command.accelerations[9], 9.0)
    np.testing.assert_allclose(run.gripper_width_m, 0.03)
    np.testing.assert_allclose(run.contact.force_n[7], [7.0, 14.0])
    assert [(s.start_s, s.end_s, s.status, s.attempts) for s in run.subtasks] == [
        (0.5, 1.0, ReportStatus.FAILED, 1),
        (1.25, 2.0, ReportStatus.SUCCEEDED, 2),
    ]
    assert [(d.time_s, d.action, d.reason, d.margin_position_rad) for d in run.decisions] == [(0.5, SafetyAction.HOLD, "camera", 0.25)]
    assert [(m.time_s, m.mode) for m in run.modes] == [(0.0, SafetyMode.READY), (0.5, SafetyMode.HOLDING), (0.6, SafetyMode.READY)]
    assert run.mode_at(0.55).reason == "camera"  # type: ignore[union-attr]
    assert run.subtask_at(1.1) is None
    assert run.reasoning_at(1.9).text == "because"  # type: ignore[union-attr]
    assert [e.label for e in run.events] == ["start", "end"]
    assert run.damage == ""


def test_a_namespace_chooses_the_arm(tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag", "/left")
    assert read_run_signals(bag, JOINTS, GRIPPER, namespace="/left").duration_s == 2.0
    with pytest.raises(DataError, match="holds no joint states of panda_joint1"):
        read_run_signals(bag, JOINTS, GRIPPER, namespace="/right")


def test_a_run_without_end_lasts_as_long_as_its_joints(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "bag")
    for k in (0, 1, 2, 1, 3):  # one stamp goes back
        position = np.zeros(7)
        maker.write("/joint_states", "sensor_msgs/msg/JointState", START + k * S, name=list(JOINTS), position=position)
    maker.write("/subtask_report", "vla_ros/msg/SubtaskReport", START + S, status=ReportStatus.RUNNING, subtask_id="1")
    maker.bag.flush()
    run = read_run_signals(tmp_path / "bag", JOINTS, GRIPPER, instruction="asked on the command line")
    assert (run.outcome, run.duration_s, run.instruction) == ("", 3.0, "asked on the command line")
    assert run.joints.times_s.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert np.isnan(run.joints.velocities).all()
    assert [(s.start_s, s.end_s, s.status) for s in run.subtasks] == [(1.0, 3.0, ReportStatus.RUNNING)]
    assert "not completed" in run.damage
    maker.bag.close()
