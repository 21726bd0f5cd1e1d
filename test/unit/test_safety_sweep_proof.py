"""What is passed as clear is clear between the rows too; the arm may always leave; things are kept clear of as they are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safety_rig import SWEEP, Rig, chunk_of, home, panda, safety

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Pose, transform
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.robots.clearance import Solid
from vla_ros.robots.collision import CollisionModel, Obstacle
from vla_ros.safety.surroundings import STAYS_M, Surroundings
from vla_ros.safety.sweep_proof import SweepProof

WIDTH_M = panda().config.gripper.width_open_m
KEPT_M = safety().clearance.things_m + STAYS_M


def with_width(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows, np.full(len(rows), WIDTH_M)])


def thing_at(position: np.ndarray, size_m: float = 0.05, name: str = "red cube", **changes) -> SceneObject:
    colour, shape = name.split()
    thing = SceneObject(f"{shape}_1", name, colour, shape, Pose(np.asarray(position)), np.full(3, size_m), 0.9, 0)
    return replace(thing, **changes)


def ahead(x_m: float, z_m: float = 0.0) -> np.ndarray:
    """T_base_tcp of home, moved forward and up."""
    T = panda().fk(home())
    T[:3, 3] += [x_m, 0.0, z_m]
    return T


def way_to(T_base_tcp: np.ndarray, rows: int = 60) -> np.ndarray:
    """[rows, 7] from home, at rest at both ends."""
    s = np.linspace(0, 1, rows)[:, None]
    return home() + (10 * s**3 - 15 * s**4 + 6 * s**5) * (panda().ik(T_base_tcp, home()) - home())


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


def plan_to(skill: Skill, relation: Relation | None = None, target: str = "") -> Plan:
    done = Predicate(Relation.HELD, "cube_1")
    return Plan("", (Subtask("1", skill, "", done, "cube_1", relation, target),), (done,), "test")


def test_what_a_subtask_takes_may_be_touched_by_the_hand_and_by_nothing_else():
    scene = Scene(0, "panda_link0", (thing_at(ahead(0.0)[:3, 3], 0.12),))
    surroundings = Surroundings(panda(), safety())
    surroundings.on_plan(plan_to(Skill.PICK))
    surroundings.on_scene(scene, np.eye(4), 0)
    posture = np.append(home(), WIDTH_M)
    assert surroundings.nearest(posture).margin_m < 0
    surroundings.expect(surroundings.subtask("1"))
    assert surroundings.nearest(posture).margin_m > 0.01
    surroundings.expect(None)
    nearest = surroundings.nearest(posture)
    assert nearest.margin_m < 0
    assert "the red cube" in nearest.pair


def test_what_lies_in_the_bowl_may_be_touched_by_what_is_put_there():
    bowl = thing_at([0.5, 0.1, 0.03], name="blue bowl", size_m=0.16)
    inside = replace(thing_at([0.52, 0.1, 0.03], name="green cube"), id="cube_2")
    beside = replace(thing_at([0.5, -0.2, 0.03], name="red cube"), id="cube_3")
    held = thing_at([0.5, 0.0, 0.4], held=True)
    surroundings = Surroundings(panda(), safety())
    surroundings.on_plan(plan_to(Skill.PLACE, Relation.IN, "bowl_1"))
    surroundings.on_scene(Scene(0, "panda_link0", (bowl, inside, beside, held)), np.eye(4), 0)
    surroundings.expect(surroundings.subtask("1"))
    assert surroundings._meant(surroundings._subtasks["1"]) == {"cube_1", "cube_2", "bowl_1"}


@pytest.mark.parametrize(
    ("changes", "kept_m"),
    [
        ({}, KEPT_M),
        ({"covariance": np.diag([2e-6, 1e-6, 1e-6, 0, 0, 0])}, KEPT_M + 0.003),
        ({"last_seen_ns": -8_000_000_000}, KEPT_M + 0.008),
        ({"last_seen_ns": -3600_000_000_000}, KEPT_M + safety().clearance.most_m),
    ],
    ids=["seen well", "not well", "not lately", "long ago"],
)
def test_more_is_kept_from_what_is_known_less(changes, kept_m):
    surroundings = Surroundings(panda(), safety())
    surroundings.on_scene(Scene(0, "panda_link0", (thing_at([0.5, 0.0, 0.025], **changes),)), np.eye(4), 0)
    np.testing.assert_allclose(surroundings._standing["cube_1"].solid.size_m, 0.05 + 2 * kept_m, atol=1e-9)


def test_a_thing_that_is_reported_a_little_beside_stays_and_one_that_moves_moves():
    surroundings = Surroundings(panda(), safety())

    def seen(x: float) -> Solid:
        surroundings.on_scene(Scene(0, "panda_link0", (thing_at([x, 0.0, 0.025]),)), np.eye(4), 0)
        return surroundings._standing["cube_1"].solid

    first = seen(0.5)
    assert seen(0.5008) is first
    assert seen(0.51).T_base_solid[0, 3] == 0.51
    surroundings.on_scene(Scene(0, "panda_link0", ()), np.eye(4), 0)
    assert "cube_1" not in surroundings._standing


def test_many_things_are_all_kept_clear_of():
    surroundings = Surroundings(panda(), safety())
    many = tuple(replace(thing_at([0.3 + 0.01 * n, 0.3, 0.0]), id=f"cube_{n}") for n in range(50))
    at_hand = replace(thing_at(ahead(0.0)[:3, 3], 0.12), id="last")
    surroundings.on_scene(Scene(0, "panda_link0", (*many, at_hand)), np.eye(4), 0)
    assert surroundings.nearest(np.append(home(), WIDTH_M)).margin_m < 0


def test_without_a_fresh_scene_no_chunk_from_images_is_followed():
    rig = Rig().ready()
    seen = {"image": rig.now_ns}
    slow = chunk_of(home() + SWEEP * np.linspace(0, 0.1, 9)[:, None], rig.now_ns, dt_s=0.5, input_stamps_ns=seen)
    assert rig.gate.on_chunk(slow, rig.now_ns).action == SafetyAction.PASS
    rig.step(140, scene=False)
    assert rig.decisions[-1].reason == SafetyReason.OBJECTS_STALE


@pytest.mark.parametrize(("skill", "is_let_down"), [(Skill.PLACE, True), (Skill.PICK, False)])
def test_what_is_held_may_be_set_down_on_the_table_only_where_it_is_placed(skill, is_let_down):
    rig = Rig()
    rig.table_height_m = float(ahead(0.0, -0.16)[2, 3])
    cube = thing_at(ahead(0.0)[:3, 3], 0.05, held=True)
    rig.things = (cube,)
    rig.ready()
    rig.gate.on_plan(plan_to(skill, Relation.LEFT_OF, "cube_2"))
    rig.step(10)
    rig.send(way_to(ahead(0.0, -0.14)))
    rig.step(400)
    stopped = [d for d in rig.decisions if d.reason == SafetyReason.COLLISION]
    assert bool(stopped) is not is_let_down
    assert all("the held object" in d.detail and "the table" in d.detail for d in stopped)


def test_a_scene_that_cannot_be_taken_up_counts_as_none():
    rig = Rig()
    rig.gate.on_scene(Scene(rig.now_ns, "panda_link0", ()))
    rig.gate.tick(rig.now_ns, rig.steady_ns)
    assert rig.gate.state().input_ages_s["objects"] == np.inf


@pytest.mark.parametrize(
    "changes",
    [{"pose": Pose(np.array([np.nan, 0.0, 0.0]))}, {"size_m": np.array([0.05, np.inf, 0.05])}, {"size_m": np.array([0.05, 0.0, 0.05])}],
    ids=["no place", "infinite", "no size"],
)
def test_a_thing_without_a_place_or_a_size_is_no_scene(changes):
    rig = Rig().ready()
    since_ns = rig.now_ns
    with pytest.raises(ValueError, match="cube_1"):
        rig.gate.on_scene(Scene(since_ns + 1, "panda_link0", (thing_at([0.5, 0.0, 0.0], **changes),)))
    rig.step(130, scene=False)
    assert rig.gate.state().input_ages_s["objects"] > 1.0, "it does not count as seen"


def test_a_distance_that_is_no_number_proves_nothing(monkeypatch):
    clearance = SweepProof(panda(), safety())
    clearance.place((), None, np.eye(4))
    rows = with_width(way_to(ahead(0.1)))
    assert clearance.breach(rows[0], rows[1:]) is None
    blind = SweepProof(panda(), safety())
    monkeypatch.setattr(blind.model, "distance", lambda posture, group: (np.nan, ("one", "another")))
    assert blind.breach(rows[0], rows[1:]) is not None


def test_an_older_scene_that_comes_late_is_left():
    rig = Rig()
    rig.things = (thing_at(ahead(0.0)[:3, 3], 0.12),)
    rig.ready()
    nearest = rig.gate.nearest()
    rig.gate.on_scene(Scene(rig.now_ns - 50_000_000, "panda_link0", ()))
    assert rig.gate.nearest().pair == nearest.pair
    assert rig.gate.nearest().margin_m == pytest.approx(nearest.margin_m)
    assert nearest.margin_m < 0


def test_deep_inside_a_thing_nothing_moves():
    """Where perception puts a thing into the arm, one of the two is wrong: it is not the moment to move on."""
    clearance = SweepProof(panda(), safety())
    here = ahead(0.0)
    here[:3, :3] = np.eye(3)
    clearance.place([Solid("ghost", "box", np.full(3, 0.3), here)], None, np.eye(4))
    rows = with_width(way_to(ahead(0.0, 0.05), rows=200))
    assert clearance.breach(rows[0], rows[1:40]) is not None


def nearest_m(rig: Rig, thing: SceneObject) -> float:
    """The least true distance of the arm to a thing, along all that was played."""
    x, y, z = (float(s) for s in thing.size_m)
    obstacle = [Obstacle("thing", "box", (x, y, z), thing.pose.matrix())]
    return min(CollisionModel(panda()).min_distance(q, obstacle, WIDTH_M)[0] for q in rig.signal()[1][::10])


def test_a_thing_that_appears_on_the_committed_way_cuts_it_short():
    rig = Rig().ready()
    rows = way_to(ahead(0.25), rows=40)
    rig.send(rows)
    rig.step(110)
    assert np.abs(rig.arm_state()[1]).max() > 0.1, "it moves"
    hand = panda().fk(rig.arm_state()[0])[:3, 3]
    wall = thing_at(hand + [0.05 + 0.032 + 0.045, 0.0, 0.0], 0.1, last_seen_ns=rig.now_ns)
    rig.things = (wall,)
    rig.step(200)
    held = next(d for d in rig.decisions if d.reason == SafetyReason.COLLISION)
    assert "committed" in held.detail
    assert nearest_m(rig, wall) > 0


def test_a_broken_scene_does_not_hide_what_the_next_one_shows():
    rig = Rig().ready()
    cube = thing_at(ahead(0.0)[:3, 3], 0.12, last_seen_ns=rig.now_ns)
    broken = replace(cube, id="cube_2", pose=Pose(np.zeros(3), np.zeros(4)))
    with pytest.raises(ValueError, match="orientation"):
        rig.gate.on_scene(Scene(rig.now_ns, "panda_link0", (cube, broken)))
    assert rig.gate.nearest().margin_m > 0
    rig.things = (cube,)
    rig.step(1)
    assert rig.gate.nearest().margin_m < 0


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        (Scene(1, "camera_front", ()), "panda_link0"),
        (Scene(1, "panda_link0", (replace(thing_at([0.5, 0, 0]), id="table"),)), "table"),
        (Scene(1, "panda_link0", (thing_at([0.5, 0, 0]), thing_at([0.4, 0, 0]))), "unique"),
        (Scene(10**15, "panda_link0", ()), "future"),
    ],
    ids=["another frame", "a second table", "one id twice", "future"],
)
def test_what_is_no_scene_is_refused_by_name(scene, says):
    rig = Rig().ready()
    with pytest.raises(ValueError, match=says):
        rig.gate.on_scene(replace(scene, stamp_ns=rig.now_ns + scene.stamp_ns))
    rig.step(1)
    assert rig.gate.state().input_ages_s["objects"] == 0.0, "the next one counts"


def test_fingers_do_not_open_into_what_is_beside_them():
    rig = Rig()
    rig.width_m = 0.01
    rig.ready()
    rig.send(way_to(ahead(0.01)), gripper_width_m=np.full(60, 0.01))
    rig.step(350)
    T = rig.command.trajectory.positions[-1]
    assert rig.command.gripper_width_m == 0.01
    hand = panda().fk(T)
    fingers = [(hand @ np.array([0.0, side * 0.06, 0.0, 1.0]))[:3] for side in (-1, 1)]
    rig.things = tuple(
        replace(thing_at(place, 0.03, last_seen_ns=rig.now_ns), id=f"cube_{n}", pose=Pose.from_matrix(transform(hand[:3, :3], place)))
        for n, place in enumerate(fingers)
    )
    rig.step(1)
    rig.send(np.tile(T, (10, 1)), seq=2, gripper_width_m=np.full(10, 0.08))
    rig.step(60)
    assert any(d.reason == SafetyReason.COLLISION and "Opening the gripper" in d.detail for d in rig.decisions)
    assert rig.command.gripper_width_m < 0.02


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


def test_a_new_plan_gives_the_chunk_that_is_followed_no_new_contacts():
    surroundings = Surroundings(panda(), safety())
    scene = Scene(0, "panda_link0", (thing_at(ahead(0.0)[:3, 3], 0.12),))
    surroundings.on_plan(Plan("", (replace(plan_to(Skill.PICK).subtasks[0], object_id="cube_7"),), (), "test"))
    surroundings.on_scene(scene, np.eye(4), 0)
    surroundings.expect(surroundings.subtask("1"))
    surroundings.on_plan(plan_to(Skill.PICK))
    surroundings.on_scene(replace(scene, stamp_ns=1), np.eye(4), 1)
    assert surroundings.nearest(np.append(home(), WIDTH_M)).margin_m < 0
    surroundings.expect(surroundings.subtask("1"))
    assert surroundings.nearest(np.append(home(), WIDTH_M)).margin_m > 0


@pytest.mark.parametrize(("relation", "may_touch"), [(Relation.ON, True), (Relation.LEFT_OF, False)])
def test_only_what_something_is_put_in_or_on_may_be_touched(relation, may_touch):
    target = replace(thing_at(ahead(0.0)[:3, 3], 0.12), id="cube_2")
    surroundings = Surroundings(panda(), safety())
    surroundings.on_plan(plan_to(Skill.PLACE, relation, "cube_2"))
    surroundings.on_scene(Scene(0, "panda_link0", (target,)), np.eye(4), 0)
    surroundings.expect(surroundings.subtask("1"))
    assert (surroundings.nearest(np.append(home(), WIDTH_M)).margin_m > 0) is may_touch


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
