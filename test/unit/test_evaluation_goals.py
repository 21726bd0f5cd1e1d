"""Goals of the ROS-free evaluator, as written on its command line."""

from __future__ import annotations

import pytest
from expert_bench import scene, thing

from vla_ros.core.errors import ConfigError, PlanningError
from vla_ros.core.tasks import Relation, Skill
from vla_ros.evaluation.core_loop import Trouble
from vla_ros.evaluation.goals import GOALS, Goal, parse_goal


def test_goals_by_name_and_in_words():
    assert parse_goal("put_red_in_blue") == GOALS["put_red_in_blue"]
    assert parse_goal("red cube left_of blue bowl") == Goal("red cube", Relation.LEFT_OF, "blue bowl")
    with pytest.raises(ConfigError, match=r"Unknown goal 'put_red'.*Did you mean 'put_red_in_blue'.*OBJECT in"):
        parse_goal("put_red")


def test_a_goal_is_grounded_in_what_is_seen():
    seen = scene(thing("cube_1", 0.5, 0.0), thing("bowl_1", 0.4, 0.2))
    subtasks = parse_goal("red cube in red bowl").subtasks(seen)
    assert [s.skill for s in subtasks] == [Skill.PICK, Skill.PLACE, Skill.HOME]
    assert (subtasks[1].object_id, subtasks[1].target_id) == ("cube_1", "bowl_1")
    with pytest.raises(PlanningError, match="0 things in view are called 'blue bowl'; I see: a red cube, a red bowl"):
        parse_goal("red cube in blue bowl").subtasks(seen)
    two = scene(thing("cube_1", 0.5, 0.0), thing("cube_2", 0.5, 0.2), thing("bowl_1", 0.4, 0.2))
    with pytest.raises(PlanningError, match="2 things in view are called 'red cube'"):
        parse_goal("red cube in red bowl").subtasks(two)


def test_faults_on_the_command_line():
    assert Trouble.parse("object_dropped:red_cube@6.5") == Trouble("object_dropped", "red_cube", 6.5)
    with pytest.raises(ConfigError, match="KIND:TARGET@SECONDS"):
        Trouble.parse("object_dropped")
