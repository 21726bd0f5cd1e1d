"""Plans from any planner: validation, goals, planning again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_scene import scene, table, thing

from vla_ros.core.errors import ConfigError, PlanningError
from vla_ros.core.scene import Scene
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.planning.plan import Capabilities, GoHome, Hold, Move, Step, build_plan, steps_for
from vla_ros.planning.planner import BuiltinPlanner, make_planner, planner_names, register_planner, replan_goal
from vla_ros.planning.relations import measure
from vla_ros.planning.validation import validate_plan

CAPABILITIES = Capabilities(gripper_open_m=0.08, reachable=lambda position: bool(np.linalg.norm(position) < 0.85))
IN_BOWL = Move("red_cube", Relation.IN, "blue_bowl")


def built(*steps: Step, seen: Scene | None = None) -> Plan:
    return build_plan("test", steps, seen or table(), CAPABILITIES, planner="test", explanation="", now_ns=1)


def changed(index: int, **fields: object) -> Plan:
    """The plan for one cube in the bowl, with one subtask changed."""
    plan = built(IN_BOWL)
    subtasks = list(plan.subtasks)
    subtasks[index] = replace(subtasks[index], **fields)  # type: ignore[arg-type]
    return replace(plan, subtasks=tuple(subtasks))


PICK_GREEN = Subtask("1", Skill.PICK, "pick", Predicate(Relation.HELD, "green_cube"), "green_cube")

BAD_PLANS: list[tuple[str, Plan, str]] = [
    ("no goal", replace(built(IN_BOWL), goal=()), "no goal"),
    (
        "unknown object",
        changed(0, object_id="cube_77", success=Predicate(Relation.HELD, "cube_77")),
        "'cube_77', which is not there. I see: a red cube",
    ),
    (
        "unknown target",
        changed(1, target_id="bowl_9", success=Predicate(Relation.IN, "red_cube", "bowl_9")),
        "'bowl_9', which is not there",
    ),
    ("unknown goal", replace(built(IN_BOWL), goal=(Predicate(Relation.IN, "red_cube", "bowl_9"),)), "'bowl_9'"),
    ("no object", changed(0, object_id="", success=Predicate(Relation.HELD, "")), "names no object"),
    ("same id", changed(1, id="1", depends_on=()), "Two subtasks are called '1'"),
    ("no id", changed(1, id=""), "no id"),
    ("cycle", changed(0, depends_on=("2",)), "waits for 2.*cycle"),
    ("waits for itself", changed(1, depends_on=("2",)), "waits for 2"),
    ("relation", changed(1, relation=Relation.HELD), "Unknown relation 'held'"),
    ("no relation", changed(1, relation=None), "Unknown relation"),
    ("success", changed(0, success=Predicate(Relation.IN, "red_cube", "blue_bowl")), "must end with held"),
    ("time limit", changed(0, time_limit_s=0.0), "time limit 0"),
    ("time limit NaN", changed(0, time_limit_s=float("nan")), "time limit nan"),
    (
        "place without pick",
        replace(built(IN_BOWL), subtasks=(replace(built(IN_BOWL).subtasks[1], depends_on=()),)),
        "must be picked up before",
    ),
    (
        "two in the hand",
        replace(built(IN_BOWL), subtasks=(PICK_GREEN, replace(built(IN_BOWL).subtasks[0], id="2"))),
        "while the hand holds the green cube",
    ),
    ("other goal", replace(built(IN_BOWL), goal=(Predicate(Relation.ON, "red_cube", "white_plate"),)), "does not lead to its goal"),
    ("goal never true", replace(built(IN_BOWL), goal=(Predicate(Relation.ON, "green_cube", "white_plate"),)), "does not lead to its goal"),
    ("not at home", replace(built(GoHome(), IN_BOWL), goal=(Predicate(Relation.AT_HOME),)), "the arm is at home"),
    ("plate too wide", built(Hold("white_plate")), "160 mm wide"),
    ("onto itself", built(Move("red_cube", Relation.ON, "red_cube")), "itself"),
    ("in a plate", built(Move("red_cube", Relation.IN, "white_plate")), "cannot hold anything"),
    ("on a bowl", built(Move("red_cube", Relation.ON, "blue_bowl")), "open at the top"),
]


@pytest.mark.parametrize(("plan", "words"), [row[1:] for row in BAD_PLANS], ids=[row[0] for row in BAD_PLANS])
def test_bad_plan_is_refused(plan: Plan, words: str) -> None:
    with pytest.raises(PlanningError, match=words):
        validate_plan(plan, table(), CAPABILITIES)


def test_good_plan_passes() -> None:
    validate_plan(built(IN_BOWL, Move("green_cube", Relation.ON, "yellow_cube"), GoHome()), table(), CAPABILITIES)


def test_skill_that_the_robot_lacks_is_refused() -> None:
    lacking = replace(CAPABILITIES, skills=frozenset({Skill.HOME}))
    with pytest.raises(PlanningError, match="Unknown skill 'pick'; valid: home"):
        validate_plan(built(IN_BOWL), table(), lacking)


def test_too_many_subtasks_are_refused() -> None:
    with pytest.raises(PlanningError, match="at most 1"):
        validate_plan(built(IN_BOWL), table(), replace(CAPABILITIES, max_subtasks=1))


def test_box_that_is_too_long_for_the_bowl_is_refused() -> None:
    seen = scene([thing("brown box", 0.45, 0.1), thing("blue bowl", 0.55, -0.1)])
    with pytest.raises(PlanningError, match="does not fit into the blue bowl"):
        validate_plan(built(Move("brown_box", Relation.IN, "blue_bowl"), seen=seen), seen, CAPABILITIES)


def test_tower_out_of_reach_is_refused_for_its_height() -> None:
    low = replace(CAPABILITIES, reachable=lambda position: bool(position[2] < 0.05))
    validate_plan(built(IN_BOWL), table(), low)
    with pytest.raises(PlanningError, match=r"cannot reach .* to put the red cube on the green cube"):
        validate_plan(built(Move("red_cube", Relation.ON, "green_cube")), table(), low)


def test_later_steps_take_back_earlier_goals() -> None:
    plan = built(IN_BOWL, Move("green_cube", Relation.LEFT_OF, "yellow_cube"), Move("red_cube", Relation.ON, "white_plate"))
    assert [str(p) for p in plan.goal] == ["left_of(green_cube, yellow_cube)", "on(red_cube, white_plate)"]
    moved_target = built(Move("green_cube", Relation.LEFT_OF, "red_cube"), IN_BOWL)
    assert [str(p) for p in moved_target.goal] == ["in(red_cube, blue_bowl)"]
    assert [str(p) for p in built(GoHome(), IN_BOWL).goal] == ["in(red_cube, blue_bowl)"]
    assert [str(p) for p in built(Hold("red_cube"), IN_BOWL).goal] == ["in(red_cube, blue_bowl)"]


MOVES = st.builds(
    Move,
    st.sampled_from(["red_cube", "green_cube", "yellow_cube", "purple_cube", "blue_bowl"]),
    st.sampled_from([Relation.IN, Relation.ON, Relation.LEFT_OF, Relation.BEHIND]),
    st.sampled_from(["red_cube", "green_cube", "blue_bowl", "white_plate"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(MOVES, st.just(GoHome()), st.just(Hold("red_cube"))), min_size=1, max_size=6))
def test_plan_that_passes_needs_nothing_twice(steps: list[Step]) -> None:
    """Whatever passes has a goal that contains its last step and one predicate at most for where each thing goes."""
    plan = built(*steps)
    try:
        validate_plan(plan, table(), CAPABILITIES)
    except PlanningError:
        return
    assert steps[-1].predicate() in plan.goal
    assert len({p.object_id for p in plan.goal}) == len(plan.goal)
    assert steps_for(plan.goal)


def test_planning_again_does_only_what_misses() -> None:
    first = built(IN_BOWL, Move("green_cube", Relation.ON, "yellow_cube"))
    now = scene([thing("red cube", 0.55, 0.02, 0.03) if o.id == "red_cube" else o for o in table().objects])
    again = replan_goal(first, "the green cube slipped.", now, CAPABILITIES, 9)
    assert [s.description for s in again.subtasks] == ["pick up the green cube", "place the green cube on the yellow cube"]
    assert (again.goal, again.revision, again.stamp_ns) == (first.goal, 1, 9)
    assert again.explanation.startswith("Planned again, because the green cube slipped. Already so")


def test_planning_again_puts_down_what_is_held_first() -> None:
    first = built(IN_BOWL, Move("green_cube", Relation.ON, "white_plate"))
    now = scene([replace(o, held=o.id == "green_cube") for o in table().objects])
    again = replan_goal(first, "a stop", now, CAPABILITIES, 9)
    assert [s.description for s in again.subtasks][:2] == ["place the green cube on the white plate", "pick up the red cube"]


def test_planning_again_knows_an_object_by_its_name() -> None:
    now = scene([replace(o, id="cube_12") if o.id == "red_cube" else o for o in table().objects])
    assert [str(p) for p in replan_goal(built(IN_BOWL), "it was lost", now, CAPABILITIES, 9).goal] == ["in(cube_12, blue_bowl)"]


def test_planning_again_without_the_object_is_refused() -> None:
    now = scene([o for o in table().objects if o.id != "red_cube"])
    with pytest.raises(PlanningError, match="red cube is no longer seen"):
        replan_goal(built(IN_BOWL), "it was lost", now, CAPABILITIES, 9)


def test_planners_by_name() -> None:
    assert planner_names() == ("builtin", "openai")
    assert isinstance(make_planner("builtin", CAPABILITIES), BuiltinPlanner)
    with pytest.raises(ConfigError, match=r"Unknown planner 'openia'.*Did you mean 'openai'"):
        make_planner("openia", CAPABILITIES)
    with pytest.raises(ConfigError, match="no options"):
        make_planner("builtin", CAPABILITIES, {"model": "x"})
    with pytest.raises(ConfigError, match="registered already"):
        register_planner("builtin", lambda capabilities, options: BuiltinPlanner(capabilities))


@pytest.mark.parametrize("relation", [Relation.IN, Relation.ON, *(r for r in Relation if r.value.endswith(("_of", "behind")))])
def test_rehearsed_place_fulfils_its_own_relation(relation: Relation) -> None:
    """Where a plan puts a thing is a place that the verifier would accept."""
    from vla_ros.core.geometry import Pose
    from vla_ros.planning.relations import place_position_m

    target = thing("blue bowl" if relation is Relation.IN else "yellow cube", 0.5, 0.0)
    cube = thing("red cube", 0.4, 0.2)
    placed = replace(cube, pose=Pose(place_position_m(relation, cube, target)))
    found = measure(relation, placed, target, scene([placed, target]))
    assert found.holds
    assert found.score >= 0.75
