"""A run's folder: refused when the disk is too small, its result whole or not there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_ros.core.errors import DataError
from vla_ros.data import run_folder
from vla_ros.data.files import write_atomically
from vla_ros.data.run_folder import RunFolder, create_run_folder, needed_bytes, slug
from vla_ros.data.versions import collect_versions, git_describe

NOW_NS = int(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC).timestamp()) * 1_000_000_000
RESULT: dict[str, Any] = {
    "instruction": "stack", "robot": "panda", "outcome": "failed", "reason": "timeout", "message": "It took too long.", "verified": False,
    "duration_s": 3.5, "subtasks": [], "versions": {},
}  # fmt: skip


class Colour(IntEnum):
    RED = 3


@dataclass(frozen=True)
class Detail:
    colour: Colour
    margin: float


def free_bytes(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


def test_folder_is_named_by_time_and_instruction(tmp_path: Path) -> None:
    folders = [create_run_folder(tmp_path / "runs", "Put the RED cube in the blue bowl!", NOW_NS, time_limit_s=1.0) for _ in range(2)]
    names = [f.path.name for f in folders]
    assert names == ["20260304T050607Z_put-the-red-cube-in-the-blue-bowl", "20260304T050607Z_put-the-red-cube-in-the-blue-bowl_2"]
    assert all(f.path.is_dir() for f in folders)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free_bytes(monkeypatch, needed_bytes(60.0) - 1)
    with pytest.raises(DataError, match=r"has 1\.1 GB free, but this run may take 1\.1 GB; nothing was started"):
        create_run_folder(tmp_path, "stack", NOW_NS, time_limit_s=60.0)
    assert list(tmp_path.iterdir()) == []
    assert create_run_folder(tmp_path, "stack", NOW_NS, time_limit_s=59.0).path.exists()


@given(st.text())
def test_slugs_are_safe_file_names(text: str) -> None:
    name = slug(text)
    assert 1 <= len(name) <= 40
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_result_is_plain_json(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.bag.mkdir()
    extra = {"detail": Detail(Colour.RED, float("nan")), "array": np.array([1.0, np.inf]), "count": np.int64(4), "folder": Path("a/b")}
    folder.write_result({**RESULT, **extra})
    value = json.loads(folder.result.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert value == folder.read_result()
    assert (value["schema"], value["run"], value["files"]) == (1, tmp_path.name, {"bag": "bag"})
    assert (value["detail"], value["array"], value["count"]) == ({"colour": "red", "margin": None}, [1.0, None], 4)


def test_wrong_results_are_not_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(DataError, match="lacks versions"):
        folder.write_result({k: v for k, v in RESULT.items() if k != "versions"})
    with pytest.raises(DataError, match="Unknown outcome 'great'"):
        folder.write_result({**RESULT, "outcome": "great"})
    with pytest.raises(DataError, match="object has no form in JSON"):
        folder.write_result({**RESULT, "subtasks": [object()]})
    with pytest.raises(DataError, match=r"no result\.json"):
        folder.read_result()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_versions_name_python_and_wheels(tmp_path: Path) -> None:
    versions = collect_versions(tmp_path)
    assert versions["numpy"] == np.__version__
    assert versions["python"].startswith("3.")
    assert git_describe(tmp_path / "nowhere") == ""
