"""Start a simulated robot and the whole stack, do one goal, show it, verify it, and end everything.

The exit code is 0 only when the goal was verified.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

DEFAULT_GOAL = "put the red cube in the blue bowl"
PICTURES_TIMEOUT_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The goal and what it is done in."""
    parser.add_argument("instruction", nargs="?", default=DEFAULT_GOAL, help=f'default: "{DEFAULT_GOAL}"')
    parser.add_argument("--seed", type=int, default=0, help="of the scene's sampler")
    parser.add_argument("--robot", default="panda", help="name in config/robots")
    parser.add_argument("--scene", default="tabletop", help="name in config/scenes")
    parser.add_argument("--speed", type=float, default=1.0, help="speed override, 0 to 1")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder under which the run's folder is made")
    parser.add_argument("--time-limit", type=float, default=120.0, metavar="S", help="for the goal, in seconds")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from vla_ros.cli.graph import Graph
    from vla_ros.cli.run_goal import follow_goal
    from vla_ros.cli.running_graph import RunningGraph
    from vla_ros.data.run_folder import check_free_space, needed_bytes
    from vla_ros.robots.config import load_robot_config
    from vla_ros.simulation.scene_config import load_scene

    def say(text: str) -> None:
        print(text, flush=True)

    load_robot_config(options.robot)  # a wrong name is told at once, not by a node's log
    load_scene(options.scene)
    options.runs.mkdir(parents=True, exist_ok=True)
    check_free_space(options.runs, needed_bytes("train", options.time_limit))
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
        result = follow_goal(graph, options.instruction, options.time_limit, say)
        say(f"  {time.monotonic() - started_s:.1f} s from launch to result")
        if result.run_folder:
            show_pictures(Path(result.run_folder), say)
    return 0 if result.verified else 1


def show_pictures(folder: Path, say: object) -> None:
    """Waits for what the recorder's picture process makes."""
    assert callable(say)
    wanted = [folder / "timeline.png", folder / "video.mp4"]
    give_up_s = time.monotonic() + PICTURES_TIMEOUT_S
    while any(not path.exists() for path in wanted) and time.monotonic() < give_up_s:
        time.sleep(0.2)
    for path in [folder / "result.json", folder / "bag", *wanted]:
        say(f"  {'made  ' if path.exists() else 'absent'}  {path}")
