"""Things are kept clear of as they are known, but for what a subtask means to touch; what is no scene changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safety_rig import KEPT_M, SWEEP, WIDTH_M, Rig, ahead, chunk_of, home, panda, safety, thing_at, way_to

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Pose, transform
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.robots.clearance import Solid
from vla_ros.robots.collision import CollisionModel, Obstacle
from vla_ros.safety.surroundings import Surroundings


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


def test_an_older_scene_that_comes_late_is_left():
    rig = Rig()
    rig.things = (thing_at(ahead(0.0)[:3, 3], 0.12),)
    rig.ready()
    nearest = rig.gate.nearest()
    rig.gate.on_scene(Scene(rig.now_ns - 50_000_000, "panda_link0", ()))
    assert rig.gate.nearest().pair == nearest.pair
    assert rig.gate.nearest().margin_m == pytest.approx(nearest.margin_m)
    assert nearest.margin_m < 0


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
