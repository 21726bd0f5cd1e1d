"""What motion_forwarder makes sure of before it passes a gated command on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vla_ros.core.actions import GatedCommand, ShortTrajectory
from vla_ros.core.geometry import Array
from vla_ros.core.stamps import s_from_ns
from vla_ros.motion.interpolation import JointSpline

SAME_RAD = 1e-5  # two computations of one position of rest differ by rounding
STILL_RADPS = 1e-3
STEP_RAD, STEP_RADPS = 1e-3, 0.02  # largest step from what the controller plays to what replaces it; the monitor's messages agree to 1e-9
SILENT_NS = 200_000_000  # twenty of its ticks: a monitor that was not heard for so long is gone
REST_STEP_RAD = 0.02  # to a command at rest: from the last position of rest, or from where the arm is measured


class ArmUnknown(ValueError):
    """Nobody has said yet where the arm stands, so nothing can be compared to it."""


class Forwarding:
    """Checks one monitor's commands in order. Another one, as one that was started again, is heard when the one before it is silent.

    The controller plays each message on its own; after a gap it stands at the end of the braking while the monitor's curve has run on.
    What would make it leap there is refused. The way back is a command to rest where the arm stands.
    """

    def __init__(self, joint_names: tuple[str, ...]) -> None:
        self.joint_names = joint_names
        self._session, self._last_seq, self._heard_ns = 0, 0, -SILENT_NS
        self._passed: tuple[ShortTrajectory, int, int] | None = None  # what was passed last, its stamp, steady time of passing

    def check(self, command: GatedCommand, now_ns: int, steady_ns: int, measure: Callable[[], Array | None]) -> None:
        """Raises ValueError, with the reason, for a command that must not reach the controllers; ArmUnknown while that may pass by itself.

        ``now_ns``: ROS time, by which the controller plays; ``steady_ns``: of a clock that does not leap. ``measure`` gives the
        arm's joints [dof] now, None where they are not known.
        """
        t = command.trajectory
        self._check_order(command, steady_ns)
        if t.names != self.joint_names:
            raise ValueError(f"it is for the joints {', '.join(t.names)}, this arm has {', '.join(self.joint_names)}")
        arrays = (t.times_s, t.positions, t.velocities, t.accelerations)
        if len(t.times_s) == 0 or not all(np.all(np.isfinite(a)) for a in arrays):
            raise ValueError("it is empty or holds numbers that are not finite")
        if np.any(np.diff(t.times_s) <= 0):
            raise ValueError("its times do not increase")
        if np.any(t.velocities[-1] != 0) or np.any(t.accelerations[-1] != 0):
            raise ValueError("it does not end at rest")
        self._session, self._last_seq, self._heard_ns = command.session, command.seq, steady_ns
        self._check_step(command, now_ns, steady_ns, measure)

    def passed(self, command: GatedCommand, steady_ns: int) -> None:
        """The command was handed to the controller."""
        self._passed = (command.trajectory, command.stamp_ns, steady_ns)

    def repeated(self, command: GatedCommand, steady_ns: int) -> None:
        """The command says what the controller was told already: only its time counts."""
        if self._passed is not None:
            self._passed = (self._passed[0], command.stamp_ns, steady_ns)

    def is_news(self, command: GatedCommand) -> bool:
        """False for a command to rest where the arm was told to rest already: a controller needs it once."""
        if self._passed is None:
            return True
        rest = self._passed[0].positions[-1]
        return not (_at_rest(command.trajectory) and bool(np.abs(command.trajectory.positions[-1] - rest).max() < SAME_RAD))

    def _check_order(self, command: GatedCommand, steady_ns: int) -> None:
        if command.session == self._session:
            if command.seq <= self._last_seq:
                raise ValueError(f"command {command.seq} came after {self._last_seq}")
        elif steady_ns - self._heard_ns < SILENT_NS:
            raise ValueError(f"it is of another monitor (session {command.session}) while that of session {self._session} is still heard")

    def _check_step(self, command: GatedCommand, now_ns: int, steady_ns: int, measure: Callable[[], Array | None]) -> None:
        t = command.trajectory
        if _at_rest(t):
            if self._passed is None or _apart(t.positions[-1], self._passed[0].positions[-1]) > REST_STEP_RAD:
                measured = measure()
                if measured is None:
                    raise ArmUnknown("no joint states have been heard yet, so it is not known where the arm stands")
                if _apart(t.positions[-1], measured) > REST_STEP_RAD:
                    raise ValueError("it does not rest where the arm stands")
            return
        if self._passed is None:
            raise ValueError("the first command must be one at rest")
        if (late_s := s_from_ns(now_ns - t.start_ns) - float(t.times_s[-1])) >= 0.0:  # the controller would leap to its end
            since_s = late_s + float(t.times_s[-1])
            raise ValueError(f"it came {since_s:.2f} s after its begin, when its motion is over (by this node's clock; use_sim_time?)")
        playing, stamp_ns, passed_ns = self._passed
        at_ns = max(command.stamp_ns, stamp_ns + steady_ns - passed_ns, now_ns)
        (p_old, v_old), (p_new, v_new) = _sample(playing, at_ns), _sample(t, at_ns)
        step, speed = float(np.abs(p_new - p_old).max()), float(np.abs(v_new - v_old).max())
        if step > STEP_RAD or speed > STEP_RADPS:
            raise ValueError(f"the arm would leap by {step:.4f} rad and {speed:.3f} rad/s: commands were lost in between")


def _apart(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max())


def _at_rest(t: ShortTrajectory) -> bool:
    return float(np.abs(t.velocities).max()) < STILL_RADPS


def _sample(t: ShortTrajectory, at_ns: int) -> tuple[Array, Array]:
    """Position and velocity that a controller plays at a time; at rest beyond the end."""
    time_s = s_from_ns(at_ns - t.start_ns)
    if time_s >= float(t.times_s[-1]):
        return t.positions[-1], np.zeros(t.positions.shape[1])
    position, velocity, _ = JointSpline(t.times_s, t.positions, t.velocities, t.accelerations).sample(max(time_s, float(t.times_s[0])))
    return position, velocity
