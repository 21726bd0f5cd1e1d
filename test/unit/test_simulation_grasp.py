"""The arm and the gripper act through physics alone: torques, contact and friction."""

from __future__ import annotations

import numpy as np
import pytest
from sim_scenario import grasp, move, panda, place, run, sim

from vla_ros.core.errors import MotionError, SimulationError
from vla_ros.core.geometry import Pose, inverse
from vla_ros.simulation.joint_trajectory_controller import TrajectoryRequest
from vla_ros.simulation.scene_sampler import PlacedObject


@pytest.fixture(scope="module")
def robot():
    return sim()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_cube_is_grasped_and_lifted_by_friction(robot, seed):
    robot.reset(seed)
    before = robot.world.object_pose("red_cube").position_m
    grasp(robot, "red_cube")
    after = robot.world.object_pose("red_cube").position_m
    assert after[2] - before[2] == pytest.approx(0.15, abs=0.003)
    assert robot.gripper.stalled
    assert not robot.gripper.reached
    assert robot.gripper.width_m == pytest.approx(0.045, abs=0.0015)


def test_a_held_cube_does_not_creep_out(robot):
    robot.reset(1)
    grasp(robot, "green_cube")
    in_hand = [inverse(robot.world.link_pose("panda_hand_tcp")) @ robot.world.object_pose("green_cube").matrix()]
    run(robot, 3.0)
    in_hand.append(inverse(robot.world.link_pose("panda_hand_tcp")) @ robot.world.object_pose("green_cube").matrix())
    np.testing.assert_allclose(in_hand[0][:3, 3], in_hand[1][:3, 3], atol=2e-4)


@pytest.mark.parametrize("force_n", [10.0, 70.0])
def test_the_pads_feel_the_commanded_force_and_the_weight(robot, force_n):
    robot.reset(0)
    grasp(robot, "blue_cube", force_n)
    readings = [robot.tactile(finger) for finger in ("left", "right")]
    weight = 0.08 * 9.81
    for reading in readings:
        assert reading.normal_n.shape == (4, 4)
        assert (reading.normal_n >= 0).all()
        assert reading.normal_n.sum() == pytest.approx(force_n, rel=0.02)
    assert sum(r.shear_n.sum((0, 1))[0] for r in readings) == pytest.approx(weight, rel=0.05)  # the pads' x axis points down


def test_tactile_sums_are_the_contact_forces(robot):
    robot.reset(2)
    grasp(robot, "yellow_cube")
    fingers = {"panda_leftfinger": "left", "panda_rightfinger": "right"}
    for contact in robot.world.contacts():
        pair = {contact.body1, contact.body2}
        assert not pair & set(fingers) or "yellow_cube" in pair
    for link, finger in fingers.items():
        forces = [c.force_n for c in robot.world.contacts() if link in (c.body1, c.body2)]
        normal = robot.world.link_pose(f"{link}_pad")[:3, 2]
        assert robot.tactile(finger).normal_n.sum() == pytest.approx(abs(float(np.sum(forces, axis=0) @ normal)), rel=0.01)


def test_an_open_hand_feels_nothing(robot):
    robot.reset(0)
    assert not robot.tactile("left").normal_n.any()
    assert not robot.tactile("right").shear_n.any()


def test_a_heavier_touch_on_one_edge_shows_there(robot):
    """Grasped low, so that the cube covers only the tips of the pads: the rows towards the tip carry the load."""
    place(robot, red_cube=(0.5, 0.0, 0.0225))
    move(robot, [0.5, 0.0, 0.15], 0.0, 1.5)
    move(robot, [0.5, 0.0, 0.049], 0.0)
    robot.gripper.command(0.0, 20.0)
    run(robot, 0.7)
    rows = robot.tactile("left").normal_n.sum(axis=1)
    assert rows[2:].sum() > 0.95 * rows.sum() > 0


def test_a_restored_grasp_holds(robot):
    """What a twin does that is built while the arm holds something."""
    arm = robot.config.home_rad
    hand = panda().fk(arm)
    placed = [PlacedObject(item.key, item.spec, Pose.from_matrix(hand)) if item.key == "red_cube" else item for item in robot.reset(0)]
    robot.restore(tuple(placed), arm, 0.0445, grip_force_n=30.0)
    run(robot, 1.0)
    np.testing.assert_allclose(robot.world.object_pose("red_cube").position_m, hand[:3, 3], atol=1e-3)
    assert robot.tactile("left").normal_n.sum() == pytest.approx(30.0, rel=0.05)


def test_an_empty_gripper_closes_and_opens(robot):
    robot.reset(0)
    robot.gripper.command(0.0, 30.0)
    run(robot, 1.5)
    assert robot.gripper.reached
    assert robot.gripper.width_m < 0.002
    robot.gripper.command(0.08, 30.0)
    run(robot, 0.4)
    assert 0.03 < robot.gripper.width_m < 0.05  # 0.1 m/s
    run(robot, 1.0)
    assert robot.gripper.reached
    assert not robot.gripper.stalled


def test_the_arm_stays_at_home_against_gravity(robot):
    robot.reset(0)
    run(robot, 1.0)
    np.testing.assert_allclose(robot.world.joint_positions[:7], panda().config.home_rad, atol=1e-5)
    assert not any("panda" in contact.body1 + contact.body2 for contact in robot.world.contacts())


def test_the_arm_follows_a_fast_trajectory(robot):
    robot.reset(0)
    target = robot.config.home_rad + np.array([0.8, 0.3, -0.4, 0.4, 0.5, 0.6, -0.9])
    zeros = np.zeros((1, 7))
    robot.controller.accept(TrajectoryRequest(0, robot.config.arm_joints, np.array([1.2]), target[None], zeros, zeros), robot.now_ns)
    worst = 0.0
    for _ in range(130):
        robot.step()
        worst = max(worst, np.abs(robot.world.joint_positions[:7] - robot.controller.sample(robot.now_ns).positions).max())
    assert worst < 2e-3
    np.testing.assert_allclose(robot.world.joint_positions[:7], target, atol=1e-4)


def test_torques_stay_within_the_motors_limits_even_when_blocked(robot):
    """Driven into the table: the arm presses, the torque saturates, nothing blows up."""
    robot.reset(0)
    move(robot, [0.62, -0.25, 0.3], 0.0, 1.5)
    target = robot.controller.sample(robot.now_ns).positions + np.array([0, 0.6, 0, 0, 0, 0, 0])
    robot.controller.accept(TrajectoryRequest(0, robot.config.arm_joints, np.array([1.0]), target[None]), robot.now_ns)
    for _ in range(150):
        robot.step()
        assert (np.abs(robot.joint_state().efforts[:7]) <= robot.config.limits.effort_nm + 1e-9).all()


@pytest.mark.parametrize("command", [(float("nan"), 30.0), (0.04, float("inf"))])
def test_a_senseless_gripper_command_is_refused_and_changes_nothing(robot, command):
    robot.reset(0)
    with pytest.raises(MotionError, match="finite"):
        robot.gripper.command(*command)
    assert robot.gripper.reached


def test_physics_that_diverges_says_so_and_a_reset_mends_it(robot):
    robot.reset(0)
    robot.world.data.joint("red_cube").qvel[:] = 1e12
    with pytest.raises(SimulationError, match="diverged"):
        robot.step()
    robot.reset(0)
    robot.step()


def test_time_and_names_of_the_joint_state(robot):
    start = robot.now_ns
    robot.step(5)
    state = robot.joint_state()
    assert robot.now_ns - start == 10_000_000
    assert state.stamp_ns == robot.now_ns
    assert state.names == (*robot.config.arm_joints, *robot.config.finger_joints)
    robot.reset(0)
    assert robot.now_ns == start + 10_000_000


def test_the_same_seed_gives_the_same_run():
    runs = []
    for _ in range(2):
        robot = sim(seed=5)
        move(robot, [0.45, 0.05, 0.2], 0.3)
        runs.append(np.concatenate([robot.world.joint_positions, robot.world.object_pose("red_cube").position_m]))
    np.testing.assert_array_equal(runs[0], runs[1])


def test_a_placed_scene_rests_where_it_was_put(robot):
    for placed in robot.reset(7):
        pose = robot.world.object_pose(placed.key)
        np.testing.assert_allclose(pose.position_m, placed.pose.position_m, atol=1e-3)
