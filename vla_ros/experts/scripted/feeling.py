"""Touch and finger opening over time: has the gripper closed on something, and does it still hold it?"""

from __future__ import annotations

from vla_ros.core.outcomes import FailureKind
from vla_ros.core.robot_state import ContactState
from vla_ros.experts.policy import Observation
from vla_ros.experts.scripted.failures import SkillFailure
from vla_ros.experts.scripted.parameters import ScriptedParameters


class StillWatch:
    """Tells when the finger opening has stopped changing."""

    _MOVED_M = 0.0008

    def __init__(self) -> None:
        self._width_m = float("inf")
        self._since_ns = 0

    def still_s(self, observation: Observation) -> float:
        """For how long the opening has not changed by more than 0.8 mm."""
        if abs(observation.gripper_width_m - self._width_m) > self._MOVED_M:
            self._width_m = observation.gripper_width_m
            self._since_ns = observation.stamp_ns
        return (observation.stamp_ns - self._since_ns) * 1e-9


class HeldWatch:
    """Raises SkillFailure (DROPPED) when what was held is lost: the opening collapses, touch is gone, or it keeps slipping."""

    def __init__(self, name: str, width_m: float, p: ScriptedParameters, *, slip_counts: bool = True) -> None:
        self._name = name
        self._width_m = width_m
        self._p = p
        self._slip_counts = slip_counts
        self._lost_ns = 0
        self._slip_ns = 0

    def __call__(self, observation: Observation) -> None:
        """To be called with every observation."""
        if observation.gripper_width_m < self._width_m - self._p.width_slack_m:
            closed = f"the fingers closed from {self._width_m * 1000:.0f} to {observation.gripper_width_m * 1000:.0f} mm"
            raise SkillFailure(FailureKind.DROPPED, f"The {self._name} is lost: {closed}.")
        now = observation.stamp_ns
        self._lost_ns = 0 if touched(observation.contact) else self._lost_ns or now
        self._slip_ns = (self._slip_ns or now) if observation.contact.slipping else 0
        if self._lost_ns and (now - self._lost_ns) * 1e-9 >= self._p.contact_lost_s:
            raise SkillFailure(FailureKind.DROPPED, f"The {self._name} is lost: no finger feels it any more.")
        if self._slip_counts and self._slip_ns and (now - self._slip_ns) * 1e-9 >= self._p.slip_s:
            raise SkillFailure(FailureKind.DROPPED, f"The {self._name} keeps slipping between the fingers.")


def touched(contact: ContactState) -> bool:
    """At least one finger feels something."""
    return any(f.in_contact for f in contact.fingers)


def grasp_doubt(observation: Observation, size_m: float, p: ScriptedParameters) -> str:
    """Why the closed gripper does not seem to hold something of ``size_m``, a clause; empty when it does."""
    width = observation.gripper_width_m
    if abs(width - size_m) > p.width_slack_m:
        return f"the fingers stand {width * 1000:.0f} mm apart where {size_m * 1000:.0f} mm were expected"
    if not observation.contact.both_in_contact:
        feeling = [f.finger for f in observation.contact.fingers if f.in_contact]
        return f"only the {feeling[0]} finger feels something" if feeling else "neither finger feels anything"
    return ""
