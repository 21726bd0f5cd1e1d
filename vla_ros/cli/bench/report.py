"""The benchmark's report: the median over the launches, as a table for people."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def typical(launches: Sequence[Any]) -> Any:
    """Values of several launches as one of the same form: the median of numbers; of anything else the first, where all agree, else None."""
    if isinstance(launches[0], Mapping):
        return {key: typical([launch.get(key) for launch in launches]) for key in launches[0]}
    numbers = [v for v in launches if isinstance(v, int | float) and not isinstance(v, bool)]
    if numbers:
        return statistics.median(numbers)
    return launches[0] if all(value == launches[0] for value in launches) else None


def rounded(value: Any) -> Any:
    """The same with three decimals, and None for what is not finite, as JSON knows it."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value


def table(report: Mapping[str, Any]) -> str:
    """The report in the form in which docs/benchmarks.md gives it."""
    figures, machine = report["median"], report["machine"]
    head = [
        f"{report['goal']} ({report['robot']}, {report['scene']}, seed {report['seed']}), {len(report['launches'])} launch(es), "
        f"{report['verified']} verified",
        f"{machine['cores']} cores, {machine['processor']}, {machine['memory_gib']} GiB, {machine['system']}; "
        f"load before: {machine['load_before']:.2f}",
        "",
        *(f"| {name} | {value} |" for name, value in [("figure", "measured"), ("---", "---"), *_rows(figures)]),
        "",
        "| process | while acting, % of a core | at rest, % of a core | memory (PSS), MiB |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *_process_rows(figures)])


def _rows(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    gate, images, total = figures["gate"], figures["images"], figures["total"]
    rows = [
        ("launch to ready", _unit(figures["launch_to_ready_s"], "s", 1)),
        ("launch to verified success", _unit(figures["launch_to_verified_s"], "s", 1)),
        ("goal", _unit(figures["goal_s"], "s", 1)),
        ("real-time factor during the goal", _unit(figures["real_time_factor"], "", 3)),
        ("real-time factor since the simulator's start", _unit(figures["real_time_factor_since_start"], "", 3)),
        ("memory of all processes (PSS)", _unit(total["pss_mib"] / 1024, "GiB", 2)),
        ("processor, all cores, while acting", _unit(total["goal_machine_percent"], "%", 0)),
        ("processor, all cores, at rest", _unit(total["rest_machine_percent"], "%", 0)),
        ("gate ticks over 15 ms", _unit(gate.get("over_15_ms_percent"), "%", 2)),
        ("gate tick median / p99 / longest", _several(gate, ("median_ms", "p99_ms", "max_ms"), "ms", 1)),
    ]
    for phase, words in (("rest", "at rest"), ("goal", "while acting")):
        rows += [
            (f"images lost, {words}", _unit(images[phase].get("lost_percent"), "%", 2)),
            (f"image latency, median / p95 / longest, {words}", _several(images[phase], _LATENCIES, "ms", 1)),
        ]
    return rows + [(f"rate of `{name}`", _unit(hz, "Hz", 1)) for name, hz in figures["rates_hz"].items()]


_LATENCIES = ("latency_median_ms", "latency_p95_ms", "latency_max_ms")


def _process_rows(figures: Mapping[str, Any]) -> list[str]:
    rows = {**figures["processes"], "all": figures["total"]}
    return [
        f"| {name} | {_unit(row['goal_percent'], '', 1)} | {_unit(row['rest_percent'], '', 1)} | {_unit(row['pss_mib'], '', 0)} |"
        for name, row in rows.items()
    ]


def _unit(value: float | None, unit: str, decimals: int) -> str:
    return "not measured" if value is None or not math.isfinite(value) else f"{value:.{decimals}f} {unit}".strip()


def _several(figures: Mapping[str, float], keys: Sequence[str], unit: str, decimals: int) -> str:
    if not all(key in figures for key in keys):
        return "not measured"
    return " / ".join(f"{figures[key]:.{decimals}f}" for key in keys) + f" {unit}"
