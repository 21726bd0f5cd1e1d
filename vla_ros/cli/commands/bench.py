"""Measure the whole graph doing a goal (times, pace, processor, memory, ticks, images), or with `gate` the gate before an adversary.

Each launch takes about 70 s. Let nothing else run meanwhile. No file is kept. The exit code is 0 only when every goal was verified.

`vla bench gate` measures the safety gate alone, without ROS: an adversary publishes whatever it likes, and an oracle that is independent of
the gate judges what would have reached the arm. With `--baselines` the same adversary, and reasonable goals among obstacles, go through
three other ways of keeping an arm safe, side by side. The exit code is 0 only when the oracle found no breach of the gate's.
Whole episodes of 400 commands are run. What it prints: commands, chunks among them, samples_1khz that the oracle judged, breaches (samples
that break a limit or touch), stops (decisions to hold or stop, by reason), held (times that the arm was brought to rest), rescued (times
that it was carried home from a collision), moved_rad (the way of all joints), p50_ms to max_ms (processor time of one command), moving_...
(while a chunk was followed), wall_... (by the wall clock).

`vla bench messages` sends mutated messages to each topic that the gate listens to, in the same way. The exit code is 0 only when nothing
crashed and the oracle found no breach.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from vla_ros.cli.numbers import number, whole_number

# What can be measured, and the options that only it has.
OPTIONS = {"graph": ("goal", "scene", "runs", "time_limit"), "gate": ("commands", "baselines", "goals"), "messages": ("mutants", "topic")}
DEFAULT_GOAL = "put the red cube in the blue bowl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is done, and how often."""
    parser.add_argument("subject", nargs="?", choices=tuple(OPTIONS), default="graph", help="what is measured (default: the whole graph)")
    parser.add_argument(
        "--commands", type=whole_number(1), default=20_000, metavar="N", help="gate: ticks of 10 ms, in episodes of 400 (default: 20000)"
    )
    parser.add_argument("--baselines", action="store_true", help="gate: beside a box clamp, reject-only and a pose check at 10 Hz")
    parser.add_argument(
        "--goals", type=whole_number(1), default=60, metavar="N", help="gate --baselines: goals for each of them (default: 60)"
    )
    parser.add_argument(
        "--mutants", type=whole_number(1), default=100_000, metavar="N", help="messages: mutants for each topic (default: 100000)"
    )
    parser.add_argument("--topic", default="", metavar="NAME", help="messages: one topic only")
    parser.add_argument("--goal", default=DEFAULT_GOAL, help=f'graph: default: "{DEFAULT_GOAL}"')
    parser.add_argument("--scene", default="tabletop", help="graph: name in config/scenes")
    parser.add_argument(
        "--runs", type=whole_number(1), default=1, metavar="N", help="graph: launches; with several, the median is shown (default: 1)"
    )
    parser.add_argument("--time-limit", type=number(0.0, above=True), default=120.0, metavar="S", help="graph: for one goal, in seconds")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of the scene's sampler, or of the adversary")
    parser.add_argument("--robot", default="panda", help="name in config/robots")
    parser.add_argument("--json", action="store_true", help="print everything as JSON (progress then goes to stderr)")
    parser.set_defaults(default_of=parser.get_default)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    _check_options(options)
    return {"graph": _run_graph, "gate": _run_gate, "messages": _run_messages}[options.subject](options)


def _check_options(options: argparse.Namespace) -> None:
    """An option of another subject would say something about a measurement that it has no influence on."""
    from vla_ros.core.errors import ConfigError

    for subject, names in OPTIONS.items():
        for name in names:
            if subject != options.subject and getattr(options, name) != options.default_of(name):
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(f"{option} is for `vla bench {subject}`; `vla bench {options.subject}` does not use it.")
    if options.goals != options.default_of("goals") and not options.baselines:
        raise ConfigError("--goals is for `vla bench gate --baselines`; without it there are no goals.")
    for name in ("commands", "goals", "mutants", "runs"):
        if getattr(options, name) < 1:
            raise ConfigError(f"--{name} is {getattr(options, name)}; give 1 or more.")


def _run_gate(options: argparse.Namespace) -> int:
    from vla_ros.core.scheduling import settle
    from vla_ros.evaluation.gate_bench import GateBench

    if options.baselines:
        return _run_comparison(options)
    bench = GateBench(options.robot, options.seed)
    settle()  # as the monitor's process does
    tell = _Tenths(options.commands, "commands")
    bench.run(options.commands, lambda done: tell(done, f"{bench.figures.breaches.count} breaches"))
    summary = bench.figures.summary(options.robot)
    print(json.dumps(summary, indent=2) if options.json else "\n".join(f"{key:15s} {value}" for key, value in summary.items()))
    return 0 if summary["breaches"] == 0 else 1


def _run_comparison(options: argparse.Namespace) -> int:
    import sys

    from vla_ros.evaluation.gate_comparison import GATE, compare, has_breach, table

    found = compare(options.robot, options.commands, options.goals, options.seed, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(found, indent=2) if options.json else table(found))
    return 1 if has_breach(found[GATE]) else 0


def _run_messages(options: argparse.Namespace) -> int:
    import sys

    from vla_ros.cli.bench.message_fuzz import TOPICS, fuzz_topic
    from vla_ros.core.errors import ConfigError, unknown_choice

    names = [topic.name for topic in TOPICS]
    if options.topic and options.topic not in names:
        raise ConfigError(unknown_choice("topic", options.topic, names))
    found = []
    for topic in (t for t in TOPICS if options.topic in ("", t.name)):
        print(topic.name, file=sys.stderr, flush=True)
        found.append(fuzz_topic(topic, options.robot, options.mutants, options.seed, _Tenths(options.mutants, "mutants")))
    print(json.dumps(found, indent=2) if options.json else "\n".join(_line(f) for f in found))
    return 0 if not any(f["breaches"] or f["crashes"] for f in found) else 1


def _line(found: dict[str, Any]) -> str:
    kept = f"{found['crashes']} crashes, {found['breaches']} breaches {found['breach_kinds'] or ''}"
    text = f"{found['topic']:22s} {found['mutants']} mutants, {found['unread']} unreadable, {kept}; the arm moved {found['moved_rad']} rad"
    return text + (f"\n{found['first_crash']}" if found["crashes"] else "")


class _Tenths:
    """Tells each tenth of the work on stderr."""

    def __init__(self, whole: int, unit: str) -> None:
        self._whole, self._unit, self._told = whole, unit, 0

    def __call__(self, done: int, more: str = "") -> None:
        import sys

        tenths = 10 * done // self._whole
        if tenths > self._told:
            self._told = tenths
            words = ", ".join(filter(None, (f"{done} {self._unit}", more)))
            print(f"{min(done / self._whole, 1.0):4.0%}  {words}", file=sys.stderr, flush=True)


def _run_graph(options: argparse.Namespace) -> int:
    import sys

    from vla_ros.cli.bench.machine import describe_machine
    from vla_ros.cli.bench.measurement import Bench, measure_launch
    from vla_ros.cli.bench.report import rounded, table, typical
    from vla_ros.core.resources import share_dir
    from vla_ros.data.versions import collect_versions
    from vla_ros.robots import load_robot_config
    from vla_ros.simulation.scene_config import load_scene

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

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
