"""The truth: whether a predicate holds in the simulator's state. For evaluation only; nothing that acts may see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vla_ros.core.errors import SimulationError, unknown_choice
from vla_ros.core.geometry import Array, Pose, rotation_from_quat
from vla_ros.core.tasks import Predicate, Relation
from vla_ros.core.things import SIDES
from vla_ros.simulation.robot import SimRobot
from vla_ros.simulation.scene_config import ObjectSpec
from vla_ros.simulation.shapes import inner_radius_m

REST_SPEED_MPS = 0.01
REST_TURN_RADPS = 0.2
SIDE_MIN_M = 0.03  # how far beside, at least
ON_GAP_M = 0.008  # between a bottom and the top it rests on
RIM_TOLERANCE_M = 0.005  # something in a bowl has its lowest point no higher than this above the rim
UPRIGHT = np.cos(np.deg2rad(25.0))  # of a bowl's axis against the vertical
HOME_TOLERANCE_RAD = 0.05
HOME_SPEED_RADPS = 0.05


@dataclass(frozen=True)
class Judgement:
    """The truth about a predicate."""

    holds: bool
    detail: str  # what decided it, one sentence

    def __bool__(self) -> bool:
        return self.holds


class Scorer:
    """Judges predicates whose ids are object NAMES ("red cube"). A name that several objects share means all of them as the object
    of a predicate, and any of them as its target."""

    def __init__(self, robot: SimRobot) -> None:
        self._robot = robot
        self._world = robot.world
        gripper = {config.link for config in robot.config.tactile.values()}
        self._fingers = gripper
        self._links = {name for name in self._world.body_names if name not in self._world.specs and name not in ("world", "table")}

    def judge(self, predicate: Predicate) -> Judgement:
        """Whether it holds now. Raises SimulationError for names that the scene lacks."""
        if predicate.relation == Relation.AT_HOME:
            return self._at_home()
        keys = self._keys(predicate.object_id)
        if predicate.relation == Relation.HELD:
            verdicts = [self._held(key) for key in keys]
        else:
            targets = self._keys(predicate.target_id)
            verdicts = [self._any_target(predicate.relation, key, targets) for key in keys]
        failed = [verdict for verdict in verdicts if not verdict]
        return failed[0] if failed else verdicts[0]

    def _keys(self, name: str) -> list[str]:
        keys = [key for key, spec in self._world.specs.items() if name in (spec.name, key)]
        if not keys:
            raise SimulationError(unknown_choice("object", name, {spec.name for spec in self._world.specs.values()}))
        return keys

    def _any_target(self, relation: Relation, key: str, targets: list[str]) -> Judgement:
        relations: dict[Relation, Callable[[str, str], Judgement]] = {Relation.IN: self._in, Relation.ON: self._on}
        others = [target for target in targets if target != key]
        if not others:
            raise SimulationError(f"'{key}' cannot be {relation.value} itself.")
        resting = self._released(key)
        if not resting:
            return resting
        verdicts = [relations[relation](key, target) if relation in relations else self._beside(relation, key, target) for target in others]
        return next((verdict for verdict in verdicts if verdict), verdicts[0])

    def _at_home(self) -> Judgement:
        n = self._world.n_arm
        error = float(np.max(np.abs(self._world.joint_positions[:n] - self._robot.config.home_rad)))
        speed = float(np.max(np.abs(self._world.joint_velocities[:n])))
        still = speed <= HOME_SPEED_RADPS
        return Judgement(error <= HOME_TOLERANCE_RAD and still, f"the arm is {error:.3f} rad from home, at {speed:.3f} rad/s")

    def _touching(self, key: str) -> set[str]:
        """Bodies that touch an object."""
        pairs = [(c.body1, c.body2) for c in self._world.contacts() if key in (c.body1, c.body2)]
        return {body for pair in pairs for body in pair} - {key}

    def _held(self, key: str) -> Judgement:
        touching = self._touching(key)
        if not self._fingers <= touching:
            return Judgement(False, f"{key} is not between the fingers (touches {_list(touching)})")
        rest = touching - self._links
        return Judgement(not rest, f"{key} is between the fingers" + (f" but touches {_list(rest)}" if rest else ""))

    def _released(self, key: str) -> Judgement:
        linear, angular = self._world.object_velocity(key)
        speed, turn = float(np.linalg.norm(linear)), float(np.linalg.norm(angular))
        if speed > REST_SPEED_MPS or turn > REST_TURN_RADPS:
            return Judgement(False, f"{key} moves at {speed:.3f} m/s and {turn:.2f} rad/s")
        robot = self._touching(key) & self._links
        return Judgement(not robot, f"{key} is touched by {_list(robot)}" if robot else f"{key} lies still")

    def _in(self, key: str, target: str) -> Judgement:
        spec = self._world.specs[target]
        if not spec.is_container:
            return Judgement(False, f"{target} is no container")
        pose, container = self._world.object_pose(key), self._world.object_pose(target)
        axis = rotation_from_quat(container.quat_xyzw)[:, 2]
        if axis[2] < UPRIGHT:
            return Judgement(False, f"{target} is tipped over")
        distance = float(np.linalg.norm((pose.position_m - container.position_m)[:2]))
        lowest = lowest_point_m(self._world.specs[key], pose)
        rim = float(container.position_m[2]) + spec.size_m[2] / 2
        floor = float(container.position_m[2]) - spec.size_m[2] / 2
        deep = floor - RIM_TOLERANCE_M <= lowest <= rim + RIM_TOLERANCE_M
        inside = distance <= inner_radius_m(spec) and (deep or self._on_contents(key, target))
        detail = f"{key} is {distance * 1e3:.0f} mm from the middle of {target}, its bottom {(lowest - rim) * 1e3:+.0f} mm from the rim"
        return Judgement(inside, detail)

    def _on_contents(self, key: str, container: str) -> bool:
        """Whether it lies on something lower that is in the container: a heap is in the bowl that holds it."""
        height = self._world.object_pose(key).position_m[2]
        under = self._touching(key) & self._world.specs.keys() - {container}
        return any(bool(self._in(o, container)) for o in sorted(under) if self._world.object_pose(o).position_m[2] < height)

    def _on(self, key: str, target: str) -> Judgement:
        spec = self._world.specs[target]
        pose, base = self._world.object_pose(key), self._world.object_pose(target)
        if spec.is_container and self._in(key, target):
            return self._in(key, target)
        offset = rotation_from_quat(base.quat_xyzw).T @ (pose.position_m - base.position_m)
        gap = lowest_point_m(self._world.specs[key], pose) - highest_point_m(spec, base)
        horizontal = float(np.linalg.norm((pose.position_m - base.position_m)[:2]))
        over = horizontal <= spec.footprint_radius_m if spec.is_round else bool(_inside_box(offset, spec))
        touches = target in self._touching(key)
        detail = f"{key} is {horizontal * 1e3:.0f} mm beside the middle of {target} and {gap * 1e3:+.0f} mm above its top"
        return Judgement(over and touches and abs(gap) <= ON_GAP_M, detail)

    def _beside(self, relation: Relation, key: str, target: str) -> Judgement:
        offset = (self._world.object_pose(key).position_m - self._world.object_pose(target).position_m)[:2]
        along = float(offset @ SIDES[relation])
        across = float(abs(offset @ SIDES[relation][::-1]))
        height = lowest_point_m(self._world.specs[key], self._world.object_pose(key))
        holds = along >= max(SIDE_MIN_M, across) and abs(height) <= ON_GAP_M
        detail = f"{key} lies {along * 1e3:+.0f} mm in that direction of {target}, {across * 1e3:.0f} mm across, {height * 1e3:.0f} mm high"
        return Judgement(holds, detail)


def _inside_box(offset_m: Array, spec: ObjectSpec) -> bool:
    """Whether a centre at ``offset_m`` (in the box's frame, any face up) lies over the box: two of three axes tell."""
    within = np.abs(offset_m) <= np.array(spec.size_m) / 2
    return int(np.sum(within)) >= 2


def lowest_point_m(spec: ObjectSpec, pose: Pose) -> float:
    """Height of the object's lowest point in `world`."""
    return float(pose.position_m[2]) - _half_height(spec, pose)


def highest_point_m(spec: ObjectSpec, pose: Pose) -> float:
    """Height of the object's highest point in `world`."""
    return float(pose.position_m[2]) + _half_height(spec, pose)


def _half_height(spec: ObjectSpec, pose: Pose) -> float:
    up = np.abs(rotation_from_quat(pose.quat_xyzw)[2])  # of the object's axes, the vertical part
    half = np.array(spec.size_m) / 2
    if spec.is_round:
        return float(half[2] * up[2] + half[0] * np.hypot(up[0], up[1]))
    return float(up @ half)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
