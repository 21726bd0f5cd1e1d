"""TCP routes: polylines with rounded corners, turned into joint plans."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array, transform
from vla_ros.experts.plans import JointPlan, MotionLimits, plan_through
from vla_ros.robots import Arm


def rounded(corners: Array, radius_m: float, step_m: float) -> Array:
    """Points [n, 3] about every ``step_m`` along the polyline [k, 3], its inner corners cut by parabolas within ``radius_m``."""
    pieces = [corners[:1]]
    u = np.linspace(0.0, 1.0, 9)[:, None]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        entry = _towards(corner, before, radius_m)
        leave = _towards(corner, after, radius_m)
        pieces.append((1 - u) ** 2 * entry + 2 * u * (1 - u) * corner + u**2 * leave)
    points = np.vstack([*pieces, corners[-1:]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    n = max(int(np.ceil(along[-1] / step_m)), 2) + 1
    even = np.linspace(0.0, along[-1], n)
    return np.column_stack([np.interp(even, along, points[:, i]) for i in range(3)])


def _towards(corner: Array, other: Array, radius_m: float) -> Array:
    distance = float(np.linalg.norm(other - corner))
    return corner if distance < 1e-9 else corner + (other - corner) / distance * min(radius_m, distance / 2)


def over(start_m: Array, end_m: Array, safe_height_m: float) -> Array:
    """Corners [k, 3] of a route that crosses at ``safe_height_m`` or above: up if needed, across, down if needed."""
    corners = [start_m]
    if start_m[2] < safe_height_m:
        corners.append(np.array([*start_m[:2], safe_height_m]))
    if end_m[2] < safe_height_m:
        corners.append(np.array([*end_m[:2], safe_height_m]))
    corners.append(end_m)
    return np.array([c for i, c in enumerate(corners) if i == 0 or np.linalg.norm(c - corners[i - 1]) > 1e-6])


def turning(points: Array, safe_height_m: float) -> Array:
    """[n] share of the rotation done at each point: the wrist turns only while the TCP is near the safe height or above."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    high = np.minimum(points[1:, 2], points[:-1, 2]) > safe_height_m - 0.03
    travelled = np.concatenate([[0.0], np.cumsum(steps * high)])
    if travelled[-1] < 0.02:  # nearly all of it is low: turn evenly
        travelled = np.concatenate([[0.0], np.cumsum(steps)])
    share = travelled / max(travelled[-1], 1e-9)
    return np.asarray(share**2 * (3 - 2 * share))


def route_plan(arm: Arm, q_start: Array, q_end: Array, points: Array, share: Array, limits: MotionLimits, speed_mps: float) -> JointPlan:
    """A joint plan along ``points`` [n, 3]; the TCP's rotation goes from that of ``q_start`` to that of ``q_end`` by ``share`` [n].

    Each inverse kinematics solution is sought near the straight joint-space line, so the posture changes evenly. Raises MotionError.
    """
    turn = Slerp([0.0, 1.0], Rotation.from_matrix(np.stack([arm.fk(q_start)[:3, :3], arm.fk(q_end)[:3, :3]])))
    rotations = turn(np.clip(share, 0.0, 1.0)).as_matrix()
    n = len(points)
    waypoints = np.empty((n, len(q_start)))
    waypoints[0], waypoints[-1] = q_start, q_end
    for i in range(1, n - 1):
        guess = q_start + (q_end - q_start) * i / (n - 1)
        waypoints[i] = arm.ik(transform(rotations[i], points[i]), guess)
    _check_even(waypoints)
    length = float(np.sum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    return plan_through(waypoints, limits, length_m=length, speed_mps=speed_mps)


def _check_even(waypoints: Array) -> None:
    """Raises MotionError when a step between two waypoints is so large that the arm has changed its posture there."""
    largest = float(np.max(np.abs(np.diff(waypoints, axis=0))))
    if largest > 0.9:
        raise MotionError(f"The route makes a joint jump by {largest:.2f} rad between two waypoints; no even motion was found.")
