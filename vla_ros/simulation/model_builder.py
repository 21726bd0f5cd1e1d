"""One MuJoCo model from the robot's URDF, its cameras and a scene. Everything that is tuned about contact stands here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np

from vla_ros.core.errors import SimulationError
from vla_ros.core.geometry import Array, Pose, quat_from_rotation
from vla_ros.robots import CameraConfig, RobotConfig, resolved_urdf
from vla_ros.simulation.meshes import read_stl, simplify
from vla_ros.simulation.scene_config import Lighting, ObjectSpec, Table
from vla_ros.simulation.shapes import Part, parts_of, quat_wxyz_of_yaw

TIMESTEP_S = 0.002
TABLE_BODY = "table"
FLOOR_M = -0.75  # below the table's top

# Contact. A time constant of 3 steps is the stiffest that stays stable; impratio makes friction 50 times stiffer than the normal
# direction, so that a held cube creeps by less than 0.1 mm in 10 s; torsional friction is that of a 9 mm patch of rubber.
SOLREF = (0.006, 1.0)
IMPRATIO = 50.0
CONTACT_DIMENSIONS = 4  # normal, two sliding, one torsional
TORSIONAL_FRICTION_M = 0.006
ROLLING_FRICTION_M = 0.0001
PAD_FRICTION = 1.0
LINK_FRICTION = 0.6

ROTOR_INERTIA_KGM2 = 0.1  # reflected through the gears; the order published for the Panda, added on each joint's diagonal
FINGER_ARMATURE_KG = 0.1  # of the gripper's spindle drive, felt at each finger
FINGER_DAMPING_NSPM = 5.0

FLOOR_RGB = (0.30, 0.31, 0.33)
VISUAL_GROUP = 1
HIDDEN_GROUP = 3  # MuJoCo does not draw groups above 2 unless asked
_ROBOT, _OBJECT, _STATIC = 1, 2, 4  # contype bits
_KIND = {"box": mujoco.mjtGeom.mjGEOM_BOX, "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER}


def build_model(
    robot: RobotConfig, table: Table, lighting: Lighting, objects: Sequence[tuple[str, ObjectSpec]], meshes: bool = True
) -> mujoco.MjModel:
    """The model of a robot at the world's origin before a table with ``objects`` (key, spec), each free to move.

    Bodies: the URDF's links, "table", and one per object's key. Cameras: those of ``robot.cameras``, by name. Without ``meshes`` the
    robot is built, and seen, as its collision primitives. Raises SimulationError.
    """
    spec = _robot_spec(robot, meshes)
    _set_options(spec, robot, lighting)
    _add_table(spec, table)
    _add_floor(spec, table)
    for key, item in objects:
        _add_object(spec, key, item)
    for camera in robot.cameras.values():
        _add_camera(spec, camera, robot.base_frame)
    try:
        _exclude_permanent_contacts(spec, robot)
        return spec.compile()
    except ValueError as error:
        raise SimulationError(f"MuJoCo cannot build the scene with {robot.name} from {robot.urdf_path}: {error}") from error


def _robot_spec(robot: RobotConfig, meshes: bool) -> mujoco.MjSpec:
    spec = mujoco.MjSpec.from_string(resolved_urdf(robot, for_mujoco=True))
    if not meshes:
        for geom in [geom for geom in spec.geoms if geom.type == mujoco.mjtGeom.mjGEOM_MESH]:
            spec.delete(geom)
        for mesh in list(spec.meshes):
            spec.delete(mesh)
    for mesh in spec.meshes:
        vertices, faces = simplify(read_stl(Path(mesh.file)))
        mesh.file = ""
        mesh.uservert = vertices.ravel()
        mesh.userface = faces.ravel()
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    for name in robot.arm_joints:
        spec.joint(name).armature = ROTOR_INERTIA_KGM2
    for name in robot.finger_joints:
        spec.joint(name).armature = FINGER_ARMATURE_KG
        spec.joint(name).damping[0] = FINGER_DAMPING_NSPM
    for body in spec.bodies:
        _dress_link(body)
    return spec


def _dress_link(body: mujoco.MjsBody) -> None:
    """Primitives collide and are hidden where there is something better to look at."""
    has_visual = any(geom.contype == 0 for geom in body.geoms)
    for geom in body.geoms:
        if geom.contype == 0:
            geom.group = VISUAL_GROUP
            continue
        geom.group = HIDDEN_GROUP if has_visual else VISUAL_GROUP
        geom.contype, geom.conaffinity = _ROBOT, _ROBOT | _OBJECT | _STATIC
        _set_contact(geom, PAD_FRICTION if geom.name.endswith("_pad") else LINK_FRICTION)


def _set_contact(geom: mujoco.MjsGeom, friction: float) -> None:
    geom.friction = (friction, TORSIONAL_FRICTION_M, ROLLING_FRICTION_M)
    geom.condim = CONTACT_DIMENSIONS
    geom.solref[:2] = SOLREF


def _set_options(spec: mujoco.MjSpec, robot: RobotConfig, lighting: Lighting) -> None:
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = IMPRATIO
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.offsamples = 0
    spec.visual.quality.numquads = 1  # light comes from afar: a finer mesh of a flat face looks the same
    spec.visual.quality.numslices = 20
    spec.visual.quality.numstacks = 2
    spec.visual.global_.offwidth = max((c.width_px for c in robot.cameras.values()), default=640)
    spec.visual.global_.offheight = max((c.height_px for c in robot.cameras.values()), default=480)
    spec.visual.headlight.ambient = (lighting.ambient,) * 3
    spec.visual.headlight.diffuse = (0.12,) * 3
    spec.visual.headlight.specular = (0.0,) * 3
    spec.stat.extent = 1.0  # so that the clipping planes below are in metres
    spec.visual.map.znear = 0.01
    spec.visual.map.zfar = 6.0
    spec.worldbody.add_light(
        pos=(0.0, 0.0, 2.0),
        dir=lighting.direction,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        diffuse=(lighting.diffuse,) * 3,
        specular=(0.05,) * 3,
        castshadow=False,
    )


def _add_table(spec: mujoco.MjSpec, table: Table) -> None:
    x, y, z = (size / 2 for size in table.size_m)
    body = spec.worldbody.add_body(name=TABLE_BODY, pos=(*table.centre_m, -z))
    geom = body.add_geom(name=TABLE_BODY, type=_KIND["box"], size=(x, y, z), rgba=(*table.colour_rgb, 1.0))
    geom.contype, geom.conaffinity = _STATIC, _ROBOT | _OBJECT
    _set_contact(geom, table.friction)


def _add_floor(spec: mujoco.MjSpec, table: Table) -> None:
    """A plane that catches what falls, and four boxes to look at: hidden behind the table, the plane would cost a third of a picture."""
    plane = spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(4.0, 4.0, 0.1), pos=(0.0, 0.0, FLOOR_M))
    plane.group = HIDDEN_GROUP
    plane.contype, plane.conaffinity = _STATIC, _OBJECT
    (cx, cy), (wx, wy, _) = table.centre_m, table.size_m
    reach = 3.0
    for x, y, half_x, half_y in (
        (cx + wx / 2 + reach, cy, reach, 2 * reach),
        (cx - wx / 2 - reach, cy, reach, 2 * reach),
        (cx, cy + wy / 2 + reach, wx / 2, reach),
        (cx, cy - wy / 2 - reach, wx / 2, reach),
    ):
        slab = spec.worldbody.add_geom(type=_KIND["box"], size=(half_x, half_y, 0.01), pos=(x, y, FLOOR_M - 0.01))
        slab.rgba = (*FLOOR_RGB, 1.0)
        slab.contype, slab.conaffinity = 0, 0


def _add_object(spec: mujoco.MjSpec, key: str, item: ObjectSpec) -> None:
    body = spec.worldbody.add_body(name=key, pos=(0.0, 0.0, item.size_m[2] / 2))
    body.add_freejoint(name=key)
    parts = parts_of(item)
    density = item.mass_kg / sum(part.volume_m3 for part in parts)
    for part in parts:
        _add_part(body, part, item, density)


def _add_part(body: mujoco.MjsBody, part: Part, item: ObjectSpec, density: float) -> None:
    geom = body.add_geom(
        type=_KIND[part.kind],
        size=part.half_size_m,
        pos=part.centre_m,
        quat=quat_wxyz_of_yaw(part.yaw_rad),
        rgba=(*item.rgb, 1.0),
        density=density,
    )
    geom.contype, geom.conaffinity = _OBJECT, _ROBOT | _OBJECT | _STATIC
    _set_contact(geom, item.friction)


def _add_camera(spec: mujoco.MjSpec, camera: CameraConfig, base_frame: str) -> None:
    """MuJoCo's camera looks along -z with y up; an optical frame looks along z with y down."""
    parent = spec.worldbody if camera.parent in ("world", base_frame) else spec.body(camera.parent)
    if parent is None:
        raise SimulationError(f"Camera '{camera.name}': the URDF has no link '{camera.parent}'.")
    rotation: Array = camera.T_parent_camera[:3, :3] @ np.diag([1.0, -1.0, -1.0])
    parent.add_camera(
        name=camera.name,
        pos=camera.T_parent_camera[:3, 3],
        quat=wxyz(quat_from_rotation(rotation)),
        resolution=(camera.width_px, camera.height_px),
        sensor_size=(camera.width_px * 1e-5, camera.height_px * 1e-5),
        focal_pixel=(camera.fx, camera.fy),
        # Pixel centres have whole coordinates in camera_info, so that the image's middle is at (width - 1) / 2.
        principal_pixel=((camera.width_px - 1) / 2 - camera.cx, camera.cy - (camera.height_px - 1) / 2),
    )


def _exclude_permanent_contacts(spec: mujoco.MjSpec, robot: RobotConfig) -> None:
    """The robot's own list, and links that touch at home: their primitives are generous, they are taken for neighbours."""
    model = spec.compile()
    data = mujoco.MjData(model)
    for name, angle in zip(robot.arm_joints, robot.home_rad, strict=True):
        data.qpos[model.joint(name).qposadr[0]] = angle
    mujoco.mj_forward(model, data)
    pairs = set(robot.ignored_collision_pairs)
    for geom1, geom2 in data.contact.geom:
        if model.geom_contype[geom1] == _ROBOT and model.geom_contype[geom2] == _ROBOT:
            pairs.add((model.body(model.geom_bodyid[geom1]).name, model.body(model.geom_bodyid[geom2]).name))
    for body1, body2 in sorted(pairs):
        spec.add_exclude(bodyname1=body1, bodyname2=body2)


def wxyz(quat_xyzw: Array) -> Array:
    """MuJoCo's order of a quaternion."""
    return np.asarray(quat_xyzw, dtype=float)[[3, 0, 1, 2]]


def xyzw(quat_wxyz: Array) -> Array:
    """The order of everything outside this package."""
    return np.asarray(quat_wxyz, dtype=float)[[1, 2, 3, 0]]


def pose_of(position: Array, quat_wxyz: Array) -> Pose:
    """A pose from MuJoCo's position and quaternion."""
    return Pose(np.array(position), xyzw(quat_wxyz))
