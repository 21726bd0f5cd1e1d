"""What the gate costs: the pairs that differ, the times, and how often it stopped for nothing."""

from __future__ import annotations

import json

import pytest

from vla_ros.evaluation.gate_price import Price, finished_pairs, most_per_hour


def side(succeeded: bool = True, robot_s: float = 10.0, stops: tuple[str, ...] = ()) -> dict:
    return {"succeeded": succeeded, "robot_s": robot_s, "stops": list(stops), "touched": [], "detail": "done"}


def pair(seed: int, on: dict, off: dict) -> dict:
    return {"goal": "g", "robot": "panda", "scene": "tabletop", "seed": seed, "on": on, "off": off}


def test_mcnemar_counts_only_the_pairs_that_differ_and_times_those_that_both_did():
    pairs = [pair(n, side(robot_s=12.0), side(robot_s=10.0)) for n in range(10)]
    pairs += [pair(10 + n, side(succeeded=False, robot_s=60.0), side(robot_s=1.0)) for n in range(5)]
    summary = Price(pairs).summary()
    assert (summary["succeeded_on"], summary["succeeded_off"], summary["lost_by_the_gate"]) == (10, 15, 5)
    assert summary["mcnemar_p"] == pytest.approx(2 * 0.5**5)
    assert summary["time_ratio"] == pytest.approx(1.2)


def test_every_hold_and_stop_counts_as_a_false_one_per_hour_of_motion_with_the_gate():
    pairs = [pair(n, side(robot_s=360.0), side(robot_s=1.0)) for n in range(9)]
    pairs.append(pair(9, side(robot_s=360.0, stops=("collision: near", "collision: near", "camera: black")), side()))
    summary = Price(pairs).summary()
    assert summary["hours_on"] == pytest.approx(1.0)
    assert summary["false_stops"] == {"collision": 2, "camera": 1}
    assert summary["false_stops_per_hour"] == pytest.approx(3.0)


def test_no_stop_in_little_time_proves_little():
    assert most_per_hour(0, 1.0) == pytest.approx(3.0, abs=0.005), "the rule of three"
    assert most_per_hour(0, 0.1) == pytest.approx(30.0, abs=0.05)
    assert most_per_hour(0, 0.0) == float("inf")
    assert most_per_hour(3, 1.0) > 3.0


@pytest.mark.parametrize("cut", [1, 20])
def test_a_run_goes_on_from_what_is_whole_and_of_the_same_kind(tmp_path, cut: int):
    path = tmp_path / "price.jsonl"
    kept, other = pair(0, side(), side()), {**pair(1, side(), side()), "robot": "fr3"}
    path.write_text("\n".join([json.dumps(kept), json.dumps(other), json.dumps(pair(2, side(), side()))[:-cut]]), encoding="utf-8")
    what = {"goal": "g", "robot": "panda", "scene": "tabletop"}
    assert finished_pairs(path, what, [0, 1, 2, 3]) == [kept]
    assert finished_pairs(path, what, [1]) == []
    assert finished_pairs(tmp_path / "none", what, [0]) == []
