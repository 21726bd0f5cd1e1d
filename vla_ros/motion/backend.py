"""Which planner makes free-space motions: OMPL here, and whatever else is registered under a name (MoveIt on a machine that has it)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.core.geometry import Array
from vla_ros.motion.planner import plan_joint_path
from vla_ros.motion.timing import LimitShares, TimedTrajectory, time_path
from vla_ros.robots import Arm
from vla_ros.robots.collision import CollisionModel, Obstacle
from vla_ros.robots.description import LinkShape


@dataclass(frozen=True)
class MotionRequest:
    """A motion from rest to rest."""

    start_rad: Array  # [dof]
    goal: Array  # joint positions [dof], or T_base_tcp [4, 4]
    obstacles: tuple[Obstacle, ...] = ()
    held: tuple[LinkShape, ...] = ()  # on the TCP's frame
    shares: LimitShares = field(default_factory=LimitShares)
    dt_s: float = 0.05  # between samples
    time_limit_s: float = 2.0  # for planning
    rng_seed: int = 1


class MotionBackend(Protocol):
    """Plans motions of one arm. It only proposes: what it returns goes through the gate like every other chunk."""

    def plan(self, request: MotionRequest) -> TimedTrajectory:
        """Raises MotionError with a sentence for people: out of reach, start or goal in collision, no path in time."""
        ...


class OmplBackend:
    """RRT-Connect, Coal and Ruckig."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._collision = CollisionModel(arm)

    def plan(self, request: MotionRequest) -> TimedTrajectory:
        """See MotionBackend."""
        waypoints = plan_joint_path(
            self._arm,
            CollisionModel(self._arm, request.held) if request.held else self._collision,
            np.asarray(request.start_rad, dtype=float),
            request.goal,
            request.obstacles,
            time_limit_s=request.time_limit_s,
            rng_seed=request.rng_seed,
        )
        return time_path(waypoints, self._arm.config.limits, request.shares, request.dt_s)


_BACKENDS: dict[str, Callable[[Arm], MotionBackend]] = {"ompl": OmplBackend}


def register_backend(name: str, make: Callable[[Arm], MotionBackend]) -> None:
    """Makes a backend known under ``name``. Raises ConfigError when the name is taken."""
    if name in _BACKENDS:
        raise ConfigError(f"There is already a motion backend '{name}'; choose another name.")
    _BACKENDS[name] = make


def create_backend(name: str, arm: Arm) -> MotionBackend:
    """Raises ConfigError, listing the backends that there are."""
    if name not in _BACKENDS:
        raise ConfigError(unknown_choice("motion backend", name, _BACKENDS))
    return _BACKENDS[name](arm)
