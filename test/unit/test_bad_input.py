"""What a user can get wrong is answered by one sentence and exit code 2, before anything is started."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from vla_ros.cli import main as cli
from vla_ros.core.resources import share_dir

Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Runs `vla` with some words; its sentence on stderr. Nothing may be started, nor left in the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a process was started"))

    def run(*words: str) -> str:
        assert cli.main(list(words)) == cli.USAGE_ERROR
        error = capsys.readouterr().err
        assert error.startswith(f"vla {words[0]}: ")
        assert "Traceback" not in error
        assert not list(tmp_path.glob("log*"))
        return error

    return run


def names_of(kind: str) -> list[str]:
    return sorted(path.stem for path in (share_dir() / "config" / kind).glob("*.yaml"))


@pytest.mark.parametrize(("option", "kind"), [("robot", "robots"), ("scene", "scenes")])
def test_demo_lists_the_valid_names(refused: Refused, option: str, kind: str) -> None:
    error = refused("demo", f"--{option}", "pandda")
    assert "'pandda'" in error
    assert all(name in error for name in names_of(kind))


@pytest.mark.parametrize(
    ("argument", "valid"),
    [("robot", "panda"), ("scene", "tabletop"), ("expert", "scripted"), ("planner", "builtin, openai"), ("speeed", "speed")],
)
def test_launch_lists_the_valid_names(refused: Refused, argument: str, valid: str) -> None:
    error = refused("launch", "demo", f"{argument}:=pandda")
    assert argument in error
    assert valid in error


def test_a_robot_that_no_expert_knows_is_refused_before_anything_starts(refused: Refused) -> None:
    for words in (("demo", "--robot", "wx250s"), ("launch", "demo", "robot:=wx250s")):
        assert "The expert 'scripted' does not move a 'wx250s'; it moves: fr3, panda." in refused(*words)


def test_a_server_that_is_not_named_is_asked_for_before_anything_starts(refused: Refused) -> None:
    error = refused("launch", "demo", "planner:=openai", "openai_model:=some")
    assert "openai_url:=..." in error
    assert "openai_model" not in error


def test_launch_names_the_launch_files_there_are(refused: Refused) -> None:
    assert "demo, environment, graph, robot" in refused("launch", "dem")


@pytest.mark.parametrize(
    ("text", "words"),
    [("name: panda\nlimits: [1, 2\n", "line 3"), ("- 1\n", "mapping"), ("nam: x\n", "'nam'")],
)
@pytest.mark.parametrize("option", ["--robot", "--scene"])
def test_a_malformed_file_is_named_with_its_line(refused: Refused, tmp_path: Path, option: str, text: str, words: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    error = refused("demo", option, str(file))
    assert str(file) in error
    assert words in error


def test_a_disk_that_will_not_hold_the_run_is_told_at_the_start(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000_000))
    error = refused("demo")
    assert "nothing was started" in error
    assert "Free some space" in error


def test_a_folder_for_runs_that_cannot_be_made_is_told(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "Not a directory; choose another one with --runs" in refused("demo", "--runs", str(tmp_path / "file" / "runs"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["  "], "The instruction is empty"), (["--speed", "7"], "--speed is 7"), (["--speed", "nan"], "--speed is nan")],
)
def test_demo_refuses_what_cannot_be_meant(refused: Refused, words: list[str], sentence: str) -> None:
    assert sentence in refused("demo", *words)
