"""What a stock ros2_control joint_trajectory_controller does with the trajectories that it is sent (Jazzy's rules and defaults).

A new trajectory replaces the running one. The way from the last desired state to its first point is interpolated with as many derivatives
as the points carry (``interpolate_from_desired_state``); the last point is held. A trajectory that Jazzy's controller would refuse is
refused here, with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.core.actions import ShortTrajectory
from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array
from vla_ros.core.stamps import ns_from_s, s_from_ns
from vla_ros.motion.interpolation import JointSpline

END_VELOCITY_TOLERANCE_RADPS = float(np.finfo(np.float32).eps)  # what the controller compares with


@dataclass(frozen=True)
class TrajectoryRequest:
    """A trajectory_msgs/JointTrajectory by its values."""

    start_ns: int  # header.stamp; 0: now
    names: tuple[str, ...]  # every joint of the controller once, in any order
    times_s: Array  # [n] time_from_start
    positions: Array  # [n, dof] rad
    velocities: Array | None = None  # [n, dof] rad/s
    accelerations: Array | None = None  # [n, dof] rad/s2

    def positions_of(self, names: Sequence[str]) -> Array:
        """[n, dof] rad in the order of ``names``. Raises MotionError when it is not for these joints."""
        return np.asarray(self.positions, dtype=float)[:, _joint_order(self.names, names)]


@dataclass(frozen=True)
class DesiredState:
    """What the servo is to make the joints do at one instant."""

    positions: Array  # [dof] rad
    velocities: Array  # [dof] rad/s
    accelerations: Array  # [dof] rad/s2


class JointTrajectoryController:
    """Follows the newest accepted trajectory; before the first one it holds the positions that it was made with."""

    def __init__(self, names: Sequence[str], positions: Array) -> None:
        self.names = tuple(names)
        self.hold(positions)

    def hold(self, positions: Array) -> None:
        """Drops the running trajectory and stays at ``positions`` [dof] rad."""
        zeros = np.zeros(len(self.names))
        self._held = DesiredState(np.array(positions, dtype=float), zeros, zeros)
        self._lead_in: JointSpline | None = None
        self._points: JointSpline | None = None
        self._start_ns = 0  # that the splines' times count from
        self._first_ns = 0
        self._end_ns = 0

    @property
    def end_ns(self) -> int:
        """When the last point is reached; 0 when no trajectory runs."""
        return self._end_ns

    def accept(self, request: TrajectoryRequest | ShortTrajectory, now_ns: int) -> None:
        """Replaces the running trajectory. Raises MotionError with the reason, and goes on as before, when it cannot be followed."""
        order = _joint_order(request.names, self.names)
        times = np.asarray(request.times_s, dtype=float)
        start_ns = request.start_ns or now_ns
        _check_points(request)
        if start_ns + ns_from_s(float(times[-1])) < now_ns:
            late_s = s_from_ns(now_ns - start_ns) - float(times[-1])
            raise MotionError(f"The trajectory ended {late_s:.3f} s ago; send one whose last point lies in the future.")
        points = JointSpline(
            times,
            np.asarray(request.positions)[:, order],
            None if request.velocities is None else np.asarray(request.velocities)[:, order],
            None if request.accelerations is None else np.asarray(request.accelerations)[:, order],
        )
        before = self.sample(now_ns)
        self._start_ns, self._points = start_ns, points
        self._first_ns = start_ns + ns_from_s(float(times[0]))
        self._end_ns = start_ns + ns_from_s(float(times[-1]))
        self._lead_in = self._lead_from(before, request, now_ns) if self._first_ns > now_ns else None
        zeros = np.zeros(len(self.names))
        self._held = DesiredState(points.sample(float(times[-1]))[0], zeros, zeros)

    def _lead_from(self, before: DesiredState, request: TrajectoryRequest | ShortTrajectory, now_ns: int) -> JointSpline:
        assert self._points is not None
        first_s = s_from_ns(self._first_ns - self._start_ns)
        position, velocity, acceleration = self._points.sample(self._points.times_s[0])
        return JointSpline(
            np.array([s_from_ns(now_ns - self._start_ns), first_s]),
            np.stack([before.positions, position]),
            None if request.velocities is None else np.stack([before.velocities, velocity]),
            None if request.accelerations is None else np.stack([before.accelerations, acceleration]),
        )

    def sample(self, now_ns: int) -> DesiredState:
        """What the arm is to do at ``now_ns``."""
        if self._points is None or now_ns >= self._end_ns:
            return self._held
        spline = self._lead_in if self._lead_in is not None and now_ns < self._first_ns else self._points
        return DesiredState(*spline.sample(s_from_ns(now_ns - self._start_ns)))


def _joint_order(found: Sequence[str], names: Sequence[str]) -> list[int]:
    """For each of the controller's joints ``names`` its column in a message with the joints ``found``."""
    if sorted(found) != sorted(names):
        missing, unknown = set(names) - set(found), set(found) - set(names)
        what = "; ".join(f"{label} {', '.join(sorted(group))}" for label, group in (("missing", missing), ("unknown", unknown)) if group)
        raise MotionError(f"The trajectory's joints {list(found)} are not the controller's ({what or 'a joint is named twice'}).")
    return [list(found).index(name) for name in names]


def _check_points(request: TrajectoryRequest | ShortTrajectory) -> None:
    """The rules that JointSpline does not know."""
    positions = np.asarray(request.positions, dtype=float)
    if positions.ndim != 2 or len(positions) == 0 or positions.shape[1] != len(request.names):
        raise MotionError(f"The trajectory's positions must be [1 or more points, {len(request.names)}]; got {positions.shape}.")
    times = np.asarray(request.times_s, dtype=float)
    if times.shape != (len(positions),) or not np.all(np.isfinite(times)) or times[0] < 0:
        raise MotionError(f"The trajectory's times must be {len(positions)} finite numbers from 0 on; got {times.tolist()[:5]}.")
    if request.velocities is not None:
        end = np.abs(np.asarray(request.velocities, dtype=float)[-1])
        if not np.all(end <= END_VELOCITY_TOLERANCE_RADPS):
            joint = request.names[int(np.argmax(end))]
            raise MotionError(f"The trajectory must end at rest; {joint} has {np.max(end):.4g} rad/s at its last point.")
