"""Measure the whole graph doing a goal (times, pace, processor, memory, ticks, images), or with `gate` the gate before an adversary.

Each launch takes about 70 s. Let nothing else run meanwhile. No file is kept. The exit code is 0 only when every goal was verified.

`vla bench gate` measures the safety gate alone, without ROS: an adversary publishes whatever it likes, and an oracle that is independent of
the gate judges what would have reached the arm. The exit code is 0 only when it found no breach.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

DEFAULT_GOAL = "put the red cube in the blue bowl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is done, and how often."""
    parser.add_argument(
        "subject", nargs="?", choices=("graph", "gate"), default="graph", help="what is measured (default: the whole graph)"
    )
    parser.add_argument("--commands", type=int, default=20_000, metavar="N", help="of the gate's bench: ticks of 10 ms (default: 20000)")
    parser.add_argument("--goal", default=DEFAULT_GOAL, help=f'default: "{DEFAULT_GOAL}"')
    parser.add_argument("--seed", type=int, default=0, help="of the scene's sampler")
    parser.add_argument("--robot", default="panda", help="name in config/robots")
    parser.add_argument("--scene", default="tabletop", help="name in config/scenes")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="launches; with several, the median is shown (default: 1)")
    parser.add_argument("--time-limit", type=float, default=120.0, metavar="S", help="for one goal, in seconds")
    parser.add_argument("--json", action="store_true", help="print everything as JSON (progress then goes to stderr)")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    return _run_gate(options) if options.subject == "gate" else _run_graph(options)


def _run_gate(options: argparse.Namespace) -> int:
    import sys

    from vla_ros.core.errors import ConfigError
    from vla_ros.evaluation.gate_bench import GateBench

    if options.commands < 1:
        raise ConfigError(f"--commands is {options.commands}; give 1 or more.")
    bench, tenths = GateBench(options.robot, options.seed), 0

    def progress(done: int) -> None:
        nonlocal tenths
        if 10 * done // options.commands > tenths:
            tenths = 10 * done // options.commands
            breaches = bench.figures.breaches.count
            print(f"{min(done / options.commands, 1.0):4.0%}  {done} commands, {breaches} breaches", file=sys.stderr, flush=True)

    bench.run(options.commands, progress)
    summary = bench.figures.summary(options.robot)
    print(json.dumps(summary, indent=2) if options.json else "\n".join(f"{key:15s} {value}" for key, value in summary.items()))
    return 0 if summary["breaches"] == 0 else 1


def _run_graph(options: argparse.Namespace) -> int:
    import sys

    from vla_ros.cli.bench.machine import describe_machine
    from vla_ros.cli.bench.measurement import Bench, measure_launch
    from vla_ros.cli.bench.report import rounded, table, typical
    from vla_ros.core.errors import ConfigError
    from vla_ros.core.resources import share_dir
    from vla_ros.data.versions import collect_versions
    from vla_ros.robots import load_robot_config
    from vla_ros.simulation.scene_config import load_scene

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if options.runs < 1:
        raise ConfigError(f"--runs is {options.runs}; give 1 or more.")
    load_scene(options.scene)  # a wrong name is told at once, not by a node's log
    bench = Bench(options.goal, load_robot_config(options.robot), options.scene, options.seed, options.time_limit)
    machine = describe_machine()
    if machine["load_before"] > 1.0:
        say(f"The machine is not quiet (load {machine['load_before']:.1f}): the figures will be worse than the graph is.")
    launches = [measure_launch(bench, say) for _ in range(options.runs)]
    report: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "goal": options.goal,
        "robot": options.robot,
        "scene": options.scene,
        "seed": options.seed,
        "verified": sum(launch["verified"] for launch in launches),
        "machine": machine,
        "versions": collect_versions(share_dir()),
        "median": typical(launches),
        "launches": launches,
    }
    print(json.dumps(rounded(report), indent=2, ensure_ascii=False) if options.json else table(report))
    return 0 if report["verified"] == options.runs else 1
