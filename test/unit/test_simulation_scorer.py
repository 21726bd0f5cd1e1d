"""The scorer's truth: what holds, what only nearly holds, and what it says about names it does not know."""

from __future__ import annotations

import numpy as np
import pytest
from sim_scenario import grasp, move, place, run, sim

from vla_ros.core.errors import SimulationError
from vla_ros.core.tasks import Predicate, Relation
from vla_ros.simulation.measures import EpisodeMeter
from vla_ros.simulation.scorer import Scorer

FLOOR = 0.005 + 0.0225  # height of a cube's centre in a bowl


@pytest.fixture(scope="module")
def robot():
    return sim()


@pytest.fixture(scope="module")
def scorer(robot):
    return Scorer(robot)


def holds(scorer, relation, item="red cube", target="blue bowl"):
    return bool(scorer.judge(Predicate(relation, item, target)))


def test_a_cube_in_a_bowl(robot, scorer):
    place(robot, blue_bowl=(0.5, 0.2, 0.025), red_cube=(0.51, 0.19, FLOOR + 0.002, 0.3))
    assert holds(scorer, Relation.IN)
    assert holds(scorer, Relation.ON)
    assert not holds(scorer, Relation.IN, target="green bowl")
    assert not holds(scorer, Relation.IN, item="green cube")
    assert not holds(scorer, Relation.IN, target="blue cube")


def test_beside_across_and_above_a_bowl_is_not_in_it(robot, scorer):
    place(robot, blue_bowl=(0.5, 0.2, 0.025), red_cube=(0.5, 0.1, 0.0225))
    assert not holds(scorer, Relation.IN)
    place(robot, blue_bowl=(0.5, 0.2, 0.025), red_cube=(0.5, 0.135, 0.075))  # lands on the rim and tips in or out
    verdict = scorer.judge(Predicate(Relation.IN, "red cube", "blue bowl"))
    distance = np.linalg.norm((robot.world.object_pose("red_cube").position_m - robot.world.object_pose("blue_bowl").position_m)[:2])
    assert bool(verdict) == (distance < 0.06 and robot.world.object_pose("red_cube").position_m[2] < 0.06)


def test_a_heap_is_in_the_bowl_that_holds_it(robot, scorer):
    place(
        robot,
        blue_bowl=(0.5, 0.2, 0.025),
        green_cube=(0.5, 0.2, FLOOR),
        red_cube=(0.5, 0.2, FLOOR + 0.0455),
        blue_cube=(0.5, 0.2, FLOOR + 0.091),
    )
    assert holds(scorer, Relation.IN)
    assert holds(scorer, Relation.IN, item="blue cube")  # its bottom is 45 mm above the rim
    assert holds(scorer, Relation.ON, "red cube", "green cube")


def test_falling_into_a_bowl_is_not_yet_in_it(robot, scorer):
    place(robot, blue_bowl=(0.5, 0.2, 0.025))
    robot.world.place("red_cube", robot.world.object_pose("blue_bowl"))
    robot.world.data.joint("red_cube").qpos[2] = 0.06
    robot.world.data.joint("red_cube").qvel[2] = -0.5
    robot.step(1)
    verdict = scorer.judge(Predicate(Relation.IN, "red cube", "blue bowl"))
    assert not verdict
    assert "moves at" in verdict.detail
    run(robot, 0.7)
    assert holds(scorer, Relation.IN)


def test_a_stack(robot, scorer):
    place(robot, green_cube=(0.5, 0.1, 0.0225), yellow_cube=(0.5, 0.1, 0.0675, 0.2))
    assert holds(scorer, Relation.ON, "yellow cube", "green cube")
    assert not holds(scorer, Relation.ON, "green cube", "yellow cube")
    assert not holds(scorer, Relation.ON, "red cube", "green cube")
    assert not holds(scorer, Relation.LEFT_OF, "yellow cube", "green cube")


def test_sides_are_the_robots(robot, scorer):
    place(robot, red_cube=(0.5, 0.1, 0.0225), green_cube=(0.5, -0.05, 0.0225), yellow_cube=(0.4, 0.11, 0.0225))
    assert holds(scorer, Relation.LEFT_OF, "red cube", "green cube")
    assert holds(scorer, Relation.RIGHT_OF, "green cube", "red cube")
    assert not holds(scorer, Relation.RIGHT_OF, "red cube", "green cube")
    assert holds(scorer, Relation.IN_FRONT_OF, "yellow cube", "red cube")
    assert holds(scorer, Relation.BEHIND, "red cube", "yellow cube")
    assert not holds(scorer, Relation.LEFT_OF, "yellow cube", "red cube")


def test_held_released_and_home(robot, scorer):
    robot.reset(1)
    assert holds(scorer, Relation.AT_HOME, "", "")
    grasp(robot, "red_cube")
    assert holds(scorer, Relation.HELD, target="")
    assert not holds(scorer, Relation.HELD, "green cube", "")
    assert not holds(scorer, Relation.AT_HOME, "", "")
    bowl = robot.world.object_pose("blue_bowl").position_m
    move(robot, [bowl[0], bowl[1], 0.2], seconds=1.5)
    move(robot, [bowl[0], bowl[1], 0.035])
    verdict = scorer.judge(Predicate(Relation.IN, "red cube", "blue bowl"))
    assert not verdict
    assert "finger" in verdict.detail
    robot.gripper.command(0.08, 30.0)
    run(robot, 0.6)
    move(robot, [bowl[0], bowl[1], 0.2])
    assert holds(scorer, Relation.IN)
    assert not holds(scorer, Relation.HELD, target="")


def test_a_cube_pressed_on_the_table_is_not_held(robot, scorer):
    robot.reset(1)
    pose = robot.world.object_pose("red_cube")
    grasp(robot, "red_cube", height_m=0.0)
    verdict = scorer.judge(Predicate(Relation.HELD, "red cube"))
    assert not verdict, (verdict, pose)
    assert "table" in verdict.detail


def test_unknown_names_list_the_known_ones(scorer):
    with pytest.raises(SimulationError, match="Did you mean 'red cube'"):
        scorer.judge(Predicate(Relation.HELD, "rod cube"))
    with pytest.raises(SimulationError, match="itself"):
        scorer.judge(Predicate(Relation.ON, "red cube", "red cube"))


def test_a_clean_pick_collides_with_nothing(robot):
    robot.reset(2)
    meter = EpisodeMeter(robot)
    grasp(robot, "red_cube", meter=meter)
    measures = meter.measures()
    assert measures.collisions == ()
    assert measures.peak_link_force_n == 0.0
    assert 25 < measures.peak_finger_force_n < 120
    assert measures.dropped == ()
    assert measures.off_table == ()


def test_collisions_drops_and_losses_are_counted(robot):
    robot.reset(2)
    meter = EpisodeMeter(robot)
    grasp(robot, "red_cube", height_m=0.25)
    run(robot, 0.05, meter)
    robot.gripper.command(0.08, 30.0)
    run(robot, 0.8, meter)
    place_pose = robot.world.object_pose("green_cube")
    place_pose.position_m[0] = 2.0
    robot.world.place("green_cube", place_pose)
    run(robot, 0.5, meter)
    move(robot, [0.6, -0.35, -0.01], meter=meter)  # 19 mm into the table with the finger tips
    measures = meter.measures()
    assert measures.dropped == ("red_cube",)
    assert measures.off_table == ("green_cube",)
    assert any("table" in pair for pair in measures.collisions)
    assert measures.peak_finger_force_n + measures.peak_link_force_n > 20
