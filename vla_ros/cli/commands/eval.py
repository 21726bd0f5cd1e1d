"""Measure how often a goal succeeds: the whole graph, launched once, the scene sampled anew for each seed.

Each finished seed is appended to FILE at once; --resume goes on from there. Judged by the stack's verifier and by the simulator's scorer.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from vla_ros.cli.numbers import number

DEFAULT_GOAL = "put the red cube in the blue bowl"
DEFAULT_OUT = "runs/eval.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is evaluated, and where the rows go."""
    parser.add_argument("--goal", default=DEFAULT_GOAL, help=f'default: "{DEFAULT_GOAL}"')
    parser.add_argument("--seeds", default="0-19", help="as 0-19 or 0-4,7 (default: 0-19)")
    parser.add_argument("--robot", default="panda", help="name in config/robots")
    parser.add_argument("--scene", default="tabletop", help="name in config/scenes")
    parser.add_argument("--out", type=Path, default=Path(DEFAULT_OUT), help=f"file of finished seeds (default: {DEFAULT_OUT})")
    parser.add_argument("--resume", action="store_true", help="go on with the file")
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON (progress then goes to stderr)")
    parser.add_argument("--time-limit", type=number(0.0, above=True), default=120.0, metavar="S", help="for one goal, in seconds")
    parser.add_argument("--keep-bags", action="store_true", help="keep every bag, not only those of failures and of the first success")


def run(options: argparse.Namespace) -> int:
    """The exit code is 0 when every seed ran, whatever came of it."""
    import sys

    from vla_ros.cli.graph import Graph
    from vla_ros.cli.running_graph import RunningGraph
    from vla_ros.cli.seed_runner import SeedRunner
    from vla_ros.evaluation.episodes import EpisodeFile, Setup, report
    from vla_ros.evaluation.seeds import parse_seeds
    from vla_ros.evaluation.truth import truth_of
    from vla_ros.robots import load_robot
    from vla_ros.simulation.scene_config import load_scene

    def say(text: str) -> None:
        print(text, file=sys.stderr if options.json else sys.stdout, flush=True)

    seeds = parse_seeds(options.seeds)
    arm, scene = load_robot(options.robot), load_scene(options.scene)
    truth = truth_of(options.goal, scene.objects, arm.config.gripper.width_open_m)
    setup = Setup(options.goal, options.robot, options.scene)
    file = EpisodeFile(options.out, setup, resume=options.resume)
    todo = file.remaining(seeds)
    if todo:
        runs = options.out.parent.resolve() / f"{options.out.stem}_runs"
        arguments = {"robot": options.robot, "scene": options.scene, "pictures": "false", "runs": str(runs)}
        log = Path("log") / f"eval_{time.strftime('%Y%m%dT%H%M%S')}.log"
        with RunningGraph("demo", arguments, log, say) as running, Graph("vla_eval") as graph:
            running.wait_until_ready(graph)
            runner = SeedRunner(graph, running, arm, truth, options.goal, options.time_limit, keep_bags=options.keep_bags)
            for seed in todo:
                try:
                    row = runner.run(seed)
                except KeyboardInterrupt:
                    done = len(seeds) - len(file.remaining(seeds))
                    say(f"Interrupted: {done} of {len(seeds)} seeds are in {options.out}; --resume goes on from there.")
                    raise
                file.append(row)
                marks = f"stack {'yes' if row.succeeded else 'NO'}, scorer {'yes' if row.scorer_succeeded else 'NO'}"
                say(
                    f"seed {seed:4d}: {marks}, {row.time_s or 0:5.1f} s, {row.recoveries} recoveries, "
                    f"{row.interventions} interventions. {row.message}"
                )
    whole = report(setup, seeds, file.rows)
    print(json.dumps(whole, indent=2, ensure_ascii=False) if options.json else summary(whole))
    return 0


def summary(whole: dict[str, Any]) -> str:
    """The report in a few lines."""
    low, high = whole["both_interval_95"]
    lines = [
        f"{whole['goal']} ({whole['robot']}, {whole['scene']}): {whole['episodes']} episodes",
        f"  verified by the stack {whole['succeeded']}, by the scorer {whole['scorer_succeeded']}, by both {whole['both_succeeded']} "
        f"(95 %: {low:.0%} to {high:.0%})",
        f"  disagreements: {whole['disagreements'] or 'none'}",
        f"  recoveries {whole['recoveries']}, interventions of the monitor {whole['interventions']}",
    ]
    return "\n".join(lines)
