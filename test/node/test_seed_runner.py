"""Seeds of `vla eval`, in a fake graph."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from fake_graph import FakeGraph, FakeRunning, Result, scored, verified

from vla_ros.cli import fresh_scene
from vla_ros.cli.graph import Graph, NoGraphError
from vla_ros.cli.main import USAGE_ERROR, main
from vla_ros.cli.running_graph import RunningGraph
from vla_ros.cli.seed_runner import SeedRunner
from vla_ros.core.errors import VlaRosError
from vla_ros.core.outcomes import Outcome
from vla_ros.core.tasks import Predicate, Relation
from vla_ros.robots import load_robot

GOAL = "put the red cube in the blue bowl"
TRUTH = (Predicate(Relation.IN, "red cube", "blue bowl"), Predicate(Relation.AT_HOME))


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> FakeGraph:
    monkeypatch.setattr(fresh_scene, "READY_TIMEOUT_S", 0.05)
    return FakeGraph()


def runner(graph: FakeGraph, running: FakeRunning | None = None, *, keep_bags: bool = False) -> SeedRunner:
    beside = cast(RunningGraph, running or FakeRunning())
    return SeedRunner(cast(Graph, graph), beside, load_robot("panda"), TRUTH, GOAL, 90.0, keep_bags=keep_bags)


def test_a_seed_is_set_up_done_and_scored(graph: FakeGraph) -> None:
    graph.result = verified(recoveries=1, safety_interventions=2)
    graph.score = scored(True, True)
    row = runner(graph).run(7)
    assert graph.done == ["sim/reset", "perception/forget", "safety/reset", "execute_goal", "sim/score"]
    assert graph.asked["sim/reset"] == {"seed": 7, "scene": ""}
    assert (graph.asked["execute_goal"].instruction, graph.asked["execute_goal"].time_limit) == (GOAL, 90.0)
    assert graph.asked["sim/score"] == {
        "relations": ["in", "at_home"],
        "object_names": ["red cube", ""],
        "target_names": ["blue bowl", ""],
    }
    assert (row.seed, row.succeeded, row.scorer_succeeded, row.outcome, row.reason) == (7, True, True, "succeeded", "verified")
    assert (row.message, row.time_s, row.recoveries, row.interventions, row.peak_force_n) == ("Done.", 12.5, 1, 2, 3.0)


def test_a_success_that_the_scorer_denies_says_what_the_scorer_saw(graph: FakeGraph) -> None:
    graph.score = scored(False, True, message="red_cube is 90 mm from the middle of blue_bowl.")
    row = runner(graph).run(0)
    assert (row.succeeded, row.scorer_succeeded) == (True, False)
    assert row.message == "Done. Scorer: red_cube is 90 mm from the middle of blue_bowl."


def test_a_goal_that_fails_is_a_row_with_its_reason(graph: FakeGraph) -> None:
    graph.result = Result(outcome=Outcome.FAILED, reason="subtask_failed", message="It slipped.", duration=30.0)
    graph.score = scored(False, True)
    row = runner(graph).run(0)
    assert (row.succeeded, row.scorer_succeeded, row.outcome, row.reason) == (False, False, "failed", "subtask_failed")
    assert row.message == "It slipped."


def test_nothing_scored_is_no_judgement(graph: FakeGraph) -> None:
    graph.score = scored()
    assert runner(graph).run(0).scorer_succeeded is None


def test_a_scene_that_the_simulator_refuses_ends_with_its_words(graph: FakeGraph) -> None:
    graph.refusal = "9 objects do not fit."
    with pytest.raises(VlaRosError, match=r"The scene cannot be reset with seed 5: 9 objects do not fit\."):
        runner(graph).run(5)
    assert "execute_goal" not in graph.done


def test_no_scene_is_reset_under_an_arm_that_moves(graph: FakeGraph) -> None:
    graph.speed_radps = 0.2
    with pytest.raises(NoGraphError, match=r"has not come to rest within .* s; the scene cannot be reset"):
        runner(graph).run(0)
    assert graph.done == []


def test_a_monitor_that_stays_stopped_is_named(graph: FakeGraph) -> None:
    graph.recovers = False
    with pytest.raises(NoGraphError, match=r"The safety monitor is not ready .* after the reset: It is as it is\."):
        runner(graph).run(0)
    assert "execute_goal" not in graph.done


def test_a_graph_that_ends_meanwhile_ends_the_seed(graph: FakeGraph) -> None:
    running = FakeRunning()
    running.failure = VlaRosError("The graph has ended by itself.")
    with pytest.raises(VlaRosError, match="ended by itself"):
        runner(graph, running).run(0)


@pytest.mark.parametrize("keep_bags", [False, True])
def test_bags_of_failures_and_of_the_first_success_stay(graph: FakeGraph, tmp_path: Path, keep_bags: bool) -> None:
    seeds = runner(graph, keep_bags=keep_bags)
    for number, holds in enumerate((False, True, True)):  # what the scorer denies is a failure, whatever the stack says
        bag = tmp_path / str(number) / "bag"
        bag.mkdir(parents=True)
        graph.result, graph.score = verified(run_folder=str(bag.parent)), scored(holds)
        assert math.isnan(seeds.run(number).path_length_m or 0.0), "a bag that cannot be read measures nothing"
    assert [(tmp_path / str(number) / "bag").exists() for number in range(3)] == [True, True, keep_bags]


@pytest.fixture
def evaluated(graph: FakeGraph, monkeypatch: pytest.MonkeyPatch) -> FakeGraph:
    """What `vla eval` finds in the place of a graph."""
    monkeypatch.setattr("vla_ros.cli.running_graph.RunningGraph", FakeRunning)
    monkeypatch.setattr("vla_ros.cli.graph.Graph", lambda name: graph)
    return graph


def evaluate(folder: Path, *words: str) -> int:
    return main(["eval", "--goal", GOAL, "--seeds", "3-4", "--out", str(folder / "eval.jsonl"), *words])


def test_the_report_lists_where_stack_and_scorer_disagree(evaluated: FakeGraph, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated.score = scored(False, message="The bowl is empty.")
    assert evaluate(tmp_path, "--json") == 0
    shown = capsys.readouterr()
    report: dict[str, Any] = json.loads(shown.out)
    assert (report["episodes"], report["succeeded"], report["scorer_succeeded"], report["both_succeeded"]) == (2, 2, 0, 0)
    assert [d["seed"] for d in report["disagreements"]] == [3, 4]
    assert report["disagreements"][0]["meaning"] == "the stack claims success, the scorer denies it"
    assert "seed    3: stack yes, scorer NO,  12.5 s, 0 recoveries, 0 interventions. Done. Scorer: The bowl is empty." in shown.err
    assert evaluated.asked["sim/score"]["object_names"] == ["red cube"]


def test_a_scene_that_cannot_be_reset_ends_the_evaluation_with_a_sentence(
    evaluated: FakeGraph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated.refusal = "9 objects do not fit."
    assert evaluate(tmp_path) == USAGE_ERROR
    assert capsys.readouterr().err == "vla eval: The scene cannot be reset with seed 3: 9 objects do not fit.\n"
    assert len((tmp_path / "eval.jsonl").read_text().splitlines()) == 1, "the setup alone: the seed can be done again"
