"""Distances between the arm's links and to the world, against figures that can be worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_ros.core.errors import ConfigError, MotionError
from vla_ros.core.geometry import Array, transform
from vla_ros.robots import Arm, LinkShape, load_robot
from vla_ros.robots.collision import CollisionModel, Obstacle

ARM = load_robot("panda")
MODEL = CollisionModel(ARM)
LIMITS = ARM.config.limits
HOME = ARM.config.home_rad
DOWN = np.diag([1.0, -1.0, -1.0])
FOLDED = np.array([0.0, 1.5, 0.0, -3.0, 0.0, 1.0, 0.785398])  # the hand in the upper arm


def at(x: float, y: float, z: float) -> Array:
    return transform(np.eye(3), np.array([x, y, z]))


TABLE = Obstacle("table", "box", (1.0, 1.0, 0.1), at(0.7, 0.0, -0.05))
joint_vectors = st.lists(st.floats(0, 1), min_size=7, max_size=7).map(
    lambda s: LIMITS.position_min_rad + np.array(s) * (LIMITS.position_max_rad - LIMITS.position_min_rad)
)


def test_home_is_far_from_itself() -> None:
    distance, pair = MODEL.self_distance(HOME)
    assert distance > 0.02
    assert pair in MODEL.pairs


def test_a_folded_arm_penetrates_itself() -> None:
    distance, pair = MODEL.self_distance(FOLDED)
    assert distance < 0
    assert pair in MODEL.pairs
    assert MODEL.in_collision(FOLDED)


def test_neighbours_and_listed_pairs_are_not_compared() -> None:
    pairs = {frozenset(p) for p in MODEL.pairs}
    for a, b in [
        ("panda_link1", "panda_link2"),
        ("panda_link6", "panda_link7"),
        ("panda_link6", "panda_hand"),
        ("panda_link7", "panda_hand"),
        ("panda_hand", "panda_leftfinger"),
        ("panda_leftfinger", "panda_rightfinger"),
        ("panda_hand", "camera_wrist_link"),
        ("panda_link5", "panda_link7"),
    ]:
        assert frozenset((a, b)) not in pairs
    assert frozenset(("panda_link0", "panda_hand")) in pairs
    assert frozenset(("panda_link5", "panda_hand")) in pairs


def test_no_compared_pair_touches_in_most_postures() -> None:
    """A pair that always touches would make every plan impossible."""
    rng = np.random.default_rng(2)
    touching = [MODEL.in_collision(rng.uniform(LIMITS.position_min_rad, LIMITS.position_max_rad)) for _ in range(300)]
    assert np.mean(touching) < 0.25


def test_finger_tips_above_the_table() -> None:
    q = ARM.ik(transform(DOWN, np.array([0.5, 0.0, 0.1])), HOME)
    distance, pair = MODEL.min_distance(q, [TABLE])
    assert distance == pytest.approx(0.1 - (0.054 + 0.0584 - 0.1034), abs=3e-4)
    assert pair[0] in ("panda_leftfinger", "panda_rightfinger")
    assert pair[1] == "table"


@pytest.mark.parametrize(
    ("kind", "size", "reach_m"), [("sphere", (0.05,), 0.05), ("cylinder", (0.1, 0.1), 0.05), ("capsule", (0.02, 0.06), 0.05)]
)
def test_each_kind_of_obstacle(kind: str, size: tuple[float, ...], reach_m: float) -> None:
    """An obstacle below the finger tips whose top is ``reach_m`` above its centre."""
    q = ARM.ik(transform(DOWN, np.array([0.5, 0.0, 0.3])), HOME)
    distance, pair = MODEL.min_distance(q, [Obstacle("thing", kind, size, at(0.5, 0.0, 0.1))], gripper_width_m=0.0)
    assert distance == pytest.approx(0.2 - 0.009 - reach_m, abs=1e-3)
    assert pair[1] == "thing"


def test_obstacle_inside_the_hand_is_a_penetration() -> None:
    q = ARM.ik(transform(DOWN, np.array([0.5, 0.0, 0.3])), HOME)
    inside = Obstacle("ball", "sphere", (0.03,), at(0.5, 0.0, 0.37))
    assert MODEL.min_distance(q, [TABLE, inside])[0] < 0
    assert MODEL.in_collision(q, [TABLE, inside])
    assert not MODEL.in_collision(q, [TABLE])


def test_without_obstacles_nothing_is_near() -> None:
    assert MODEL.min_distance(HOME, []) == (float("inf"), ("", ""))


def test_the_fixed_base_may_stand_on_the_table() -> None:
    under_base = Obstacle("table", "box", (3.0, 3.0, 0.1), at(0.0, 0.0, -0.05))
    assert MODEL.min_distance(HOME, [under_base])[0] > 0.1


def test_a_list_changed_in_place_is_noticed() -> None:
    q = ARM.ik(transform(DOWN, np.array([0.5, 0.0, 0.3])), HOME)
    obstacles = [TABLE]
    far, _ = MODEL.min_distance(q, obstacles)
    obstacles[0] = Obstacle("shelf", "box", (0.2, 0.2, 0.1), at(0.5, 0.0, 0.2))
    near, pair = MODEL.min_distance(q, obstacles)
    assert near < far - 0.1
    assert pair[1] == "shelf"


@given(joint_vectors, st.floats(0.0, 0.05))
@settings(max_examples=40, deadline=None)
def test_collision_and_distance_agree(q: Array, margin_m: float) -> None:
    distance = min(MODEL.self_distance(q)[0], MODEL.min_distance(q, [TABLE])[0])
    if abs(distance - margin_m) > 1e-4:
        assert MODEL.in_collision(q, [TABLE], margin_m) == (distance < margin_m)


@given(joint_vectors)
@settings(max_examples=30, deadline=None)
def test_distance_changes_no_faster_than_the_arm_moves(q: Array) -> None:
    """No point of the arm is more than 1.3 m from a joint's axis, so 1 mrad in every joint moves no link by more than 9.1 mm."""
    moved = np.clip(q + 1e-3, LIMITS.position_min_rad, LIMITS.position_max_rad)
    before, after = MODEL.min_distance(q, [TABLE])[0], MODEL.min_distance(moved, [TABLE])[0]
    if before > 0 and after > 0:
        assert abs(before - after) < 0.0091


def test_a_held_object_moves_with_the_hand() -> None:
    held = LinkShape(ARM.config.tcp_frame, "cube", "box", (0.045, 0.045, 0.2), np.eye(4))
    carrying = CollisionModel(ARM, held=[held])
    q = ARM.ik(transform(DOWN, np.array([0.5, 0.0, 0.2])), HOME)
    distance, pair = carrying.min_distance(q, [TABLE])
    assert distance == pytest.approx(0.1, abs=3e-4)
    assert pair == (ARM.config.tcp_frame, "table")
    assert not carrying.in_collision(q), "what it holds does not collide with the fingers that hold it"


def test_bad_obstacles_are_refused() -> None:
    with pytest.raises(MotionError, match=r"Unknown shape 'cone'; valid: box, capsule, cylinder, sphere"):
        MODEL.min_distance(HOME, [Obstacle("x", "cone", (1.0,), at(1, 0, 0))])
    with pytest.raises(MotionError, match="a box has 3 sizes, found 1"):
        MODEL.min_distance(HOME, [Obstacle("x", "box", (1.0,), at(1, 0, 0))])
    with pytest.raises(MotionError, match="not finite and above 0"):
        MODEL.min_distance(HOME, [Obstacle("x", "sphere", (float("nan"),), at(1, 0, 0))])
    with pytest.raises(MotionError, match="not finite and above 0"):
        MODEL.min_distance(HOME, [Obstacle("x", "sphere", (0.1,), at(np.inf, 0, 0))])


def test_unknown_links_are_refused() -> None:
    config = dataclasses.replace(ARM.config, ignored_collision_pairs=(("panda_link1", "elbow"),))
    with pytest.raises(ConfigError, match="Unknown link 'elbow'"):
        CollisionModel(Arm(config))
    with pytest.raises(ConfigError, match="Unknown link 'palm'"):
        CollisionModel(ARM, held=[LinkShape("palm", "cube", "box", (0.1, 0.1, 0.1), np.eye(4))])
