"""Seeds, statistics, and an evaluation that goes on where it was cut short."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_ros.core.errors import ConfigError, DataError
from vla_ros.evaluation.episodes import EpisodeFile, EpisodeRow, Setup, report
from vla_ros.evaluation.seeds import parse_seeds
from vla_ros.evaluation.statistics import summarise, wilson_interval

SETUP = Setup("put the red cube in the blue bowl", "panda", "tabletop")


def row(seed: int, succeeded: bool = True, scorer: bool | None = True, **values: Any) -> EpisodeRow:
    base: dict[str, Any] = dict.fromkeys(
        ("margin_position_rad", "margin_workspace_m", "peak_force_n", "peak_jerk_radps3", "rms_jerk_radps3", "path_length_m")
    )
    base.update(time_s=10.0 + seed, recoveries=1, interventions=0, outcome="succeeded" if succeeded else "failed", reason="r", message="m")
    return EpisodeRow(seed=seed, succeeded=succeeded, scorer_succeeded=scorer, **{**base, **values})


def test_seeds_are_numbers_and_ranges() -> None:
    assert parse_seeds("0-3,25") == (0, 1, 2, 3, 25)
    assert parse_seeds(" 7 , 3-4") == (7, 3, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is neither a number nor a range"),
        ("1,,2", "'' is neither"),
        ("-3", "'-3' is neither"),
        ("1-2-3", "'1-2-3' is neither"),
        ("a", "write for example '0-19,25'"),
        ("9-3", "runs backwards; write '3-9'"),
        ("0-5,3", "3 named more than once"),
        ("0-99999999999", "more than 100000 seeds"),
    ],
)
def test_wrong_seeds_are_explained(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_seeds(text)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30, unique=True))
def test_every_list_of_seeds_can_be_written(seeds: list[int]) -> None:
    assert list(parse_seeds(",".join(map(str, seeds)))) == seeds


def test_wilson_interval_against_published_values() -> None:
    assert wilson_interval(19, 20) == pytest.approx((0.7639, 0.9911), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="not possible"):
        wilson_interval(3, 2)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_rate_and_mirrors(case: tuple[int, int]) -> None:
    k, n = case
    low, high = wilson_interval(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
    mirrored = wilson_interval(n - k, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)


def test_summary_leaves_out_what_is_missing() -> None:
    found = summarise([1.0, None, 3.0, math.nan, 8.0])
    assert (found.count, found.mean, found.median, found.smallest, found.largest) == (3, 4.0, 3.0, 1.0, 8.0)
    assert summarise([None]).count == 0
    assert math.isnan(summarise([]).mean)


def test_an_evaluation_goes_on_where_it_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "eval.jsonl"
    first = EpisodeFile(path, SETUP, resume=False)
    for seed in (0, 1):
        first.append(row(seed, peak_force_n=math.nan))
    with path.open("a") as stream:
        stream.write('{"seed": 2, "succ')  # killed while writing
    again = EpisodeFile(path, SETUP, resume=True)
    assert again.remaining(parse_seeds("0-4")) == (2, 3, 4)
    again.append(row(2))
    with pytest.raises(DataError, match="row for seed 2 already"):
        again.append(row(2))
    assert [json.loads(line).get("seed") for line in path.read_text().splitlines()] == [None, 0, 1, 2]
    assert EpisodeFile(path, SETUP, resume=True).rows == [row(0), row(1), row(2)]


def test_a_file_cut_within_its_first_line_starts_afresh(tmp_path: Path) -> None:
    path = tmp_path / "eval.jsonl"
    path.write_text('{"setup": {"go')
    EpisodeFile(path, SETUP, resume=True).append(row(0))
    assert EpisodeFile(path, SETUP, resume=True).remaining([0, 1]) == (1,)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "eval.jsonl"
    EpisodeFile(path, SETUP, resume=False)
    with pytest.raises(DataError, match="use --resume"):
        EpisodeFile(path, SETUP, resume=False)
    with pytest.raises(DataError, match="belongs to another evaluation"):
        EpisodeFile(path, Setup("another goal", "panda", "tabletop"), resume=True)
    path.write_text(path.read_text() + "nonsense\n")
    with pytest.raises(DataError, match="line 2: not JSON"):
        EpisodeFile(path, SETUP, resume=True)
    path.write_text(path.read_text().replace("nonsense", '{"seed": 1}'))
    with pytest.raises(DataError, match="line 2: lacks"):
        EpisodeFile(path, SETUP, resume=True)


def test_report_lists_every_disagreement() -> None:
    rows = [row(0), row(1, False, True), row(2, True, False), row(3, False, False), row(4, True, None), row(9)]
    found = report(SETUP, parse_seeds("0-5"), rows)
    assert (found["episodes"], found["succeeded"], found["scorer_succeeded"], found["both_succeeded"]) == (5, 3, 2, 1)
    assert [d["seed"] for d in found["disagreements"]] == [1, 2]
    assert found["disagreements"][1]["meaning"] == "the stack claims success, the scorer denies it"
    assert (found["not_scored"], found["missing_seeds"]) == ([4], [5])
    assert [r["seed"] for r in found["per_seed"]] == [0, 1, 2, 3, 4]
    assert found["summaries"]["time_s"]["mean"] == 12.0
    assert found["summaries"]["peak_force_n"]["mean"] is None
    assert found["success_interval_95"] == list(wilson_interval(3, 5))
    json.dumps(found, allow_nan=False)
