"""The script of PICK: approach, descend, close, feel, lift; again when touch or opening says that it missed."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array, wrap_angle
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.scene import SceneObject
from vla_ros.experts.scripted.body import Body, Holding, Script
from vla_ros.experts.scripted.failures import SkillFailure
from vla_ros.experts.scripted.feeling import HeldWatch, StillWatch, grasp_doubt
from vla_ros.experts.scripted.grasps import Grasp, choose_grasp, solve_down


def pick(body: Body) -> Script:
    """Takes hold of the subtask's object and lifts it."""
    if body.holding is not None:
        raise SkillFailure(FailureKind.UNSUPPORTED, f"The gripper already holds the {body.holding.thing.name}; put it down first.")
    thing = body.find(body.subtask.object_id)
    doubt = ""
    for attempt in range(round(body.p.grasp_attempts)):
        if attempt:
            yield from _look_again(body, thing, doubt)
            thing = body.find(thing.id)
        grasp = choose_grasp(body.arm, thing, body.scene, body.p)
        grasp = yield from _come_down(body, thing, grasp)
        doubt = yield from _close(body, thing, grasp)
        if not doubt:
            yield from _lift(body, thing, grasp)
            return f"The {thing.name} is held, {body.observation.gripper_width_m * 1000:.0f} mm between the fingers."
    raise SkillFailure(FailureKind.GRASP_MISSED, f"The {thing.name} could not be grasped in {body.p.grasp_attempts:.0f} attempts: {doubt}.")


def _come_down(body: Body, thing: SceneObject, grasp: Grasp) -> Generator[None, None, Grasp]:
    """Over the object, a second look, and straight down to the grasp."""
    x, y, z = grasp.position_m
    body.say(
        "approach",
        f"The {thing.name} lies at ({x:.3f}, {y:.3f}, {z:.3f}) m. I come from above with the tool turned to "
        f"{np.degrees(wrap_angle(grasp.yaw_rad)):.0f} deg, so that the fingers lie along its faces, "
        f"{grasp.size_m * 1000:.0f} mm apart when closed; opening {grasp.open_width_m * 1000:.0f} mm, "
        f"{_gap_words(grasp.room_m)}.",
    )
    body.grip(grasp.open_width_m)
    safe = body.safe_height(body.p.finger_tip_below_tcp_m)
    yield from body.move(body.across(raised(body, grasp.position_m, grasp.yaw_rad, body.p.hover_m), safe))
    seen = body.scene.get(thing.id)
    if seen is not None and not seen.occluded and _shift_m(seen, thing) > body.p.moved_m:
        grasp = choose_grasp(body.arm, seen, body.scene, body.p)
        body.grip(grasp.open_width_m)
        hover = raised(body, grasp.position_m, grasp.yaw_rad, body.p.hover_m)
        yield from body.move(body.straight(hover, body.p.near_speed_mps))
    yield from body.wait(lambda: body.observation.gripper_width_m > grasp.open_width_m - 0.006, body.p.open_s)
    above = f"I am {body.p.hover_m * 100:.0f} cm above the grasp with the fingers open"
    body.say("descend", f"{above}; straight down to {grasp.position_m[2]:.3f} m, slowly.")
    yield from body.move(body.straight(grasp.q_rad, body.p.near_speed_mps))
    return grasp


def _close(body: Body, thing: SceneObject, grasp: Grasp) -> Generator[None, None, str]:
    """Closes and feels; returns what speaks against a good grasp, or nothing."""
    body.say("grasp", f"The fingers are beside the {thing.name}; I close with {body.grip_n:.0f} N until they rest on it.")
    body.grip(0.0)
    watch = StillWatch()
    opened = body.observation.gripper_width_m
    yield from body.wait(
        lambda: watch.still_s(body.observation) >= body.p.still_s and body.observation.gripper_width_m < opened - 0.002, body.p.close_s
    )
    return grasp_doubt(body.observation, grasp.size_m, body.p)


def _lift(body: Body, thing: SceneObject, grasp: Grasp) -> Generator[None, None, None]:
    width = body.observation.gripper_width_m
    bottom = float(thing.pose.position_m[2] - thing.size_m[2] / 2)
    below = max(float(body.arm.fk(body.measured)[2, 3]) - bottom, 0.0)
    body.holding = Holding(thing, below, grasp.yaw_rad - thing.pose.yaw_rad, width)
    watch = HeldWatch(thing.name, width, body.p)
    force = body.observation.contact.grasp_force_n
    body.say("lift", f"Both fingers feel the {thing.name}, {width * 1000:.0f} mm apart, with {force:.1f} N; I lift it.")
    q = raised(body, grasp.position_m, grasp.yaw_rad, body.p.lift_m)
    yield from body.move(body.straight(q, body.p.free_speed_mps / 2), check=lambda: watch(body.observation))


def _look_again(body: Body, thing: SceneObject, doubt: str) -> Generator[None, None, None]:
    """Opens, goes up and waits for an image taken after that."""
    body.say("regrasp", f"That was no good grasp of the {thing.name}: {doubt}. I open, go up and look again.")
    body.grip(body.arm.config.gripper.width_open_m)
    yield from body.wait(lambda: body.observation.gripper_width_m > thing.size_m[:2].min() + body.p.release_margin_m, body.p.open_s)
    tcp = body.arm.fk(body.stream.goal)
    up = tcp.copy()
    up[2, 3] += body.p.lift_m
    yield from body.move(body.straight(_solve_near(body, up), body.p.free_speed_mps / 2))
    seen_ns = body.observation.stamp_ns
    yield from body.wait(lambda: body.scene.stamp_ns > seen_ns, 1.0)


def raised(body: Body, position_m: Array, yaw_rad: float, by_m: float) -> Array:
    """[dof] configuration ``by_m`` above a pose from above. Raises SkillFailure."""
    try:
        return solve_down(body.arm, position_m + np.array([0.0, 0.0, by_m]), yaw_rad)
    except MotionError as error:
        where = f"{by_m * 100:.0f} cm above {np.round(position_m, 3).tolist()}"
        raise SkillFailure(FailureKind.UNREACHABLE, f"No configuration {where}: {error}") from error


def _solve_near(body: Body, T_base_tcp: Array) -> Array:
    try:
        return body.arm.ik(T_base_tcp, body.stream.goal)
    except MotionError as error:
        raise SkillFailure(FailureKind.UNREACHABLE, f"{body.phase}: {error}") from error


def _shift_m(a: SceneObject, b: SceneObject) -> float:
    return float(np.linalg.norm(a.pose.position_m[:2] - b.pose.position_m[:2]))


def _gap_words(room_m: float) -> str:
    return f"the nearest neighbour {room_m * 1000:.0f} mm from the fingers" if np.isfinite(room_m) else "no neighbour near the fingers"
