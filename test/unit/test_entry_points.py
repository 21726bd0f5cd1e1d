"""What make, ./vla, .ci/run and check.sh call, and with which words: run for real, between stand-ins that note how they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
NOTE = '#!/usr/bin/env bash\n{ printf %s "${0##*/}"; [[ $# == 0 ]] || printf " [%s]" "$@"; echo; } >>"$NOTES"\n'
ENVIRONMENT = 'VLA_ROS_ROOT=$(dirname "$NOTES"); PATH=$VLA_ROS_ROOT/bin:$PATH; VLA_ROS_IMAGE_PROFILES=images.xml\n'
GOAL = """put the "red" cube in the dog's bowl; then go home"""


class Copy:
    """A checkout of a few files in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        (folder / "bin").mkdir()
        (folder / "scripts/env.sh").write_text(ENVIRONMENT)

    def take(self, *names: str) -> None:
        """The checkout's own files."""
        for name in names:
            (self.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(CHECKOUT / name, self.folder / name)

    def stand_in(self, *names: str, exit_code: int = 0) -> None:
        for name in names:
            path = self.folder / name
            path.write_text(f"{NOTE}exit {exit_code}\n")
            path.chmod(0o755)

    def run(self, *command: str) -> tuple[int, str]:
        """(exit code, what it says), from another folder."""
        notes = self.folder / "notes"
        notes.touch()
        environment = {"PATH": f"{self.folder}/bin:{os.environ.get('PATH', os.defpath)}", "NOTES": str(notes)}
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    @property
    def calls(self) -> list[str]:
        return (self.folder / "notes").read_text().splitlines()


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        (["demo"], ["vla [demo] [put the red cube in the blue bowl] [--seed] [0] [--robot] [panda]"]),
        (
            ["demo", f"GOAL={GOAL}", "SEED=7", "ROBOT=my arm.yaml", "SCENE=stacking"],
            [f"vla [demo] [{GOAL}] [--seed] [7] [--robot] [my arm.yaml] [--scene] [stacking]"],
        ),
        (["test"], ["check.sh [lint] [test]"]),
        (["lint"], ["check.sh [lint]"]),
        (["setup"], []),
        (["build"], []),
    ],
)
def test_each_target_of_make_sets_up_and_calls_the_command_that_it_is_for(copy: Copy, words: list[str], calls: list[str]) -> None:
    copy.take("Makefile")
    copy.stand_in("vla", "scripts/setup.sh", "scripts/check.sh")
    code, said = copy.run("make", "-C", str(copy.folder), *words)
    assert code == 0, said
    assert copy.calls == ["setup.sh", *calls]


def test_make_fails_with_its_command_and_does_nothing_without_a_set_up(copy: Copy) -> None:
    copy.take("Makefile")
    copy.stand_in("scripts/setup.sh")
    copy.stand_in("vla", "scripts/check.sh", exit_code=1)
    assert [copy.run("make", "-C", str(copy.folder), target)[0] for target in ("demo", "test", "lint")] == [2, 2, 2]
    before = len(copy.calls)
    copy.stand_in("scripts/setup.sh", exit_code=1)
    assert copy.run("make", "-C", str(copy.folder), "test")[0] == 2
    assert copy.calls[before:] == ["setup.sh"]


def test_continuous_integration_runs_make_test_in_the_checkout(copy: Copy) -> None:
    copy.take(".ci/run")
    copy.stand_in("bin/make", exit_code=3)
    (copy.folder / "bin/make").write_text((copy.folder / "bin/make").read_text().replace("exit", 'pwd >>"$NOTES"; exit'))
    assert copy.run(str(copy.folder / ".ci/run"))[0] == 3
    assert copy.calls == ["make [test]", str(copy.folder)]


def test_the_command_of_the_checkout_sets_up_and_hands_its_words_on(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy.take("vla")
    copy.stand_in("scripts/setup.sh")
    copy.stand_in("bin/vla", exit_code=4)
    link = tmp_path_factory.mktemp("elsewhere") / "vla"
    link.symlink_to(copy.folder / "vla")
    assert copy.run(str(link), "goal", GOAL)[0] == 4
    assert copy.calls == ["setup.sh", f"vla [goal] [{GOAL}]"]
    copy.stand_in("scripts/setup.sh", exit_code=1)
    assert copy.run(str(link), "goal")[0] == 1
    assert copy.calls[2:] == ["setup.sh"]


def test_an_emergency_stop_does_not_wait_for_the_set_up_of_what_is_set_up(copy: Copy) -> None:
    copy.take("vla")
    copy.stand_in("scripts/setup.sh", "bin/vla")
    copy.run(str(copy.folder / "vla"), "estop")
    (copy.folder / ".venv").mkdir()
    (copy.folder / ".venv/stamp").touch()
    copy.run(str(copy.folder / "vla"), "estop")
    assert copy.calls == ["setup.sh", "vla [estop]", "vla [estop]"]


@pytest.mark.parametrize(("python", "pytest_code", "code"), [(0, 0, 0), (0, 1, 1), (1, 0, 1)])
def test_the_tests_do_not_pass_where_rclpy_is_broken(copy: Copy, python: int, pytest_code: int, code: int) -> None:
    copy.take("scripts/check.sh")
    copy.stand_in("bin/python", exit_code=python)
    copy.stand_in("bin/pytest", exit_code=pytest_code)
    found, said = copy.run("bash", str(copy.folder / "scripts/check.sh"), "test")
    assert found == code
    assert copy.calls[0] == "python [-c] [import rclpy]"
    runs = copy.calls[1:]
    assert len(runs) == (3 if python == 0 else 0), "those of the gate, whose coverage is measured, those of raw images, and all others"
    assert all(run.startswith("pytest [--quiet]") for run in runs)
    assert ("rclpy cannot be imported" in said) == (python != 0)


def test_lint_fails_with_each_of_its_checks_and_shows_what_it_said(copy: Copy) -> None:
    copy.take("scripts/check.sh")
    checks = ("bin/ruff", "bin/mypy", "bin/lint-imports")
    copy.stand_in(*checks)
    assert copy.run("bash", str(copy.folder / "scripts/check.sh"), "lint")[0] == 0
    for bad in checks:
        copy.stand_in(*checks)
        (copy.folder / bad).write_text("#!/usr/bin/env bash\necho something is wrong\nexit 1\n")
        code, said = copy.run("bash", str(copy.folder / "scripts/check.sh"), "lint")
        assert code == 1
        assert "something is wrong" in said
