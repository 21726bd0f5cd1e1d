"""What a sentence means for the scorer, for every form of command, in the scenes that are shipped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vla_ros.core.errors import ConfigError
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.evaluation.truth import truth_of
from vla_ros.planning.plan import Capabilities
from vla_ros.planning.planner import BuiltinPlanner
from vla_ros.simulation.scene_config import ObjectSpec, SceneConfig, load_scene
from vla_ros.simulation.scene_sampler import sample_scene

OPEN_M = 0.08  # of the Panda's gripper


def truth(instruction: str, scene: str | SceneConfig = "tabletop") -> list[str]:
    config = load_scene(scene) if isinstance(scene, str) else scene
    return [str(p) for p in truth_of(instruction, config.objects, OPEN_M)]


@pytest.mark.parametrize(
    ("instruction", "meant"),
    [
        ("put the red cube in the blue bowl", ["in(red cube, blue bowl)"]),
        ("put the red cube on the blue bowl", ["in(red cube, blue bowl)"]),
        ("bring the red cube to the blue bowl", ["in(red cube, blue bowl)"]),
        ("bring the red cube to the green cube", ["on(red cube, green cube)"]),
        ("stack the green cube on the yellow cube", ["on(green cube, yellow cube)"]),
        ("fill the green bowl with the orange box", ["in(orange box, green bowl)"]),
        ("put the red cube left of the blue bowl", ["left_of(red cube, blue bowl)"]),
        ("put the red cube right of the blue bowl", ["right_of(red cube, blue bowl)"]),
        ("put the red cube in front of the blue bowl", ["in_front_of(red cube, blue bowl)"]),
        ("put the red cube behind the blue bowl", ["behind(red cube, blue bowl)"]),
        ("put the red and blue cubes in the green bowl", ["in(red cube, green bowl)", "in(blue cube, green bowl)"]),
        ("put all the bowls left of the blue bowl", ["left_of(green bowl, blue bowl)"]),
        ("build a tower of the red cube, the green cube and the blue cube", ["on(green cube, red cube)", "on(blue cube, green cube)"]),
        ("build a tower of the blue bowl and the red cube", ["in(red cube, blue bowl)"]),
        ("pick up the purple cylinder", ["held(purple cylinder)"]),
        ("go home", ["at_home()"]),
        ("put the yellow cube behind the blue bowl, then go home", ["behind(yellow cube, blue bowl)", "at_home()"]),
    ],
)
def test_every_command_becomes_predicates_by_name(instruction: str, meant: list[str]) -> None:
    assert truth(instruction) == meant


def test_all_of_a_kind_are_all_there_are() -> None:
    cubes = ["blue cube", "green cube", "red cube", "yellow cube"]
    assert truth("put all the cubes in the blue bowl") == [f"in({cube}, blue bowl)" for cube in cubes]


def test_a_plate_is_no_container() -> None:
    assert truth("put the red cube in the purple plate", "clear_table") == ["on(red cube, purple plate)"]


def test_clearing_means_everything_that_can_be_picked_up() -> None:
    small = ["blue cube", "green cube", "orange box", "purple cylinder", "red cube", "yellow cube"]
    assert truth("clear the table into the green bowl") == [f"in({thing}, green bowl)" for thing in small], "not the other bowl"
    small = ["green cube", "orange cylinder", "red cube", "yellow cube"]
    assert truth("clear the table into the blue bowl", "clear_table") == [f"in({thing}, blue bowl)" for thing in small], "not the plate"


def test_clearing_onto_a_thing_leaves_the_thing() -> None:
    meant = truth("clear the table onto the red cube", "stacking")
    assert len(meant) == 5
    assert all(p.startswith("on(") and p.endswith(", red cube)") for p in meant)
    assert "on(orange cylinder, red cube)" in meant


def seen(config: SceneConfig) -> Scene:
    """The scene as a perception without faults would report it."""
    placed = sample_scene(config, np.random.default_rng(0))
    things = [
        SceneObject(p.key, p.name, p.spec.colour, p.spec.shape, p.pose, np.array(p.spec.size_m), confidence=1.0, last_seen_ns=1)
        for p in placed
    ]
    return Scene(1, "panda_link0", tuple(things))


@pytest.mark.parametrize("width_m", [0.071, 0.073])
def test_the_scorer_demands_of_clearing_what_the_planner_plans(width_m: float) -> None:
    """Also of a bowl, which is picked up when it is narrow enough."""
    shipped = load_scene("clear_table")
    config = replace(shipped, objects=(*shipped.objects, ObjectSpec("pink", "bowl", (width_m, width_m, 0.04), 0.1, 1.0)))
    planner = BuiltinPlanner(Capabilities(OPEN_M, reachable=lambda position: True))
    plan = planner.plan("clear the table into the blue bowl", seen(config), None, 1)
    planned = {f"{p.relation.value}({plan.names[p.object_id]}, {plan.names[p.target_id]})" for p in plan.goal}
    assert planned == set(truth("clear the table into the blue bowl", config))
    assert ("in(pink bowl, blue bowl)" in planned) == (width_m < 0.072)


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        ("put the scarlet cube in the blue bowl", "by their exact names, not 'scarlet cube'; this scene has: blue bowl"),
        ("put all the mugs in the blue bowl", "not 'mugs'"),
        ("put everything in the blue bowl", "not 'things'"),
        ("stack all the cubes", "not 'cubes'"),
        ("clear the table into the box", "not 'box'"),
    ],
)
def test_what_cannot_be_scored_by_name_is_refused(instruction: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        truth(instruction)
