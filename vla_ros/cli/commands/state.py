"""Say whether the arm may move, why not, and what to do about it.

`vla state` reads what the safety monitor says of itself (safety/state); the reasons are those of docs/reference/safety.md.
"""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Once, or at each change."""
    parser.add_argument("--follow", action="store_true", help="go on, with a line at each change, until Ctrl-C")


def run(options: argparse.Namespace) -> int:
    """Print the monitor's state, or its changes."""
    from vla_ros.cli.graph import Graph
    from vla_ros.ros.interfaces import SAFETY_STATE

    shown: list[tuple[int, str]] = []

    def show_change(message: Any) -> None:
        if not shown or shown[-1] != (message.mode, message.reason):
            shown.append((message.mode, message.reason))
            print("\n".join(state_lines(message)), flush=True)

    with Graph("vla_state") as graph:
        if not options.follow:
            print("\n".join([*state_lines(message := graph.first(SAFETY_STATE)), *input_lines(message)]))
            return 0
        graph.first(SAFETY_STATE, show_change)
        graph.spin_until(lambda: False, float("inf"))
    return 0


def state_lines(message: Any) -> list[str]:
    """Mode, reason and detail of a SafetyState message, and what to do where there is anything to do."""
    from vla_ros.core.decisions import UNDISTURBED, SafetyMode, SafetyReason
    from vla_ros.core.reasons import MEANINGS

    reason = SafetyReason(message.reason)
    lines = [f"{SafetyMode(message.mode).name} ({reason.value}): {message.detail}"]
    if reason not in UNDISTURBED or message.mode not in (SafetyMode.READY, SafetyMode.SLOWED):
        lines.append(f"  What to do: {MEANINGS[reason].to_do}")
    return lines


def input_lines(message: Any) -> list[str]:
    """The speed override, the nearest pair and how old each input is."""
    nearest = f"; nearest: {message.nearest}, {message.clearance * 1000:.0f} mm beyond what is kept" if message.nearest else ""
    ages = zip(message.input_names, message.input_ages, strict=True)
    told = ", ".join(f"{name} {'never' if age == float('inf') else f'{age:.2f} s ago'}" for name, age in ages)
    return [f"  Speed override {message.speed_override:g}{nearest}.", f"  Last heard of: {told}."]
