"""The gate and the ways of others, side by side: the same adversary, the same goals, the same oracle, in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from vla_ros.evaluation.box_clamp import BoxClamp
from vla_ros.evaluation.gate_bench import GateBench
from vla_ros.evaluation.gate_goals import KINDS, Reaches, run_goals, summary
from vla_ros.evaluation.gate_oracle import BREACHES
from vla_ros.evaluation.gate_rig import Filter, GateRig, rig_without_gate
from vla_ros.evaluation.pose_check import PoseCheck
from vla_ros.evaluation.reject_only import RejectOnly
from vla_ros.robots import Arm, load_robot
from vla_ros.safety.config import SafetyConfig

GATE = "gate"
WAYS: Mapping[str, Callable[[Arm, SafetyConfig], Filter] | None] = {
    GATE: None,
    "box clamp": BoxClamp,
    "reject only": RejectOnly,
    "pose check 10 Hz": PoseCheck,
}


def compare(robot: str, commands: int, goals: int, seed: int, say: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Name of the way -> {"adversary": as GateFigures.summary, "goals": as gate_goals.summary}."""
    say(f"Sampling {goals} goals ...")
    reaches = Reaches(load_robot(robot))
    tasks = [reaches.sample(n) for n in range(seed * goals, (seed + 1) * goals)]
    found = {}
    for name, make in WAYS.items():
        say(f"{name}: the adversary ...")
        bench = GateBench(robot, seed, instead=make)
        bench.run(commands)
        say(f"{name}: {goals} goals ...")
        make_rig = partial(rig_without_gate, robot, make) if make else partial(GateRig, robot)
        outcomes = run_goals(make_rig, reaches.planner, tasks)
        found[name] = {"adversary": bench.figures.summary(robot), "goals": summary(outcomes)}
    return found


def has_breach(found: Mapping[str, Any]) -> bool:
    """Of what one way came to."""
    return bool(found["adversary"]["breaches"] or any(kind["goals_with_breach"] for kind in found["goals"].values()))


def table(found: Mapping[str, Any]) -> str:
    """As docs/benchmarks.md gives it."""
    lines = [f"| figure | {' | '.join(found)} |", f"| {' | '.join(['---'] * (len(found) + 1))} |"]
    for what, value in _ROWS:
        lines.append(f"| {what} | {' | '.join(value(of) for of in found.values())} |")
    return "\n".join(lines)


def _adversary(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda of: str(of["adversary"][key])


def _samples(kind: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda of: str(of["adversary"]["breach_kinds"].get(kind, 0))


def _goals(kind: str, text: Callable[[Mapping[str, Any]], str]) -> Callable[[Mapping[str, Any]], str]:
    return lambda of: text(of["goals"][kind])


_ROWS: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = [
    ("adversary: commands", _adversary("commands")),
    *((f"adversary: samples of 1 ms in breach, {kind}", _samples(kind)) for kind in BREACHES),
    ("adversary: way of all joints, rad", _adversary("moved_rad")),
    ("adversary: holds and stops", _adversary("held")),
    ("adversary: CPU per command, p50 / p99.9, ms", lambda of: f"{of['adversary']['p50_ms']} / {of['adversary']['p999_ms']}"),
    ("adversary: wall per command, p50 / p99.9, ms", lambda of: f"{of['adversary']['wall_p50_ms']} / {of['adversary']['wall_p999_ms']}"),
]
for _kind in KINDS:
    _words = f"goals, {_kind.replace('_', ' ')}"
    _ROWS += [
        (
            f"{_words}: reached, of those without any breach",
            _goals(_kind, lambda g: f"{g['reached']} of {g['goals']}, {g['reached_without_breach']}"),
        ),
        (f"{_words}: goals with a collision", _goals(_kind, lambda g: str(g["collided"]))),
        (f"{_words}: other breaches", _goals(_kind, lambda g: _others(g["goals_with_breach"]))),
        (f"{_words}: stops", _goals(_kind, lambda g: str(g["stops"]))),
        (f"{_words}: median time of those reached, s", _goals(_kind, lambda g: "-" if g["median_s"] is None else f"{g['median_s']:.2f}")),
    ]


def _others(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in kinds.items() if kind != "collision") or "none"
