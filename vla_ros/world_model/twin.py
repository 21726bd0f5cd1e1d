"""A MuJoCo twin of arm and objects. Built from perception; nothing in it comes from a simulator's truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from vla_ros.core.errors import VlaRosError
from vla_ros.core.geometry import Array, Pose, transform
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.robots import Arm
from vla_ros.world_model.parameters import WorldModelParameters
from vla_ros.world_model.solids import kinds_of, solids_of

_GEOM = {"box": mujoco.mjtGeom.mjGEOM_BOX, "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER, "sphere": mujoco.mjtGeom.mjGEOM_SPHERE}
_GEOM["capsule"] = mujoco.mjtGeom.mjGEOM_CAPSULE
_FALLING = 1  # contact bit of what falls and of what it may fall on
_TABLE_HALF_M = 0.05  # thickness; a slab, so that a depth in it is measured
THROWN_M = 1.0  # farther than it could fall: pushed out of what it began in
_UNSTABLE = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


class UnforeseenError(VlaRosError):
    """What comes next could not be computed; the sentence says why."""


@dataclass(frozen=True)
class TwinGeom:
    """One solid of the twin."""

    index: int
    owner: str  # link name, object id or "table"
    T_owner_geom: Array  # [4, 4]


class Twin:
    """Solids of arm, table and objects with distances between them, and one free body for what is let go.

    Poses of the arm's and the held object's solids are written straight into the state, since only distances are asked of them.
    """

    def __init__(self, arm: Arm, parameters: WorldModelParameters) -> None:
        self._arm = arm
        self._p = parameters
        self._key: tuple[tuple[str, str], ...] = (("", ""),)
        self.builds = 0  # how often the model was built
        self.model: mujoco.MjModel
        self.data: mujoco.MjData
        self.arm_geoms: tuple[TwinGeom, ...] = ()
        self.object_geoms: dict[str, tuple[TwinGeom, ...]] = {}
        self.table: TwinGeom

    def update(self, scene: Scene) -> None:
        """Sets the objects where they are seen; builds the model anew only when other objects or shapes are there."""
        key = tuple(sorted((o.id, o.shape) for o in scene.objects))
        if key != self._key:
            self._build(scene)
            self._key = key
        half = np.array([2.0, 2.0, _TABLE_HALF_M])
        self._set(self.table.index, half, transform(np.eye(3), np.array([0.0, 0.0, scene.table_height_m - _TABLE_HALF_M])))
        for thing in scene.objects:
            T_base_object = thing.pose.matrix()
            solids = solids_of(thing, self._p.wall_m, self._p.floor_m)
            geoms = []
            for geom, solid in zip(self.object_geoms[thing.id], solids, strict=True):
                self._set(geom.index, solid.half_m, T_base_object @ solid.T_object_solid)
                geoms.append(TwinGeom(geom.index, thing.id, solid.T_object_solid))
            self.object_geoms[thing.id] = tuple(geoms)

    def _set(self, index: int, half_m: Array, T_base_geom: Array) -> None:
        """Size and pose of a solid, for distances (state) and for what falls on it (model)."""
        self.model.geom_size[index] = half_m
        box = self.model.geom_type[index] == mujoco.mjtGeom.mjGEOM_BOX
        self.model.geom_rbound[index] = np.linalg.norm(half_m if box else half_m[:2])
        self.model.geom_pos[index] = T_base_geom[:3, 3]
        mujoco.mju_mat2Quat(self.model.geom_quat[index], T_base_geom[:3, :3].flatten())
        self.place(index, T_base_geom)

    def place(self, index: int, T_base_geom: Array) -> None:
        """Pose of a solid for the next distances."""
        self.data.geom_xpos[index] = T_base_geom[:3, 3]
        self.data.geom_xmat[index] = T_base_geom[:3, :3].reshape(-1)

    def distance(self, a: int, b: int, cutoff_m: float) -> float:
        """Signed distance between two solids, at most ``cutoff_m``; negative: depth."""
        return float(mujoco.mj_geomDistance(self.model, self.data, a, b, cutoff_m, None))

    def settle(self, thing: SceneObject, T_base_object: Array, duration_s: float) -> Pose:
        """Lets ``thing`` go at rest in ``T_base_object`` and returns where it is ``duration_s`` later; everything else stands still.

        Raises UnforeseenError where it begins so deep in something that the computation breaks.
        """
        geom = self._falling_geom(thing)
        mujoco.mj_resetData(self.model, self.data)
        self.model.geom_contype[self._falling] = 0
        self.model.geom_contype[geom] = _FALLING
        own = [g.index for g in self.object_geoms[thing.id]]
        self.model.geom_conaffinity[own] = 0
        self.data.qpos[:3] = T_base_object[:3, 3]
        mujoco.mju_mat2Quat(self.data.qpos[3:7], T_base_object[:3, :3].flatten())
        is_broken = False
        for _ in range(round(duration_s / self._p.timestep_s)):
            mujoco.mj_step(self.model, self.data)
            if is_broken := any(self.data.warning[kind].number for kind in _UNSTABLE):
                break
        self.model.geom_conaffinity[own] = _FALLING
        way_m = float(np.linalg.norm(self.data.qpos[:3] - T_base_object[:3, 3]))
        if is_broken or way_m > -self.model.opt.gravity[2] / 2 * duration_s**2 + THROWN_M:
            raise UnforeseenError(f"What becomes of the {thing.name} cannot be foreseen: it would be let go inside something else.")
        w, x, y, z = self.data.qpos[3:7]
        return Pose(np.array(self.data.qpos[:3]), np.array([x, y, z, w]))

    def _falling_geom(self, thing: SceneObject) -> int:
        """The free body's solid, with the size, mass and inertia of ``thing``."""
        name = "falling_cylinder" if thing.shape == "cylinder" else "falling_box"
        index = int(self.model.geom(name).id)
        x, y, z = np.asarray(thing.size_m, dtype=float) / 2
        self.model.geom_size[index] = (max(x, y), z, 0.0) if thing.shape == "cylinder" else (x, y, z)
        self.model.geom_rbound[index] = np.linalg.norm([x, y, z])
        mass = 8 * x * y * z * self._p.object_density_kgpm3
        body = self.model.geom_bodyid[index]
        self.model.body_mass[body] = mass
        self.model.body_inertia[body] = mass / 3 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
        mujoco.mj_setConst(self.model, self.data)  # what contacts are scaled by follows from the inertia
        return index

    def _build(self, scene: Scene) -> None:
        spec = mujoco.MjSpec()
        spec.option.timestep = self._p.timestep_s
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_MIDPHASE  # its boxes are compiled in, and sizes change later
        world = spec.worldbody
        _add(world, "table", "box", conaffinity=_FALLING)
        for i, shape in enumerate(self._arm.collision_shapes):
            _add(world, f"arm/{i}", shape.kind, _half(shape.kind, shape.size_m))
        for thing in scene.objects:
            for i, kind in enumerate(kinds_of(thing.shape)):
                _add(world, f"{thing.id}/{i}", kind, conaffinity=_FALLING)
        falling = world.add_body(name="falling")
        falling.add_freejoint()
        _add(falling, "falling_box", "box", contype=_FALLING)
        _add(falling, "falling_cylinder", "cylinder", contype=_FALLING)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.builds += 1
        self._falling = [int(self.model.geom(name).id) for name in ("falling_box", "falling_cylinder")]
        self.table = TwinGeom(int(self.model.geom("table").id), "table", np.eye(4))
        shapes = enumerate(self._arm.collision_shapes)
        self.arm_geoms = tuple(self._geom(f"arm/{i}", shape.link, shape.T_link_shape) for i, shape in shapes)
        self.object_geoms = {
            o.id: tuple(self._geom(f"{o.id}/{i}", o.id, np.eye(4)) for i in range(len(kinds_of(o.shape)))) for o in scene.objects
        }

    def _geom(self, name: str, owner: str, T_owner_geom: Array) -> TwinGeom:
        return TwinGeom(int(self.model.geom(name).id), owner, T_owner_geom)


def _add(
    body: mujoco.MjsBody, name: str, kind: str, half_m: Sequence[float] = (0.02, 0.02, 0.02), contype: int = 0, conaffinity: int = 0
) -> None:
    friction = [0.8, 0.005, 0.0001]
    geom = body.add_geom(name=name, type=_GEOM[kind], size=list(half_m), contype=contype, conaffinity=conaffinity, friction=friction)
    if not contype:  # a pose other than the body's, or MuJoCo takes the geom to stay in the body's frame for ever
        geom.pos, geom.quat = [1.0, 2.0, 3.0], [0.5, 0.5, 0.5, 0.5]


def _half(kind: str, size_m: Sequence[float]) -> list[float]:
    """MuJoCo's size of a link's solid."""
    if kind == "box":
        return [s / 2 for s in size_m]
    if kind == "sphere":
        return [size_m[0], 0.0, 0.0]
    return [size_m[0], size_m[1] / 2, 0.0]
