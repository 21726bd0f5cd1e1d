"""Where and how to take hold of an object from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.experts.scripted.failures import SkillFailure
from vla_ros.experts.scripted.hand import pointing_down, room_m
from vla_ros.experts.scripted.parameters import ScriptedParameters
from vla_ros.robots import Arm

GRASPABLE = frozenset({"cube", "box", "cylinder", "unknown"})


@dataclass(frozen=True)
class Grasp:
    """A pose of the gripper around an object."""

    position_m: Array  # [3] of the TCP, base frame
    yaw_rad: float  # of the tool's x axis
    q_rad: Array  # [dof] there
    open_width_m: float  # with which to come down
    size_m: float  # of the object along the closing direction
    room_m: float  # to the nearest neighbour


def wrist_cost(arm: Arm, q: Array) -> float:
    """How far the last joint is from where it stands at home, rad."""
    return float(abs(q[-1] - arm.config.home_rad[-1]))


def tool_yaws(thing: SceneObject, widest_m: float) -> list[tuple[float, float]]:
    """(yaw of the tool, size between the fingers) for every way to close on ``thing``; the gripper opens to ``widest_m``."""
    if thing.shape == "cylinder":
        size = float(np.max(thing.size_m[:2]))
        return [(k * np.pi / 4, size) for k in range(8)] if size < widest_m else []
    yaw = thing.pose.yaw_rad
    ways = []
    for quarter in range(4):
        size = float(thing.size_m[1] if quarter % 2 == 0 else thing.size_m[0])  # the fingers close along the tool's y axis
        if size < widest_m:
            ways.append((yaw + quarter * np.pi / 2, size))
    return ways


def grasp_height_m(thing: SceneObject, table_m: float, p: ScriptedParameters) -> float:
    """Of the TCP: the object's middle, or near the top of a tall one, but never so low that the fingers touch the table."""
    return max(float(thing.pose.position_m[2]), thing.top_m - p.grasp_below_top_m, table_m + p.lowest_tcp_m)


def choose_grasp(arm: Arm, thing: SceneObject, scene: Scene, p: ScriptedParameters) -> Grasp:
    """The reachable grasp with room for the fingers whose wrist stays nearest to its home. Raises SkillFailure."""
    if thing.shape not in GRASPABLE:
        can = "this expert grasps cubes, boxes and cylinders from above"
        raise SkillFailure(FailureKind.UNSUPPORTED, f"The {thing.name} is a {thing.shape}; {can}, not {thing.shape}s.")
    widest = arm.config.gripper.width_open_m
    ways = tool_yaws(thing, widest - 2 * p.release_margin_m)
    if not ways:
        raise SkillFailure(FailureKind.UNSUPPORTED, f"The {thing.name} is too wide for the gripper, which opens to {widest * 1000:.0f} mm.")
    position = np.array([*thing.pose.position_m[:2], grasp_height_m(thing, scene.table_height_m, p)])
    neighbours = [o for o in scene.objects if o.id != thing.id and o.top_m > scene.table_height_m + 0.003]
    tried = [_attempt(arm, position, yaw, size, neighbours, p) for yaw, size in ways]
    reachable = [g for g in tried if g is not None]
    if not reachable:
        x, y, z = position
        raise SkillFailure(FailureKind.UNREACHABLE, f"The {thing.name} at ({x:.2f}, {y:.2f}, {z:.2f}) m cannot be reached from above.")
    roomy = [g for g in reachable if g.room_m >= p.neighbour_gap_m]
    if roomy:
        return min(roomy, key=lambda g: wrist_cost(arm, g.q_rad))
    best = max(reachable, key=lambda g: g.room_m)
    if best.room_m < p.neighbour_gap_m / 3:
        gap = f"the best gap to its neighbours is {best.room_m * 1000:.0f} mm"
        raise SkillFailure(FailureKind.UNREACHABLE, f"There is no room for the fingers beside the {thing.name}: {gap}.")
    return best


def _attempt(arm: Arm, position: Array, yaw: float, size: float, neighbours: list[SceneObject], p: ScriptedParameters) -> Grasp | None:
    """A grasp at this yaw with the widest opening for which there is room; None when it cannot be reached."""
    try:
        q = solve_down(arm, position, yaw)
    except MotionError:
        return None
    wide = arm.config.gripper.width_open_m
    narrow = min(wide, size + 2 * p.open_margin_m)
    room = room_m(position, yaw, wide, neighbours, p)
    if room >= p.full_opening_gap_m:
        return Grasp(position, yaw, q, wide, size, room)
    return Grasp(position, yaw, q, narrow, size, room_m(position, yaw, narrow, neighbours, p))


def solve_down(arm: Arm, position_m: Array, yaw_rad: float) -> Array:
    """[dof] configuration in the home posture, turned towards ``position_m``, with the fingers pointing down there. Raises MotionError.

    The posture always comes from home, so that it does not drift from task to task.
    """
    home = np.array(arm.config.home_rad, dtype=float)
    turned = home.copy()
    turned[0] += np.arctan2(position_m[1], position_m[0])
    # with the arm turned by dq1 and the fingers down, the tool's yaw is that of home plus dq1 minus dq7
    yaw_home = np.arctan2(*arm.fk(home)[1::-1, 0])
    turn = (yaw_home + turned[0] - home[0] - yaw_rad + np.pi) % (2 * np.pi) - np.pi
    turned[-1] = home[-1] + turn
    low, high = arm.config.limits.position_min_rad[-1], arm.config.limits.position_max_rad[-1]
    if turned[-1] > high - 0.05:
        turned[-1] -= 2 * np.pi
    if turned[-1] < low + 0.05:
        raise MotionError(f"The wrist cannot turn to {yaw_rad:.2f} rad there.")
    return arm.ik(pointing_down(position_m, yaw_rad), turned)
