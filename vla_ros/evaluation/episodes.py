"""The file of an evaluation, one JSON object for each finished seed, and the report made from it.

A seed is on the disk before the next one begins, so a long evaluation that was cut short goes on where it stood.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vla_ros.core.errors import DataError
from vla_ros.data.run_folder import plain
from vla_ros.evaluation.statistics import summarise, wilson_interval


@dataclass(frozen=True)
class Setup:
    """What all episodes of an evaluation share; two that differ in it cannot be one."""

    goal: str
    robot: str
    scene: str


@dataclass(frozen=True)
class EpisodeRow:
    """One seed. None: not measured, for instance because nothing was recorded."""

    seed: int
    succeeded: bool  # the stack verified the goal
    scorer_succeeded: bool | None  # the simulator's own judgement; None: there was none
    outcome: str
    reason: str
    message: str
    time_s: float | None
    path_length_m: float | None
    margin_position_rad: float | None
    margin_workspace_m: float | None
    peak_force_n: float | None
    peak_jerk_radps3: float | None
    rms_jerk_radps3: float | None
    recoveries: int
    interventions: int
    run_folder: str = ""


_SUMMARISED = (
    "time_s",
    "path_length_m",
    "margin_position_rad",
    "margin_workspace_m",
    "peak_force_n",
    "peak_jerk_radps3",
    "rms_jerk_radps3",
)


class EpisodeFile:
    """Rows appended to ``path``; its first line holds the setup."""

    def __init__(self, path: Path, setup: Setup, *, resume: bool) -> None:
        """Raises DataError when the file exists and ``resume`` is not set, or belongs to another setup."""
        self.path = path
        self.rows: list[EpisodeRow] = []
        if path.exists() and path.stat().st_size:
            if not resume:
                raise DataError(f"{path} exists already; use --resume to go on with it, or name another file.")
            self._load(setup)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append({"setup": asdict(setup)})

    def remaining(self, seeds: Sequence[int]) -> tuple[int, ...]:
        """Those of ``seeds`` that are not done yet."""
        done = {row.seed for row in self.rows}
        return tuple(seed for seed in seeds if seed not in done)

    def append(self, row: EpisodeRow) -> None:
        """Puts a finished seed on the disk. Raises DataError when it is there already or the disk does not take it."""
        if row.seed in {r.seed for r in self.rows}:
            raise DataError(f"{self.path} has a row for seed {row.seed} already.")
        self._append(asdict(row))
        self.rows.append(row)

    def _append(self, value: dict[str, Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(plain(value), allow_nan=False, ensure_ascii=False) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise DataError(f"Cannot write {self.path}: {error.strerror}.") from error

    def _load(self, setup: Setup) -> None:
        """Reads what is there; a last line without its end was being written when the evaluation was cut short, and is taken off."""
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self.path, len(whole))
        lines = whole.decode("utf-8", errors="replace").splitlines()
        if not lines:  # not even the setup was written
            self._append({"setup": asdict(setup)})
            return
        values = [self._parse(line, number) for number, line in enumerate(lines, 1)]
        if values[0].get("setup") != asdict(setup):
            raise DataError(f"{self.path} belongs to another evaluation: {values[0].get('setup')}, not {asdict(setup)}; name another file.")
        self.rows = [self._row(value, number) for number, value in enumerate(values[1:], 2)]

    def _parse(self, line: str, number: int) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{self.path}, line {number}: not JSON ({error}); mend or remove the line.") from error
        if not isinstance(value, dict):
            raise DataError(f"{self.path}, line {number}: expected a JSON object; mend or remove the line.")
        return value

    def _row(self, value: dict[str, Any], number: int) -> EpisodeRow:
        known = {f.name for f in fields(EpisodeRow)}
        missing = sorted(known - value.keys() - {"run_folder"})
        if missing:
            raise DataError(
                f"{self.path}, line {number}: lacks {', '.join(missing)}; it was written by another version. Name another file."
            )
        return EpisodeRow(**{key: item for key, item in value.items() if key in known})


def report(setup: Setup, seeds: Sequence[int], rows: Sequence[EpisodeRow]) -> dict[str, Any]:
    """The evaluation as a JSON object: counts, rates with 95 % intervals, disagreements, summaries, and one row for each seed."""
    wanted = [row for row in sorted(rows, key=lambda r: r.seed) if row.seed in set(seeds)]
    scored = [row for row in wanted if row.scorer_succeeded is not None]
    succeeded = sum(row.succeeded for row in wanted)
    both = sum(row.succeeded and row.scorer_succeeded is True for row in wanted)
    value = {
        **asdict(setup),
        "episodes": len(wanted),
        "succeeded": succeeded,
        "scorer_succeeded": sum(row.scorer_succeeded is True for row in scored),
        "both_succeeded": both,
        "success_interval_95": wilson_interval(succeeded, len(wanted)),
        "both_interval_95": wilson_interval(both, len(wanted)),
        "disagreements": [_disagreement(row) for row in scored if row.succeeded != row.scorer_succeeded],
        "not_scored": [row.seed for row in wanted if row.scorer_succeeded is None],
        "missing_seeds": sorted(set(seeds) - {row.seed for row in wanted}),
        "recoveries": sum(row.recoveries for row in wanted),
        "interventions": sum(row.interventions for row in wanted),
        "summaries": {name: asdict(summarise(getattr(row, name) for row in wanted)) for name in _SUMMARISED},
        "per_seed": [asdict(row) for row in wanted],
    }
    whole: dict[str, Any] = plain(value)
    return whole


def _disagreement(row: EpisodeRow) -> dict[str, Any]:
    who = "the stack claims success, the scorer denies it" if row.succeeded else "the scorer saw success, the stack did not"
    return {"seed": row.seed, "succeeded": row.succeeded, "scorer_succeeded": row.scorer_succeeded, "meaning": who, "reason": row.reason}
