"""The action server of the simulated arm's controller; it judges goals as a stock joint_trajectory_controller does (Jazzy's defaults).

Where it is stricter: what cannot be followed ends with an error code and a sentence (stock rejects the goal, and says why in its log
only), and so does a tolerance for an unknown joint (stock then drops all tolerances of the goal). As in stock, a trajectory that comes on
the topic does not end the goal: the arm follows the newer trajectory, and the goal is judged by that one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_ros.core.errors import MotionError, unknown_choice
from vla_ros.core.geometry import Array
from vla_ros.core.stamps import NS_PER_S
from vla_ros.ros.conversions.arrays import header_to_msg, packed
from vla_ros.ros.deferred_action import ABORTED, CANCELED, SUCCEEDED, DeferredActionServer
from vla_ros.ros.interfaces import Action
from vla_ros.ros.lifecycle import VlaNode

POLL_S = 0.02  # stock looks at each update of the controller, and sends feedback at 20 Hz
STOPPED_RADPS = 0.01  # stock's stopped_velocity_tolerance
UNITS = ("rad", "rad/s")


@dataclass(frozen=True)
class Progress:
    """How the arm follows its trajectory at one instant. Both arrays are [2, dof]: rad and rad/s, joints in the controller's order."""

    stamp_ns: int
    desired: Array
    actual: Array
    since_end_s: float  # since the last point was due; negative before


@dataclass(frozen=True)
class Tolerances:
    """Highest deviations [2, dof], rad and rad/s; infinite where there is no limit."""

    path: Array
    goal: Array
    goal_time_s: float  # how long after the last point the goal may still be reached


def tolerances_of(goal: Any, names: Sequence[str]) -> Tolerances:
    """Those of a FollowJointTrajectory goal over stock's defaults. Raises MotionError for unknown joints and impossible values."""
    path = np.full((len(UNITS), len(names)), np.inf)
    at_goal = path.copy()
    at_goal[1] = STOPPED_RADPS
    for limits, given in ((path, goal.path_tolerance), (at_goal, goal.goal_tolerance)):
        for tolerance in given:
            if tolerance.name not in names:
                raise MotionError(unknown_choice("joint of a tolerance", tolerance.name, names))
            column = list(names).index(tolerance.name)
            limits[:, column] = _limit(tolerance.position, np.inf), _limit(tolerance.velocity, limits[1, column])
    seconds = goal.goal_time_tolerance.sec + goal.goal_time_tolerance.nanosec / NS_PER_S
    return Tolerances(path, at_goal, _limit(seconds, np.inf))


def _limit(given: float, default: float) -> float:
    if given == 0:
        return default
    if given == -1:
        return np.inf
    if not given > 0:
        raise MotionError(f"A tolerance must be above 0, or 0 (the controller's own) or -1 (none); got {given}.")
    return given


class FollowJointTrajectoryServer:
    """Takes any trajectory that the controller accepts; a newer goal takes over from the one that runs.

    ``names``: the controller's joints. ``accept`` takes a JointTrajectory message, and raises MotionError or ValueError with the reason.
    ``progress`` returns None where no trajectory is followed. ``hold`` stops the arm where it is.
    """

    def __init__(
        self,
        node: VlaNode,
        action: Action,
        names: Sequence[str],
        accept: Callable[[Any], None],
        progress: Callable[[], Progress | None],
        hold: Callable[[], None],
    ) -> None:
        self._names, self._accept, self._progress, self._hold = list(names), accept, progress, hold
        self._running: Any = None
        self._tolerances: Tolerances  # of the goal that runs
        self._server = DeferredActionServer(node, action, self._begin)
        self._codes = self._server.type.Result
        node.every(POLL_S, self._poll)

    def _begin(self, handle: Any) -> None:
        goal = handle.request
        try:
            tolerances = tolerances_of(goal, self._names)
            self._accept(goal.trajectory)
        except (MotionError, ValueError) as error:
            is_for_others = sorted(goal.trajectory.joint_names) != sorted(self._names)
            self._end(handle, ABORTED, self._codes.INVALID_JOINTS if is_for_others else self._codes.INVALID_GOAL, str(error))
            return
        before, self._running, self._tolerances = self._running, handle, tolerances
        if before is not None:
            self._end(before, ABORTED, self._codes.INVALID_GOAL, "A newer goal has taken over.")

    def _poll(self) -> None:
        handle = self._running
        if handle is None:
            return
        if handle.is_cancel_requested:
            self._hold()
            self._finish(CANCELED, self._codes.SUCCESSFUL)
        elif (progress := self._progress()) is None:
            self._finish(ABORTED, self._codes.INVALID_GOAL, "The arm was reset, and its trajectory dropped.")
        else:
            handle.publish_feedback(self._feedback(progress))
            self._judge(progress)

    def _judge(self, progress: Progress) -> None:
        has_ended = progress.since_end_s >= 0
        violation = self._violation(progress, self._tolerances.goal if has_ended else self._tolerances.path)
        if has_ended and not violation:
            self._finish(SUCCEEDED, self._codes.SUCCESSFUL)
        elif violation and progress.since_end_s > self._tolerances.goal_time_s:
            self._hold()
            late = f"{progress.since_end_s:.3g} s after its end, {self._tolerances.goal_time_s:.3g} s are allowed"
            self._finish(ABORTED, self._codes.GOAL_TOLERANCE_VIOLATED, f"{violation}, {late}.")
        elif violation and not has_ended:
            self._hold()
            self._finish(ABORTED, self._codes.PATH_TOLERANCE_VIOLATED, f"{violation}, on the way.")

    def _violation(self, progress: Progress, tolerance: Array) -> str:
        """The first joint that is too far off, and by how much; empty where none is."""
        error = np.abs(progress.desired - progress.actual)
        for row, column in np.argwhere(error > tolerance):
            found, allowed, unit = error[row, column], tolerance[row, column], UNITS[row]
            return f"{self._names[column]} is {found:.3g} {unit} off where {allowed:.3g} {unit} are allowed"
        return ""

    def _feedback(self, progress: Progress) -> Any:
        """Without ``index``: Jazzy's controller does not fill it."""
        from trajectory_msgs.msg import JointTrajectoryPoint

        rows = (progress.desired, progress.actual, progress.desired - progress.actual)
        desired, actual, error = (JointTrajectoryPoint(positions=packed(p), velocities=packed(v)) for p, v in rows)
        header = header_to_msg(progress.stamp_ns)
        return self._server.type.Feedback(header=header, joint_names=self._names, desired=desired, actual=actual, error=error)

    def _finish(self, ending: str, code: int, why: str = "") -> None:
        handle, self._running = self._running, None
        self._end(handle, ending, code, why)

    def _end(self, handle: Any, ending: str, code: int, why: str) -> None:
        self._server.end(handle, ending, self._server.type.Result(error_code=code, error_string=why))
