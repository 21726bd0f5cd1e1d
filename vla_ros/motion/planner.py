"""Collision-free joint paths: a straight line where that is free, else OMPL's RRT-Connect, simplified; collisions by Coal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ompl import base as ob
from ompl import geometric as og
from ompl import util as ou

from vla_ros.core.errors import MotionError, StartBlocked
from vla_ros.core.geometry import Array
from vla_ros.robots import Arm
from vla_ros.robots.collision import CollisionModel, Obstacle, Pair

STEP_RAD = 0.04  # a path is looked at this densely (length in joint space)
JOINT_MARGIN_RAD = 0.02  # kept from the joint limits; more than the gate asks for
CLEARANCE_M = 0.01  # kept between links, and between links and obstacles
LEAVING_M = 0.001  # nearer than the start a path may come where the start is nearer than CLEARANCE_M
WORKSPACE_MARGIN_M = 0.01  # kept between the TCP and the border of its workspace

ou.setLogLevel(ou.LOG_NONE)  # failures come back as MotionError


class FreeSpace:
    """Which postures are allowed: joint limits, clearance, workspace (the latter only if the start is inside it)."""

    def __init__(self, arm: Arm, collision: CollisionModel, obstacles: Sequence[Obstacle], start_rad: Array) -> None:
        limits, box = arm.config.limits, arm.config.workspace
        self._arm, self._collision, self._obstacles = arm, collision, tuple(obstacles)
        start_m = self._distance_m(start_rad)[0]
        self.leaving_m = min(CLEARANCE_M, max(start_m - LEAVING_M, 0.0))  # an arm that stands nearer than that must be able to leave
        self.low = np.minimum(np.asarray(limits.position_min_rad) + JOINT_MARGIN_RAD, start_rad)
        self.high = np.maximum(np.asarray(limits.position_max_rad) - JOINT_MARGIN_RAD, start_rad)
        self._box_low, self._box_high = np.asarray(box.min_m) + WORKSPACE_MARGIN_M, np.asarray(box.max_m) - WORKSPACE_MARGIN_M
        self._bounded = self._in_workspace(start_rad)

    def allows(self, q: Array) -> bool:
        """Whether the arm may be at ``q`` [dof]."""
        if self._bounded and not self._in_workspace(q):
            return False
        return not self._collision.in_collision(q, self._obstacles, self.leaving_m)

    def allows_line(self, a: Array, b: Array) -> bool:
        """Whether the straight line in joint space from ``a`` to ``b`` is free."""
        steps = max(int(np.ceil(np.linalg.norm(b - a) / STEP_RAD)), 1)
        return all(self.allows(a + (b - a) * (i / steps)) for i in range(steps + 1))

    def check(self, q: Array, what: str, kept_m: float = CLEARANCE_M, error: type[MotionError] = MotionError) -> None:
        """Raises ``error`` saying why the arm may not rest at ``q``; ``what`` names it."""
        names = self._arm.config.arm_joints
        over = np.maximum(self.low - q, q - self.high)
        joint = int(np.argmax(over))
        if over[joint] > 1e-9:
            allowed = f"{self.low[joint]:.3f} to {self.high[joint]:.3f}"
            raise error(f"The {what} has {names[joint]} at {q[joint]:.3f} rad; allowed {allowed} (joint limits less a margin).")
        if self._collision.in_collision(q, self._obstacles, kept_m):
            distance_m, pair = self._distance_m(q)
            touching = "touches" if distance_m <= 0 else f"comes within {distance_m * 1000:.0f} mm of"
            kept = f"; at least {kept_m * 1000:.0f} mm are kept" if kept_m > 0 else ""
            raise error(f"In the {what} {pair[0]} {touching} {pair[1]}{kept}. Move one of them away.")
        if self._bounded and not self._in_workspace(q):
            tcp = self._arm.fk(q)[:3, 3]
            box = f"{np.round(self._box_low, 3).tolist()} to {np.round(self._box_high, 3).tolist()} m"
            raise error(f"In the {what} the TCP is at {np.round(tcp, 3).tolist()} m, outside the workspace ({box}).")

    def _distance_m(self, q: Array) -> tuple[float, Pair]:
        return min(self._collision.self_distance(q), self._collision.min_distance(q, self._obstacles))

    def _in_workspace(self, q: Array) -> bool:
        tcp = self._arm.fk(q)[:3, 3]
        return bool((tcp >= self._box_low).all() and (tcp <= self._box_high).all())


def plan_joint_path(
    arm: Arm,
    collision: CollisionModel,
    start_rad: Array,
    goal: Array,
    obstacles: Sequence[Obstacle] = (),
    *,
    time_limit_s: float = 2.0,
    rng_seed: int = 1,
) -> Array:
    """Waypoints [n, dof] from ``start_rad`` to ``goal``: a posture [dof], or a pose T_base_tcp [4, 4] (by the posture nearest the start).

    Straight lines between the waypoints are free. Raises StartBlocked where the arm stands too near to something, else
    MotionError: pose out of reach, goal not allowed (both name the pair of bodies), or no path within ``time_limit_s``.
    """
    start_rad, goal = np.asarray(start_rad, dtype=float), np.asarray(goal, dtype=float)
    if goal.shape not in ((arm.config.dof,), (4, 4)) or not np.all(np.isfinite(goal)):
        raise MotionError(f"A goal is {arm.config.dof} finite joint positions or a pose [4, 4]; got shape {goal.shape}.")
    space = FreeSpace(arm, collision, obstacles, start_rad)
    space.check(start_rad, "start", space.leaving_m, StartBlocked)
    goal_rad = arm.ik(goal, start_rad) if goal.ndim == 2 else goal
    space.check(goal_rad, "goal")
    if space.allows_line(start_rad, goal_rad):
        return np.stack([start_rad, goal_rad])
    return _search(space, start_rad, goal_rad, time_limit_s, rng_seed)


def _search(space: FreeSpace, start_rad: Array, goal_rad: Array, time_limit_s: float, rng_seed: int) -> Array:
    """RRT-Connect, then simplification in a third of the time."""
    dof = len(start_rad)
    ou.RNG.setSeed(max(rng_seed, 1))
    states = ob.RealVectorStateSpace(dof)
    bounds = ob.RealVectorBounds(dof)
    for i in range(dof):
        bounds.setLow(i, float(space.low[i]))
        bounds.setHigh(i, float(space.high[i]))
    states.setBounds(bounds)
    setup = og.SimpleSetup(states)
    setup.setStateValidityChecker(lambda state: space.allows(_array(state, dof)))
    setup.getSpaceInformation().setStateValidityCheckingResolution(STEP_RAD / states.getMaximumExtent())
    setup.setStartAndGoalStates(_state(states, start_rad), _state(states, goal_rad))
    planner = og.RRTConnect(setup.getSpaceInformation())
    planner.setRange(0.5)
    setup.setPlanner(planner)
    setup.solve(time_limit_s * 2 / 3)
    if not setup.haveExactSolutionPath():
        raise MotionError(f"No free path to the goal was found within {time_limit_s:g} s; move obstacles away or allow more time.")
    setup.simplifySolution(time_limit_s / 3)
    waypoints = np.array([_array(state, dof) for state in setup.getSolutionPath().getStates()])
    if not all(space.allows_line(a, b) for a, b in pairwise(waypoints)):
        raise MotionError("The path that was found is not free when looked at more closely; plan again.")
    return waypoints


def _array(state: ob.State, dof: int) -> Array:
    return np.array([state[i] for i in range(dof)])


def _state(states: ob.RealVectorStateSpace, q: Array) -> ob.State:
    state = states.allocState()
    for i, value in enumerate(q):
        state[i] = float(value)
    return state
