"""Motions around what perception sees, with what is in the hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vla_ros.core.errors import StartBlocked
from vla_ros.core.geometry import Array, inverse, transform
from vla_ros.core.scene import Scene
from vla_ros.motion.backend import MotionBackend, MotionRequest
from vla_ros.motion.timing import TimedTrajectory
from vla_ros.robots import Arm
from vla_ros.robots.collision import Obstacle
from vla_ros.robots.description import LinkShape

CLEARANCE_M = 0.01  # what is seen is grown by this on all sides
HELD_SHRUNK_M = 0.005  # what is held is made smaller by this on all sides: how it lies in the hand is seen, not known
TABLE_M = (4.0, 4.0, 0.5)


def plan_around(backend: MotionBackend, arm: Arm, scene: Scene, request: MotionRequest) -> tuple[TimedTrajectory, str]:
    """The motion, and a clause about what it could not regard, or "".

    ``scene`` was seen while the arm stood at ``request.start_rad``. What is held and touches something there, as what stands on something
    does, is left to the monitor. Raises MotionError as the backend does.
    """
    request = replace(request, obstacles=obstacles_of(scene))
    held = [thing for thing in scene.objects if thing.held]
    if not held:
        return backend.plan(request), ""
    try:
        with_held = replace(request, obstacles=(*request.obstacles, _table(scene)), held=held_shapes(scene, arm, request.start_rad))
        return backend.plan(with_held), ""
    except StartBlocked:
        names = " and ".join(f"the {thing.name}" for thing in held)
        return backend.plan(request), f"it holds {names}, which touches something where the motion begins"


def obstacles_of(scene: Scene) -> tuple[Obstacle, ...]:
    """The objects, as boxes; what is held moves with the hand. What is no known object is left to the monitor."""
    return tuple(Obstacle(o.name, "box", tuple(o.size_m + 2 * CLEARANCE_M), o.pose.matrix()) for o in scene.objects if not o.held)


def _table(scene: Scene) -> Obstacle:
    """Low enough for fingers that have just grasped something on it."""
    middle_m = np.array([0.0, 0.0, scene.table_height_m - CLEARANCE_M - TABLE_M[2] / 2])
    return Obstacle("the table", "box", TABLE_M, transform(np.eye(3), middle_m))


def held_shapes(scene: Scene, arm: Arm, q: Array) -> tuple[LinkShape, ...]:
    """What is held, as it lies in the hand of an arm that stands at ``q`` [dof]."""
    T_tcp_base, frame = inverse(arm.fk(q)), arm.config.tcp_frame
    held = [thing for thing in scene.objects if thing.held]
    sizes_m = [tuple(np.maximum(thing.size_m - 2 * HELD_SHRUNK_M, 0.001)) for thing in held]
    return tuple(LinkShape(frame, o.name, "box", size_m, T_tcp_base @ o.pose.matrix()) for o, size_m in zip(held, sizes_m, strict=True))
