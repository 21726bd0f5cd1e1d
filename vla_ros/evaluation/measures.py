"""How one episode went, in numbers, from the signals in its bag."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array
from vla_ros.core.interventions import Interventions
from vla_ros.data.run_signals import Decision, JointSignal, RunSignals, SubtaskSpan
from vla_ros.robots import Box
from vla_ros.robots.values import JointLimits

_PATH_STEP_S = 0.05  # summing at the full rate would add up the noise of the encoders


@dataclass(frozen=True)
class Measures:
    """NaN: there was nothing to measure it from."""

    duration_s: float
    path_length_m: float  # of the TCP
    margin_position_rad: float  # smallest distance of any joint to its limits; negative: beyond
    margin_workspace_m: float  # smallest distance of the TCP to the border of the workspace; negative: outside
    peak_speed: float  # largest measured joint speed as a share of its limit
    peak_force_n: float  # largest normal force on a finger
    peak_jerk_radps3: float  # of the gated command, over all joints
    rms_jerk_radps3: float
    interventions: int  # times that the monitor slowed, held or stopped a motion
    recoveries: int  # attempts at subtasks beyond the first


def measure(signals: RunSignals, limits: JointLimits, workspace: Box, fk: Callable[[Array], Array]) -> Measures:
    """``fk`` maps joint positions [dof] to T_base_tcp [4, 4]; ``workspace`` is given in that base frame."""
    inside = signals.joints.times_s >= 0.0
    positions = signals.joints.positions[inside]
    tcp = _tcp_positions(signals.joints.times_s[inside], positions, fk)
    jerk = command_jerk(signals.command)
    return Measures(
        duration_s=signals.duration_s,
        path_length_m=float(np.linalg.norm(np.diff(tcp, axis=0), axis=1).sum()) if len(tcp) else math.nan,
        margin_position_rad=_smallest(np.minimum(positions - limits.position_min_rad, limits.position_max_rad - positions)),
        margin_workspace_m=_smallest(np.minimum(tcp - workspace.min_m, workspace.max_m - tcp)),
        peak_speed=_largest(np.abs(signals.joints.velocities[inside]) / limits.velocity_radps),
        peak_force_n=_largest(signals.contact.force_n),
        peak_jerk_radps3=_largest(np.abs(jerk)),
        rms_jerk_radps3=float(np.sqrt(np.mean(jerk**2))) if jerk.size else math.nan,
        interventions=count_interventions(signals.decisions),
        recoveries=count_recoveries(signals.subtasks),
    )


def command_jerk(command: JointSignal) -> Array:
    """[n - 1, dof] rad/s3: what the commanded acceleration changed by between ticks."""
    if len(command.times_s) < 2:
        return np.zeros((0, command.positions.shape[1]))
    jerk: Array = np.diff(command.accelerations, axis=0) / np.diff(command.times_s)[:, None]
    return jerk


def count_interventions(decisions: Sequence[Decision]) -> int:
    """Decisions not to let a motion through as it was."""
    interventions = Interventions()
    for decision in decisions:
        interventions.note(decision.action, decision.reason)
    return interventions.count


def count_recoveries(subtasks: Sequence[SubtaskSpan]) -> int:
    """Attempts beyond the first of each subtask, whether reported one by one or in sum."""
    attempts: dict[str, int] = {}
    spans: dict[str, int] = {}
    for span in subtasks:
        attempts[span.id] = max(attempts.get(span.id, 0), span.attempts)
        spans[span.id] = spans.get(span.id, 0) + 1
    return sum(max(attempts[key], spans[key]) - 1 for key in attempts)


def _tcp_positions(times_s: Array, positions: Array, fk: Callable[[Array], Array]) -> Array:
    """[m, 3], one for each step of 50 ms, and the last one."""
    if not len(times_s):
        return np.zeros((0, 3))
    steps = np.floor((times_s - times_s[0]) / _PATH_STEP_S + 1e-9)
    chosen = np.unique(np.concatenate([np.flatnonzero(np.diff(steps, prepend=-1.0)), [len(times_s) - 1]]))
    return np.array([fk(positions[k])[:3, 3] for k in chosen])


def _smallest(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.min()) if finite.size else math.nan


def _largest(values: Array) -> float:
    return -_smallest(-values)
