"""The distances of groups are those of all pairs, and no motion brings a group nearer than its bound says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_rig import home, panda

from vla_ros.core.geometry import rotation_z, transform
from vla_ros.robots.clearance import HELD, ClearanceModel, Solid
from vla_ros.robots.collision import CollisionModel, Obstacle

WIDTH_M = 0.08
ROUNDING_M = 1e-5  # of distances, which are found by iteration
LIMITS = panda().config.limits
postures = st.tuples(
    *(st.floats(float(low), float(high)) for low, high in zip(LIMITS.position_min_rad, LIMITS.position_max_rad, strict=True))
)
widths = st.floats(0.0, WIDTH_M)


def things(rng: np.random.Generator, count: int) -> list[Solid]:
    kinds = ("box", "cylinder")
    return [
        Solid(
            f"thing_{n}",
            kinds[n % 2],
            size_of(rng, kinds[n % 2]),
            transform(rotation_z(rng.uniform(0, 3)), rng.uniform([0.2, -0.5, 0.0], [0.8, 0.5, 0.6])),
        )
        for n in range(count)
    ]


def size_of(rng: np.random.Generator, kind: str) -> np.ndarray:
    x, y, z = rng.uniform(0.02, 0.2, size=3)
    return np.array([x, x if kind == "cylinder" else y, z])


def as_obstacle(solid: Solid) -> Obstacle:
    x, y, z = (float(s) for s in solid.size_m)
    return Obstacle(solid.name, solid.kind, (x, y, z) if solid.kind == "box" else (x / 2, z), solid.T_base_solid)


@cache
def crowded() -> ClearanceModel:
    model = ClearanceModel(panda(), 12)
    model.place(things(np.random.default_rng(5), 12))
    model.hold(np.array([0.04, 0.04, 0.06]), np.eye(4))
    return model


def test_the_smallest_distances_are_those_of_all_pairs():
    rng = np.random.default_rng(3)
    solids, pairs = things(rng, 7), CollisionModel(panda())
    model = ClearanceModel(panda(), 7)
    model.place(solids)
    obstacles = [as_obstacle(solid) for solid in solids]
    for _ in range(20):
        q = home() + rng.normal(size=7) * 0.6
        found = model.distances(np.append(q, WIDTH_M))
        assert found[model.is_own].min() == pytest.approx(pairs.self_distance(q)[0], abs=1e-6)
        assert found[~model.is_own].min() == pytest.approx(pairs.min_distance(q, obstacles)[0], abs=1e-6)


def test_things_can_change_kind_size_and_number():
    rng = np.random.default_rng(4)
    model, pairs = ClearanceModel(panda(), 6), CollisionModel(panda())
    for count in (6, 2, 5, 0, 6):
        solids = things(rng, count)[::-1]
        model.place(solids)
        found = model.distances(np.append(home(), WIDTH_M))[~model.is_own].min()
        expected = pairs.min_distance(home(), [as_obstacle(solid) for solid in solids])[0]
        assert found == pytest.approx(expected, abs=1e-6)


def moved(rng: np.random.Generator, solid: Solid) -> Solid:
    """A little elsewhere, larger or smaller."""
    T = solid.T_base_solid @ transform(rotation_z(rng.uniform(-0.2, 0.2)), rng.uniform(-0.03, 0.03, 3))
    by_m = rng.uniform(-0.01, 0.03, 3)
    by_m[1] = by_m[0] if solid.kind == "cylinder" else by_m[1]
    return replace(solid, size_m=np.maximum(solid.size_m + by_m, 0.01), T_base_solid=T)


def test_no_thing_that_changes_comes_nearer_than_is_said():
    rng = np.random.default_rng(6)
    model = ClearanceModel(panda(), 8)
    solids = things(rng, 8)
    assert model.place(solids) == np.inf
    posture = np.append(home(), WIDTH_M)
    near, used = ~model.is_own & np.isfinite(model.distances(posture)), 0.0
    for _ in range(60):
        before = model.distances(posture)[near]
        solids = [moved(rng, solid) if rng.random() < 0.3 else solid for solid in solids]
        nearer_m = model.place(solids)
        after = model.distances(posture)[near]
        assert np.all(after >= before - nearer_m - ROUNDING_M)
        used = max(used, float((before - after).max() / max(nearer_m, 1e-9)))
    assert used > 0.3  # it says something
    assert model.place(solids[1:]) == 0.0  # one that is gone, and the others in other places of the list
    assert model.place(solids[:0:-1]) == 0.0
    assert model.place([replace(solids[1], name="other"), *solids[2:]]) == np.inf
    twins = [replace(solids[2], name="twin"), replace(solids[3], name="twin")]
    assert model.place(twins) == np.inf
    assert model.place(twins) == 0.0
    assert model.place(twins[1:]) > 0.0  # the first of a name takes the place of the first


def test_what_is_held_far_out_is_known_to_come_near_faster():
    model, cup = ClearanceModel(panda(), 1), Solid("cup", "box", np.full(3, 0.02), transform(np.eye(3), np.array([0.3, 0.9, 0.5])))
    model.place([cup])
    group = next(
        g for g, name in enumerate(model.distance(np.append(home(), WIDTH_M), n)[1][0] for n in range(len(model.is_own))) if name == HELD
    )
    model.hold(np.array([1.6, 0.02, 0.02]), np.eye(4))
    rng = np.random.default_rng(2)
    for _ in range(200):
        a = np.append(home() + rng.normal(size=7) * 0.4, WIDTH_M)
        b = a + np.append(rng.normal(size=7) * 0.1, 0.0)
        before, after = model.distance(a, group)[0], model.distance(b, group)[0]
        assert after >= before - np.abs(b - a) @ model.reach_m[:, group] - ROUNDING_M or before < 0


@settings(max_examples=60, deadline=None)
@given(postures, postures, st.floats(0.0, 1.0), widths, widths)
def test_no_motion_brings_a_group_nearer_than_its_bound_says(start, end, share, width, other_width):
    model = crowded()
    a = np.array([*start, width])
    b = np.array([*(np.asarray(start) + share * (np.asarray(end) - start)), other_width])
    nearer = np.abs(b - a) @ model.reach_m
    before, after = np.maximum(model.distances(a), 0.0), model.distances(b)
    apart = before > 0
    assert np.all(after[apart] >= (before - nearer)[apart] - ROUNDING_M)


def test_a_contact_that_is_meant_does_not_count_and_others_do():
    tcp = panda().fk(home())
    model = ClearanceModel(panda(), 2)
    at_hand = Solid("cup", "box", np.full(3, 0.12), transform(np.eye(3), tcp[:3, 3]))
    model.place([at_hand])
    posture = np.append(home(), WIDTH_M)
    assert model.distances(posture).min() < 0
    assert model.permit(dict.fromkeys(model.gripper_links, frozenset({"cup"})))
    assert not model.permit(dict.fromkeys(model.gripper_links, frozenset({"cup"})))
    assert model.distances(posture).min() > 0.01
    model.permit({})
    assert model.distances(posture).min() < 0


def test_what_is_held_moves_with_the_hand_and_is_gone_when_it_is_let_go():
    model = ClearanceModel(panda(), 1)
    tcp = panda().fk(home())
    below = tcp[:3, 3] - [0.0, 0.0, 0.10]
    model.place([Solid("cup", "box", np.full(3, 0.02), transform(np.eye(3), below))])
    posture = np.append(home(), WIDTH_M)
    free = model.distances(posture)
    assert model.hold(np.array([0.04, 0.04, 0.16]), np.eye(4))
    assert not model.hold(np.array([0.04, 0.04, 0.16]), np.eye(4))
    distance, pair = min(model.distance(posture, g) for g in range(len(model.is_own)))
    assert distance == pytest.approx(0.10 - 0.08 - 0.01, abs=2e-3)
    assert pair == (HELD, "cup")
    model.hold(None, np.eye(4))
    np.testing.assert_allclose(model.distances(posture), free, atol=ROUNDING_M)
