"""The frame of the `vla` command and `vla launch`."""

import argparse
from pathlib import Path

import pytest

from vla_ros.cli import main as cli
from vla_ros.cli.commands import launch
from vla_ros.core.errors import ConfigError


def test_every_command_has_help_and_what_the_frame_needs() -> None:
    assert {"doctor", "launch"} <= set(cli.command_names())
    for name in cli.command_names():
        command = cli.load_command(name)
        assert (command.__doc__ or "").splitlines()[0].endswith("."), name
        command.add_arguments(argparse.ArgumentParser())
        assert callable(command.run)


def test_an_unknown_command_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lunch"]) == cli.USAGE_ERROR
    assert "Did you mean 'launch'" in capsys.readouterr().err


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    assert "doctor" in capsys.readouterr().out


def test_no_command_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in cli.command_names())


def test_our_errors_become_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.launch.xml"
    broken.write_text("<launch>\n<nod/>\n</launch>")
    assert cli.main(["launch", str(broken)]) == cli.USAGE_ERROR
    error = capsys.readouterr().err
    assert f"{broken}:2" in error
    assert "Traceback" not in error


def test_launch_runs_a_file_passes_arguments_and_returns_the_exit_code(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    file = tmp_path / "a.launch.xml"
    (tmp_path / "x.sh").write_text("echo ran; exit $1")
    file.write_text(
        '<launch><arg name="code" default="0"/><executable cmd="sh $(dirname)/x.sh $(var code)" name="x" output="screen"/></launch>'
    )
    assert cli.main(["launch", str(file), "code:=7"]) == 7
    assert "[x] ran" in capsys.readouterr().out
    (log,) = (tmp_path / "log").glob("*/launch.log")
    assert "[x] ran" in log.read_text()


def test_show_args_lists_arguments_and_starts_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "a.launch.xml"
    file.write_text(
        '<launch><arg name="speed" default="1.0" description="override, 0 to 1"/><arg name="robot"><choice value="panda"/></arg>'
        '<executable cmd="touch $(dirname)/ran"/></launch>'
    )
    assert cli.main(["launch", str(file), "--show-args"]) == 0
    shown = capsys.readouterr().out
    assert "speed:  default '1.0'\n    override, 0 to 1" in shown
    assert "robot:  (required)\n    one of: panda" in shown
    assert not (tmp_path / "ran").exists()


def test_a_bare_name_is_looked_up_among_the_package_s_files(tmp_path: Path) -> None:
    file = tmp_path / "demo.launch.xml"
    file.write_text("<launch/>")
    assert launch.find_launch_file("demo", tmp_path) == file
    assert launch.find_launch_file("demo.launch.xml", tmp_path) == file
    assert launch.find_launch_file(str(file), Path("/nowhere")) == file
    with pytest.raises(ConfigError, match="Unknown launch file 'demos'; valid: demo"):
        launch.find_launch_file("demos", tmp_path)


@pytest.mark.parametrize("words", [["speed=1"], [":=1"], ["a:=1", "a:=2"]])
def test_malformed_arguments_are_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError):
        launch.parse_arguments(words)


@pytest.mark.parametrize("given", [{"speed": "1"}, {"speed": "0"}, {"speed": "0.25"}, {"seed": "7"}, {"dry_run": "true"}])
def test_whole_numbers_are_speeds_too(given: dict[str, str]) -> None:
    launch.check_choices(given)


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("speed", "7", "a number 0 to 1"),
        ("speed", "-0.1", "a number 0 to 1"),
        ("speed", "fast", "a number 0 to 1"),
        ("speed", "", "a number 0 to 1"),
        ("seed", "1.5", "a whole number from 0 on"),
        ("seed", "-1", "a whole number from 0 on"),
        ("dry_run", "maybe", "true or false"),
        ("dry_run", "1", "true or false"),
    ],
)
def test_a_value_out_of_range_is_named_and_nothing_starts(name: str, value: str, valid: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["launch", "demo", f"{name}:={value}"]) != 0
    shown = capsys.readouterr()
    assert f"The launch argument '{name}' is '{value}'; valid: {valid}." in shown.out + shown.err


def test_values_may_hold_the_separator() -> None:
    assert launch.parse_arguments(["remap:=a:=b", "empty:="]) == {"remap": "a:=b", "empty": ""}
