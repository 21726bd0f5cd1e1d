"""Faults by name, for tests and robustness runs: what can go wrong with cameras, sensors, objects and the arm, with start and duration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from vla_ros.core.errors import SimulationError, unknown_choice
from vla_ros.core.robot_state import JointState
from vla_ros.core.stamps import ns_from_s
from vla_ros.simulation.tactile import TactileReading
from vla_ros.simulation.world import World


class FaultKind(StrEnum):
    """What can go wrong; ``RULES`` says what each acts on and how strongly."""

    CAMERA_BLACK = "camera_black"
    CAMERA_FROZEN = "camera_frozen"
    CAMERA_BLURRED = "camera_blurred"
    CAMERA_SATURATED = "camera_saturated"
    CAMERA_DIRTY = "camera_dirty"
    CAMERA_LATE = "camera_late"
    JOINT_NOISE = "joint_noise"
    OBJECT_DROPPED = "object_dropped"
    OBJECT_SLIPPERY = "object_slippery"
    TACTILE_DEAD = "tactile_dead"
    DISTURBANCE = "disturbance"


@dataclass(frozen=True)
class _Rule:
    target: str  # what the fault's target names: "camera", "finger", "object", "body", or "" for none
    amount: float  # unless the caller says otherwise
    unit: str  # of the amount, for people
    duration_s: float = math.inf


RULES: Mapping[FaultKind, _Rule] = {
    FaultKind.CAMERA_BLACK: _Rule("camera", 0.0, ""),
    FaultKind.CAMERA_FROZEN: _Rule("camera", 0.0, ""),
    FaultKind.CAMERA_BLURRED: _Rule("camera", 8.0, "px, standard deviation"),
    FaultKind.CAMERA_SATURATED: _Rule("camera", 6.0, "times too bright"),
    FaultKind.CAMERA_DIRTY: _Rule("camera", 0.4, "of the lens covered"),
    FaultKind.CAMERA_LATE: _Rule("camera", 0.5, "s of delay"),
    FaultKind.JOINT_NOISE: _Rule("", 0.01, "rad, standard deviation"),
    FaultKind.OBJECT_DROPPED: _Rule("object", 0.001, "friction", 0.5),
    FaultKind.OBJECT_SLIPPERY: _Rule("object", 0.1, "friction"),
    FaultKind.TACTILE_DEAD: _Rule("finger", 0.0, ""),
    FaultKind.DISTURBANCE: _Rule("body", 30.0, "N to the left", 0.5),
}


@dataclass(frozen=True)
class InjectedFault:
    """One thing that goes wrong at one place for some time."""

    kind: FaultKind
    target: str
    start_ns: int
    duration_s: float
    amount: float

    def is_active(self, now_ns: int) -> bool:
        """Whether it acts at ``now_ns``."""
        if now_ns < self.start_ns:
            return False
        return math.isinf(self.duration_s) or now_ns < self.start_ns + ns_from_s(self.duration_s)


class Faults:
    """The faults of one simulated robot, and what they do to its body and its measurements."""

    def __init__(self, world: World, seed: int = 0) -> None:
        self._world = world
        self._rng = np.random.default_rng(seed)
        self._faults: list[InjectedFault] = []
        self._applied: tuple[InjectedFault, ...] = ()

    def add(self, kind: str, target: str = "", start_ns: int = 0, duration_s: float = math.nan, amount: float = math.nan) -> InjectedFault:
        """A new fault; NaN takes the kind's own figure (``RULES``). Raises SimulationError, listing what is valid."""
        try:
            known = FaultKind(kind)
        except ValueError as error:
            raise SimulationError(unknown_choice("fault", kind, (k.value for k in FaultKind))) from error
        rule = RULES[known]
        duration_s = rule.duration_s if math.isnan(duration_s) else duration_s
        amount = rule.amount if math.isnan(amount) else amount
        if duration_s <= 0:
            raise SimulationError(f"Fault {kind}: duration_s must be above 0 (infinite: until cleared), got {duration_s}.")
        if not math.isfinite(amount) or amount < 0:
            raise SimulationError(f"Fault {kind}: amount ({rule.unit or 'unused'}) must be a finite number from 0 on, got {amount}.")
        fault = InjectedFault(known, self._resolved(known, rule.target, target), start_ns, duration_s, amount)
        self._faults.append(fault)
        return fault

    def _resolved(self, kind: FaultKind, what: str, target: str) -> str:
        if what == "object":
            target = target.replace(" ", "_")  # "red cube" is as good as its key
        robot = self._world.robot
        valid: dict[str, Iterable[str]] = {
            "": ("",),
            "camera": robot.cameras,
            "finger": robot.tactile,
            "object": self._world.specs,
            "body": [name for name in self._world.body_names if name not in ("world", "table")],
        }
        if target not in valid[what]:
            if not what:
                raise SimulationError(f"Fault {kind} takes no target, got '{target}'.")
            raise SimulationError(f"Fault {kind}: {unknown_choice(what, target, valid[what])}")
        return target

    def clear(self) -> None:
        """Everything works again."""
        self._faults.clear()
        self._applied = ()
        self._world.undo_disturbances()

    def active(self, now_ns: int, *kinds: FaultKind, target: str | None = None) -> list[InjectedFault]:
        """The faults of these kinds (of all, when none is named) that act now."""
        return [f for f in self._faults if f.is_active(now_ns) and (not kinds or f.kind in kinds) and target in (None, f.target)]

    def act_on_body(self, now_ns: int) -> None:
        """Makes the physics of the next step obey the faults; to be called once per tick."""
        kinds = (FaultKind.OBJECT_DROPPED, FaultKind.OBJECT_SLIPPERY, FaultKind.DISTURBANCE)
        acting = tuple(self.active(now_ns, *kinds))
        if acting == self._applied:
            return
        self._applied = acting
        self._world.undo_disturbances()
        for fault in acting:
            if fault.kind == FaultKind.DISTURBANCE:
                self._world.push(fault.target, np.array([0.0, fault.amount, 0.0]))
            else:
                self._world.set_friction(fault.target, fault.amount)

    def on_joint_state(self, state: JointState) -> JointState:
        """What a faulty encoder makes of a measurement."""
        for fault in self.active(state.stamp_ns, FaultKind.JOINT_NOISE):
            noise = fault.amount * self._rng.standard_normal(len(self._world.robot.arm_joints))
            positions = state.positions.copy()
            positions[: len(noise)] += noise
            state = replace(state, positions=positions)
        return state

    def on_tactile(self, reading: TactileReading) -> TactileReading:
        """What a faulty pad makes of a measurement."""
        if self.active(reading.stamp_ns, FaultKind.TACTILE_DEAD, target=reading.finger):
            return replace(reading, normal_n=np.zeros_like(reading.normal_n), shear_n=np.zeros_like(reading.shear_n))
        return reading
