"""After sim/reset the simulated arm does not run after trajectories that were meant for where it stood before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from ros_harness import Ros, wait_until

from vla_ros.core.actions import ShortTrajectory
from vla_ros.robots import load_robot_config
from vla_ros.ros.conversions.robot import joint_state_from_msg, trajectory_to_msg
from vla_ros.ros.interfaces import JOINT_STATES, JOINT_TRAJECTORY, SIM_RESET

pytestmark = pytest.mark.node

ROBOT = load_robot_config("panda")
HOME = np.array(ROBOT.home_rad)


def to_rest_at(position: np.ndarray, start_ns: int) -> Any:
    """From there to there, in half a second."""
    zeros = np.zeros((2, 7))
    return trajectory_to_msg(ShortTrajectory(start_ns, ROBOT.arm_joints, np.array([0.0, 0.5]), np.stack([position] * 2), zeros, zeros))


def test_what_was_meant_for_the_arm_before_a_reset_does_not_move_it(ros: Ros) -> None:
    robot = ros.process("sim_robot", sensor_noise="false")
    peer = ros.peer()
    heard = peer.listen(JOINT_STATES, matched=True)
    trajectories = peer.publisher(JOINT_TRAJECTORY)
    wait_until(lambda: heard, "joint states")

    def measured() -> Any:
        return joint_state_from_msg(heard[-1].message).select(ROBOT.arm_joints)

    away = HOME + np.array([0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    trajectories.publish(to_rest_at(away, measured().stamp_ns))
    wait_until(lambda: np.abs(measured().positions - away).max() < 0.02, "the arm to be elsewhere")
    assert peer.call(SIM_RESET, seed=0).success
    wait_until(lambda: np.abs(measured().positions - HOME).max() < 0.01, "the arm to be home")
    trajectories.publish(to_rest_at(away, measured().stamp_ns))
    wait_until(lambda: "begins where the arm stood before" in robot.output, "the refusal")
    assert np.abs(measured().positions - HOME).max() < 0.01
    near = HOME + np.array([0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    trajectories.publish(to_rest_at(near, measured().stamp_ns))
    wait_until(lambda: np.abs(measured().positions - near).max() < 0.01, "the arm to follow again")
