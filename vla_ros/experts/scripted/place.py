"""The scripts of PLACE and HOME: transport high, hover, lower, let go, go up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.scene import SceneObject
from vla_ros.experts.scripted.body import Body, Holding, Script
from vla_ros.experts.scripted.failures import SkillFailure
from vla_ros.experts.scripted.feeling import HeldWatch, touched
from vla_ros.experts.scripted.grasps import solve_down, wrist_cost
from vla_ros.experts.scripted.hand import room_m
from vla_ros.experts.scripted.pick import raised
from vla_ros.experts.scripted.spots import Spot, free_spots


@dataclass(frozen=True)
class Release:
    """The pose at which the gripper opens."""

    position_m: Array  # [3] of the TCP
    yaw_rad: float
    q_rad: Array
    width_m: float


@dataclass(frozen=True)
class _Way:
    """A pose at which the gripper might open, and how much room the hand would have."""

    spot: Spot
    position_m: Array
    yaw_rad: float
    width_m: float
    room_m: float


def place(body: Body) -> Script:
    """Puts the held object where the subtask says."""
    holding = _held(body)
    relation = body.subtask.relation
    if relation is None:
        what = f"where to place the {holding.thing.name}"
        raise SkillFailure(FailureKind.UNSUPPORTED, f"The subtask '{body.subtask.description}' does not say {what}.")
    target = body.find(body.subtask.target_id)
    spots = free_spots(holding.thing, relation, target, body.scene, body.arm.config.workspace, body.p)
    spot, release = _choose_release(body, holding, spots, target)
    yield from _carry(body, holding, target, spot, release)
    yield from _let_go(body, holding, release)
    return f"The {holding.thing.name} was put {relation.value.replace('_', ' ')} the {target.name} and let go."


def home(body: Body) -> Script:
    """Goes to the home configuration over everything on the table."""
    q_home = np.array(body.arm.config.home_rad, dtype=float)
    below = body.holding.bottom_below_tcp_m if body.holding else body.p.finger_tip_below_tcp_m
    body.say("home", f"I go back to the home configuration, crossing at {body.safe_height(below):.2f} m or higher.")
    yield from body.move(body.across(q_home, body.safe_height(below)))
    return "The arm is at home."


def _held(body: Body) -> Holding:
    """What is between the fingers: remembered from the grasp, else as perception sees it. Raises SkillFailure."""
    wanted = body.subtask.object_id
    if body.holding and (body.holding.thing.id == wanted or not wanted):
        return body.holding
    thing = body.scene.get(wanted)
    if thing is None or not thing.held or not touched(body.observation.contact):
        name = thing.name if thing else wanted
        raise SkillFailure(FailureKind.NOT_HOLDING, f"The gripper does not hold {name}, so it cannot be placed; pick it first.")
    T_base_tcp = body.arm.fk(body.measured)
    yaw = float(np.arctan2(T_base_tcp[1, 0], T_base_tcp[0, 0])) - thing.pose.yaw_rad
    below = max(float(T_base_tcp[2, 3] - thing.pose.position_m[2] + thing.size_m[2] / 2), 0.0)
    body.holding = Holding(thing, below, yaw, body.observation.gripper_width_m)
    return body.holding


def _choose_release(body: Body, holding: Holding, spots: Sequence[Spot], target: SceneObject) -> tuple[Spot, Release]:
    """The first spot that is reachable with room for the hand, by the wrist nearest to its home; else the roomiest. Raises SkillFailure."""
    tight: list[_Way] = []
    for spot in spots:
        ways = list(_ways(body, holding, spot, target))
        roomy = [way for way in ways if way.room_m >= body.p.neighbour_gap_m]
        tight += [way for way in ways if way.room_m < body.p.neighbour_gap_m]
        here = [release for way in roomy if (release := _reached(body, way))]
        if here:
            return spot, min(here, key=lambda release: wrist_cost(body.arm, release.q_rad))
    for way in sorted(tight, key=lambda way: -way.room_m):
        if release := _reached(body, way):
            return way.spot, release
    where = f"The place at {np.round(spots[0].bottom_m, 3).tolist()} m for the {holding.thing.name}"
    raise SkillFailure(FailureKind.UNREACHABLE, f"{where} cannot be reached from above.")


def _ways(body: Body, holding: Holding, spot: Spot, target: SceneObject) -> Iterator[_Way]:
    """Every turn of the tool with which the object may be let go at ``spot``."""
    p, wide = body.p, body.arm.config.gripper.width_open_m
    position = spot.bottom_m + np.array([0.0, 0.0, spot.gap_m + holding.bottom_below_tcp_m])
    neighbours = [o for o in body.scene.objects if o.id not in (holding.thing.id, target.id if spot.narrow else "")]
    for yaw in _tool_yaws(holding, spot.yaw_rad):
        width = wide
        if spot.narrow or room_m(position, yaw, wide, neighbours, p) < p.neighbour_gap_m:
            width = holding.width_m + 2 * p.release_margin_m
        yield _Way(spot, position, yaw, width, room_m(position, yaw, width, neighbours, p))


def _reached(body: Body, way: _Way) -> Release | None:
    try:
        return Release(way.position_m, way.yaw_rad, solve_down(body.arm, way.position_m, way.yaw_rad), way.width_m)
    except MotionError:
        return None


def _tool_yaws(holding: Holding, object_yaw_rad: float) -> list[float]:
    """Yaws of the tool that give the held object that yaw, or one that looks the same."""
    if holding.thing.shape == "cylinder":
        return [k * np.pi / 4 for k in range(8)]
    turns = (0, 1, 2, 3) if holding.thing.shape == "cube" else (0, 2)
    return [object_yaw_rad + holding.tool_yaw_rad + k * np.pi / 2 for k in turns]


def _carry(body: Body, holding: Holding, target: SceneObject, spot: Spot, release: Release) -> Script:
    x, y, z = release.position_m
    tx, ty, _ = target.pose.position_m
    safe = body.safe_height(holding.bottom_below_tcp_m)
    body.say(
        "transport",
        f"The {target.name} is at ({tx:.3f}, {ty:.3f}) m. I choose {spot.reason}; "
        f"the fingers must be at ({x:.3f}, {y:.3f}, {z:.3f}) m to let go. "
        f"I carry the {holding.thing.name} there at {safe:.2f} m, above everything on the table.",
    )
    watch = HeldWatch(holding.thing.name, holding.width_m, body.p)
    hover = raised(body, release.position_m, release.yaw_rad, body.p.hover_m)
    yield from body.move(body.across(hover, safe), check=lambda: watch(body.observation))
    body.say("lower", f"I am {body.p.hover_m * 100:.0f} cm above the release; down slowly to {z:.3f} m, or until it touches.")
    gentle = HeldWatch(holding.thing.name, holding.width_m, body.p, slip_counts=False)
    down = body.straight(release.q_rad, body.p.near_speed_mps)
    yield from body.move(down, check=lambda: gentle(body.observation), until=lambda: _touches_down(body))
    return ""


def _touches_down(body: Body) -> bool:
    """The arm is held up on its way down."""
    measured, sent = body.arm.fk(body.measured), body.arm.fk(body.stream.commanded)
    return bool(measured[2, 3] - sent[2, 3] > body.p.touch_lag_m)


def _let_go(body: Body, holding: Holding, release: Release) -> Script:
    body.say("release", f"The {holding.thing.name} is in its place; I open to {release.width_m * 1000:.0f} mm.")
    body.grip(release.width_m)
    opened = holding.width_m + body.p.release_margin_m
    done = yield from body.wait(lambda: body.observation.gripper_width_m >= opened and not touched(body.observation.contact), body.p.open_s)
    if not done and body.observation.gripper_width_m < holding.width_m + body.p.release_margin_m / 2:
        raise SkillFailure(FailureKind.BLOCKED, f"The gripper did not open; it stands at {body.observation.gripper_width_m * 1000:.0f} mm.")
    body.holding = None
    body.say("retreat", f"The {holding.thing.name} is free; I go straight up and out of the way.")
    up = raised(body, release.position_m, release.yaw_rad, body.p.lift_m)
    yield from body.move(body.straight(up, body.p.free_speed_mps / 2))
    return ""
