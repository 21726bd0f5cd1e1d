"""What goes wrong on the way to the gate: messages that do not come, come late, twice, out of order, in floods, or as nonsense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any

import numpy as np

from vla_ros.core.actions import ActionChunk, GatedCommand
from vla_ros.core.robot_state import ContactState, JointState
from vla_ros.core.scene import CameraFault, CameraHealth, Scene
from vla_ros.core.tasks import Plan
from vla_ros.safety.gate import Gate

FLOOD = 50  # copies of each message
NS_PER_S = 1_000_000_000
CLOCK_OFF_NS = 2 * NS_PER_S


class Mode(StrEnum):
    """What happens to the messages of one source."""

    KILLED = "killed"  # no more of them
    HUNG = "hung"  # none for a while, then all at once
    LATE = "late"  # each after a delay
    NONSENSE = "nonsense"  # values that are not finite, or a report of a fault
    DUPLICATED = "duplicated"
    REORDERED = "reordered"  # each second one after the next
    DROPPED = "dropped"  # each second one
    CLOCK_BACK = "clock back"  # stamped two seconds too early
    CLOCK_FORWARD = "clock forward"
    FLOOD = "flood"


class FaultyEars:
    """From ``begin`` on the messages of ``source`` suffer from ``mode``; all others go straight to the gate."""

    def __init__(self, gate: Gate, source: str, mode: Mode | None, delay_s: float) -> None:
        self._gate, self._source, self._mode, self._delay_ns = gate, source, mode, round(delay_s * NS_PER_S)
        self._now_ns = 0
        self._count = 0
        self._begun_ns: int | None = None
        self._waiting: list[tuple[int, Callable[[], object]]] = []
        self.last_good_ns = 0  # stamp of the newest message of the source that arrived as it should
        self.first_bad_ns: int | None = None  # when the first message arrived that shows the fault by itself

    def begin(self, now_ns: int) -> None:
        """Now it goes wrong."""
        self._begun_ns = now_ns

    def advance(self, now_ns: int) -> None:
        """Time passes: what was held up arrives."""
        self._now_ns = now_ns
        due = [send for at_ns, send in self._waiting if at_ns <= now_ns]
        self._waiting = [(at_ns, send) for at_ns, send in self._waiting if at_ns > now_ns]
        for send in due:
            send()

    def on_joint_state(self, state: JointState) -> None:
        """As the gate's."""
        self._pass("joint_states", self._gate.on_joint_state, state)

    def on_contact(self, contact: ContactState) -> None:
        """As the gate's."""
        self._pass("contact", self._gate.on_contact, contact)

    def on_camera_health(self, health: CameraHealth) -> None:
        """As the gate's."""
        self._pass("camera_health", self._gate.on_camera_health, health)

    def on_heartbeat(self, node: str, steady_ns: int) -> None:
        """As the gate's; the time is that of its arrival."""
        self._pass(f"heartbeat of {node}", lambda beat: self._gate.on_heartbeat(beat[0], max(beat[1], self._now_ns)), (node, steady_ns))

    def on_deadman(self, is_pressed: bool) -> None:
        """As the gate's; the time is that of its arrival."""
        self._pass("deadman", lambda pressed: self._gate.on_deadman(pressed, self._now_ns), is_pressed)

    def on_scene(self, scene: Scene) -> None:
        """As the gate's, whose refusal the node tells."""
        self._pass("objects", self._on_scene, scene)

    def on_plan(self, plan: Plan) -> None:
        """As the gate's."""
        self._pass("plan", self._gate.on_plan, plan)

    def on_chunk(self, chunk: ActionChunk, now_ns: int) -> None:
        """As the gate's."""
        self._pass("action_chunk", lambda c: self._gate.on_chunk(c, self._now_ns), chunk)

    def on_command(self, command: GatedCommand, forward: Callable[[GatedCommand], object]) -> None:
        """On the way out: from the gate to ``forward``."""
        self._pass("commands", forward, command)

    def _on_scene(self, scene: Scene) -> None:
        try:
            self._gate.on_scene(scene)
        except ValueError:  # the node tells it and goes on: what counts is that the gate keeps what it knew
            return

    def _pass(self, source: str, take: Callable[[Any], object], value: Any) -> None:
        if source != self._source or self._begun_ns is None or self._mode is None:
            take(value)
            if source == self._source:
                self.last_good_ns = self._now_ns
            return
        self._count += 1
        faults: dict[Mode, Callable[[], None]] = {
            Mode.KILLED: lambda: None,
            Mode.HUNG: lambda: self._hold_up(self._begun_ns or 0, take, value),
            Mode.LATE: lambda: self._hold_up(self._now_ns, take, value),
            Mode.NONSENSE: lambda: self._spoil(take, nonsense(value)),
            Mode.DUPLICATED: lambda: self._repeat(2, take, value),
            Mode.REORDERED: lambda: self._swap(take, value),
            Mode.DROPPED: lambda: self._repeat(self._count % 2, take, value),
            Mode.CLOCK_BACK: lambda: self._spoil(take, _shifted(value, -CLOCK_OFF_NS)),
            Mode.CLOCK_FORWARD: lambda: self._spoil(take, _shifted(value, CLOCK_OFF_NS)),
            Mode.FLOOD: lambda: self._repeat(FLOOD, take, value),
        }
        faults[self._mode]()

    def _hold_up(self, since_ns: int, take: Callable[[Any], object], value: Any) -> None:
        self._waiting.append((max(since_ns + self._delay_ns, self._now_ns), lambda: take(value)))

    def _spoil(self, take: Callable[[Any], object], value: Any) -> None:
        self.first_bad_ns = self.first_bad_ns or self._now_ns
        take(value)

    def _repeat(self, times: int, take: Callable[[Any], object], value: Any) -> None:
        for _ in range(times):
            take(value)
        if times:
            self.last_good_ns = self._now_ns

    def _swap(self, take: Callable[[Any], object], value: Any) -> None:
        """The even ones wait until the odd ones after them have arrived."""
        if self._count % 2 == 0:
            self._waiting.append((1 << 62, lambda: take(value)))
            return
        take(value)
        for _, send in self._waiting:
            send()
        self._waiting.clear()
        self.last_good_ns = self._now_ns


def nonsense(value: Any) -> Any:
    """The same kind of message, of which nothing can be made."""
    if isinstance(value, JointState):
        return replace(value, positions=np.full(len(value.names), np.nan))
    if isinstance(value, ContactState):
        return replace(value, fingers=tuple(replace(finger, force_n=float("nan")) for finger in value.fingers))
    if isinstance(value, CameraHealth):
        return replace(value, fault=CameraFault.BLACK, usable=False, detail="The image is black.")
    if isinstance(value, Scene):
        return replace(value, objects=tuple(replace(thing, size_m=np.full(3, np.nan)) for thing in value.objects))
    if isinstance(value, ActionChunk):
        data = np.array(value.data)
        data[-1, 0] = np.nan
        return replace(value, data=data)
    if isinstance(value, bool):  # a switch that is pressed
        return not value
    if isinstance(value, tuple):  # a heartbeat
        return ("nobody", value[1])
    if isinstance(value, Plan):
        return replace(value, subtasks=(), goal=())
    raise TypeError(f"no nonsense is known for {type(value).__name__}")


def _shifted(value: Any, by_ns: int) -> Any:
    return replace(value, stamp_ns=value.stamp_ns + by_ns)
