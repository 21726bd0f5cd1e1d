"""Kinematics of the Panda against the published Denavit-Hartenberg table, and inverse kinematics as a round trip."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_ros.core.errors import ConfigError, MotionError
from vla_ros.core.geometry import Array, rotation_about, transform
from vla_ros.robots import Arm, load_robot, load_robot_config

ARM = load_robot("panda")
LIMITS = ARM.config.limits
HOME = ARM.config.home_rad

# a [m], d [m], alpha [rad] of joints 1 to 7 and the flange, as Franka publishes them (modified convention).
DH = [
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2),
    (0.0, 0.316, np.pi / 2),
    (0.0825, 0.0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0.0, 0.0, np.pi / 2),
    (0.088, 0.0, np.pi / 2),
    (0.0, 0.107, 0.0),
]


def dh_chain(q: Array) -> list[Array]:
    """Placements of links 1 to 8 in the base."""
    T, links = np.eye(4), []
    for (a, d, alpha), theta in zip(DH, [*q, 0.0], strict=True):
        ca, sa, ct, st_ = np.cos(alpha), np.sin(alpha), np.cos(theta), np.sin(theta)
        T = T @ np.array([[ct, -st_, 0, a], [st_ * ca, ct * ca, -sa, -d * sa], [st_ * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]])
        links.append(T)
    return links


def tcp_by_dh(q: Array) -> Array:
    return np.asarray(dh_chain(q)[-1] @ transform(rotation_about(np.array([0, 0, 1.0]), -np.pi / 4), np.array([0, 0, 0.1034])))


def random_q(rng: np.random.Generator) -> Array:
    return rng.uniform(LIMITS.position_min_rad, LIMITS.position_max_rad)


joint_vectors = st.lists(st.floats(0, 1), min_size=7, max_size=7).map(
    lambda s: LIMITS.position_min_rad + np.array(s) * (LIMITS.position_max_rad - LIMITS.position_min_rad)
)
offsets = st.lists(st.floats(-0.3, 0.3), min_size=7, max_size=7).map(np.array)


def pose_difference(A: Array, B: Array) -> tuple[float, float]:
    """Metres, radians."""
    cosine = (np.trace(A[:3, :3].T @ B[:3, :3]) - 1) / 2
    return float(np.linalg.norm(A[:3, 3] - B[:3, 3])), float(np.arccos(np.clip(cosine, -1, 1)))


@given(joint_vectors)
def test_fk_is_the_published_chain(q: Array) -> None:
    np.testing.assert_allclose(ARM.fk(q), tcp_by_dh(q), atol=1e-9)


def test_every_link_is_where_the_published_chain_puts_it() -> None:
    q = random_q(np.random.default_rng(3))
    poses = ARM.link_poses(q)
    for number, T in enumerate(dh_chain(q), start=1):
        np.testing.assert_allclose(poses[f"panda_link{number}"], T, atol=1e-9)
    np.testing.assert_allclose(poses["panda_hand_tcp"], ARM.fk(q), atol=1e-12)
    np.testing.assert_allclose(poses["panda_link0"], np.eye(4), atol=1e-12)


def test_fingers_open_along_the_hands_y_axis() -> None:
    poses = ARM.link_poses(HOME, gripper_width_m=0.06)
    left, right = (np.linalg.inv(poses["panda_hand"]) @ poses[f"panda_{side}finger"] for side in ("left", "right"))
    np.testing.assert_allclose(left[:3, 3], [0, 0.03, 0.0584], atol=1e-12)
    np.testing.assert_allclose(right[:3, 3], [0, -0.03, 0.0584], atol=1e-12)


def test_pads_face_each_other_at_the_tcp() -> None:
    poses = ARM.link_poses(HOME, gripper_width_m=0.04)
    tcp = np.linalg.inv(poses["panda_hand_tcp"])
    left, right = (tcp @ poses[f"panda_{side}finger_pad"] for side in ("left", "right"))
    np.testing.assert_allclose(left[:3, 3] + right[:3, 3], [0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(left[:3, 3], [0, 0.02, 0], atol=1e-12)
    np.testing.assert_allclose(left[:3, 2], [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(right[:3, 2], [0, 1, 0], atol=1e-12)
    for pad in (left, right):
        np.testing.assert_allclose(pad[:3, 0], [0, 0, 1], atol=1e-12)


@given(joint_vectors)
@settings(max_examples=30, deadline=None)
def test_jacobian_is_the_derivative_of_fk(q: Array) -> None:
    step = 1e-6
    J = ARM.jacobian(q)
    for i in range(7):
        dq = np.zeros(7)
        dq[i] = step
        ahead, behind = ARM.fk(q + dq), ARM.fk(q - dq)
        spin = (ahead[:3, :3] - behind[:3, :3]) / (2 * step) @ ARM.fk(q)[:3, :3].T
        np.testing.assert_allclose(J[:3, i], (ahead[:3, 3] - behind[:3, 3]) / (2 * step), atol=1e-6)
        np.testing.assert_allclose(J[3:, i], [spin[2, 1], spin[0, 2], spin[1, 0]], atol=1e-6)


def test_results_do_not_share_memory() -> None:
    first, kept = ARM.fk(HOME), ARM.fk(HOME).copy()
    J, kept_J = ARM.jacobian(HOME), ARM.jacobian(HOME).copy()
    ARM.fk(HOME + 0.3)
    ARM.jacobian(HOME + 0.3)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(J, kept_J)


@given(joint_vectors, offsets)
@settings(max_examples=100, deadline=None)
def test_ik_returns_to_a_reachable_pose(q: Array, offset: Array) -> None:
    goal = tcp_by_dh(q)
    found = ARM.ik(goal, q + offset)
    metres, radians = pose_difference(ARM.fk(found), goal)
    assert metres <= 1.01e-4
    assert radians <= 1.01e-3
    assert (found >= LIMITS.position_min_rad).all()
    assert (found <= LIMITS.position_max_rad).all()


def test_ik_from_home_reaches_the_whole_table_with_the_hand_down() -> None:
    rng = np.random.default_rng(11)
    for _ in range(100):
        R = rotation_about(np.array([0, 0, 1.0]), rng.uniform(-np.pi / 2, np.pi / 2)) @ np.diag([1.0, -1.0, -1.0])
        goal = transform(R, rng.uniform([0.32, -0.33, 0.02], [0.66, 0.33, 0.35]))
        assert pose_difference(ARM.fk(ARM.ik(goal, HOME)), goal)[0] <= 1.01e-4


def test_ik_at_the_goal_stays_put() -> None:
    q = random_q(np.random.default_rng(5))
    np.testing.assert_allclose(ARM.ik(ARM.fk(q), q), q, atol=1e-9)


def test_ik_takes_the_posture_near_the_seed() -> None:
    """The arm has one joint more than it needs; a small move of the goal must not swing the elbow."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        seed = HOME + rng.uniform(-0.3, 0.3, 7)
        goal = ARM.fk(seed)
        goal[:3, 3] += rng.uniform(-0.01, 0.01, 3)
        assert np.abs(ARM.ik(goal, seed) - seed).max() < 0.15


def test_ik_honours_tighter_tolerances() -> None:
    goal = transform(np.diag([1.0, -1.0, -1.0]), np.array([0.5, 0.1, 0.2]))
    found = ARM.ik(goal, HOME, position_tolerance_m=1e-8, rotation_tolerance_rad=1e-8)
    assert np.abs(ARM.fk(found) - goal).max() < 3e-8


def test_ik_escapes_a_seed_from_which_it_cannot_descend() -> None:
    goal = transform(np.diag([1.0, -1.0, -1.0]), np.array([0.5, 0.2, 0.1]))
    for seed in (LIMITS.position_min_rad, LIMITS.position_max_rad, np.full(7, 99.0)):
        found = ARM.ik(goal, seed)
        assert pose_difference(ARM.fk(found), goal)[0] <= 1.01e-4


def test_an_unreachable_pose_says_how_far_it_got() -> None:
    goal = transform(np.diag([1.0, -1.0, -1.0]), np.array([2.0, 0.0, 0.3]))
    with pytest.raises(MotionError, match=r"panda cannot bring panda_hand_tcp to .*2\. .* mm and .* deg away") as caught:
        ARM.ik(goal, HOME)
    reach_mm = float(str(caught.value).split("found is ")[1].split(" mm")[0])
    assert 1000 < reach_mm < 1400, "the arm reaches about 0.85 m: some 1.15 m are lacking"


def test_a_pose_that_is_not_finite_is_refused() -> None:
    goal = ARM.fk(HOME)
    goal[0, 3] = np.nan
    with pytest.raises(MotionError, match="not finite"):
        ARM.ik(goal, HOME)
    with pytest.raises(MotionError, match="not finite"):
        ARM.ik(ARM.fk(HOME), np.full(7, np.inf))


def test_links_know_the_joint_that_moves_them() -> None:
    joints = ARM.moving_joint
    assert (joints["panda_link0"], joints["panda_link1"]) == ("", "panda_joint1")
    assert joints["panda_hand_tcp"] == "panda_joint7"
    assert {link for link, joint in joints.items() if joint in ARM.config.finger_joints} >= {"panda_leftfinger", "panda_rightfinger"}


def test_two_arms_do_not_disturb_each_other() -> None:
    other = load_robot("panda")
    before = ARM.fk(HOME)
    other.fk(HOME + 0.5)
    np.testing.assert_array_equal(ARM.fk(HOME), before)


def test_wrist_camera_is_the_same_in_urdf_and_configuration() -> None:
    camera = ARM.config.cameras["wrist"]
    poses = ARM.link_poses(HOME)
    np.testing.assert_allclose(poses[camera.parent] @ camera.T_parent_camera, poses[camera.frame], atol=2e-6)


@pytest.mark.parametrize("width_m", [0.0, 0.04, 0.08])
def test_wrist_camera_sees_both_finger_tips_in_its_lowest_third(width_m: float) -> None:
    camera = ARM.config.cameras["wrist"]
    poses = ARM.link_poses(HOME, width_m)
    for side in ("left", "right"):
        tip = poses[f"panda_{side}finger"] @ np.array([0, 0, 0.0539, 1])
        x, y, z, _ = np.linalg.inv(poses[camera.frame]) @ tip
        u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
        assert 0 <= u < camera.width_px
        assert camera.height_px * 2 / 3 < v < camera.height_px


def test_configuration_that_does_not_fit_the_urdf_is_refused() -> None:
    config = load_robot_config("panda")
    with pytest.raises(ConfigError, match="has no link 'palm'"):
        Arm(dataclasses.replace(config, tcp_frame="palm"))
    with pytest.raises(ConfigError, match="must be the root link"):
        Arm(dataclasses.replace(config, base_frame="panda_link1"))
    with pytest.raises(ConfigError, match="moves the joints panda_joint1"):
        Arm(dataclasses.replace(config, arm_joints=tuple(reversed(config.arm_joints))))


def test_many_positions_at_once_are_those_of_single_postures():
    arm, rng = load_robot("panda"), np.random.default_rng(2)
    rows = rng.uniform(arm.config.limits.position_min_rad, arm.config.limits.position_max_rad, size=(50, 7))
    np.testing.assert_allclose(arm.tcp_positions(rows), [arm.fk(row)[:3, 3] for row in rows], atol=1e-12)
