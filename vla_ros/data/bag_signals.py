"""Reads a run's bag into RunSignals. Topics are found by their type, so a namespace or a remapping changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.errors import DataError
from vla_ros.core.geometry import Array
from vla_ros.core.outcomes import EpisodeEvent, ReportStatus
from vla_ros.core.stamps import NS_PER_S, s_from_ns
from vla_ros.data.bag_reader import BagReader
from vla_ros.data.run_signals import (
    ContactSignal,
    Decision,
    JointSignal,
    ModeChange,
    Note,
    RunSignals,
    SubtaskSpan,
)
from vla_ros.robots.values import GripperBinding


def read_run_signals(
    bag: Path, joint_names: Sequence[str], gripper: GripperBinding, *, namespace: str = "", instruction: str = ""
) -> RunSignals:
    """The signals of one arm's run; ``gripper`` tells its opening from its joint.

    ``namespace``: only topics below it; ``instruction``: used where the bag names none.

    Raises DataError when the bag cannot be read or holds no joint states of ``joint_names``.
    """
    with BagReader(bag) as reader:
        found = _Collector(tuple(joint_names), gripper)
        topics = {t for t, kind in reader.types.items() if kind in found.handlers and t.startswith(namespace.rstrip("/") + "/")}
        for message in reader.messages(topics):
            found.handlers[message.type](message.data)
        return found.signals(instruction, reader.damage, bag)


class _Collector:
    """Takes messages one by one; stamps stay integers until the start of the run is known."""

    def __init__(self, joint_names: tuple[str, ...], gripper: GripperBinding) -> None:
        self.joint_names = joint_names
        self.gripper = gripper
        self.joints: list[tuple[int, Array, Array]] = []
        self.widths: list[tuple[int, float]] = []  # of the gripper [m]
        self.commands: list[tuple[int, Array]] = []
        self.contacts: list[tuple[int, tuple[str, ...], Array]] = []
        self.reports: list[tuple[int, Any]] = []
        self.decisions: list[tuple[int, Any]] = []
        self.states: list[tuple[int, Any]] = []
        self.reasoning: list[tuple[int, Any]] = []
        self.plans: list[tuple[int, Any]] = []
        self.episodes: list[tuple[int, Any]] = []
        self.handlers: dict[str, Callable[[Any], None]] = {
            "sensor_msgs/msg/JointState": self._joint_state,
            "vla_ros/msg/GatedCommand": self._command,
            "vla_ros/msg/ContactState": self._contact,
            "vla_ros/msg/SubtaskReport": _appender(self.reports),
            "vla_ros/msg/SafetyDecision": _appender(self.decisions),
            "vla_ros/msg/SafetyState": self._state,
            "vla_ros/msg/ReasoningTrace": _appender(self.reasoning),
            "vla_ros/msg/Plan": _appender(self.plans),
            "vla_ros/msg/Episode": _appender(self.episodes),
        }

    def _joint_state(self, msg: Any) -> None:
        index = {name: i for i, name in enumerate(msg.name)}
        stamp_ns = _stamp_ns(msg)
        if all(name in index for name in self.joint_names):
            rows = [index[name] for name in self.joint_names]
            velocity = msg.velocity[rows] if len(msg.velocity) else np.full(len(rows), np.nan)
            self.joints.append((stamp_ns, msg.position[rows], velocity))
        if self.gripper.joint in index:
            self.widths.append((stamp_ns, self.gripper.width_from_position(float(msg.position[index[self.gripper.joint]]))))

    def _command(self, msg: Any) -> None:
        dof = len(self.joint_names)
        if tuple(msg.joint_names) != self.joint_names or len(msg.time_from_start) == 0:
            return
        first = np.concatenate([msg.positions[:dof], msg.velocities[:dof], msg.accelerations[:dof]])
        self.commands.append((_time_ns(msg.start) + round(float(msg.time_from_start[0]) * NS_PER_S), first))

    def _contact(self, msg: Any) -> None:
        self.contacts.append((_stamp_ns(msg), tuple(msg.fingers), np.array(msg.force)))

    def _state(self, msg: Any) -> None:
        """Only changes are kept; the state itself is published all the time."""
        key = (msg.mode, msg.reason)
        if not self.states or (self.states[-1][1].mode, self.states[-1][1].reason) != key:
            self.states.append((_stamp_ns(msg), msg))

    def signals(self, instruction: str, damage: str, bag: Path) -> RunSignals:
        if not self.joints:
            raise DataError(f"{bag} holds no joint states of {', '.join(self.joint_names)}; was the right robot given?")
        # The last one: earlier episodes are told again to whoever subscribes late.
        started = next(((t, e) for t, e in reversed(self.episodes) if e.event == EpisodeEvent.STARTED), None)
        start_ns = started[0] if started else self.joints[0][0]
        finished = next(((t, e) for t, e in reversed(self.episodes) if e.event == EpisodeEvent.FINISHED and t >= start_ns), None)
        end_ns = finished[0] if finished else max(self.joints[-1][0], start_ns)
        names = [started[1].instruction if started else "", *(p.instruction for t, p in self.plans if t >= start_ns), instruction]
        gripper = _increasing([(t, np.array([w])) for t, w in self.widths], 1, start_ns)
        return RunSignals(
            instruction=next((n for n in names if n), ""),
            outcome=finished[1].outcome if finished else "",
            reason=finished[1].reason if finished else "",
            start_ns=start_ns,
            duration_s=s_from_ns(end_ns - start_ns),
            joint_names=self.joint_names,
            joints=self._measured(start_ns),
            command=self._commanded(start_ns),
            gripper_times_s=gripper[0],
            gripper_width_m=gripper[1][:, 0],
            contact=self._contacts(start_ns),
            subtasks=_spans(self.reports, start_ns, end_ns),
            decisions=tuple(_decision(s_from_ns(t - start_ns), d) for t, d in self.decisions),
            modes=tuple(ModeChange(s_from_ns(t - start_ns), SafetyMode(s.mode), s.reason, s.detail) for t, s in self.states),
            reasoning=tuple(Note(s_from_ns(t - start_ns), r.phase, r.text) for t, r in self.reasoning),
            events=self._events(start_ns),
            damage=damage,
        )

    def _measured(self, start_ns: int) -> JointSignal:
        dof = len(self.joint_names)
        times_s, values = _increasing([(t, np.concatenate([q, v])) for t, q, v in self.joints], 2 * dof, start_ns)
        return JointSignal(times_s, values[:, :dof], values[:, dof:], np.zeros((0, dof)))

    def _commanded(self, start_ns: int) -> JointSignal:
        dof = len(self.joint_names)
        times_s, values = _increasing(self.commands, 3 * dof, start_ns)
        return JointSignal(times_s, values[:, :dof], values[:, dof : 2 * dof], values[:, 2 * dof :])

    def _contacts(self, start_ns: int) -> ContactSignal:
        fingers = self.contacts[0][1] if self.contacts else ()
        times_s, force_n = _increasing([(t, f) for t, names, f in self.contacts if names == fingers], len(fingers), start_ns)
        return ContactSignal(fingers, times_s, force_n)

    def _events(self, start_ns: int) -> tuple[Note, ...]:
        """What happened to the goal: plans made, and the episode's own events."""
        plans = [(t, "plan" if p.revision == 0 else f"plan {p.revision}", p.explanation) for t, p in self.plans]
        labels = {EpisodeEvent.STARTED: "start", EpisodeEvent.FINISHED: "end"}
        episodes = [(t, labels.get(e.event, e.text or "mark"), e.outcome or e.text) for t, e in self.episodes]
        return tuple(Note(s_from_ns(t - start_ns), label, text) for t, label, text in sorted(plans + episodes) if t >= start_ns)


def _appender(into: list[tuple[int, Any]]) -> Callable[[Any], None]:
    return lambda msg: into.append((_stamp_ns(msg), msg))


def _stamp_ns(msg: Any) -> int:
    return _time_ns(msg.header.stamp)


def _time_ns(stamp: Any) -> int:
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def _increasing(rows: Sequence[tuple[int, Array]], columns: int, start_ns: int) -> tuple[Array, Array]:
    """times_s [n] and values [n, columns], without samples that repeat a stamp or go back in time (after a reset of the clock)."""
    stamps = np.array([t for t, _ in rows], dtype=np.int64)
    values = np.array([v for _, v in rows], dtype=float).reshape(len(rows), columns)
    if not len(rows):
        return np.zeros(0), values
    keep = np.concatenate([[True], stamps[1:] > np.maximum.accumulate(stamps)[:-1]])
    return (stamps[keep] - start_ns) / NS_PER_S, values[keep]


def _spans(reports: Sequence[tuple[int, Any]], start_ns: int, end_ns: int) -> tuple[SubtaskSpan, ...]:
    """Spans from reports: a running one opens a span, a final one closes it, or gives it by its own duration."""
    spans: list[SubtaskSpan] = []
    running: dict[str, tuple[int, Any]] = {}
    for stamp_ns, report in reports:
        if report.status == ReportStatus.RUNNING:
            running.setdefault(report.subtask_id, (stamp_ns, report))
            continue
        opened_ns = running.pop(report.subtask_id, (stamp_ns - round(report.duration * NS_PER_S), None))[0]
        spans.append(_span(report, s_from_ns(opened_ns - start_ns), s_from_ns(stamp_ns - start_ns)))
    spans += [_span(report, s_from_ns(t - start_ns), s_from_ns(end_ns - start_ns)) for t, report in running.values()]
    return tuple(sorted(spans, key=lambda s: s.start_s))


def _span(report: Any, start_s: float, end_s: float) -> SubtaskSpan:
    status = ReportStatus(report.status)
    return SubtaskSpan(report.subtask_id, report.description, start_s, end_s, status, int(report.attempts), report.reason)


def _decision(time_s: float, msg: Any) -> Decision:
    return Decision(time_s, SafetyAction(msg.action), msg.reason, msg.detail, float(msg.margin_position), float(msg.margin_workspace))
