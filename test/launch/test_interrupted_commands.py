"""A command that ends, or is ended, while its graph runs leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from ros_harness import wait_until

pytestmark = pytest.mark.launch

ENDED_S = 40.0
COMMANDS = {"eval": ["eval", "--seeds", "0-1", "--json"], "demo": ["demo"]}


def heed_signals() -> None:
    """Under nohup the tests' own process passes on that a hang-up is to be ignored."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("command", "number"),
    [("eval", signal.SIGINT), ("eval", signal.SIGTERM), ("demo", signal.SIGINT), ("demo", signal.SIGHUP), ("demo", signal.SIGKILL)],
)
def test_its_graph_ends_with_it(tmp_path: Path, command: str, number: signal.Signals) -> None:
    log = tmp_path / "output"
    with log.open("wb") as output:
        words = [sys.executable, "-m", "vla_ros.cli.main", *COMMANDS[command]]
        process = psutil.Popen(words, cwd=tmp_path, stdout=output, stderr=output, preexec_fn=heed_signals)
    wait_until(lambda: len(process.children(recursive=True)) > 10, "the nodes", 60.0)
    started = process.children(recursive=True)
    process.send_signal(number)
    try:
        code = process.wait(ENDED_S)
    except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
        process.kill()
        raise
    assert code == (-9 if number == signal.SIGKILL else 130)
    _, alive = psutil.wait_procs(started, timeout=ENDED_S)
    assert alive == [], log.read_text()
