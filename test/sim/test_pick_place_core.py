"""Simulation, perception from pixels, scripted expert and safety gate in one process, without ROS: whole tasks, judged by the scorer."""

from __future__ import annotations

import pytest

from vla_ros.core.errors import SimulationError
from vla_ros.evaluation.core_loop import CoreLoop, Trouble
from vla_ros.evaluation.goals import GOALS, parse_goal

pytestmark = pytest.mark.sim


@pytest.fixture(scope="module")
def loop():
    loop = CoreLoop(watch=True)
    yield loop
    loop.close()


@pytest.mark.parametrize(
    ("goal", "seed"),
    [(GOALS["put_red_in_blue"], 3), (GOALS["stack_green_on_yellow"], 7), (parse_goal("blue cube left_of red cube"), 5)],
    ids=["bowl", "stack", "beside"],
)
def test_task_is_done_in_time_without_refusals_or_collisions(loop, goal, seed):
    outcome = loop.run(goal, seed)
    assert outcome.succeeded, outcome.detail
    assert outcome.robot_s < 25.0
    assert outcome.refused == ()
    assert outcome.stops == ()
    assert outcome.rejected == ()
    assert outcome.collisions == ()


def test_a_dropped_cube_is_noticed_and_picked_up_again(loop):
    outcome = loop.run(GOALS["put_red_in_blue"], 3, trouble=[Trouble("object_dropped", "red_cube", 6.6)])
    assert outcome.succeeded, outcome.detail
    assert outcome.recoveries == 1


def test_each_hold_of_the_gate_is_counted_with_its_reason(loop):
    holds = iter([True])
    outcome = loop.run(GOALS["put_red_in_blue"], 3, time_limit_s=3.0, say=lambda line: next(holds, False) and loop._gate.hold("the test"))
    assert [stop.split(":")[0] for stop in outcome.stops] == ["requested"]


def test_what_cannot_be_done_is_explained(loop):
    outcome = loop.run(parse_goal("blue bowl on red cube"), 3)
    assert not outcome.succeeded
    assert "not bowls" in outcome.detail
    with pytest.raises(SimulationError, match="Unknown object 'pink cube'; valid: blue bowl"):
        loop.run(parse_goal("pink cube in blue bowl"), 3)
