"""The physical state: arm, gripper and objects in one MuJoCo model. MuJoCo's wxyz quaternions do not leave this file's methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import SimulationError, unknown_choice
from vla_ros.core.geometry import Array, Pose, transform
from vla_ros.robots import RobotConfig
from vla_ros.simulation.model_builder import build_model, pose_of, wxyz
from vla_ros.simulation.scene_config import ObjectSpec, SceneConfig
from vla_ros.simulation.scene_sampler import PlacedObject


@dataclass(frozen=True)
class Contact:
    """Two bodies that touch. The force is what ``body2`` feels from ``body1``, in `world`."""

    body1: str
    body2: str
    position_m: Array  # [3]
    force_n: Array  # [3]


class World:
    """One robot and one scene's objects; ``reset`` places them anew without building the model again."""

    def __init__(self, robot: RobotConfig, scene: SceneConfig, meshes: bool = True) -> None:
        self.robot = robot
        self.scene = scene
        self.specs: dict[str, ObjectSpec] = dict(zip(scene.object_keys, scene.objects, strict=True))
        self.model = build_model(robot, scene.table, scene.lighting, list(self.specs.items()), meshes)
        self.data = mujoco.MjData(self.model)
        joints = [self.model.joint(name) for name in (*robot.arm_joints, *robot.finger_joints)]
        self.qpos = np.array([joint.qposadr[0] for joint in joints])  # addresses: arm, then fingers
        self.dofs = np.array([joint.dofadr[0] for joint in joints])
        self.body_names = tuple(self.model.body(i).name for i in range(self.model.nbody))
        self._initial_friction = self.model.geom_friction.copy()

    @property
    def n_arm(self) -> int:
        """Joints of the arm."""
        return len(self.robot.arm_joints)

    def reset(self, placed: Sequence[PlacedObject], arm_rad: Array, gripper_width_m: float) -> None:
        """Everything at rest: the objects at their poses, the arm at ``arm_rad`` [dof], the gripper open by ``gripper_width_m``."""
        mujoco.mj_resetData(self.model, self.data)
        self.undo_disturbances()
        fingers = np.full(len(self.robot.finger_joints), self.robot.gripper.binding.position_from_width(gripper_width_m))
        self.data.qpos[self.qpos] = [*arm_rad, *fingers]
        for item in placed:
            self.place(item.key, item.pose)
        mujoco.mj_forward(self.model, self.data)

    def place(self, key: str, pose: Pose) -> None:
        """Puts an object somewhere, at rest."""
        joint = self._free_joint(key)
        joint.qpos[:] = [*pose.position_m, *wxyz(pose.quat_xyzw)]
        joint.qvel[:] = 0.0

    def _free_joint(self, key: str) -> mujoco._structs._MjDataJointViews:
        if key not in self.specs:
            raise SimulationError(unknown_choice("object", key, self.specs))
        return self.data.joint(key)

    def refresh_poses(self) -> None:
        """Poses of links and cameras at the state's own time: a step leaves those of its beginning."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def object_pose(self, key: str) -> Pose:
        """Of the centre of the object's extents, in `world`."""
        qpos = self._free_joint(key).qpos
        return pose_of(qpos[:3], qpos[3:])

    def object_velocity(self, key: str) -> tuple[Array, Array]:
        """Linear [3] m/s in `world` and angular [3] rad/s in the object's frame."""
        qvel = self._free_joint(key).qvel
        return np.array(qvel[:3]), np.array(qvel[3:])

    def link_pose(self, link: str) -> Array:
        """[4, 4] T_world_link of a link of the URDF (or of an object by its key)."""
        body = self.data.body(link)
        return transform(body.xmat.reshape(3, 3), body.xpos)

    @property
    def joint_positions(self) -> Array:
        """[dof + fingers] rad and m."""
        return np.array(self.data.qpos[self.qpos])

    @property
    def joint_velocities(self) -> Array:
        """[dof + fingers] rad/s and m/s."""
        return np.array(self.data.qvel[self.dofs])

    def touching_bodies(self) -> NDArray[np.int32]:
        """[k, 2] ids of the bodies in each contact, as of the last step."""
        return np.asarray(self.model.geom_bodyid[self.data.contact.geom])

    def contacts(self) -> list[Contact]:
        """Everything that touches, with its force, as of the last step."""
        bodies = self.touching_bodies()
        positions, forces = self._contact_forces(np.arange(len(bodies)))
        return [
            Contact(self.body_names[body1], self.body_names[body2], position, force)
            for (body1, body2), position, force in zip(bodies, positions, forces, strict=True)
        ]

    def forces_on(self, geom: int) -> tuple[Array, Array]:
        """Points [k, 3] and forces [k, 3] with which other bodies press on one geom, in `world`, as of the last step."""
        pairs = self.data.contact.geom
        chosen = np.flatnonzero((pairs[:, 0] == geom) | (pairs[:, 1] == geom))
        positions, forces = self._contact_forces(chosen)
        return positions, np.where(pairs[chosen, 1:] == geom, forces, -forces)

    def _contact_forces(self, indices: NDArray[np.int64]) -> tuple[Array, Array]:
        """Points [k, 3] and the forces [k, 3] that the second geom of each contact feels."""
        wrenches = np.zeros((len(indices), 6))
        for wrench, index in zip(wrenches, indices, strict=True):
            mujoco.mj_contactForce(self.model, self.data, index, wrench)
        frames = self.data.contact.frame[indices].reshape(-1, 3, 3)  # rows: normal from the first to the second geom, two tangents
        return np.array(self.data.contact.pos[indices]), np.einsum("kji,kj->ki", frames, wrenches[:, :3])

    def set_friction(self, body: str, friction: float) -> None:
        """Sliding friction of a body against everything, until ``undo_disturbances``."""
        first, count = self.model.body(body).geomadr[0], self.model.body(body).geomnum[0]
        self.model.geom_friction[first : first + count] = friction * _SLIDING_ONLY
        self.model.geom_priority[first : first + count] = 1  # its friction counts, not the larger of the two

    def push(self, body: str, force_n: Array) -> None:
        """A force [3] in `world` on a body's centre of mass, until ``undo_disturbances``."""
        self.data.xfrc_applied[self.model.body(body).id, :3] = force_n

    def undo_disturbances(self) -> None:
        """Friction as built, no pushes."""
        self.model.geom_friction[:] = self._initial_friction
        self.model.geom_priority[:] = 0
        self.data.xfrc_applied[:] = 0.0

    def check(self) -> None:
        """Raises SimulationError when the physics has diverged."""
        if not np.all(np.isfinite(self.data.qpos)) or np.any(self.data.warning.number[_DIVERGED]):
            raise SimulationError(f"The physics diverged at {self.data.time:.3f} s (infinite or huge values); reset the simulation.")


_SLIDING_ONLY = np.array([1.0, 1e-3, 1e-4])  # torsional and rolling friction [m] vanish with it
_DIVERGED = [int(mujoco.mjtWarning.mjWARN_BADQPOS), int(mujoco.mjtWarning.mjWARN_BADQVEL), int(mujoco.mjtWarning.mjWARN_BADQACC)]
