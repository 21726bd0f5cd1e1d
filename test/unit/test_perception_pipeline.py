"""The whole of depth perception on rendered images with a robot in view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from perception_rendering import FrontCamera, Item, PostRobot, render

from vla_ros.core.errors import PerceptionError
from vla_ros.core.geometry import Pose, rotation_from_rpy, transform
from vla_ros.core.robot_state import ContactState, FingerContact, JointState
from vla_ros.core.scene import SceneObject
from vla_ros.perception.body import PlacedShape, inside
from vla_ros.perception.motion_in_view import robot_moves_in_view
from vla_ros.perception.pipeline import DepthPerception, PerceptionResult

CAMERA = FrontCamera()
AWAY = (0.25, -0.4, 0.6)
RED, BLUE = Item("red", "cube", (0.5, 0.0, 0.0), 0.3), Item("blue", "bowl", (0.45, 0.2, 0.0), size_m=(0.14, 0.14, 0.05))


def joints_at(tcp_m: tuple[float, float, float], stamp_ns: int = 0, velocity: float = 0.0) -> JointState:
    return JointState(stamp_ns, ("finger", "x", "y", "z"), np.array([0.04, *tcp_m]), np.array([0, velocity, velocity, 0]), np.zeros(4))


@dataclass
class Stage:
    """A perception with a clock; shows it scenes with the post somewhere."""

    perception: DepthPerception
    now_ns: int = 1_000_000_000

    def show(self, items: list[Item], tcp_m: tuple[float, float, float] = AWAY, *, touch: bool = False, times: int = 3) -> PerceptionResult:
        rng = np.random.default_rng(1)
        colour, depth = render(items, rng, extra=PostRobot.drawn(tcp_m))
        for _ in range(times):
            self.now_ns += 100_000_000
            fingers = tuple(FingerContact(f, 10.0 * touch, 1e-4, (0, 0), False, touch) for f in ("left", "right"))
            result = self.perception.update(colour, depth, self.now_ns, joints_at(tcp_m), ContactState(self.now_ns, fingers))
        return result


@pytest.fixture
def stage() -> Stage:
    return Stage(DepthPerception(PostRobot(), CAMERA))


def named(result: PerceptionResult, name: str) -> SceneObject:
    (found,) = [o for o in result.scene.objects if o.name == name]
    return found


def test_a_scene_and_its_obstacles(stage: Stage) -> None:
    result = stage.show([RED, BLUE])
    assert sorted(o.name for o in result.scene.objects) == ["blue bowl", "red cube"]
    assert result.scene.stamp_ns == stage.now_ns
    assert result.scene.frame_id == PostRobot().config.base_frame
    assert result.table.measured
    points = result.obstacles.points_m
    assert points.dtype == np.float32
    assert points.shape[1] == 3
    assert len(points) == len(result.obstacles.rgb) > 50
    near_red = np.linalg.norm(points[:, :2] - RED.centre_m[:2], axis=1) < 0.04
    near_blue = np.linalg.norm(points[:, :2] - BLUE.centre_m[:2], axis=1) < 0.085
    assert near_red.any()
    assert np.all(near_red | near_blue), "nothing but the two things stands above the table"
    assert result.obstacles.rgb[near_red].mean(axis=0)[0] > 100


def test_the_robot_is_no_object_and_no_obstacle(stage: Stage) -> None:
    result = stage.show([RED], (0.45, 0.15, 0.05))
    assert [o.name for o in result.scene.objects] == ["red cube"]
    assert result.robot_pixels > 1000
    assert np.all(np.linalg.norm(result.obstacles.points_m[:, :2] - RED.centre_m[:2], axis=1) < 0.04)


def test_a_robot_that_is_not_where_its_joints_say_is_an_obstacle(stage: Stage) -> None:
    colour, depth = render([RED], np.random.default_rng(0), extra=PostRobot.drawn((0.45, 0.15, 0.05)))
    result = stage.perception.update(colour, depth, 1, joints_at(AWAY))
    assert np.any(np.linalg.norm(result.obstacles.points_m[:, :2] - (0.45, 0.15), axis=1) < 0.04)


@pytest.mark.parametrize("colour", ["skin", "grey"])
@pytest.mark.parametrize("height_m", [0.0, 0.25])
def test_what_is_no_known_object_is_unexplained_from_its_first_image_on(stage: Stage, colour: str, height_m: float) -> None:
    forearm = Item(colour, "box", (0.5, -0.15, height_m), size_m=(0.07, 0.5, 0.07))
    assert len(stage.show([RED, BLUE], times=10).scene.unexplained_m) == 0
    for _ in range(15):
        scene = stage.show([RED, BLUE, forearm], times=1).scene
        off_m = np.abs(scene.unexplained_m - forearm.centre_m) - np.array(forearm.size_m) / 2
        assert np.all(off_m < scene.unexplained_cell_m)
        along = np.unique(scene.unexplained_m[:, 1])
        assert np.ptp(along) > 0.3, "from end to end, as far as one looks"
    assert len(stage.show([RED, BLUE], times=1).scene.unexplained_m) <= 2, "gone with it, but for the border of the view"
    assert len(stage.show([RED, BLUE], times=60).scene.unexplained_m) == 0


def test_a_few_points_count_in_their_second_image(stage: Stage) -> None:
    stage.show([RED, BLUE], times=5)
    rod = Item("grey", "box", (0.5, -0.2, 0.2), size_m=(0.008, 0.008, 0.2))
    numbers = [len(stage.show([RED, BLUE, rod], times=1).scene.unexplained_m) for _ in range(3)]
    assert numbers[0] < numbers[1] == numbers[2]


def test_what_the_robot_hides_is_unexplained_until_its_place_is_seen_empty(stage: Stage) -> None:
    lump, in_front = Item("skin", "box", (0.45, 0.0, 0.0), size_m=(0.06, 0.06, 0.06)), (0.56, 0.0, 0.0)
    seen = len(stage.show([BLUE, lump], times=5).scene.unexplained_m)
    assert 0 < len(stage.show([BLUE, lump], in_front, times=20).scene.unexplained_m) <= seen
    assert len(stage.show([BLUE], times=1).scene.unexplained_m) == 0, "it was taken away meanwhile"
    stage.show([BLUE, lump], times=5)
    assert len(stage.show([BLUE, lump], in_front, times=60).scene.unexplained_m) < seen, "in time it is forgotten"


def test_the_robot_and_what_it_holds_are_explained(stage: Stage) -> None:
    assert len(stage.show([RED, BLUE], (0.45, 0.15, 0.05), times=10).scene.unexplained_m) == 0
    stage.show([RED, BLUE], (0.5, 0.0, 0.03), touch=True)
    lifted = Item("red", "cube", (0.5, -0.1, 0.15), 0.3)
    assert len(stage.show([lifted, BLUE], (0.5, -0.1, 0.18), touch=True).scene.unexplained_m) == 0


def test_what_the_robot_hides_is_remembered(stage: Stage) -> None:
    before = named(stage.show([RED, BLUE]), "red cube")
    in_front = (0.56, 0.0, 0.0)
    hidden = named(stage.show([RED, BLUE], in_front, times=20), "red cube")
    assert hidden.id == before.id
    assert np.linalg.norm(hidden.pose.position_m - before.pose.position_m) < 0.004
    after = named(stage.show([RED, BLUE]), "red cube")
    assert after.id == before.id
    assert not after.occluded


def test_what_was_taken_away_is_forgotten_and_what_was_moved_is_found(stage: Stage) -> None:
    before = stage.show([RED, BLUE])
    moved = stage.show([Item("red", "cube", (0.6, -0.2, 0.0), 0.1), BLUE], times=6)
    assert {o.id for o in moved.scene.objects} == {o.id for o in before.scene.objects}
    assert np.linalg.norm(named(moved, "red cube").pose.position_m[:2] - (0.6, -0.2)) < 0.01
    assert [o.name for o in stage.show([BLUE], times=8).scene.objects] == ["blue bowl"]


def test_what_is_held_moves_along_and_is_no_obstacle(stage: Stage) -> None:
    first = named(stage.show([RED, BLUE]), "red cube").id
    stage.show([RED, BLUE], (0.5, 0.0, 0.03), touch=True)
    lifted = Item("red", "cube", (0.5, -0.1, 0.15), 0.3)
    result = stage.show([lifted, BLUE], (0.5, -0.1, 0.18), touch=True)
    held = named(result, "red cube")
    assert held.id == first
    assert held.held
    assert np.linalg.norm(held.pose.position_m - lifted.centre_m) < 0.01
    assert not np.any(np.linalg.norm(result.obstacles.points_m - lifted.centre_m, axis=1) < 0.03)


def test_a_table_with_nothing_on_it(stage: Stage) -> None:
    result = stage.show([])
    assert result.scene.objects == ()
    assert result.obstacles.points_m.shape == (0, 3)
    assert result.scene.describe() == "nothing"


def test_bad_input_is_refused_and_leaves_the_scene_as_it_was(stage: Stage) -> None:
    before = stage.show([RED])
    colour, depth = np.zeros((480, 640, 3), np.uint8), np.zeros((480, 640), np.uint16)
    with pytest.raises(PerceptionError, match="Colour image"):
        stage.perception.update(colour[..., 0], depth, stage.now_ns, joints_at(AWAY))
    with pytest.raises(PerceptionError, match="Depth image"):
        stage.perception.update(colour, depth.astype(np.float32), stage.now_ns, joints_at(AWAY))
    with pytest.raises(PerceptionError, match="not finite"):
        stage.perception.update(colour, depth, stage.now_ns, joints_at((np.nan, 0, 0)))
    missing = JointState(0, ("x",), np.zeros(1), np.zeros(1), np.zeros(1))
    with pytest.raises(PerceptionError, match="lacks y, z"):
        stage.perception.update(colour, depth, stage.now_ns, missing)
    assert {o.id for o in stage.show([RED]).scene.objects} == {o.id for o in before.scene.objects}


def test_no_depth_at_all_keeps_the_memory(stage: Stage) -> None:
    stage.show([RED])
    colour, _ = render([RED], np.random.default_rng(0))
    for i in range(10):
        result = stage.perception.update(colour, np.zeros((480, 640), np.uint16), stage.now_ns + i + 1, joints_at(AWAY))
    assert [o.occluded for o in result.scene.objects] == [True]
    assert not result.table.measured


def test_motion_counts_only_in_view() -> None:
    robot, in_view, above_view = PostRobot(), (0.45, 0.1, 0.05), (-0.3, 0.0, 1.5)
    assert robot_moves_in_view(robot, CAMERA, joints_at(in_view, velocity=0.2))
    assert not robot_moves_in_view(robot, CAMERA, joints_at(in_view, velocity=0.0))
    assert not robot_moves_in_view(robot, CAMERA, joints_at(above_view, velocity=0.2))


shapes = st.sampled_from([("sphere", (0.05,)), ("cylinder", (0.03, 0.2)), ("capsule", (0.03, 0.2)), ("box", (0.1, 0.06, 0.2))])


@given(shapes, st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(-1, 1)] * 3), st.floats(0, 0.02))
def test_a_shape_holds_its_centre_grows_with_its_margin_and_ends_at_its_bounding_ball(shape, rpy, place, margin_m) -> None:
    kind, size = shape
    T = transform(rotation_from_rpy(np.array(rpy)), np.array(place))
    placed = PlacedShape(kind, np.array(size), T)
    rng = np.random.default_rng(0)
    points = (np.array(place)[:, None] + rng.normal(0, 0.08, (3, 200))).astype(np.float32)
    small, grown = inside(placed, points, 0.0), inside(placed, points, margin_m)
    assert inside(placed, np.array(place, np.float32).reshape(3, 1), 0.0).all()
    assert not np.any(small & ~grown)
    distance = np.linalg.norm(points.T - np.array(place), axis=1)
    assert not np.any(small & (distance > placed.bounding_radius_m + 1e-5))


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(PerceptionError, match="valid: box, capsule"):
        inside(PlacedShape("cone", np.array([0.1, 0.1]), np.eye(4)), np.zeros((3, 1), np.float32), 0.0)


def test_poses_of_detected_cubes_are_upright(stage: Stage) -> None:
    pose: Pose = named(stage.show([RED]), "red cube").pose
    np.testing.assert_allclose(pose.matrix()[2, :3], [0, 0, 1], atol=1e-6)


def test_obstacles_are_those_of_their_own_image_whenever_they_are_asked_for(stage: Stage) -> None:
    first = stage.show([RED, BLUE])
    stage.show([Item("red", "cube", (0.6, -0.2, 0.0), 0.1)])
    points = first.obstacles.points_m
    assert np.any(np.linalg.norm(points[:, :2] - BLUE.centre_m[:2], axis=1) < 0.085)
    assert not np.any(np.linalg.norm(points[:, :2] - (0.6, -0.2), axis=1) < 0.04)
