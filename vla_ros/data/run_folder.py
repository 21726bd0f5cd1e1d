"""The folder of one run: bag/, video.mp4, timeline.png, result.json. docs/reference/result.md describes the last one."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from vla_ros.core.errors import DataError, unknown_choice
from vla_ros.core.outcomes import Outcome
from vla_ros.data.files import write_atomically

RESULT_SCHEMA = 1
REQUIRED_KEYS = ("instruction", "robot", "outcome", "reason", "message", "verified", "duration_s", "subtasks", "versions")
OUTCOMES = tuple(outcome.word for outcome in Outcome)
_MB = 1_000_000
_BYTES_PER_SECOND = 10 * _MB  # a bound: two colour cameras of 640x480 as JPEG at 30 Hz take 3 MB/s, all else 2 MB/s
_RESERVE_BYTES = 500 * _MB  # video, pictures, logs, and what other programs write meanwhile
_SLUG_LENGTH = 40


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run's files. The folder exists; the files come one after the other."""

    path: Path

    @property
    def bag(self) -> Path:
        """Folder of the rosbag2 recording."""
        return self.path / "bag"

    @property
    def video(self) -> Path:
        """The front camera, with what the stack was doing."""
        return self.path / "video.mp4"

    @property
    def timeline(self) -> Path:
        """The run in one picture."""
        return self.path / "timeline.png"

    @property
    def result(self) -> Path:
        """The whole result."""
        return self.path / "result.json"

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes result.json in one step; NaN and infinity become null, enums and dataclasses their plain values.

        Raises DataError for missing keys, an unknown outcome, or values that JSON has no form for.
        """
        missing = [key for key in REQUIRED_KEYS if key not in result]
        if missing:
            raise DataError(f"result.json of {self.path.name} lacks {', '.join(missing)}.")
        if result["outcome"] not in OUTCOMES:
            raise DataError(f"result.json of {self.path.name}: {unknown_choice('outcome', result['outcome'], OUTCOMES)}")
        files = {p.name: p.relative_to(self.path).as_posix() for p in (self.bag, self.video, self.timeline) if p.exists()}
        whole = {"schema": RESULT_SCHEMA, "run": self.path.name, **result, "files": files}
        write_atomically(self.result, (json.dumps(plain(whole), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())

    def add_to_result(self, **facts: Any) -> None:
        """Replaces result.json, in one step, by itself with ``facts`` added and its list of files renewed.

        Raises DataError when there is none, or as ``write_result`` does.
        """
        self.write_result({**self.read_result(), **facts})

    def read_result(self) -> dict[str, Any]:
        """The content of result.json. Raises DataError when it is missing or not JSON."""
        try:
            value = json.loads(self.result.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"{self.path} has no result.json: its run did not end, or is still going on.") from None
        except (OSError, ValueError) as error:
            raise DataError(f"{self.result} cannot be read: {error}.") from error
        if not isinstance(value, dict):
            raise DataError(f"{self.result}: expected a JSON object, found {type(value).__name__}.")
        return value


def create_run_folder(root: Path, instruction: str, now_ns: int, *, time_limit_s: float = 120.0) -> RunFolder:
    """A new folder ``root/<UTC time>_<words of the instruction>``; ``now_ns``: wall clock, since 1970.

    Raises DataError when the disk will not hold a run of ``time_limit_s``, or when the folder cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot create the folder for runs {root}: {error.strerror}; choose another one.") from error
    check_free_space(root, needed_bytes(time_limit_s))
    stem = f"{datetime.fromtimestamp(now_ns / 1e9, UTC):%Y%m%dT%H%M%SZ}_{slug(instruction)}"
    for attempt in range(1, 100):  # two runs may begin in the same second
        path = root / (stem if attempt == 1 else f"{stem}_{attempt}")
        try:
            path.mkdir()
            return RunFolder(path)
        except FileExistsError:
            continue
        except OSError as error:
            raise DataError(f"Cannot create {path}: {error.strerror}.") from error
    raise DataError(f"{root} already holds 99 runs named {stem}.")


def needed_bytes(time_limit_s: float) -> int:
    """What a run of this length may take on the disk."""
    return int(_BYTES_PER_SECOND * max(time_limit_s, 0.0)) + _RESERVE_BYTES


def check_free_space(folder: Path, needed: int) -> None:
    """Raises DataError when the disk of ``folder`` has less than ``needed`` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"The disk of {folder} has {free / 1e9:.1f} GB free, but this run may take {needed / 1e9:.1f} GB; nothing was started. "
            "Free some space, choose another folder, or set a shorter time limit."
        )


def slug(text: str) -> str:
    """``text`` as part of a file name: lower-case ASCII words joined by '-', at most 40 characters; 'run' when nothing is left."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    short = ""
    for word in words:
        longer = f"{short}-{word}" if short else word
        if len(longer) > _SLUG_LENGTH:
            break
        short = longer
    return short or "run"


def plain(value: Any) -> Any:
    """``value`` as JSON knows it. Raises DataError for what it does not know."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Enum):
        return value.name.lower()
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    raise DataError(f"{type(value).__name__} has no form in JSON: {value!r:.80}.")
