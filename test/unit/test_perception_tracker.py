"""Tracking: stable ids, memory, what the gripper carries."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_ros.core.geometry import Pose, rotation_about, transform
from vla_ros.perception.objects import Detection
from vla_ros.perception.occlusion import Visibility
from vla_ros.perception.tracker import Grip, SceneTracker

DT_NS = 33_000_000
Z = np.array([0.0, 0.0, 1.0])


def seen(colour: str, x: float, y: float, *, z: float = 0.0225, shape: str = "cube", yaw: float = 0.0, complete: bool = True) -> Detection:
    size = np.array([0.14, 0.14, 0.05]) if shape == "bowl" else np.full(3, 0.045)
    T = transform(rotation_about(Z, yaw), np.array([x, y, z]))
    corners = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) * size / 2
    points = corners @ T[:3, :3].T + T[:3, 3]
    return Detection(colour, shape, Pose.from_matrix(T), size, np.diag([4e-6] * 3 + [1e-4] * 3), 0.9, complete, points)


class Play:
    """Feeds a tracker at 30 Hz."""

    def __init__(self) -> None:
        self.tracker, self.now_ns = SceneTracker(), 1_000_000_000

    def show(self, *detections: Detection, times: int = 1, view: Visibility = Visibility.EMPTY, grip: Grip | None = None):
        for _ in range(times):
            self.now_ns += DT_NS
            self.scene = self.tracker.update(detections, self.now_ns, visibility=lambda *_: view, grip=grip)
        return self.scene


def grip_at(x: float, y: float, z: float, holding: bool = True) -> Grip:
    return Grip(transform(np.diag([1.0, -1.0, -1.0]), np.array([x, y, z])), holding)


def test_ids_are_given_once_and_by_shape() -> None:
    scene = Play().show(seen("red", 0.4, 0.1), seen("blue", 0.5, -0.1), seen("blue", 0.6, 0.2, shape="bowl"), times=5)
    assert [(o.id, o.name) for o in scene.objects] == [("bowl_1", "blue bowl"), ("cube_1", "blue cube"), ("cube_2", "red cube")]
    assert not any(o.occluded or o.held for o in scene.objects)


def test_one_glimpse_is_not_an_object() -> None:
    play = Play()
    assert play.show(seen("red", 0.4, 0.1)).objects == ()
    assert play.show(times=3).objects == ()


def test_what_is_hidden_is_remembered_and_found_again_under_its_id() -> None:
    play = Play()
    before = play.show(seen("red", 0.4, 0.1), times=5).objects[0]
    hidden = play.show(times=150, view=Visibility.HIDDEN).objects[0]
    assert hidden.occluded
    assert hidden.id == before.id
    assert hidden.last_seen_ns == before.last_seen_ns
    assert 0.8 * before.confidence < hidden.confidence < before.confidence
    assert np.trace(hidden.covariance[:3, :3]) > np.trace(before.covariance[:3, :3])
    after = play.show(seen("red", 0.401, 0.1), times=2).objects[0]
    assert after.id == before.id
    assert not after.occluded


def test_what_is_gone_is_forgotten_but_not_at_once() -> None:
    play = Play()
    play.show(seen("red", 0.4, 0.1), times=5)
    assert len(play.show(times=3).objects) == 1
    assert play.show(times=5).objects == ()


def test_a_second_one_of_the_same_name_gets_its_own_id_and_takes_none() -> None:
    play = Play()
    first = play.show(seen("red", 0.4, 0.1), times=5).objects[0].id
    scene = play.show(seen("red", 0.55, -0.2), seen("red", 0.4, 0.1), times=5)
    assert len(scene.objects) == 2
    assert {o.id: round(float(o.pose.position_m[0]), 2) for o in scene.objects}[first] == 0.4
    scene = play.show(seen("red", 0.55, -0.2), times=5, view=Visibility.HIDDEN)
    assert {o.id: o.occluded for o in scene.objects}[first]


def test_a_thing_that_was_moved_unseen_keeps_its_id() -> None:
    play = Play()
    first = play.show(seen("red", 0.4, 0.1), times=5).objects[0].id
    scene = play.show(seen("red", 0.6, -0.2), times=3)
    assert [o.id for o in scene.objects] == [first]
    assert abs(scene.objects[0].pose.position_m[0] - 0.6) < 0.002


def test_motion_is_followed_with_its_velocity() -> None:
    play = Play()
    for i in range(40):
        scene = play.show(seen("red", 0.4 + 0.2 * i * DT_NS * 1e-9, 0.1))
    moving = scene.objects[0]
    assert abs(moving.velocity_mps[0] - 0.2) < 0.06
    assert abs(moving.pose.position_m[0] - (0.4 + 0.2 * 39 * DT_NS * 1e-9)) < 0.012
    still = play.show(seen("red", 0.45, 0.1), times=30).objects[0]
    assert np.linalg.norm(still.velocity_mps) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_noise_is_averaged_out(seed: int) -> None:
    rng, play = np.random.default_rng(seed), Play()
    for _ in range(40):
        noise = rng.normal(size=3).clip(-3, 3)  # a reading 4 sigma off, one in 16,000, counts as a move
        x, y = (0.45, 0.1) + 0.002 * noise[:2]
        scene = play.show(seen("red", x, y, yaw=0.77 + 0.02 * noise[2]))
    (o,) = scene.objects
    assert np.linalg.norm(o.pose.position_m[:2] - (0.45, 0.1)) < 0.003
    assert abs((o.pose.yaw_rad - 0.77 + np.pi / 4) % (np.pi / 2) - np.pi / 4) < 0.06
    assert -np.pi / 4 - 1e-6 <= o.pose.yaw_rad <= np.pi / 4 + 1e-6


def test_a_partial_view_that_fits_does_not_pull_the_memory() -> None:
    play = Play()
    play.show(seen("red", 0.4, 0.1), times=5)
    whole = seen("red", 0.4, 0.1)
    part = Detection(
        "red",
        "unknown",
        Pose(np.array([0.412, 0.1, 0.0225])),
        np.array([0.02, 0.045, 0.045]),
        whole.covariance,
        0.5,
        False,
        whole.points_m[4:],
    )
    (o,) = play.show(part, times=20).objects
    assert o.shape == "cube"
    assert abs(o.pose.position_m[0] - 0.4) < 0.001
    assert not o.occluded


def test_a_piece_of_a_bowl_that_passes_for_a_whole_box_changes_nothing() -> None:
    """What hides a bowl may leave a part of its rim in view that looks complete; for seconds, and long enough to outvote the bowl."""
    play = Play()
    before = play.show(seen("blue", 0.5, -0.1, shape="bowl", z=0.025), times=30).objects[0]
    rim = np.array([[0.565, y, z] for y in np.linspace(-0.125, -0.075, 6) for z in (0.01, 0.03, 0.05)])
    whole = seen("blue", 0.5, -0.1, shape="bowl")
    piece = Detection("blue", "box", Pose(np.array([0.56, -0.1, 0.025])), np.array([0.02, 0.06, 0.05]), whole.covariance, 0.9, True, rim)
    (after,) = play.show(piece, times=300, view=Visibility.HIDDEN).objects
    assert (after.id, after.name) == (before.id, "blue bowl")
    np.testing.assert_allclose(after.pose.position_m, before.pose.position_m, atol=1e-6)
    np.testing.assert_allclose(after.size_m, before.size_m, atol=1e-6)
    assert not after.occluded


def test_what_is_grasped_goes_with_the_gripper_and_stays_where_it_is_let_go() -> None:
    play = Play()
    first = play.show(seen("red", 0.4, 0.1), seen("green", 0.5, -0.1), times=5)
    red = next(o for o in first.objects if o.colour == "red")
    play.show(seen("green", 0.5, -0.1), times=3, grip=grip_at(0.4, 0.1, 0.03), view=Visibility.HIDDEN)
    scene = play.show(seen("green", 0.5, -0.1), times=3, grip=grip_at(0.6, 0.0, 0.23), view=Visibility.EMPTY)
    held = scene.get(red.id)
    assert held is not None
    assert held.held
    np.testing.assert_allclose(held.pose.position_m, [0.6, 0.0, 0.2225], atol=0.003)
    scene = play.show(seen("green", 0.5, -0.1), times=4, grip=grip_at(0.6, 0.0, 0.23, holding=False), view=Visibility.HIDDEN)
    left = scene.get(red.id)
    assert left is not None
    assert not left.held
    assert left.occluded
    scene = play.show(seen("green", 0.5, -0.1), seen("red", 0.605, 0.0), times=4, grip=grip_at(0.4, 0.2, 0.4, holding=False))
    put = scene.get(red.id)
    assert put is not None
    assert len(scene.objects) == 2
    np.testing.assert_allclose(put.pose.position_m, [0.605, 0.0, 0.0225], atol=0.003)


def test_what_is_let_go_in_the_air_is_expected_on_what_lies_below() -> None:
    play = Play()
    red = next(o for o in play.show(seen("red", 0.4, 0.1), seen("green", 0.6, 0.0), times=5).objects if o.colour == "red")
    green = seen("green", 0.6, 0.0)
    play.show(green, times=3, grip=grip_at(0.4, 0.1, 0.03), view=Visibility.HIDDEN)
    play.show(green, times=3, grip=grip_at(0.6, 0.0, 0.25), view=Visibility.HIDDEN)
    scene = play.show(green, times=3, grip=grip_at(0.6, 0.0, 0.25, holding=False), view=Visibility.HIDDEN)
    fallen = scene.get(red.id)
    assert fallen is not None
    np.testing.assert_allclose(fallen.pose.position_m, [0.6, 0.0, 0.0675], atol=0.004)
    scene = play.show(green, seen("red", 0.52, 0.03), times=3, grip=grip_at(0.6, 0.0, 0.25, holding=False), view=Visibility.HIDDEN)
    assert {o.id: o.colour for o in scene.objects}[red.id] == "red"
    assert len(scene.objects) == 2, "it rolled off while hidden and keeps its id"


def test_touching_nothing_known_holds_nothing() -> None:
    play = Play()
    play.show(seen("red", 0.4, 0.1), times=5)
    scene = play.show(seen("red", 0.4, 0.1), times=5, grip=grip_at(0.6, -0.2, 0.3))
    assert not scene.objects[0].held


def test_time_that_jumps_back_starts_a_new_scene() -> None:
    play = Play()
    play.show(seen("red", 0.4, 0.1), times=5)
    play.now_ns = 0
    scene = play.show(seen("blue", 0.5, 0.1), times=3)
    assert [(o.id, o.colour) for o in scene.objects] == [("cube_1", "blue")]
