"""Judges what reached an arm, by other means than the gate's: MuJoCo's contacts and finite differences of sampled positions.

It shares no code with vla_ros/safety and no geometry library with it: the model is read from the URDF by MuJoCo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np

from vla_ros.core.geometry import Array, quat_from_rotation
from vla_ros.robots import RobotConfig, resolved_urdf

PERIOD_S = 0.001  # between samples
ROUNDING = 1e-6  # of a limit
TOUCH_M = 1e-6  # depth from which on two bodies touch
BREACHES = ("collision", "position", "velocity", "acceleration", "jerk", "workspace", "TCP velocity", "TCP turning")  # what it looks for


@dataclass(frozen=True)
class Box:
    """An obstacle: full extents and pose in the base frame."""

    size_m: Array  # [3]
    T_base_box: Array  # [4, 4]


@dataclass
class Breaches:
    """What was found, by kind; ``samples`` were looked at."""

    samples: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    first: str = ""

    def note(self, kind: str, count: int, what: str) -> None:
        """Counts ``count`` samples."""
        assert kind in BREACHES
        if count:
            self.kinds[kind] = self.kinds.get(kind, 0) + count
            self.first = self.first or f"{kind}: {what}"

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.kinds.values())


class GateOracle:
    """One arm over a table at height 0, among boxes."""

    def __init__(self, robot: RobotConfig) -> None:
        self._robot = robot
        self.place(())

    def place(self, boxes: Sequence[Box]) -> None:
        """The obstacles from now on. The model is built anew: MuJoCo's search for contacts goes by the sizes that it was built with."""
        robot = self._robot
        spec = mujoco.MjSpec.from_string(resolved_urdf(robot, for_mujoco=True))
        for geom in [geom for geom in spec.geoms if geom.type == mujoco.mjtGeom.mjGEOM_MESH]:
            spec.delete(geom)
        for mesh in list(spec.meshes):
            spec.delete(mesh)
        for link_a, link_b in robot.ignored_collision_pairs:  # neighbours MuJoCo leaves out by itself
            spec.add_exclude(bodyname1=link_a, bodyname2=link_b)
        base = spec.body(robot.base_frame)  # ... but for those of what stands on the world
        for link in base.bodies:
            spec.add_exclude(bodyname1=base.name, bodyname2=link.name)
        still = [spec.worldbody.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_BOX, size=(2.0, 2.0, 0.05), pos=(0.0, 0.0, -0.05))]
        for n, box in enumerate(boxes):
            x, y, z, w = quat_from_rotation(box.T_base_box[:3, :3])
            half_m = np.asarray(box.size_m) / 2
            made = spec.worldbody.add_geom(name=f"box_{n}", type=mujoco.mjtGeom.mjGEOM_BOX, size=half_m, pos=box.T_base_box[:3, 3])
            made.quat = (w, x, y, z)
            still.append(made)
        for geom in still:
            geom.contype, geom.conaffinity = 2, 1
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._arm = [self._model.joint(name).qposadr[0] for name in robot.arm_joints]
        self._fingers = [self._model.joint(name).qposadr[0] for name in robot.finger_joints]
        self._base = int(self._model.body(robot.base_frame).id)
        self._tcp = int(self._model.body(robot.tcp_frame).id)

    def touches(self, q: Array, width_m: float) -> str:
        """The first two bodies that touch; "" where none do."""
        return next((pair for pair, depth_m in self._contacts(q, width_m, 0.0) if depth_m > TOUCH_M), "")

    def away_from(self, q: Array, width_m: float, distance_m: float, boxes: Sequence[Box]) -> list[Box]:
        """Those of ``boxes`` that do not come nearer to the arm than ``distance_m``; all of them stand there from now on."""
        self.place(boxes)
        pairs = " ".join(pair for pair, _ in self._contacts(q, width_m, distance_m)).split()
        return [box for n, box in enumerate(boxes) if f"box_{n}" not in pairs]

    def _contacts(self, q: Array, width_m: float, margin_m: float) -> Iterator[tuple[str, float]]:
        """(both bodies, depth [m]) of what is nearer than ``margin_m``; the base stands on the table."""
        self._model.geom_margin[:] = self._model.body_margin[:] = margin_m  # bodies farther apart than their margin are not looked at
        self._data.qpos[self._arm] = q
        self._data.qpos[self._fingers] = self._robot.gripper.binding.position_from_width(width_m)
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_collision(self._model, self._data)
        for contact in self._data.contact:
            bodies = [int(self._model.geom_bodyid[g]) for g in contact.geom]
            if {0, self._base} != set(bodies):
                names = [
                    self._model.body(body).name if body else self._model.geom(int(g)).name
                    for body, g in zip(bodies, contact.geom, strict=True)
                ]
                yield " and ".join(names), -float(contact.dist)

    def judge(self, positions: Array, width_m: float, found: Breaches) -> None:
        """Adds what is wrong with ``positions`` [n, dof], sampled each PERIOD_S, to ``found``."""
        limits, names = self._robot.limits, self._robot.arm_joints
        found.samples += len(positions)
        over = np.maximum(limits.position_min_rad - positions, positions - limits.position_max_rad)
        found.note("position", int((over > ROUNDING).any(axis=1).sum()), _worst(over, names))
        motion = positions
        fastest = self._fastest(positions)
        for order, (kind, limit) in enumerate(
            (("velocity", fastest), ("acceleration", limits.acceleration_radps2), ("jerk", limits.jerk_radps3)), start=1
        ):
            motion = np.diff(motion, axis=0) / PERIOD_S
            with np.errstate(divide="ignore", invalid="ignore"):
                use = np.where(motion == 0, 0.0, np.abs(motion) / limit)
            # a difference of rounded positions: 1e-15 rad grow by 1000 for each order
            found.note(kind, int((use > 1 + ROUNDING + 1e-15 * 1000**order).any(axis=1).sum()), _worst(use, names))
        moved = np.concatenate([[True], np.any(np.diff(positions, axis=0) != 0, axis=1)])
        places, turns = [], []
        for q in positions[moved]:
            if pair := self.touches(q, width_m):
                found.note("collision", 1, f"{pair} at {np.round(q, 3).tolist()}")
            places.append(self._data.xpos[self._tcp].copy())
            turns.append(self._data.xquat[self._tcp].copy())
        self._judge_tcp(np.array(places), np.array(turns), found)

    def _judge_tcp(self, places: Array, turns: Array, found: Breaches) -> None:
        """Its place and speed: [n, 3] m, [n, 4] wxyz; a sample that did not move is left out, which makes the next no slower."""
        limits, workspace = self._robot.cartesian, self._robot.workspace
        outside_m = np.maximum(workspace.min_m - places, places - workspace.max_m).max(axis=1)
        found.note("workspace", int((outside_m > ROUNDING).sum()), f"{outside_m.max():.4g} m outside")
        mps = np.linalg.norm(np.diff(places, axis=0), axis=1) / PERIOD_S
        same = np.copysign(1.0, (turns[1:] * turns[:-1]).sum(axis=1))[:, None]  # a quaternion and its negative are one rotation
        half_sine = np.linalg.norm(turns[1:] * same - turns[:-1], axis=1) / 2
        radps = 4 * np.arcsin(np.clip(half_sine, 0, 1)) / PERIOD_S
        for kind, speed, limit in (
            ("TCP velocity", mps, limits.linear_velocity_mps),
            ("TCP turning", radps, limits.angular_velocity_radps),
        ):
            over = speed > limit * (1 + ROUNDING)
            found.note(kind, int(over.sum()), f"{speed.max(initial=0.0):.4g} of {limit:g}")

    def _fastest(self, positions: Array) -> Array:
        """[n - 1, dof] highest speed between two samples: as the robot's maker gives it, for the direction and the place of the motion."""
        limits = self._robot.limits
        middle, rises = (positions[1:] + positions[:-1]) / 2, np.diff(positions, axis=0) > 0
        fastest = np.tile(limits.velocity_radps, (len(middle), 1))
        for e in limits.velocity_envelopes:
            left = np.where(rises, e.position_max_rad - middle, middle - e.position_min_rad)
            fastest = np.minimum(fastest, np.sqrt(np.clip(2 * e.deceleration_radps2 * left, 0, None)) - e.offset_radps)
        return np.clip(fastest, 0, None)


def _worst(use: Array, names: Sequence[str]) -> str:
    row, joint = (int(i) for i in np.unravel_index(int(np.argmax(use)), use.shape))
    return f"{names[joint]} {use[row, joint]:.6g}"
