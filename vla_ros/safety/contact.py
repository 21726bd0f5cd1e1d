"""What the arm and its fingers feel, and whether that forbids motion: grip force, slip, a finger that is pushed, an arm that is pushed.

An arm that lacks a sense says so in its configuration (no taxels, no torques); a sense that it has must be there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.errors import ConfigError
from vla_ros.core.geometry import Array
from vla_ros.core.handling import Handling, handling_table
from vla_ros.core.robot_state import ContactState, JointState
from vla_ros.robots import Arm
from vla_ros.safety.config import ContactConfig
from vla_ros.safety.faults import FUTURE_S, Fault
from vla_ros.safety.residuals import ContactObserver

FREE_N = 0.5  # a pad that feels less is not touched
ABSURD_RADPS = 100.0  # no joint turns so fast: what says so is no measurement
PEAK = 1.5  # a pad may feel so much more than the grip that was asked for: fingers arrive with their momentum


class ContactWatch:
    """For one arm. ``handling`` is that of what is grasped or held, set by whoever knows the task."""

    def __init__(self, arm: Arm, config: ContactConfig) -> None:
        self.handling: Handling = handling_table().default
        self._fingers = tuple(arm.config.tactile)  # those that feel; none: they are not waited for
        self._joints, self._config = arm.config.arm_joints, config
        self._torque_nm = np.asarray(config.torque_nm)
        if len(self._torque_nm) not in (0, arm.config.dof):
            found = f"{arm.config.name} has {arm.config.dof} joints, found {len(self._torque_nm)} numbers"
            raise ConfigError(f"The safety configuration's contact.torque_nm needs a number for each joint, or none: {found}.")
        self._observer = ContactObserver(arm)
        self._lacks_torque = False
        self._contact: ContactState | None = None
        self._slips_since_ns: int | None = None

    def on_contact(self, contact: ContactState) -> None:
        """What the fingers feel."""
        if not (contact.slipping and contact.both_in_contact):
            self._slips_since_ns = None
        elif self._slips_since_ns is None:
            self._slips_since_ns = contact.stamp_ns
        self._contact = contact

    def on_joint_state(self, arm: JointState) -> None:
        """The arm's joints in its own order, with velocities; each state newer than the one before."""
        if not len(self._torque_nm):
            return
        self._lacks_torque = not (np.all(np.isfinite(arm.efforts)) and np.abs(arm.velocities).max() < ABSURD_RADPS)
        if self._lacks_torque:
            self._observer.forget()
        else:
            self._observer.measure(arm.stamp_ns, arm.positions, arm.velocities, arm.efforts)

    def forget(self) -> None:
        """What was felt before is worth nothing now."""
        self._contact = self._slips_since_ns = None
        self._observer.forget()

    def forget_push(self) -> None:
        """The joint states so far are worth nothing."""
        self._observer.forget()

    def age_s(self, now_ns: int) -> float | None:
        """Of what the fingers felt last; infinity for never, None for fingers that do not feel."""
        if not self._fingers:
            return None
        return math.inf if self._contact is None else (now_ns - self._contact.stamp_ns) * 1e-9

    @property
    def push(self) -> float:
        """By how much the arm is pushed, as a share of what is allowed; above 1 it is held."""
        return float((np.abs(self._observer.torque_nm) / self._torque_nm).max()) if len(self._torque_nm) else 0.0

    def leads_away(self, step_rad: Array) -> bool:
        """Whether a step [dof] does not go against what pushes the arm."""
        return self.push < 1.0 or float(self._observer.torque_nm @ step_rad) > 0

    def fault(self, now_ns: int) -> Fault | None:
        """The first thing that forbids motion."""
        if self._lacks_torque:
            lack = "joint_states lack the joints' torques (effort), or hold absurd velocities: contact would not be felt"
            return Fault(SafetyReason.CONTACT_STALE, f"{lack}. An arm that measures none says so (config/safety, contact.torque_nm: []).")
        rules: tuple[Callable[[int], Fault | None], ...] = (self._stale, self._squeezed, self._one_sided, self._slipping)
        fingers = next((fault for rule in rules if (fault := rule(now_ns))), None) if self._fingers else None
        return self._pushed() or fingers

    def _stale(self, now_ns: int) -> Fault | None:
        contact, age_s = self._contact, self.age_s(now_ns)
        if contact is None or age_s is None:
            return Fault(SafetyReason.CONTACT_STALE, "What the fingers feel has not been reported yet; is tactile_perception running?")
        if not -FUTURE_S <= age_s <= self._config.age_s:
            allowed = f"allowed {-FUTURE_S:g} to {self._config.age_s:g} s; is tactile_perception running?"
            return Fault(SafetyReason.CONTACT_STALE, f"What the fingers felt last is {age_s:.2f} s old; {allowed}")
        if missing := set(self._fingers) - {f.finger for f in contact.fingers}:
            return Fault(SafetyReason.CONTACT_STALE, f"Contact lacks the finger {', '.join(sorted(missing))}.")
        return None

    def _squeezed(self, _: int) -> Fault | None:
        kind, most_n = self.handling.kind, min(self._config.pad_n, PEAK * self.handling.grip_n)
        for finger in self._contact.fingers if self._contact else ():
            if not finger.force_n <= most_n:  # NaN is no force that is known to be small
                what = f" on the {kind}" if kind else ""
                detail = f"The {finger.finger} finger is pressed with {finger.force_n:.0f} N{what}; allowed {most_n:g} N."
                return Fault(SafetyReason.CONTACT, detail, cut=True)
        return None

    def _one_sided(self, _: int) -> Fault | None:
        fingers = self._contact.fingers if self._contact else ()
        hardest = max(fingers, key=lambda finger: finger.force_n, default=None)
        if hardest is None or hardest.force_n <= self._config.one_sided_n:
            return None
        if any(other.force_n >= FREE_N for other in fingers if other is not hardest):
            return None
        detail = f"The {hardest.finger} finger alone is pressed with {hardest.force_n:.0f} N; allowed {self._config.one_sided_n:g} N."
        return Fault(SafetyReason.CONTACT, detail, cut=True, retreat=True)

    def _slipping(self, now_ns: int) -> Fault | None:
        if self._slips_since_ns is None or (now_ns - self._slips_since_ns) * 1e-9 <= self.handling.slip_s:
            return None
        what = self.handling.kind or "thing in the hand"
        return Fault(SafetyReason.SLIP, f"The {what} has been slipping for more than {self.handling.slip_s:g} s.")

    def _pushed(self) -> Fault | None:
        if self.push <= 1.0:
            return None
        seen_nm = np.abs(self._observer.torque_nm)
        joint = int((seen_nm / self._torque_nm).argmax())
        name = self._joints[joint]
        detail = f"Something pushes {name} with {seen_nm[joint]:.1f} Nm; allowed {self._torque_nm[joint]:g} Nm."
        return Fault(SafetyReason.CONTACT, detail, cut=True, retreat=True, limiting=name)
