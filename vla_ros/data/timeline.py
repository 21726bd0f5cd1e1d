"""timeline.png: one picture that shows a run - subtasks, the gate, joint motion against its limits, gripper, touch."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.geometry import Array
from vla_ros.core.outcomes import Outcome, ReportStatus
from vla_ros.data.run_signals import Decision, RunSignals
from vla_ros.robots.values import JointLimits

WIDTH_PX, HEIGHT_PX, DPI = 1600, 1200, 100
ACTION_COLOURS = {
    SafetyAction.PASS: "#2e9e5b",
    SafetyAction.SLOW: "#e0a800",
    SafetyAction.HOLD: "#e8731a",
    SafetyAction.STOP: "#cc2233",
}
MODE_COLOURS = {
    SafetyMode.STARTING: "#9aa0a6",
    SafetyMode.READY: ACTION_COLOURS[SafetyAction.PASS],
    SafetyMode.SLOWED: ACTION_COLOURS[SafetyAction.SLOW],
    SafetyMode.HOLDING: ACTION_COLOURS[SafetyAction.HOLD],
    SafetyMode.STOPPED_LATCHED: ACTION_COLOURS[SafetyAction.STOP],
}
_SUBTASK_COLOURS = ("#4c78a8", "#72b7b2", "#b279a2", "#9d755d", "#7b9e3b", "#5f6caf")
_FAILED_EDGE = ACTION_COLOURS[SafetyAction.STOP]
_OUTCOME_COLOURS = {
    Outcome.SUCCEEDED.word: "#1d7a43",
    Outcome.FAILED.word: "#b01c2e",
    Outcome.CANCELED.word: "#8a6d00",
    Outcome.REFUSED.word: "#8a6d00",
    Outcome.DRY_RUN.word: "#8a6d00",
}
_CHARACTERS_WIDE = 190  # that fit into the width of the axes at 9 points


def save_timeline(signals: RunSignals, limits: JointLimits, path: Path) -> None:
    """Writes the picture of a run, 1600 x 1200 pixels, as PNG."""
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        6, 1, height_ratios=[2.0, 2.2, 3.1, 3.1, 1.3, 1.7], left=0.085, right=0.985, top=0.905, bottom=0.05, hspace=0.16
    )
    rows: list[Axes] = []
    for k in range(6):
        rows.append(figure.add_subplot(grid[k], sharex=rows[0] if rows else None))
    end_s = max(signals.duration_s, 0.1)
    _draw_subtasks(rows[0], signals, end_s)
    _draw_gate(rows[1], signals, end_s)
    _draw_fractions(
        rows[2], signals.joints.times_s, signals.joints.velocities / limits.velocity_radps, signals.joint_names, "speed / limit\n(measured)"
    )
    command = signals.command
    _draw_fractions(
        rows[3],
        command.times_s,
        command.accelerations / limits.acceleration_radps2,
        signals.joint_names,
        "acceleration / limit\n(gated command)",
    )
    _draw_gripper(rows[4], signals)
    _draw_touch(rows[5], signals)
    _draw_title(figure, signals)
    _draw_keys(figure)
    _finish(rows, signals, end_s)
    figure.savefig(path, format="png")


def _draw_subtasks(axes: Axes, signals: RunSignals, end_s: float) -> None:
    """Spans with names above, events of the goal below."""
    for k, span in enumerate(signals.subtasks):
        width = max(span.end_s - span.start_s, 0.002 * end_s)
        ended_badly = span.status in (ReportStatus.FAILED, ReportStatus.CANCELED)
        edge = _FAILED_EDGE if ended_badly else "white"
        colour = _SUBTASK_COLOURS[k % len(_SUBTASK_COLOURS)]
        axes.barh(1.0, width, left=span.start_s, height=0.8, color=colour, edgecolor=edge, linewidth=2, hatch="//" if ended_badly else None)
        name = _fit(span.name, width / end_s)
        axes.text(
            span.start_s + width / 2, 1.0, name, ha="center", va="center", color="white", fontsize=8, weight="bold", bbox=_plate(colour)
        )
    _draw_markers(axes, 0.0, _events(signals), end_s)
    axes.set_ylim(-0.75, 1.5)
    axes.set_yticks([0, 1], ["events", "subtasks"])
    axes.tick_params(axis="y", length=0)


def _events(signals: RunSignals) -> list[tuple[float, str, str]]:
    """(time, label, colour) of the goal's events and of subtasks that ended badly."""
    failed = [s for s in signals.subtasks if s.status in (ReportStatus.FAILED, ReportStatus.CANCELED)]
    marks = [(e.time_s, e.label, "#333333") for e in signals.events]
    causes = [(s.end_s, s.status.name.lower(), s.reason or signals.reason) for s in failed]  # one that never began has no reason of its own
    return sorted(
        marks + [(end_s, f"{status}: {cause}" if cause not in ("", status) else status, _FAILED_EDGE) for end_s, status, cause in causes]
    )


def _draw_gate(axes: Axes, signals: RunSignals, end_s: float) -> None:
    """The monitor's mode and what it did with the commands; what was not passed is named."""
    modes = [(m.time_s, MODE_COLOURS[m.mode]) for m in signals.modes]
    actions = [(d.time_s, ACTION_COLOURS[d.action]) for d in signals.decisions]
    _draw_lane(axes, 2.0, modes, end_s)
    _draw_lane(axes, 1.0, actions, end_s)
    restricted = _changes(signals.decisions)
    _draw_markers(axes, 0.0, restricted, end_s)
    axes.set_ylim(-0.75 if restricted else 0.4, 2.5)
    axes.set_yticks([0, 1, 2][not restricted :], ["reasons", "gate", "safety mode"][not restricted :])
    axes.tick_params(axis="y", length=0)


def _changes(decisions: Sequence[Decision]) -> list[tuple[float, str, str]]:
    """(time, reason, colour) where the monitor began to restrict a motion for a reason; each chunk may bring the same decision again."""
    marks: list[tuple[float, str, str]] = []
    before = (SafetyAction.PASS, "")
    for d in decisions:
        now = (d.action, d.reason)
        if d.action != SafetyAction.PASS and now != before:
            marks.append((d.time_s, d.reason, ACTION_COLOURS[d.action]))
        before = now
    return marks


def _draw_lane(axes: Axes, y: float, changes: Sequence[tuple[float, str]], end_s: float) -> None:
    """A bar that takes a new colour at each change."""
    starts = [t for t, _ in changes]
    widths = np.diff([*starts, max(end_s, *starts)] if starts else [0.0])
    axes.barh([y] * len(starts), widths, left=starts, height=0.8, color=[c for _, c in changes], linewidth=0)


def _draw_markers(axes: Axes, y: float, marks: Sequence[tuple[float, str, str]], end_s: float) -> None:
    """A triangle for each (time, label, colour); its label in the first of two lines that has room, or none."""
    free_from = [-np.inf, -np.inf]
    for time_s, label, colour in marks:
        axes.plot([time_s], [y + 0.35], marker="v", color=colour, markersize=6, clip_on=False)
        width_s = (len(label) + 2) * end_s / _CHARACTERS_WIDE
        left_s = max(min(time_s, end_s - width_s), 0.004 * end_s)  # clear of the axis
        line = next((k for k, free_s in enumerate(free_from) if left_s >= free_s), None)
        if line is not None:
            axes.text(left_s, y + 0.15 - 0.4 * line, label, ha="left", va="top", fontsize=9, color=colour)
            free_from[line] = left_s + width_s


def _draw_fractions(axes: Axes, times_s: Array, fractions: Array, names: Iterable[str], label: str) -> None:
    """One line for each joint; 1 is its limit."""
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    magnitudes = np.abs(fractions)
    for k, name in enumerate(names):
        axes.plot(times_s, magnitudes[:, k], color=colours[k], linewidth=1.0, label=name)
    axes.axhline(1.0, color=_FAILED_EDGE, linewidth=1.5, linestyle="--")
    largest = float(np.nanmax(magnitudes)) if np.isfinite(magnitudes).any() else 0.0
    axes.set_ylim(0.0, 1.3 * max(1.0, largest))  # the legend has its own band above
    axes.set_ylabel(label)
    colour = _FAILED_EDGE if largest > 1.0 else "black"
    axes.text(
        0.995, 0.96, f"largest {largest:.2f}", transform=axes.transAxes, ha="right", va="top", fontsize=9, weight="bold", color=colour
    )
    axes.legend(loc="upper left", ncols=7, fontsize=8, framealpha=0.9, borderpad=0.3)


def _draw_gripper(axes: Axes, signals: RunSignals) -> None:
    axes.plot(signals.gripper_times_s, signals.gripper_width_m * 1000, color="#333333", linewidth=1.2)
    axes.set_ylim(0, max(85.0, 1050 * float(np.max(signals.gripper_width_m, initial=0.0))))
    axes.set_ylabel("gripper\n[mm]")


def _draw_touch(axes: Axes, signals: RunSignals) -> None:
    contact = signals.contact
    for k, (finger, colour) in enumerate(zip(contact.fingers, ("#1f77b4", "#d62728", "#2ca02c"), strict=False)):
        axes.plot(contact.times_s, contact.force_n[:, k], color=colour, linewidth=1.2, label=finger)
    if contact.fingers:
        axes.legend(loc="upper left", ncols=len(contact.fingers), fontsize=8, framealpha=0.9, borderpad=0.3)
    axes.set_ylim(0, max(5.0, 1.1 * float(np.max(contact.force_n, initial=0.0))))
    axes.set_ylabel("touch\n[N]")
    axes.set_xlabel("time since the start [s]")


def _draw_title(figure: Figure, signals: RunSignals) -> None:
    instruction = textwrap.shorten(signals.instruction or "(no instruction)", 95, placeholder=" ...")
    figure.text(0.085, 0.962, f"\u201c{instruction}\u201d", fontsize=18, weight="bold", va="center")
    outcome = signals.outcome or "outcome unknown"
    details = [outcome + (f": {signals.reason}" if signals.reason else ""), f"{signals.duration_s:.1f} s", signals.damage]
    text = textwrap.shorten(" \u00b7 ".join(d for d in details if d), 95, placeholder=" ...")
    figure.text(0.085, 0.928, text, fontsize=13, va="center", color=_OUTCOME_COLOURS.get(signals.outcome, "#555555"))


def _draw_keys(figure: Figure) -> None:
    keys = [Patch(color=colour, label=action.name) for action, colour in ACTION_COLOURS.items()]
    figure.legend(handles=keys, ncols=4, loc="upper right", bbox_to_anchor=(0.985, 0.945), fontsize=10, frameon=False)


def _finish(rows: Sequence[Axes], signals: RunSignals, end_s: float) -> None:
    """What all rows share: grid, range, a light line where a subtask begins."""
    rows[0].set_xlim(0.0, end_s)
    for axes in rows:
        axes.grid(axis="x", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelbottom=axes is rows[-1])
        for span in signals.subtasks:
            axes.axvline(span.start_s, color="#888888", linewidth=0.8, linestyle=":")


def _plate(colour: str) -> dict[str, object]:
    """A plain background that keeps a name legible on a hatched span."""
    return {"facecolor": colour, "edgecolor": "none", "pad": 1.5}


def _fit(text: str, share_of_width: float) -> str:
    """``text`` in at most three lines that a span of this share of the width can hold; nothing where it is too narrow for words."""
    columns = int(share_of_width * _CHARACTERS_WIDE * 0.85)
    return "\n".join(textwrap.wrap(text, columns, max_lines=3, placeholder=" ...")) if columns >= 6 else ""
