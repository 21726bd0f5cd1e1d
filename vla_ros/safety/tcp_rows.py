"""Rows of the TCP become rows of joints: for each row a quadratic programme finds the joint step, inside the limits.

minimise |J step - error|2 + PULL |joints - rest|2, where ``rest`` lies a little nearer to home than the row before, subject to the limits
of position and to the largest step from row to row; solved again from where it led until it settles. The pull decides what the TCP leaves
free (the elbow of a redundant arm) and moves an arm out of a singular posture, where the error alone has no slope. Of a pose's joint
solutions the one near the row before is taken. Source of the form: differential inverse kinematics as in Escande et al., "Hierarchical
quadratic programming", IJRR 2014, with one level and a weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import daqp
import numpy as np
import pinocchio
from scipy.spatial.transform import Rotation

from vla_ros.core.actions import ActionSpace
from vla_ros.core.geometry import Array
from vla_ros.robots import Arm

POSE_COLUMNS = ("x", "y", "z", "qx", "qy", "qz", "qw")
DELTA_COLUMNS = ("x", "y", "z", "rx", "ry", "rz")

TOLERANCE_M = 0.005  # of every row: as much as an arm may lag or cut a corner beside a singular posture
TOLERANCE_RAD = np.radians(2.0)
SLOWEST_PACE = 0.05  # a row may ask for joint speeds that it takes this pace to keep; the monitor's slowest one is 0.02
ROW_STEP_RAD = 0.2  # of a joint from row to row: between them a joint path of a 1 m arm leaves the TCP's line by 0.2^2 / 8 m = 5 mm at most
PULL = 1e-5  # against 1 m of error: bends the TCP by less than 0.05 mm
PULL_PER_S, PULL_RADPS = 1.0, 0.1  # towards home of what the TCP leaves free: a share of the way, and no faster than that
ITERATIONS = 8  # a smooth path takes 1 or 2
SETTLED_RAD = 2e-3  # a last step of all joints together as small as this leaves 2e-6 m beside what is linear in it
LONGEST_M, LONGEST_RAD = 0.3, 0.5  # of an error that is worked off at once
_WEIGHT = np.array([1.0] * 3 + [TOLERANCE_M / TOLERANCE_RAD] * 3)


@dataclass(frozen=True)
class Unreached:
    """The first row whose pose the arm cannot follow, and how far from it the TCP would be."""

    row: int
    position_m: float
    rotation_rad: float
    at_limit: tuple[str, ...]  # joints at an end of their range
    too_fast: tuple[str, ...]  # joints that would have to go farther in one row than they may

    def __str__(self) -> str:
        far = f"{self.position_m * 1000:.1f} mm and {np.degrees(self.rotation_rad):.1f} deg off"
        if self.at_limit:
            return f"{far}, with {', '.join(self.at_limit)} at the limit"
        if self.too_fast:
            return f"{far}; {', '.join(self.too_fast)} cannot go so far in one row (singular there, or rows too far apart)"
        return f"{far}; the arm is stretched out, or singular there"


@dataclass(frozen=True)
class JointRange:
    """What the rows may use: ends [dof] of the joints' ranges, and the largest step [rad] to row 0."""

    low_rad: Array
    high_rad: Array
    first_step_rad: float = np.inf


def tcp_poses(data: Array, space: ActionSpace, T_base_before: Array) -> Array:
    """T_base_tcp [n, 4, 4] of rows [n, 7] of poses, or of rows [n, 6] of deltas of which the first one starts at ``T_base_before``.

    A delta is given in the axes of the base: the translation is added, the rotation is applied from the left.
    """
    poses = np.tile(np.eye(4), (len(data), 1, 1))
    if space == ActionSpace.TCP_POSE:
        poses[:, :3, 3] = data[:, :3]
        poses[:, :3, :3] = Rotation.from_quat(data[:, 3:]).as_matrix()
        return poses
    poses[:, :3, 3] = T_base_before[:3, 3] + np.cumsum(data[:, :3], axis=0)
    rotation = T_base_before[:3, :3]
    for row, turn in enumerate(Rotation.from_rotvec(data[:, 3:]).as_matrix()):
        rotation = poses[row, :3, :3] = turn @ rotation
    return poses


class TcpRows:
    """For one arm."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._home = np.asarray(arm.config.home_rad, dtype=float)
        self._no_rows = np.zeros((0, arm.config.dof))
        self._pull = PULL * np.eye(arm.config.dof)

    def row(self, T_base_tcp: Array, before: Array, way: Array, dt_s: float, within: JointRange) -> tuple[Array, Array, int]:
        """The joints [dof] of one row, ``before`` [dof] being those of the last one and ``way`` [dof] what led there.

        Also the error [6] that is left, and how many programmes it took.
        """
        rest = before + dt_s * _between(PULL_PER_S * (self._home - before), -PULL_RADPS, PULL_RADPS)
        low, high = within.low_rad, within.high_rad
        return self._towards(pinocchio.SE3(T_base_tcp), _between(before + way, low, high), rest, low, high)

    def farthest_rad(self, dt_s: float) -> Array:
        """[dof] that a joint may go from one row to the next."""
        return np.minimum(ROW_STEP_RAD, np.asarray(self._arm.config.limits.velocity_radps) * dt_s / SLOWEST_PACE)

    def _towards(self, goal: pinocchio.SE3, q: Array, rest: Array, low: Array, high: Array) -> tuple[Array, Array, int]:
        """From ``q`` to the joints between ``low`` and ``high`` that bring the TCP nearest to ``goal``; as ``row``."""
        for taken in range(1, ITERATIONS + 1):
            error, jacobian = self._arm.pose_error(q, goal)
            longest = 1.0
            if error @ error > LONGEST_M**2:
                position_m, rotation_rad = _sizes(error)
                longest = max(1.0, position_m / LONGEST_M, rotation_rad / LONGEST_RAD)
            J = jacobian * _WEIGHT[:, None]
            slope = PULL * (q - rest) - J.T @ (error * (_WEIGHT / longest))
            step, _, flag, _ = daqp.solve(J.T @ J + self._pull, slope, self._no_rows, high - q, low - q)
            if flag < 1:
                return q, error, taken
            q = _between(q + step, low, high)
            if step @ step < SETTLED_RAD**2:
                return q, error - jacobian @ step, taken
        return q, self._arm.pose_error(q, goal)[0], ITERATIONS

    def miss(self, row: int, error: Array, q: Array, reach: JointRange, allowed: JointRange) -> Unreached | None:
        """What is wrong with a row whose ``error`` [6] is left at ``q`` [dof], the best in ``reach``; None where it is small."""
        if error @ error <= TOLERANCE_M**2:  # of both
            return None
        position_m, rotation_rad = _sizes(error)
        if position_m <= TOLERANCE_M and rotation_rad <= TOLERANCE_RAD:
            return None
        names, near = self._arm.config.arm_joints, 1e-6
        at_limit = (q <= allowed.low_rad + near) | (q >= allowed.high_rad - near)
        too_fast = ((q <= reach.low_rad + near) | (q >= reach.high_rad - near)) & ~at_limit
        stuck = [tuple(name for name, there in zip(names, mask, strict=True) if there) for mask in (at_limit, too_fast)]
        return Unreached(row, position_m, rotation_rad, *stuck)


class Turning:
    """The rows of one chunk on their way into joints."""

    def __init__(self, tcp: TcpRows, poses: Array, start: Array, dt_s: float, allowed: JointRange) -> None:
        """The TCP is to go along ``poses`` [n, 4, 4] (base frame, ``dt_s`` apart), the joints from ``start`` [dof] on."""
        self.result: Array | Unreached | None = None  # None: it is not done yet
        self._tcp, self._poses, self._dt_s, self._allowed = tcp, poses, dt_s, allowed
        self._farthest = tcp.farthest_rad(dt_s)
        self._rows = np.empty((len(poses), len(start)))
        self._before, self._way, self._next = start, np.zeros(len(start)), 0

    def go_on(self, programmes: float = np.inf) -> None:
        """Turns more rows, until about so many quadratic programmes were solved: one or two for each, more where it is hard to reach."""
        while self.result is None and programmes > 0:
            row = self._next
            step = self._farthest if row else np.minimum(self._farthest, self._allowed.first_step_rad)
            low, high = np.maximum(self._allowed.low_rad, self._before - step), np.minimum(self._allowed.high_rad, self._before + step)
            reach = JointRange(low, high)
            q, error, taken = self._tcp.row(self._poses[row], self._before, self._way, self._dt_s, reach)
            programmes -= taken
            self._rows[row], self._way, self._before, self._next = q, q - self._before, q, row + 1
            if self._next == len(self._poses):
                self.result = self._rows
            self.result = self._tcp.miss(row, error, q, reach, self._allowed) or self.result


def _sizes(error: Array) -> tuple[float, float]:
    """Of an error [6]: metres, radians."""
    position, rotation = error[:3], error[3:]
    return float(position @ position) ** 0.5, float(rotation @ rotation) ** 0.5


def _between(values: Array, low: Array | float, high: Array | float) -> Array:
    """As np.clip, in half its time."""
    return np.minimum(np.maximum(values, low), high)
