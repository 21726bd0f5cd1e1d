"""From inside a margin a pair comes no nearer than it may, and never to a touch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_rig import home, panda, safety

from vla_ros.core.geometry import Pose, transform
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.robots.clearance import ClearanceModel, Solid
from vla_ros.safety.floors import DEEPEST_M, NEARER_M, ROUNDING_M, TOUCHING_NEARER_M, UNTOUCHED_M, Floors, Near
from vla_ros.safety.surroundings import STAYS_M, Surroundings
from vla_ros.safety.sweep_proof import SweepProof

WIDTH_M = panda().config.gripper.width_open_m
HAND = "panda_hand"


@pytest.mark.parametrize(
    ("near", "floor_m"),
    [
        (Near(0, -0.002, -0.010), -0.002 - NEARER_M),
        (Near(0, -0.0035, -0.004), -0.004 + UNTOUCHED_M),
        (Near(0, -0.004, -0.004), -0.004 - TOUCHING_NEARER_M),
        (Near(0, -0.009, -0.004), -0.009 - TOUCHING_NEARER_M),
        (Near(0, 0.0015, 0.0), 0.0015 - NEARER_M),
        (Near(0, 0.0004, 0.0), UNTOUCHED_M),
        (Near(0, -0.05, -0.004), -DEEPEST_M),
        (Near(0, -0.05, -0.0005, may_be_deep=True), -0.05 - NEARER_M),
    ],
)
def test_a_pair_may_come_a_little_nearer_and_does_not_touch(near, floor_m):
    assert floors_of(Floors(), near) == {0: pytest.approx(floor_m, abs=1e-12)}


def floors_of(floors: Floors, *near: Near, group: int = 1, turned_rad: float = 0.0) -> dict[int, float]:
    return floors.of(group, near, np.append(home() + turned_rad, WIDTH_M), np.ones(8))


def test_what_a_pair_has_come_away_to_counts():
    floors = Floors()
    floors_of(floors, Near(4, -0.003, -0.01))
    assert floors_of(floors, Near(4, -0.001, -0.01)) == {4: pytest.approx(-0.002)}
    assert floors_of(floors, Near(4, -0.0019, -0.01)) == {4: pytest.approx(-0.002)}
    assert floors_of(floors, Near(4, -0.002 - 0.5 * ROUNDING_M, -0.01)) == {4: pytest.approx(-0.002)}, "by less than distances are exact"
    assert floors_of(floors, Near(4, -0.005, -0.01), group=2) == {4: pytest.approx(-0.006)}, "another group"


def test_a_pair_that_is_nearer_all_the_same_may_stay_and_come_no_nearer():
    """It was pushed, it braked sooner than it was to, or the thing is known to be nearer."""
    floors = Floors()
    floors_of(floors, Near(4, -0.003, -0.01))
    assert floors_of(floors, Near(4, -0.007, -0.01)) == {4: pytest.approx(-0.007 - ROUNDING_M)}


def test_what_is_kept_may_grow_and_shrink_without_letting_anything_come_nearer():
    floors = Floors()
    for _ in range(20):
        floors_of(floors, Near(4, -0.001, -0.003))
        floors_of(floors, Near(4, -0.003, -0.005))
    assert floors_of(floors, Near(4, -0.001, -0.003)) == {4: pytest.approx(-0.002)}


def test_a_pair_that_was_not_there_has_no_more_room_than_one_that_has_gone():
    floors = Floors()
    floors_of(floors, Near(4, -0.001, -0.01), Near(5, -0.004, -0.01))
    assert floors_of(floors, Near(5, -0.004, -0.01)) == {5: pytest.approx(-0.005)}, "its own"
    assert floors_of(floors, Near(6, -0.003, -0.01)) == {6: pytest.approx(-0.003 - ROUNDING_M)}, "in place of one that was farther off"
    assert floors_of(floors, Near(7, -0.0005, -0.01)) == {7: pytest.approx(-0.0015)}, "that of the highest one"
    assert floors_of(floors, Near(8, -0.004, -0.01), turned_rad=0.01) == {8: pytest.approx(-0.005)}, "the arm is elsewhere"


def test_where_the_arm_is_mounted_may_be_reported_higher():
    floors = Floors()
    floors_of(floors, Near(0, -0.2, -0.0005, may_be_deep=True))
    assert floors_of(floors, Near(0, -0.25, -0.0005, may_be_deep=True)) == {0: pytest.approx(-0.25, abs=ROUNDING_M)}


def at(position: np.ndarray, width_m: float = WIDTH_M) -> np.ndarray:
    return np.append(position, width_m)


def beside_the_hand(gap_m: float, grown_m: float, direction: np.ndarray, name: str) -> Solid:
    """A thing so far from the hand at home, grown."""
    model, centre = ClearanceModel(panda(), 1), panda().fk(home())[:3, 3] + direction * 0.3
    for _ in range(30):
        solid = Solid(name, "box", np.full(3, 0.08), transform(np.eye(3), centre))
        model.place([solid])
        off_m = min(model.distances(at(home()))[~model.is_own]) - gap_m
        centre = centre - direction * off_m
        if abs(off_m) < 1e-6:
            break
    return Solid(name, "box", solid.size_m + 2 * grown_m, solid.T_base_solid, grown_m)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0004, 0.006), st.floats(0.002, 0.008), st.floats(0.0004, 0.006), st.floats(0.009, 0.016))
def test_no_motion_from_inside_two_margins_touches_either(seed, gap_m, grown_m, other_gap_m, other_grown_m):
    """One thing that is known well and one that is known badly, in the margins of both of which the hand is."""
    rng, proof, truth = np.random.default_rng(seed), SweepProof(panda(), safety()), ClearanceModel(panda(), 2)
    solids = [
        beside_the_hand(gap_m, grown_m, np.array([1.0, 0.0, 0.0]), "known"),
        beside_the_hand(other_gap_m, other_grown_m, np.array([0.0, -1.0, 0.0]), "unsure"),
    ]
    proof.place(solids, None, np.eye(4))
    truth.place([Solid(s.name, s.kind, s.size_m - 2 * s.grown_m, s.T_base_solid) for s in solids])
    q, towards = home(), np.linalg.pinv(panda().jacobian(home())[:3]) @ rng.normal(size=3)
    passed = 0
    for n in range(40):
        step = towards / np.abs(towards).max() * rng.uniform(0, 0.002) if n % 2 else rng.normal(size=7) * 0.0004
        rows = np.linspace(q, q + step, 5)
        if proof.breach(at(rows[0]), np.array([at(row) for row in rows[1:]])) is None:
            q, passed = rows[-1], passed + 1
            assert min(truth.distances(at(q))[~truth.is_own]) > 0.0
    assert passed


def test_from_inside_one_margin_another_thing_is_kept_clear_of_as_ever():
    """A group is not let nearer to all things because it is near to one."""
    proof = SweepProof(panda(), safety())
    near = beside_the_hand(0.001, 0.003, np.array([0.0, -1.0, 0.0]), "near")
    ahead = beside_the_hand(0.02, 0.003, np.array([1.0, 0.0, 0.0]), "ahead")
    proof.place([near, ahead], None, np.eye(4))
    ahead_of_it = panda().fk(home())
    ahead_of_it[0, 3] += 0.02
    rows = np.linspace(home(), panda().ik(ahead_of_it, home()), 60)
    breach = proof.breach(at(rows[0]), np.array([at(row) for row in rows[1:]]))
    assert breach is not None
    assert "ahead" in breach.pair


@pytest.mark.parametrize(("deep_m", "may_leave"), [(0.028, True), (0.032, False)])
def test_from_deeper_than_that_nothing_moves_not_even_away(deep_m, may_leave):
    proof = SweepProof(panda(), safety())
    proof.place([replace(beside_the_hand(-deep_m, 0.0, np.array([1.0, 0.0, 0.0]), "ahead"), grown_m=0.06)], None, np.eye(4))
    away = panda().fk(home())
    away[0, 3] -= 0.02
    rows = np.linspace(home(), panda().ik(away, home()), 60)
    assert (proof.breach(at(rows[0]), np.array([at(row) for row in rows[1:]])) is None) is may_leave


def test_a_touch_begins_no_deeper_than_where_a_thing_is_reported_that_stays():
    """What is reported a little beside its place stays there, for the proof."""
    around, at_m = Surroundings(panda(), safety()), panda().fk(home())[:3, 3] + [0.3, 0.0, 0.0]
    for off_m in (0.0, 0.9 * STAYS_M):
        thing = SceneObject("cube_1", "red cube", "red", "cube", Pose(at_m - [off_m, 0.0, 0.0]), np.full(3, 0.05), 0.9, 1)
        around.on_scene(Scene(1, panda().config.base_frame, (thing,)), panda().fk(home()), 1)
    solid = around._standing["cube_1"].solid
    assert solid.T_base_solid[0, 3] == at_m[0], "it stays"
    touch_m = solid.T_base_solid[0, 3] - solid.size_m[0] / 2 + solid.grown_m
    assert touch_m <= thing.pose.position_m[0] - 0.025
