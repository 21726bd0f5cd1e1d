"""Start a simulated robot and the whole stack, do one goal, show it, verify it, and end everything.

The exit code is 0 only when the goal was verified.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from vla_ros.cli.numbers import number, whole_number
from vla_ros.core.errors import ConfigError, DataError, PlanningError
from vla_ros.data.run_folder import RunFolder, check_free_space, needed_bytes

DEFAULT_GOAL = "put the red cube in the blue bowl"
DEFAULT_EXPERT = "scripted"
FINISH_TIMEOUT_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The goal and what it is done in."""
    parser.add_argument("instruction", nargs="?", default=DEFAULT_GOAL, help=f'default: "{DEFAULT_GOAL}"')
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of the scene's sampler")
    parser.add_argument("--robot", default="panda", help="name in config/robots")
    parser.add_argument("--scene", default="tabletop", help="name in config/scenes")
    parser.add_argument("--speed", type=float, default=1.0, help="speed override, 0 to 1")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder under which the run's folder is made")
    parser.add_argument("--time-limit", type=number(0.0, above=True), default=120.0, metavar="S", help="for the goal, in seconds")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    check(options)

    from vla_ros.cli.graph import Graph
    from vla_ros.cli.run_goal import follow_goal
    from vla_ros.cli.running_graph import RunningGraph

    def say(text: str) -> None:
        print(text, flush=True)

    arguments = {
        "robot": options.robot,
        "scene": options.scene,
        "seed": str(options.seed),
        "speed": str(options.speed),
        "runs": str(options.runs.resolve()),
    }
    log = Path("log") / f"demo_{time.strftime('%Y%m%dT%H%M%S')}.log"
    started_s = time.monotonic()
    with RunningGraph("demo", arguments, log, say) as running, Graph("vla_demo") as graph:
        ready_s = running.wait_until_ready(graph)
        say(f"Ready after {ready_s:.1f} s. Goal: {options.instruction}")
        result = follow_goal(graph, options.instruction, options.time_limit, say, check=running.check)
        say(f"  {time.monotonic() - started_s:.1f} s from launch to result")
        if result.run_folder:
            finish(RunFolder(Path(result.run_folder)), options.seed, say)
    return 0 if result.verified else 1


def check(options: argparse.Namespace) -> None:
    """What is wrong with the options is told at once, not by a node's log. Raises VlaRosError."""
    from vla_ros.experts.registry import require_robot
    from vla_ros.robots.config import load_robot_config
    from vla_ros.simulation.scene_config import load_scene

    if not options.instruction.strip():
        raise PlanningError(f'The instruction is empty; say what to do, for example "{DEFAULT_GOAL}".')
    if not 0.0 <= options.speed <= 1.0:
        raise ConfigError(f"--speed is {options.speed:g}; it is a share of the full speed, from 0 to 1.")
    require_robot(DEFAULT_EXPERT, load_robot_config(options.robot).name)
    load_scene(options.scene)
    try:
        options.runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot create the folder for runs {options.runs}: {error.strerror}; choose another one with --runs.") from error
    check_free_space(options.runs, needed_bytes(options.time_limit))


def finish(folder: RunFolder, seed: int, say: Callable[[str], None]) -> None:
    """Waits for what the recorder's process makes of the bag; adds the scene's seed, which only this command knows, to the result."""
    give_up_s = time.monotonic() + FINISH_TIMEOUT_S
    while time.monotonic() < give_up_s and not (folder.result.exists() and "measures" in folder.read_result()):
        time.sleep(0.2)
    if folder.result.exists():
        folder.add_to_result(seed=seed)
    for path in (folder.result, folder.bag, folder.timeline, folder.video):
        say(f"  {'made  ' if path.exists() else 'absent'}  {path}")
