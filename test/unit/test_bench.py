"""Figures of `vla bench`: from stamps, from processes, and as a table."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_ros.cli.bench import processes, report, timing
from vla_ros.cli.bench.machine import describe_machine, processor_model
from vla_ros.cli.bench.processes import GraphProcesses, process_name

MS = 1_000_000


@given(st.lists(st.booleans(), min_size=3, max_size=200))
def test_the_rate_of_a_publisher_does_not_depend_on_what_was_lost(kept: list[bool]) -> None:
    sequence = [k + 1 for k, keep in enumerate(kept) if keep or k in (0, len(kept) - 1)]
    sent_ns = [k * 10 * MS for k in sequence]
    assert timing.rate_hz(sent_ns, sequence) == pytest.approx(100.0)
    assert timing.count_lost(sequence) == len(kept) - len(sequence)


def test_a_gap_left_by_a_lost_message_is_no_late_tick() -> None:
    figures = timing.tick_figures([0, 10 * MS, 40 * MS, 60 * MS], [1, 2, 5, 6])
    assert figures["not_seen"] == 2
    assert figures["max_ms"] == pytest.approx(20.0)
    assert figures["over_15_ms_percent"] == pytest.approx(50.0)


def test_ticks_of_a_publisher_that_does_not_number_them_are_all_counted() -> None:
    figures = timing.tick_figures([0, 10 * MS, 40 * MS], [0, 0, 0])
    assert (figures["ticks"], figures["not_seen"], figures["max_ms"]) == (3, 0, 30.0)


def test_images_that_the_camera_skipped_are_lost_though_the_transport_lost_none() -> None:
    stamps_ns = [round(k * 1e9 / 30) for k in range(31) if k != 7]
    figures = timing.image_figures(stamps_ns, [2 * MS] * 29 + [9 * MS], range(1, 31), 30.0)
    assert (figures["expected"], figures["received"], figures["lost_in_transport"]) == (31, 30, 0)
    assert figures["lost_percent"] == pytest.approx(100 / 31)
    assert (figures["latency_median_ms"], figures["latency_max_ms"]) == (2.0, 9.0)


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_to_measure_gives_no_figures(count: int) -> None:
    assert timing.tick_figures([5] * count, [1] * count) == {}
    assert timing.image_figures([5] * count, [1] * count, [1] * count, 30.0) == {}
    assert math.isnan(timing.rate_hz([5] * count, [1] * count))


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/x/.venv/bin/python", "/x/install/vla_ros/lib/vla_ros/planner", "--ros-args"], "planner"),
        (["/usr/bin/python3", "-I", "-S", "/x/vla_ros/launcher/guard.py", "7"], "guard"),
        (["/usr/bin/nice"], "nice"),
        ([], "?"),
    ],
)
def test_processes_are_named_after_what_they_run(command: list[str], name: str) -> None:
    assert process_name(command) == name


def test_a_process_that_ends_is_left_out_and_the_others_are_measured() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    clock = iter([0.0, 2.0, 4.0])
    measured = GraphProcesses(os.getpid(), lambda: next(clock))
    spent = os.times().user
    while os.times().user - spent < 0.05:
        np.linalg.norm(np.ones(1000))
    assert measured.cpu_percent()[processes.LAUNCHER] >= 100 * 0.04 / 2.0
    child.communicate(b"\n")
    assert list(measured.memory_mib()) == [processes.LAUNCHER]
    assert list(measured.cpu_percent()) == [processes.LAUNCHER]


def test_the_median_keeps_the_form_and_drops_words_that_differ() -> None:
    launches = [{"s": 3.0, "said": "a", "ok": True}, {"s": None, "said": "b", "ok": True}, {"s": 4.0, "said": "a", "ok": True}]
    assert report.typical(launches) == {"s": 3.5, "said": None, "ok": True}


def test_what_was_not_measured_is_said_and_is_null() -> None:
    rates = {"/clock": math.nan}
    total = {"pss_mib": 2048.0, "goal_percent": 150.0, "rest_percent": 100.0, "goal_machine_percent": 80.0, "rest_machine_percent": 50.0}
    figures = {
        "launch_to_ready_s": 9.0,
        "launch_to_verified_s": None,
        "goal_s": 12.0,
        "real_time_factor": 0.99,
        "real_time_factor_since_start": 0.98,
        "gate": {},
        "images": {"rest": {}, "goal": {}},
        "rates_hz": rates,
        "processes": {"planner": {"goal_percent": 1.0, "rest_percent": 2.0, "pss_mib": 3.0}},
        "total": total,
    }
    whole = {"goal": "g", "robot": "r", "scene": "s", "seed": 0, "verified": 0, "machine": describe_machine(), "median": figures}
    shown = report.table({**whole, "launches": [figures]})
    assert "| launch to verified success | not measured |" in shown
    assert "| gate ticks over 15 ms | not measured |" in shown
    assert "| memory of all processes (PSS) | 2.00 GiB |" in shown
    assert "| planner | 1.0 | 2.0 | 3 |" in shown
    assert json.dumps(report.rounded(rates), allow_nan=False) == '{"/clock": null}'


def test_the_processor_is_named_where_the_kernel_names_it() -> None:
    assert processor_model("processor\t: 0\nmodel name\t: A B-1\nflags\t: x\n") == "A B-1"
    assert processor_model("processor\t: 0\n") == ""
