"""A simulated Panda for the tests, moved by joint targets that inverse kinematics computes."""

from __future__ import annotations

from functools import cache

import numpy as np

from vla_ros.core.geometry import Pose, rotation_about, transform
from vla_ros.robots import load_robot
from vla_ros.simulation.joint_trajectory_controller import TrajectoryRequest
from vla_ros.simulation.robot import SimRobot
from vla_ros.simulation.scene_config import load_scene
from vla_ros.simulation.scene_sampler import PlacedObject


@cache
def panda():
    return load_robot("panda")


def sim(scene="tabletop", seed=3):
    return SimRobot(panda().config, load_scene(scene), seed)


def place(robot, **positions_m):
    """Starts again with the named objects (by key) at x, y, z, and optionally a yaw; the others stand in a row, out of the way."""
    placed = []
    for i, item in enumerate(robot.placed):
        x, y, z, *yaw = positions_m.get(item.key, (0.85, 0.17 * i - 0.55, item.spec.size_m[2] / 2))
        angle = yaw[0] if yaw else 0.0
        pose = Pose(np.array([x, y, z]), np.array([0, 0, np.sin(angle / 2), np.cos(angle / 2)]))
        placed.append(PlacedObject(item.key, item.spec, pose))
    robot.restore(tuple(placed))
    run(robot, 0.3)


def run(robot, seconds, meter=None):
    for _ in range(round(seconds * 100)):
        robot.step()
        if meter is not None:
            meter.observe()


def move(robot, target_m, yaw_rad=0.0, seconds=1.0, meter=None):
    """The TCP to ``target_m`` with the fingers down; true when the arm got there."""
    config = robot.config
    down = rotation_about(np.array([0.0, 0.0, 1.0]), yaw_rad) @ np.diag([1.0, -1.0, -1.0])
    q = panda().ik(transform(down, np.asarray(target_m)), robot.controller.sample(robot.now_ns).positions)
    zeros = np.zeros((1, 7))
    robot.controller.accept(TrajectoryRequest(0, config.arm_joints, np.array([seconds]), q[None], zeros, zeros), robot.now_ns)
    run(robot, seconds + 0.2, meter)
    return bool(np.max(np.abs(robot.world.joint_positions[:7] - q)) < 2e-3)


def grasp(robot, key, force_n=30.0, height_m=0.15, meter=None):
    """Goes over an object, down, closes on it and lifts it."""
    pose = robot.world.object_pose(key)
    above = pose.position_m + [0, 0, height_m]
    yaw = (pose.yaw_rad + np.pi / 4) % (np.pi / 2) - np.pi / 4
    move(robot, above, yaw, 1.5, meter)
    move(robot, pose.position_m, yaw, 1.0, meter)
    robot.gripper.command(0.0, force_n)
    run(robot, 0.7, meter)
    move(robot, above, yaw, 1.0, meter)
