"""The world model as a process: what it cannot know it calls unknown, and it tells how far off it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from ros_harness import Ros, wait_until

from vla_ros.core.actions import ActionChunk, ActionSpace, GatedCommand, SafetyAction, ShortTrajectory
from vla_ros.core.decisions import Verdict
from vla_ros.core.geometry import Pose, transform
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.robots import load_robot_config
from vla_ros.ros.conversions.actions import chunk_to_msg, gated_to_msg
from vla_ros.ros.conversions.robot import joint_state_to_msg
from vla_ros.ros.conversions.scene import scene_to_msg
from vla_ros.ros.interfaces import EVALUATE_CHUNK, GATED_COMMAND, JOINT_STATES, OBJECTS, WORLD_MODEL_ERROR

pytestmark = pytest.mark.node

ARM = load_robot_config("panda")
START_NS, ROWS, DT_S, LAG_ROWS = 10_000_000_000, 32, 0.05, 2.0
WAY = np.asarray(ARM.home_rad) + np.linspace(0, 0.3, ROWS)[:, None] * [1, 0, 0, 0, 0, 0, 0]


def joints(row: float) -> Any:
    """The arm where the chunk's ``row`` lies, when it is played as it was meant."""
    row = max(row, 0.0)
    q = np.array([np.interp(row, np.arange(ROWS), column) for column in WAY.T])
    names = (*ARM.arm_joints, *ARM.finger_joints)
    return joint_state_to_msg(JointState(START_NS + round(row * DT_S * 1e9), names, np.array([*q, 0.04, 0.04]), np.zeros(9), np.zeros(9)))


def gated(row: float) -> Any:
    at_rest = ShortTrajectory(START_NS, ARM.arm_joints, np.array([0.0]), WAY[-1:], np.zeros((1, 7)), np.zeros((1, 7)))
    return gated_to_msg(GatedCommand(1, START_NS, SafetyAction.PASS, at_rest, 1.0, 1, row, "t-1", 1, float("nan"), 0.0))


def objects(stamp_ns: int) -> Any:
    pose = Pose.from_matrix(transform(np.eye(3), np.array([0.5, -0.3, 0.03])))
    cube = SceneObject("c", "red cube", "red", "cube", pose, np.full(3, 0.06), 0.9, stamp_ns)
    return scene_to_msg(Scene(stamp_ns, ARM.base_frame, (cube,)))


def test_it_answers_and_tells_how_far_off_it_was(ros: Ros) -> None:
    process = ros.process("world_model")
    peer = ros.peer("fake_peers")
    chunk = ActionChunk(1, "e", "", "t-1", START_NS, ActionSpace.JOINT_POSITION, ARM.arm_joints, DT_S, WAY, np.full(ROWS, 0.08))

    def ask() -> Any:
        return peer.call(EVALUATE_CHUNK, chunk=chunk_to_msg(chunk), joints=joints(0.0), deadline=5.0)

    blind = ask()
    assert blind.verdict == Verdict.UNKNOWN
    assert "no objects have been seen" in blind.detail
    scenes, states, commands = peer.publisher(OBJECTS), peer.publisher(JOINT_STATES), peer.publisher(GATED_COMMAND)
    told = peer.listen(WORLD_MODEL_ERROR, matched=True)
    scenes.publish(objects(START_NS - 3_000_000_000))
    wait_until(lambda: "out of date" in ask().detail, "an answer about an old scene")
    scenes.publish(objects(START_NS))
    last = wait_until(lambda: (answer := ask()).verdict != Verdict.UNKNOWN and answer, f"an answer; {process.output[-800:]}", 30.0)
    assert last.verdict == Verdict.APPROVE, last.detail
    rows = iter(np.arange(0.0, 1e4, 0.1))

    def play() -> bool:
        row = float(next(rows))
        commands.publish(gated(min(row, ROWS - 1.0)))
        states.publish(joints(row - LAG_ROWS))
        return bool(told)

    wait_until(play, "a comparison")
    error = told[0].message
    assert (error.expert, error.chunk_seq, error.trace_id, error.compared) == ("e", 1, "t-1", 1)
    assert (error.horizon, error.held_compared, error.held_foreseen, error.held_seen) == (pytest.approx(31 * DT_S), True, "", "")
    assert error.samples >= 1
    assert error.tcp_error_max < 1e-4
    assert error.approved >= 1
    assert error.unknown >= 2
