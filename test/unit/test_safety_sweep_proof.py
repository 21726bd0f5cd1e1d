"""What is passed as clear is clear between the rows too, and the arm may always leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safety_rig import WIDTH_M, Rig, ahead, home, panda, safety, thing_at, way_to, with_width

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Pose, transform
from vla_ros.core.scene import Scene
from vla_ros.robots.clearance import Solid
from vla_ros.robots.collision import CollisionModel, Obstacle
from vla_ros.safety.surroundings import Surroundings
from vla_ros.safety.sweep_proof import SweepProof


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_motion_that_is_passed_is_clear_between_its_rows_too(seed):
    rng = np.random.default_rng(seed)
    clearance = SweepProof(panda(), safety())
    solids = [
        Solid(f"thing_{n}", "box", rng.uniform(0.03, 0.12, 3), transform(np.eye(3), rng.uniform([0.2, -0.5, 0.0], [0.8, 0.5, 0.7])))
        for n in range(6)
    ]
    clearance.place(solids, None, np.eye(4))
    obstacles = [Obstacle(s.name, "box", tuple(float(x) for x in s.size_m), s.T_base_solid) for s in solids]
    truth, start = CollisionModel(panda()), home() + rng.normal(size=7) * 0.3
    assume(not truth.in_collision(start, obstacles, safety().clearance.self_m))
    s = np.linspace(0, 1, 30)[:, None]
    rows = start + (3 * s**2 - 2 * s**3) * rng.normal(size=7) * 0.1
    breach = clearance.breach(with_width(rows)[0], with_width(rows)[1:])
    fine = np.linspace(0, 29, 600)
    curve = np.column_stack([np.interp(fine, np.arange(30), rows[:, j]) for j in range(7)])
    touches = any(truth.in_collision(q, obstacles) for q in curve)
    if breach is None:
        assert not touches
    elif breach.proven and not breach.is_own:
        nearest = min(truth.min_distance(q, obstacles)[0] for q in curve)
        assert nearest < 0.02  # beside half a step


def test_leaving_is_possible_from_inside_a_margin_and_going_on_is_not():
    clearance = SweepProof(panda(), safety())
    wall = ahead(0.30)
    wall[:3, :3] = np.eye(3)
    clearance.place([Solid("wall", "box", np.array([0.2, 0.5, 0.5]), wall)], None, np.eye(4))
    way = with_width(way_to(ahead(0.25), rows=400))
    first = next(n for n, row in enumerate(way) if clearance.nearest(row).distance_m < -0.003)
    assert clearance.breach(way[0], way[1:first]) is not None
    assert clearance.breach(way[first], way[first : first + 40]) is not None, "on"
    assert clearance.breach(way[first], way[first::-1]) is None, "back"


def test_a_chunk_into_a_thing_ends_before_it_and_says_what_and_how_far():
    rig = Rig()
    thing = thing_at(ahead(0.25)[:3, 3], 0.12, last_seen_ns=rig.now_ns)
    rig.things = (thing,)
    rig.ready()
    rig.send(way_to(ahead(0.25)))
    rig.step(400)
    decision = next(d for d in rig.decisions if d.reason == SafetyReason.COLLISION)
    assert decision.action == SafetyAction.HOLD
    assert "mm from the red cube" in decision.detail
    assert "the red cube" in decision.limiting_joint
    _, p, v, _ = rig.signal()
    assert not v[-1].any()
    truth = CollisionModel(panda())
    obstacle = [Obstacle("cube", "box", (0.12,) * 3, thing.pose.matrix())]
    distances_m = [truth.min_distance(q, obstacle)[0] for q in p[::20]]
    assert distances_m[0] > 0.1
    assert safety().clearance.things_m < min(distances_m) < 0.05, "it had come near"


def test_a_chunk_around_a_thing_is_followed_to_its_end():
    rig = Rig()
    rig.things = (thing_at(ahead(0.25, -0.15)[:3, 3], last_seen_ns=rig.now_ns),)
    rig.ready()
    rows = way_to(ahead(0.25))
    rig.send(rows)
    rig.step(500)
    assert not any(d.action >= SafetyAction.HOLD for d in rig.decisions), [d.detail for d in rig.decisions]
    np.testing.assert_allclose(rig.signal()[1][-1], rows[-1], atol=1e-3)


def test_the_table_is_kept_clear_of():
    rig = Rig()
    rig.table_height_m = float(ahead(0.0, -0.10)[2, 3])
    rig.ready()
    rig.send(way_to(ahead(0.0, -0.12)))
    rig.step(400)
    assert any(d.reason == SafetyReason.COLLISION and "the table" in d.detail for d in rig.decisions)
    tips_m = [panda().fk(q)[2, 3] - 0.009 for q in rig.signal()[1][::20]]  # the fingers reach so far beyond the TCP
    assert rig.table_height_m < min(tips_m) < rig.table_height_m + 0.03, "it had come near"


def test_the_arm_is_kept_clear_of_itself():
    """Beyond what the workspace allows: there the arm can fold into itself."""
    rng, truth, clearance = np.random.default_rng(1), CollisionModel(panda()), SweepProof(panda(), safety())
    low, high = panda().config.limits.position_min_rad, panda().config.limits.position_max_rad
    clearance.place((), None, np.eye(4))
    for _ in range(10):
        folded = next(q for q in (rng.uniform(low, high) for _ in range(10_000)) if truth.self_distance(q)[0] < 0)
        s = np.linspace(0, 1, 2000)[:, None]
        rows = home() + (3 * s**2 - 2 * s**3) * (folded - home())
        first = next(n for n, q in enumerate(rows) if truth.self_distance(q)[0] < safety().clearance.self_m)
        breach = clearance.breach(with_width(rows)[0], with_width(rows)[1 : first + 20])
        assert breach is not None
        assert breach.is_own
        assert not breach.proven or breach.distance_m < safety().clearance.self_m + 0.01


def test_many_things_are_all_kept_clear_of():
    surroundings = Surroundings(panda(), safety())
    many = tuple(replace(thing_at([0.3 + 0.01 * n, 0.3, 0.0]), id=f"cube_{n}") for n in range(50))
    at_hand = replace(thing_at(ahead(0.0)[:3, 3], 0.12), id="last")
    surroundings.on_scene(Scene(0, "panda_link0", (*many, at_hand)), np.eye(4), 0)
    assert surroundings.nearest(np.append(home(), WIDTH_M)).margin_m < 0


def test_a_distance_that_is_no_number_proves_nothing(monkeypatch):
    clearance = SweepProof(panda(), safety())
    clearance.place((), None, np.eye(4))
    rows = with_width(way_to(ahead(0.1)))
    assert clearance.breach(rows[0], rows[1:]) is None
    blind = SweepProof(panda(), safety())
    monkeypatch.setattr(blind.model, "distance", lambda posture, group: (np.nan, ("one", "another")))
    assert blind.breach(rows[0], rows[1:]) is not None


def test_deep_inside_a_thing_nothing_moves():
    """Where perception puts a thing into the arm, one of the two is wrong: it is not the moment to move on."""
    clearance = SweepProof(panda(), safety())
    here = ahead(0.0)
    here[:3, :3] = np.eye(3)
    clearance.place([Solid("ghost", "box", np.full(3, 0.3), here)], None, np.eye(4))
    rows = with_width(way_to(ahead(0.0, 0.05), rows=200))
    assert clearance.breach(rows[0], rows[1:40]) is not None


@pytest.mark.parametrize("margin_m", [-0.002, 0.0002, 0.0005, 0.0008, 0.003])
def test_an_arm_near_a_thing_can_always_leave_it(margin_m):
    rig = Rig().ready()
    hand = ahead(0.0)[:3, 3]
    for _ in range(30):  # bring the wall so near that just this remains
        wall = thing_at(hand + [0.2, 0.0, 0.0], 0.1, last_seen_ns=rig.now_ns)
        rig.things = (wall,)
        rig.step(1)
        off = rig.gate.nearest().margin_m - margin_m
        hand = hand - [min(off, 0.1), 0.0, 0.0]
        if abs(off) < 1e-4:
            break
    assert rig.gate.nearest().margin_m == pytest.approx(margin_m, abs=3e-4)
    rig.send(way_to(ahead(-0.04)))
    rig.step(400)
    assert np.linalg.norm(panda().fk(rig.arm_state()[0])[:3, 3] - ahead(-0.04)[:3, 3]) < 2e-3, [d.detail for d in rig.decisions]


@pytest.mark.parametrize("after_ticks", [8, 16, 24])
def test_an_arm_that_is_stopped_while_it_leaves_can_leave_later(after_ticks):
    """What it was to come away to does not count where it did not come to."""
    rig = Rig().ready()
    hand, unsure = ahead(0.0)[:3, 3], np.diag([0.0035**2, 0.0, 0.0, 0.0, 0.0, 0.0])  # 10 mm are kept
    wall = thing_at(hand + [0.2, 0.0, 0.0], 0.1, covariance=unsure)

    def step(ticks: int) -> None:
        for _ in range(ticks):
            rig.things = (replace(wall, last_seen_ns=rig.now_ns),)
            rig.step(1)

    for _ in range(30):
        step(1)
        wall = replace(wall, pose=Pose(wall.pose.position_m - [min(rig.gate.nearest().margin_m + 0.008, 0.1), 0.0, 0.0]))
    start_m = rig.gate.nearest().margin_m
    assert start_m == pytest.approx(-0.008, abs=1e-3)
    rows = way_to(ahead(-0.04))
    rig.send(rows, dt_s=0.008)
    step(after_ticks)
    rig.gate.hold("the test")
    step(120)
    rest = rig.arm_state()[0]
    rig.send(rest + rows - rows[0], seq=2)
    step(400)
    went = np.abs(rig.arm_state()[0] - (rest + rows[-1] - rows[0])).max()
    assert went < 1e-3, [d.detail for d in rig.decisions]


def test_a_world_that_changes_elsewhere_lets_nothing_creep_nearer():
    clearance = SweepProof(panda(), safety())
    wall = ahead(0.26)
    wall[:3, :3] = np.eye(3)
    way = with_width(way_to(ahead(0.2), rows=400))
    solids = [Solid("wall", "box", np.array([0.2, 0.5, 0.5]), wall)]
    clearance.place(solids, None, np.eye(4))
    row = next(n for n, q in enumerate(way) if clearance.nearest(q).distance_m < 0.0003)
    start = row
    for n in range(100):
        far = transform(np.eye(3), np.array([0.0, 0.6, 0.1 + 0.01 * n]))
        clearance.place([*solids, Solid("other", "box", np.full(3, 0.05), far)], None, np.eye(4))
        if row + 1 < len(way) and clearance.breach(way[row], way[row + 1 : row + 2]) is None:
            row += 1
    assert clearance.nearest(way[row]).distance_m > -0.002, f"{row - start} rows"


def test_a_proof_that_has_known_the_world_for_long_finds_what_a_fresh_one_finds():
    rng = np.random.default_rng(8)
    known, config = SweepProof(panda(), safety()), safety()
    places = [transform(np.eye(3), rng.uniform([0.2, -0.5, 0.0], [0.8, 0.5, 0.7])) for _ in range(8)]
    sizes_m, q = rng.uniform(0.03, 0.1, (8, 3)), home()
    held = (None, np.full(3, 0.05))
    found = []
    for n in range(300):
        thing = int(rng.integers(8))
        if n % 3 == 0:
            sizes_m[thing] += rng.uniform(-0.004, 0.006)
            places[thing] = places[thing] @ transform(np.eye(3), rng.normal(size=3) * 0.004)
        solids = [Solid(f"thing_{i}", "box", size_m.copy(), T) for i, (size_m, T) in enumerate(zip(sizes_m, places, strict=True))]
        in_hand, contacts = held[n // 50 % 2], {"panda_hand": frozenset({"thing_3"})} if n // 40 % 2 else {}
        s = np.linspace(0, 1, 20)[:, None]
        rows = with_width(q + (3 * s**2 - 2 * s**3) * rng.normal(size=7) * 0.05)
        fresh = SweepProof(panda(), config, capacity=8)
        for proof in (known, fresh):
            proof.permit(contacts)
            proof.place(solids, in_hand, np.eye(4))
        nearest = fresh.nearest(rows[0]).distance_m
        breaches = known.breach(rows[0], rows[1:]), fresh.breach(rows[0], rows[1:])
        if nearest > 0.001:  # inside a margin it matters what was before
            assert (breaches[0] is None) is (breaches[1] is None), n
            found.append(breaches[0] is None)
        if breaches[0] is None:
            q = rows[-1][:7]
    assert 20 < sum(found) < len(found) - 20
