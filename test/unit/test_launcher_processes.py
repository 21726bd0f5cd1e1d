"""The supervisor, with real processes: exit codes, respawn, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vla_ros.launcher.evaluation import ProcessSpec
from vla_ros.launcher.guard import processes_of
from vla_ros.launcher.processes import Supervisor

WAIT_S = 15.0
LAUNCHER = """
import os, sys
from pathlib import Path
from vla_ros.launcher.evaluation import load_processes
from vla_ros.launcher.processes import Supervisor
processes = load_processes(Path(sys.argv[1]), {}, dict(os.environ))
sys.exit(Supervisor(processes, lambda line: print(line, flush=True), interrupt_s=0.3, terminate_s=0.3).run())
"""
# A node that asks to be let alone, with a child in a session of its own that does too.
STUBBORN = "trap '' INT TERM; setsid sh -c 'trap \"\" INT TERM; echo ready; sleep 60' & sleep 60; wait"


def spec(name: str, script: str, **options: object) -> ProcessSpec:
    return ProcessSpec(name, ("sh", "-c", script), dict(os.environ), **options)  # type: ignore[arg-type]


def run(*processes: ProcessSpec) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = Supervisor(processes, lines.append, interrupt_s=0.3, terminate_s=0.3).run()
    return code, lines


def wait_until(condition: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True


def test_output_carries_the_name_and_a_last_line_without_end_is_kept() -> None:
    code, lines = run(spec("talker", "echo one; printf two >&2"))
    assert code == 0
    assert sorted(line for line in lines if "talker]" in line) == ["[talker] one", "[talker] two"]


def test_only_errors_of_a_process_with_output_log_are_shown(tmp_path: Path) -> None:
    with (tmp_path / "launch.log").open("w+") as log:
        lines: list[str] = []
        Supervisor([spec("quiet", "echo out; echo err >&2", on_screen=False)], lines.append, log).run()
        log.seek(0)
        written = log.read()
    assert "[quiet] err" in lines
    assert "[quiet] out" not in lines
    assert "[quiet] out" in written


def test_the_failed_process_is_named_with_its_exit_code() -> None:
    code, lines = run(spec("fine", "exit 0"), spec("broken", "exit 3"))
    assert code == 3
    assert any("'broken' failed with exit code 3" in line for line in lines)


def test_a_killed_process_is_named_with_the_signal() -> None:
    code, lines = run(spec("victim", "kill -SEGV $$"))
    assert code == 128 + signal.SIGSEGV
    assert any("'victim' was killed by SIGSEGV" in line for line in lines)


def test_a_command_that_is_not_there_is_named() -> None:
    code, lines = run(ProcessSpec("ghost", ("/no/such/program",), {}))
    assert code == 127
    assert any("'ghost' cannot be started: No such file" in line for line in lines)


def test_the_launch_ends_with_the_process_it_cannot_do_without() -> None:
    code, lines = run(spec("keeps going", "sleep 60"), spec("boss", "exit 4", shutdown_on_exit=True))
    assert code == 4
    assert any("'boss' has ended" in line for line in lines)


def test_the_launch_ends_with_a_process_that_could_not_start_and_goes_on_without_one_that_was_killed() -> None:
    processes = (spec("keeps going", "sleep 0.6; echo alive; sleep 60"), spec("killed", "kill -9 $$"), spec("late", "sleep 1; exit 3"))
    lines: list[str] = []
    supervisor = Supervisor(processes, lines.append, interrupt_s=0.3, terminate_s=0.3, cannot_start=3)
    assert supervisor.run() != 0
    assert "[keeps going] alive" in lines
    assert "[launch] stopping: 'late' could not start, and the launch ends with it" in lines


def test_respawn_starts_again_as_often_as_allowed(tmp_path: Path) -> None:
    _, lines = run(spec("phoenix", "echo up; exit 1", respawn=True, respawn_delay_s=0.01, respawn_max_retries=2))
    assert lines.count("[phoenix] up") == 3


def test_the_rest_of_a_group_goes_with_its_leader(tmp_path: Path) -> None:
    child = tmp_path / "child"
    run(spec("parent", f"sleep 60 & echo $! > {child}"))
    assert wait_until(lambda: not Path(f"/proc/{child.read_text().strip()}").exists())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_launcher(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "stubborn.sh").write_text(STUBBORN)
    (tmp_path / "a.launch.xml").write_text(
        f'<launch><set_env name="VLA_ROS_LAUNCH_IDS" value="{tmp_path}"/>'
        f'<executable cmd="sh {tmp_path}/stubborn.sh" name="stubborn" output="screen"/>'
        '<executable cmd="sleep 60" name="polite"/></launch>'
    )
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path / "a.launch.xml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "[stubborn] ready\n"
        assert len(processes_of(str(tmp_path))) >= 4
        launcher.send_signal(number)
        launcher.stdout.read()
    assert wait_until(lambda: processes_of(str(tmp_path)) == [])
    assert launcher.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 0)


def test_a_stop_from_another_thread_ends_the_launch() -> None:
    stopped: list[str] = []

    def report(line: str) -> None:
        stopped.append(line)
        if line == "[a] up":
            supervisor.stop("enough")

    supervisor = Supervisor([spec("a", "echo up; sleep 60")], report, interrupt_s=0.3)
    assert supervisor.run() == 0
    assert "[launch] stopping: enough" in stopped
