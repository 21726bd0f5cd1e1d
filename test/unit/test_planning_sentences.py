"""Sentences to plans: the built-in planner from the words to the predicates that must hold."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from planning_scene import scene, table, thing

from vla_ros.core.errors import PlanningError
from vla_ros.core.tasks import Plan, Skill
from vla_ros.planning.grammar import MAX_LENGTH, SUPPORTED, parse
from vla_ros.planning.grounding import Ambiguous, NoSuchObject
from vla_ros.planning.language import default_vocabulary
from vla_ros.planning.plan import Capabilities
from vla_ros.planning.planner import BuiltinPlanner

CAPABILITIES = Capabilities(gripper_open_m=0.08, reachable=lambda position: bool(np.linalg.norm(position) < 0.85))


def no_encoder(sentences: Sequence[str]) -> NDArray[np.float32]:
    """Understands nothing, as a model does that never saw these words: [n, 2] vectors that are alike."""
    return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(sentences), 1))


PLANNER = BuiltinPlanner(CAPABILITIES, default_vocabulary(no_encoder))


def goal_of(plan: Plan) -> list[str]:
    return [str(p) for p in plan.goal]


RED_IN_BOWL = ["in(red_cube, blue_bowl)"]
GREEN_ON_YELLOW = ["on(green_cube, yellow_cube)"]
ALL_IN_BOWL = ["in(red_cube, blue_bowl)", "in(green_cube, blue_bowl)", "in(yellow_cube, blue_bowl)", "in(purple_cube, blue_bowl)"]
TOWER = ["on(green_cube, red_cube)", "on(yellow_cube, green_cube)"]

SENTENCES: list[tuple[str, list[str]]] = [
    ("put the red cube in the blue bowl", RED_IN_BOWL),
    ("place the red cube into the blue bowl", RED_IN_BOWL),
    ("drop the red cube inside the blue bowl", RED_IN_BOWL),
    ("move the red cube to the blue bowl", RED_IN_BOWL),
    ("Put the RED cube in the blue bowl!", RED_IN_BOWL),
    ("please put the red cube in the bowl.", RED_IN_BOWL),
    ("Could you please put the red cube in the bowl?", RED_IN_BOWL),
    ("hey robot, can you put the red block in the bowl for me", RED_IN_BOWL),
    ("I want you to place the red cube in the bowl, thanks", RED_IN_BOWL),
    ("put the crimson block into the azure dish", RED_IN_BOWL),
    ("put the scarlet brick in the cobalt bowl", RED_IN_BOWL),
    ("put the ruby one in the bowl", RED_IN_BOWL),
    ("put the red one in the blue one", RED_IN_BOWL),
    ("put red in bowl", RED_IN_BOWL),
    ("put the red cube on top of the blue bowl", RED_IN_BOWL),
    ("pick up the red cube and put it in the bowl", RED_IN_BOWL),
    ("pick the red cube up, then drop it into the bowl", RED_IN_BOWL),
    ("grab the red cube and place it in the bowl", RED_IN_BOWL),
    ("take the red cube to the bowl", RED_IN_BOWL),
    ("transfer the red cube to the soup bowl", RED_IN_BOWL),
    ("fill the bowl with the red cube", RED_IN_BOWL),
    ("put the cube that is left of the blue bowl and red in the bowl", []),
    ("stack the green cube on the yellow cube", GREEN_ON_YELLOW),
    ("put the green cube on the yellow cube", GREEN_ON_YELLOW),
    ("place the green cube onto the yellow one", GREEN_ON_YELLOW),
    ("put the green cube on top of the yellow cube", GREEN_ON_YELLOW),
    ("set the emerald block atop the golden block", GREEN_ON_YELLOW),
    ("put the red cube on the plate", ["on(red_cube, white_plate)"]),
    ("put the red cube in the plate", ["on(red_cube, white_plate)"]),
    ("put the red cube on the white saucer", ["on(red_cube, white_plate)"]),
    ("move the red cube left of the blue bowl", ["left_of(red_cube, blue_bowl)"]),
    ("move the red cube to the left of the blue bowl", ["left_of(red_cube, blue_bowl)"]),
    ("put the red cube to the right of the yellow cube", ["right_of(red_cube, yellow_cube)"]),
    ("put the red cube on the right side of the yellow cube", ["right_of(red_cube, yellow_cube)"]),
    ("put the red cube in front of the blue bowl", ["in_front_of(red_cube, blue_bowl)"]),
    ("place the red cube behind the yellow cube", ["behind(red_cube, yellow_cube)"]),
    ("put all the cubes in the bowl", ALL_IN_BOWL),
    ("put all cubes in the bowl", ALL_IN_BOWL),
    ("put every cube into the bowl", ALL_IN_BOWL),
    ("put each of the cubes into the bowl", ALL_IN_BOWL),
    ("put the cubes in the bowl", ALL_IN_BOWL),
    (
        "put all of the blocks on the dish that is on the left",
        [g.replace("in(", "on(").replace("blue_bowl", "white_plate") for g in ALL_IN_BOWL],
    ),
    ("put everything red in the bowl", RED_IN_BOWL),
    ("put all red things in the bowl", RED_IN_BOWL),
    ("put everything that is red in the bowl", RED_IN_BOWL),
    ("fill the bowl with all the cubes", ALL_IN_BOWL),
    ("clear the table into the blue bowl", ALL_IN_BOWL),
    ("clean up the table into the bowl", ALL_IN_BOWL),
    ("move everything off the table into the blue bowl", ALL_IN_BOWL),
    ("put everything that is on the table in the blue bowl", ALL_IN_BOWL),
    ("tidy the desk into the bowl", ALL_IN_BOWL),
    ("put the red cube and the green cube in the bowl", ALL_IN_BOWL[:2]),
    ("put the red, green and yellow cubes in the bowl", ALL_IN_BOWL[:3]),
    ("build a tower of the red cube, the green cube and the yellow cube", TOWER),
    ("make a tower from the red, green and yellow cubes", TOWER),
    ("stack the red cube, the green cube and the yellow cube", TOWER),
    ("please build me a stack of red cube, green cube, yellow cube", TOWER),
    ("stack the green cube on the red cube, then the yellow cube on the green cube", TOWER),
    ("stack the green cube on the red cube and the yellow cube on the green cube", TOWER),
    ("go home", ["at_home()"]),
    ("return to your home position", ["at_home()"]),
    ("move the arm home", ["at_home()"]),
    ("pick up the yellow cube", ["held(yellow_cube)"]),
    ("lift the mauve block", ["held(purple_cube)"]),
    ("put the red cube in the bowl then stack the green cube on the yellow cube", [*RED_IN_BOWL, *GREEN_ON_YELLOW]),
    ("put the red cube in the bowl, and then stack the green cube on the yellow cube", [*RED_IN_BOWL, *GREEN_ON_YELLOW]),
    ("put the red cube in the bowl; stack the green cube on the yellow cube", [*RED_IN_BOWL, *GREEN_ON_YELLOW]),
    ("put the red cube in the bowl. Stack the green cube on the yellow cube.", [*RED_IN_BOWL, *GREEN_ON_YELLOW]),
    ("first put the red cube in the bowl, then go home", [*RED_IN_BOWL, "at_home()"]),
    ("put the red cube in the bowl and the green cube on the plate", [*RED_IN_BOWL, "on(green_cube, white_plate)"]),
    ("put the red cube in the bowl and stack the green cube on the yellow cube", [*RED_IN_BOWL, *GREEN_ON_YELLOW]),
    ("put the red cube in the bowl then put it on the plate", ["on(red_cube, white_plate)"]),
    ("go home, then put the red cube in the bowl", RED_IN_BOWL),
    ("pick up the green cube then put the green cube on the plate", ["on(green_cube, white_plate)"]),
    ("put the red cube left of the bowl, then put the bowl's neighbour home", []),
    ("put the leftmost cube in the bowl", ["in(purple_cube, blue_bowl)"]),
    ("put the rightmost cube in the bowl", ["in(yellow_cube, blue_bowl)"]),
    ("put the cube on the right in the bowl", ["in(yellow_cube, blue_bowl)"]),
    ("put the nearest cube on the plate", ["on(yellow_cube, white_plate)"]),
    ("put cube_that_is_not_there in the bowl", []),
]


@pytest.mark.parametrize(("sentence", "goal"), [row for row in SENTENCES if row[1]])
def test_sentence_gives_goal(sentence: str, goal: list[str]) -> None:
    assert goal_of(PLANNER.plan(sentence, table(), None, 1)) == goal


@pytest.mark.parametrize("sentence", [row[0] for row in SENTENCES if not row[1]])
def test_what_is_not_understood_is_refused(sentence: str) -> None:
    with pytest.raises(PlanningError):
        PLANNER.plan(sentence, table(), None, 1)


@pytest.mark.parametrize("sentence", ["putt the red cub in the blue bowl", "put the red cbue in the blue bowl"])
def test_a_misspelt_word_is_answered_with_what_may_have_been_meant(sentence: str) -> None:
    with pytest.raises(PlanningError, match=r'Did you mean "put the red cube in the blue bowl"\?$') as refusal:
        PLANNER.plan(sentence, table(), None, 1)
    assert SUPPORTED not in str(refusal.value), "one hint is enough"


@pytest.mark.parametrize("sentence", ["put the red banana in the blue bowl", "colourless ideas sleep furiously"])
def test_words_that_are_like_none_get_no_suggestion(sentence: str) -> None:
    with pytest.raises(PlanningError) as refusal:
        PLANNER.plan(sentence, table(), None, 1)
    assert "Did you mean" not in str(refusal.value)


def test_subtasks_are_picks_and_places_in_order() -> None:
    plan = PLANNER.plan("put the red cube in the bowl then go home", table(), None, 7)
    assert [s.skill for s in plan.subtasks] == [Skill.PICK, Skill.PLACE, Skill.HOME]
    assert [str(s.success) for s in plan.subtasks] == ["held(red_cube)", "in(red_cube, blue_bowl)", "at_home()"]
    assert [s.depends_on for s in plan.subtasks] == [(), ("1",), ("2",)]
    assert plan.subtasks[0].description == "pick up the red cube"
    assert (plan.stamp_ns, plan.planner, plan.names["red_cube"]) == (7, "builtin", "red cube")


def test_tower_says_which_end_is_the_bottom() -> None:
    assert (
        "from the bottom: red cube, green cube"
        in PLANNER.plan("build a tower of the red cube and the green cube", table(), None, 1).explanation
    )


def test_clearing_says_what_stays() -> None:
    assert "The white plate stays" in PLANNER.plan("clear the table into the bowl", table(), None, 1).explanation


def test_cube_that_is_there_already_needs_no_subtask() -> None:
    seen = scene([thing("red cube", 0.55, 0.02, 0.03), thing("blue bowl", 0.55, 0.02)])
    plan = PLANNER.plan("put the red cube in the bowl", seen, None, 1)
    assert plan.subtasks == ()
    assert goal_of(plan) == RED_IN_BOWL
    assert "Already so: the red cube is in the blue bowl" in plan.explanation


def test_relational_phrase_picks_the_cube_on_the_other() -> None:
    upper = thing("red cube", 0.4, -0.2, 0.0675, id="upper")
    seen = scene([thing("red cube", 0.45, 0.1), thing("yellow cube", 0.4, -0.2), upper, thing("blue bowl", 0.55, 0)])
    assert goal_of(PLANNER.plan("put the red cube on the yellow cube in the bowl", seen, None, 1)) == ["in(upper, blue_bowl)"]


def test_all_are_taken_from_the_top() -> None:
    seen = scene([thing("red cube", 0.4, -0.2), thing("green cube", 0.4, -0.2, 0.0675), thing("blue bowl", 0.55, 0)])
    assert goal_of(PLANNER.plan("put all the cubes in the bowl", seen, None, 1)) == ["in(green_cube, blue_bowl)", "in(red_cube, blue_bowl)"]


REFUSALS = [
    ("", "empty"),
    ("   \n ", "empty"),
    ("?!... 123", "not an instruction"),
    ("please", "nothing to do"),
    ("colourless green ideas sleep furiously", "do not understand"),
    ("asdf qwer zxcv", "do not understand"),
    ("do not put the red cube in the bowl", "what not to do"),
    ("don't touch anything", "what not to do"),
    ("put all the cubes except the red one in the bowl", "exceptions"),
    ("if the bowl is empty put the red cube in it", "conditions"),
    ("put the red cube in the bowl or on the plate", "choices"),
    ("push the red cube", "not among my skills"),
    ("throw the red cube in the bowl", "not among my skills"),
    ("put the red cube", "Where should it go"),
    ("put the red cube next to the bowl", "does not say where exactly"),
    ("clear the table", "Where to?"),
    ("put it in the bowl", "what 'it' stands for"),
    ("stack the red cube", "at least two"),
    ("put the red cube in the bowls and plates", "several places"),
    ("pick up all the cubes", "one thing at a time"),
    ("put the red cube in the green cube", "cannot hold anything inside"),
    ("put the red cube on the red cube", "itself"),
    ("put the bowl on the plate", "too wide for the gripper"),
    ("put the red cube on the green cube then put the green cube in the bowl", "carries the red cube"),
    ("put the red cube on the green cube then put the yellow cube on the green cube", "no room"),
    ("put the red cube in the bowl " * 40, "characters"),
]


@pytest.mark.parametrize(("sentence", "words"), REFUSALS)
def test_refusal_says_why(sentence: str, words: str) -> None:
    with pytest.raises(PlanningError, match=words.replace("?", r"\?")):
        PLANNER.plan(sentence, table(), None, 1)


def test_absent_object_is_refused_with_what_is_seen() -> None:
    with pytest.raises(NoSuchObject, match=r"There is no brown cube\. I see: a red cube, a green cube, a yellow cube"):
        PLANNER.plan("put the brown cube in the bowl", table(), None, 1)


def test_what_is_absent_is_told_before_it_is_asked_which_target_is_meant() -> None:
    with pytest.raises(NoSuchObject, match="purple banana"):
        PLANNER.plan("put the purple banana in the cube", table(), None, 1)


def test_two_that_fit_are_refused_with_the_question() -> None:
    seen = scene([*table().objects, thing("red cube", 0.6, -0.2, id="cube_9")])
    with pytest.raises(Ambiguous) as caught:
        PLANNER.plan("put the red cube in the bowl", seen, None, 1)
    assert caught.value.question.startswith("Which red cube do you mean: the left red cube")
    assert len(caught.value.options) == 2
    assert goal_of(PLANNER.plan("put the left red cube in the bowl", seen, None, 1)) == RED_IN_BOWL


def test_out_of_reach_is_refused() -> None:
    seen = scene([thing("red cube", 1.2, 0.0), thing("blue bowl", 0.5, 0.0)])
    with pytest.raises(PlanningError, match=r"cannot reach \(1\.20, 0\.00"):
        PLANNER.plan("put the red cube in the bowl", seen, None, 1)


WORDS = re.findall(
    r"\S+",
    "put place drop stack move build clear pick fill go home tower of the a all every everything red green blue crimson cube "
    "cubes bowl plate it them in on into onto to left right front behind of top and then , ; . ! please table with that is "
    "not up flurble",
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=MAX_LENGTH + 20), st.lists(st.sampled_from(WORDS), max_size=18).map(" ".join)))
def test_any_text_is_a_plan_or_a_planning_error(text: str) -> None:
    with contextlib.suppress(PlanningError):
        assert PLANNER.plan(text, table(), None, 1).goal


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=18).map(" ".join))
def test_parsing_heeds_neither_case_nor_spaces_nor_courtesy(text: str) -> None:
    def parsed(words: str) -> object:
        try:
            return parse(words)
        except PlanningError:
            return None

    assert parsed(f"Please  {text.upper()} ") == parsed(text)
