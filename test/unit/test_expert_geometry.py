"""Outlines, grasps, spots and routes of the scripted expert."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from expert_bench import scene, thing
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import rotation_about
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.tasks import Relation
from vla_ros.experts.scripted.failures import SkillFailure
from vla_ros.experts.scripted.footprints import Circle, Rectangle, gap_m
from vla_ros.experts.scripted.grasps import choose_grasp, solve_down
from vla_ros.experts.scripted.hand import pointing_down, room_m
from vla_ros.experts.scripted.parameters import ScriptedParameters
from vla_ros.experts.scripted.routes import over, rounded, turning
from vla_ros.experts.scripted.spots import free_spots
from vla_ros.robots import load_robot

P = ScriptedParameters()
coordinate = st.floats(-0.3, 0.3)
angle = st.floats(-3.2, 3.2)


@pytest.fixture(scope="module")
def arm():
    return load_robot("panda")


def _points(shape: Rectangle | Circle) -> np.ndarray:
    if isinstance(shape, Circle):
        turns = np.linspace(0, 2 * np.pi, 64)
        return shape.centre_m + shape.radius_m * np.column_stack([np.cos(turns), np.sin(turns)])
    edge = np.linspace(-1, 1, 21)
    square = np.vstack([np.column_stack([edge, s + 0 * edge]) for s in (-1, 1)] + [np.column_stack([s + 0 * edge, edge]) for s in (-1, 1)])
    return shape.centre_m + (square * shape.half_m) @ shape.axes()


@given(coordinate, coordinate, angle, coordinate, coordinate, angle)
def test_gap_never_says_more_room_than_there_is(x, y, yaw, u, v, turn):
    a = Rectangle(np.array([x, y]), np.array([0.03, 0.01]), yaw)
    for b in (Rectangle(np.array([u, v]), np.array([0.02, 0.05]), turn), Circle(np.array([u, v]), 0.04)):
        gap = gap_m(a, b)
        distance = np.min(np.linalg.norm(_points(a)[:, None] - _points(b)[None], axis=-1))
        assert gap <= distance + 2e-3
        assert gap == pytest.approx(gap_m(b, a), abs=1e-9)


@given(st.floats(0.36, 0.64), st.floats(-0.28, 0.28), angle)
@settings(max_examples=25, deadline=None)
def test_a_lone_cube_is_grasped_along_its_faces_with_a_relaxed_wrist(arm, x, y, yaw):
    cube = thing("cube_1", x, y, yaw)
    grasp = choose_grasp(arm, cube, scene(cube), P)
    T = arm.fk(grasp.q_rad)
    np.testing.assert_allclose(T[:3, 3], [x, y, 0.0225], atol=1e-3)
    assert T[2, 2] < -0.999  # pointing down
    closing = np.linalg.inv(rotation_about(np.array([0.0, 0.0, 1.0]), yaw)) @ T[:3, 1]
    assert np.max(np.abs(closing)) > 0.999
    assert abs(grasp.q_rad[-1] - arm.config.home_rad[-1]) < np.pi / 4 + 0.35


def test_a_neighbour_makes_the_fingers_come_from_the_other_side(arm):
    cube = thing("cube_1", 0.5, 0.0)
    free = choose_grasp(arm, cube, scene(cube), P)
    closing = arm.fk(free.q_rad)[:2, 1]
    neighbour = thing("cube_2", *(np.array([0.5, 0.0]) + 0.062 * closing))
    turned = choose_grasp(arm, cube, scene(cube, neighbour), P)
    assert abs(arm.fk(turned.q_rad)[:2, 1] @ closing) < 0.1


def test_no_room_on_any_side_is_refused(arm):
    cube = thing("cube_1", 0.5, 0.0)
    around = [thing(f"cube_{i}", 0.5 + dx, dy) for i, (dx, dy) in enumerate([(0.047, 0), (-0.047, 0), (0, 0.047), (0, -0.047)], start=2)]
    with pytest.raises(SkillFailure) as failed:
        choose_grasp(arm, cube, scene(cube, *around), P)
    assert failed.value.kind is FailureKind.UNREACHABLE
    assert "no room for the fingers" in failed.value.detail


def test_a_tight_gap_is_entered_with_a_narrow_opening(arm):
    cube = thing("cube_1", 0.5, 0.0)
    around = [thing(f"cube_{i}", 0.5 + dx, dy) for i, (dx, dy) in enumerate([(0.096, 0), (-0.096, 0), (0, 0.096), (0, -0.096)], start=2)]
    grasp = choose_grasp(arm, cube, scene(cube, *around), P)
    assert grasp.open_width_m == pytest.approx(0.045 + 2 * P.open_margin_m)


def test_a_long_box_is_taken_across(arm):
    box = thing("box_1", 0.5, 0.0, 0.5)
    grasp = choose_grasp(arm, box, scene(box), P)
    assert grasp.size_m == pytest.approx(0.03)


def test_bowls_and_things_out_of_reach_are_refused(arm):
    with pytest.raises(SkillFailure, match="not bowls"):
        choose_grasp(arm, thing("bowl_1", 0.5, 0.0), scene(), P)
    with pytest.raises(SkillFailure, match="cannot be reached"):
        choose_grasp(arm, thing("cube_1", 1.2, 0.0), scene(), P)


@given(st.floats(0.36, 0.64), st.floats(-0.28, 0.28), st.floats(-1.3, 1.3))
@settings(max_examples=25, deadline=None)
def test_solving_from_home_gives_the_pose_asked_for(arm, x, y, yaw):
    wanted = pointing_down(np.array([x, y, 0.1]), yaw)
    q = solve_down(arm, wanted[:3, 3], yaw)
    np.testing.assert_allclose(arm.fk(q), wanted, atol=2e-3)


def test_a_turn_that_the_wrist_cannot_make_is_refused(arm):
    with pytest.raises(MotionError, match=r"wrist cannot turn to -2\.00 rad"):
        solve_down(arm, np.array([0.5, 0.25, 0.1]), -2.0)


def test_room_counts_only_what_is_tall_enough():
    low, high = thing("plate_1", 0.5, 0.0), thing("bowl_1", 0.5, 0.0)
    tcp = np.array([0.5, 0.05, 0.05])
    assert room_m(tcp, 0.0, 0.08, [low], P) == np.inf
    assert room_m(tcp, 0.0, 0.08, [high], P) < 0


def test_a_second_cube_goes_beside_the_first_in_a_bowl(arm):
    bowl, inside = thing("bowl_1", 0.5, 0.0), thing("cube_2", 0.525, 0.0, z=0.0305)
    held = thing("cube_1", 0.4, 0.2)
    (spot,) = free_spots(held, Relation.IN, bowl, scene(bowl, inside, held), arm.config.workspace, P)
    assert spot.bottom_m[0] < 0.495
    assert np.linalg.norm(spot.bottom_m[:2] - [0.5, 0.0]) < 0.03
    assert spot.narrow


def test_a_taken_top_and_a_senseless_target_are_refused(arm):
    held, low, top = thing("cube_1", 0.4, 0.2), thing("cube_2", 0.5, 0.0), thing("cube_3", 0.5, 0.0, z=0.0675)
    with pytest.raises(SkillFailure, match="already stands on"):
        free_spots(held, Relation.ON, low, scene(held, low, top), arm.config.workspace, P)
    with pytest.raises(SkillFailure, match="not a bowl"):
        free_spots(held, Relation.IN, low, scene(held, low), arm.config.workspace, P)
    with pytest.raises(SkillFailure, match="this expert knows: in, on, left_of"):
        free_spots(held, Relation.HELD, low, scene(held, low), arm.config.workspace, P)


def test_a_full_side_is_refused_and_a_half_full_one_is_used(arm):
    held, target = thing("cube_1", 0.4, 0.2), thing("cube_2", 0.5, 0.0)
    one = thing("cube_3", 0.5, 0.075)
    spot = free_spots(held, Relation.LEFT_OF, target, scene(held, target, one), arm.config.workspace, P)[0]
    assert np.linalg.norm(spot.bottom_m[:2] - one.pose.position_m[:2]) > 0.07
    wall = replace(thing("box_1", 0.5, 0.12), size_m=np.array([0.3, 0.16, 0.05]))
    with pytest.raises(SkillFailure, match="no free place left of"):
        free_spots(held, Relation.LEFT_OF, target, scene(held, target, wall), arm.config.workspace, P)


def test_a_route_crosses_at_the_safe_height_and_turns_only_there():
    corners = over(np.array([0.4, 0.2, 0.05]), np.array([0.6, -0.2, 0.03]), 0.2)
    assert corners[:, 2].tolist() == [0.05, 0.2, 0.2, 0.03]
    points = rounded(corners, 0.05, 0.02)
    np.testing.assert_allclose(points[[0, -1]], corners[[0, -1]])
    assert points[:, 2].max() <= 0.2 + 1e-9
    share = turning(points, 0.2)
    assert np.all(share[points[:, 2] < 0.16] % 1.0 == pytest.approx(0.0, abs=1e-6))
    assert np.all(np.diff(share) >= 0)
