"""Motions around what is seen, with what is held."""

from __future__ import annotations

import numpy as np
import pytest

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array
from vla_ros.core.scene import Pose, Scene, SceneObject
from vla_ros.motion.around_scene import held_shapes, obstacles_of, plan_around
from vla_ros.motion.backend import MotionRequest, create_backend
from vla_ros.robots import load_robot
from vla_ros.robots.collision import CollisionModel

ARM = load_robot("panda")
HOME = np.asarray(ARM.config.home_rad)


def turned(by_rad: float) -> Array:
    posture = HOME.copy()
    posture[0] += by_rad
    return posture


START, GOAL = turned(-0.4), turned(0.4)
TCP_M = ARM.fk(START)[:3, 3]
ROD_M = np.array([0.03, 0.03, 0.3])  # held at its upper end, so that it hangs down


def thing(name: str, place_m: Array, size_m: Array, *, held: bool = False) -> SceneObject:
    return SceneObject(name, name, "", "box", Pose(place_m), size_m, 1.0, 1, held=held)


def scene(*things: SceneObject) -> Scene:
    return Scene(1, ARM.config.base_frame, things)


def plan(world: Scene) -> tuple[Array, str]:
    trajectory, neglected = plan_around(create_backend("ompl", ARM), ARM, world, MotionRequest(START, GOAL))
    return trajectory.positions, neglected


def test_what_is_held_goes_around_what_stands_in_its_way() -> None:
    rod = thing("rod", TCP_M - [0, 0, 0.14], ROD_M, held=True)
    under_m = ARM.fk(HOME)[:3, 3] - [0, 0, 0.2]  # under the way of the empty hand, in that of the rod
    post = thing("post", under_m, np.array([0.05, 0.05, 0.2]))
    carrying = CollisionModel(ARM, held_shapes(scene(rod), ARM, START))
    straight = np.linspace(START, GOAL, 100)
    assert any(carrying.in_collision(q, obstacles_of(scene(post))) for q in straight), "the rod would meet the post"
    rows, neglected = plan(scene(rod, post))
    assert neglected == ""
    assert not any(carrying.in_collision(q, obstacles_of(scene(post))) for q in rows)


def test_what_is_held_and_touches_something_is_left_to_the_monitor() -> None:
    cube = thing("red cube", TCP_M, np.full(3, 0.045), held=True)
    below = thing("green cube", TCP_M - [0, 0, 0.04], np.full(3, 0.045))
    rows, neglected = plan(scene(cube, below))
    assert rows[-1] == pytest.approx(GOAL)
    assert neglected == "it holds the red cube, which touches something where the motion begins"


def test_what_is_held_does_not_go_through_the_table() -> None:
    rod = thing("rod", TCP_M - [0, 0, 0.14], ROD_M, held=True)
    low = ARM.fk(GOAL)
    low[2, 3] = 0.1
    request = MotionRequest(START, low)
    backend = create_backend("ompl", ARM)
    assert plan_around(backend, ARM, scene(), request)[1] == "", "the empty hand may go there"
    with pytest.raises(MotionError, match="table"):
        plan_around(backend, ARM, scene(rod), request)
