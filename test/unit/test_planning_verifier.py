"""Predicates measured from perception."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_scene import NOW_NS, scene, thing

from vla_ros.core.robot_state import ContactState, FingerContact
from vla_ros.core.scene import SceneObject
from vla_ros.core.stamps import NS_PER_S
from vla_ros.core.tasks import Predicate, Relation
from vla_ros.planning.verifier import Evidence, PredicateReport, Verifier

BOWL = thing("blue bowl", 0.5, 0.0)
PLATE = thing("white plate", 0.5, 0.0)
YELLOW = thing("yellow cube", 0.5, 0.0)


def lies(relation: Relation, cube: SceneObject, *others: SceneObject) -> PredicateReport:
    seen = scene([cube, *others])
    return Verifier().check(Predicate(relation, cube.id, others[0].id), Evidence(NOW_NS, seen))


def cube(x: float = 0.5, y: float = 0.0, z: float = 0.0225) -> SceneObject:
    return thing("red cube", x, y, z)


TABLE: list[tuple[str, Relation, SceneObject, tuple[SceneObject, ...], bool]] = [
    ("on the floor of the bowl", Relation.IN, cube(z=0.029), (BOWL,), True),
    ("at the wall inside", Relation.IN, cube(x=0.535, z=0.032), (BOWL,), True),
    ("above the bowl", Relation.IN, cube(z=0.15), (BOWL,), False),
    ("on the rim", Relation.IN, cube(x=0.565, z=0.072), (BOWL,), False),
    ("across the rim at its height", Relation.IN, cube(x=0.53, z=0.0725), (BOWL,), False),
    ("beside the bowl", Relation.IN, cube(x=0.62), (BOWL,), False),
    ("under the bowl", Relation.IN, cube(z=-0.03), (BOWL,), False),
    ("on a cube in the bowl", Relation.IN, cube(z=0.0745), (BOWL, thing("green cube", 0.5, 0.0, 0.029)), True),
    ("on a cube beside the bowl", Relation.IN, cube(x=0.6, z=0.0675), (BOWL, thing("green cube", 0.6, 0.0)), False),
    ("in a plate", Relation.IN, cube(z=0.0345), (PLATE,), False),
    ("on the cube", Relation.ON, cube(z=0.0675), (YELLOW,), True),
    ("on the cube, off centre", Relation.ON, cube(x=0.515, z=0.0675), (YELLOW,), True),
    ("measured 8 mm too high", Relation.ON, cube(z=0.0755), (YELLOW,), True),
    ("centre beyond the edge", Relation.ON, cube(x=0.53, z=0.0675), (YELLOW,), False),
    ("hovering", Relation.ON, cube(z=0.10), (YELLOW,), False),
    ("beside the cube", Relation.ON, cube(x=0.56), (YELLOW,), False),
    ("on the plate", Relation.ON, cube(x=0.55, z=0.0345), (PLATE,), True),
    ("off the plate", Relation.ON, cube(x=0.60, z=0.0225), (PLATE,), False),
    ("left", Relation.LEFT_OF, cube(y=0.08), (YELLOW,), True),
    ("left but across", Relation.LEFT_OF, cube(x=0.62, y=0.08), (YELLOW,), False),
    ("left but touching inside", Relation.LEFT_OF, cube(y=0.03), (YELLOW,), False),
    ("right, not left", Relation.LEFT_OF, cube(y=-0.08), (YELLOW,), False),
    ("right", Relation.RIGHT_OF, cube(y=-0.08), (YELLOW,), True),
    ("far to the right", Relation.RIGHT_OF, cube(y=-0.30), (YELLOW,), False),
    ("in front is towards the robot", Relation.IN_FRONT_OF, cube(x=0.42), (YELLOW,), True),
    ("behind is away from it", Relation.BEHIND, cube(x=0.58), (YELLOW,), True),
    ("behind, lifted", Relation.BEHIND, cube(x=0.58, z=0.15), (YELLOW,), False),
]


@pytest.mark.parametrize(("relation", "thing_", "others", "holds"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_relation(relation: Relation, thing_: SceneObject, others: tuple[SceneObject, ...], holds: bool) -> None:
    report = lies(relation, thing_, *others)
    assert report.holds is holds, report.detail
    assert (report.score >= 0.5) is holds
    assert "red cube" in report.detail


@given(
    st.floats(-0.3, 0.3),
    st.floats(-0.3, 0.3),
    st.floats(-0.1, 0.3),
    st.sampled_from([r for r in Relation if r not in (Relation.HELD, Relation.AT_HOME)]),
)
def test_score_and_answer_agree_everywhere(dx: float, dy: float, z: float, relation: Relation) -> None:
    report = lies(relation, cube(0.5 + dx, dy, z), BOWL if relation is Relation.IN else YELLOW)
    assert report.holds is (report.score >= 0.5)
    assert 0.0 <= report.score <= 1.0


@given(st.floats(0.0, 6.28))
def test_turned_support_carries_what_stands_at_its_middle(yaw: float) -> None:
    from vla_ros.core.geometry import Pose

    turned = replace(YELLOW, pose=Pose(YELLOW.pose.position_m, np.array([0, 0, np.sin(yaw / 2), np.cos(yaw / 2)])))
    assert lies(Relation.ON, cube(z=0.0675), turned).holds


def finger(side: str, touching: bool) -> FingerContact:
    return FingerContact(side, 3.0 if touching else 0.0, 1e-4, (0.0, 0.0), False, touching)


def held(thing_: SceneObject, contact: ContactState | None, width_m: float | None) -> PredicateReport:
    return Verifier().check(Predicate(Relation.HELD, thing_.id), Evidence(NOW_NS, scene([thing_]), contact, width_m))


BOTH = ContactState(NOW_NS, (finger("left", True), finger("right", True)))
ONE = ContactState(NOW_NS, (finger("left", True), finger("right", False)))
OLD = ContactState(NOW_NS - NS_PER_S, BOTH.fingers)


@pytest.mark.parametrize(
    ("z", "contact", "width_m", "holds"),
    [
        (0.15, BOTH, 0.045, True),
        (0.15, BOTH, 0.050, True),
        (0.15, BOTH, 0.0, False),  # closed on nothing
        (0.15, BOTH, 0.079, False),  # open
        (0.15, ONE, 0.045, False),
        (0.0225, BOTH, 0.045, False),  # not lifted
        (0.15, None, 0.045, True),
        (0.15, BOTH, None, True),
        (0.15, OLD, None, None),
        (0.15, None, None, None),
        (0.15, None, 0.0, False),
    ],
)
def test_held(z: float, contact: ContactState | None, width_m: float | None, holds: bool | None) -> None:
    assert held(cube(z=z), contact, width_m).holds is holds


def test_held_thing_may_be_hidden_by_the_hand() -> None:
    hidden = replace(cube(z=0.2), held=True, occluded=True, last_seen_ns=NOW_NS - 20 * NS_PER_S)
    assert held(hidden, BOTH, 0.045).holds


@pytest.mark.parametrize(
    ("contact", "width_m", "holds"), [(BOTH, 0.045, True), (BOTH, 0.0, False), (None, 0.045, None), (BOTH, None, None)]
)
@pytest.mark.parametrize("change", [{"occluded": True}, {"last_seen_ns": 0}])
def test_thing_remembered_on_the_table_but_hidden_is_judged_by_touch_and_width(
    contact: ContactState | None, width_m: float | None, holds: bool | None, change: dict[str, object]
) -> None:
    remembered = replace(cube(), **change)  # type: ignore[arg-type]
    assert held(remembered, contact, width_m).holds is holds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"last_seen_ns": NOW_NS - 3 * NS_PER_S}, "was not seen for 3.0 s"),
        ({"covariance": np.diag([0.05**2] * 6)}, "uncertain by 50 mm"),
        ({"velocity_mps": np.array([0.0, 0.0, 0.3])}, "still moves at 0.30 m/s"),
    ],
)
def test_what_cannot_be_told_is_said(change: dict[str, object], words: str) -> None:
    report = lies(Relation.IN, replace(cube(z=0.029), **change), BOWL)  # type: ignore[arg-type]
    assert report.holds is None
    assert words in report.detail


def test_stale_scene_tells_nothing() -> None:
    seen = scene([cube(z=0.029), BOWL], NOW_NS - NS_PER_S)
    report = Verifier().check(Predicate(Relation.IN, "red_cube", "blue_bowl"), Evidence(NOW_NS, seen))
    assert report.holds is None
    assert "for 1.0 s" in report.detail


def test_unseen_object_tells_nothing() -> None:
    report = Verifier().check(Predicate(Relation.IN, "cube_9", "blue_bowl"), Evidence(NOW_NS, scene([BOWL])))
    assert (report.holds, report.detail) == (None, "cube_9 is not seen.")


def test_thing_in_the_hand_is_not_in_the_bowl_yet() -> None:
    report = lies(Relation.IN, replace(cube(z=0.03), held=True), BOWL)
    assert report.holds is False
    assert "still held" in report.detail


@pytest.mark.parametrize(("error_rad", "holds"), [(0.0, True), (0.04, True), (0.06, False), (None, None)])
def test_at_home(error_rad: float | None, holds: bool | None) -> None:
    evidence = Evidence(NOW_NS, scene([]), home_error_rad=error_rad)
    assert Verifier().check(Predicate(Relation.AT_HOME), evidence).holds is holds


def test_goal_is_the_weakest_of_its_predicates() -> None:
    seen = scene([cube(z=0.029), BOWL, thing("green cube", 0.4, 0.2), thing("grey cube", 0.4, -0.2, seen_ns=0)])
    inside, outside = Predicate(Relation.IN, "red_cube", "blue_bowl"), Predicate(Relation.IN, "green_cube", "blue_bowl")
    unknown = Predicate(Relation.IN, "grey_cube", "blue_bowl")
    check = Verifier().verify_goal
    evidence = Evidence(NOW_NS, seen)
    assert check([inside], evidence).holds is True
    assert check([inside, unknown], evidence).holds is None
    assert check([inside, unknown, outside], evidence).holds is False
    assert check([inside, outside], evidence).score == min(r.score for r in check([inside, outside], evidence).reports)
    assert check([], evidence).holds is None
