"""A simulated robot: what drivers and ros2_control offer on a real one, stepped by its caller."""

from __future__ import annotations

import mujoco
import numpy as np

from vla_ros.core.errors import SimulationError, unknown_choice
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import JointState
from vla_ros.robots import RobotConfig
from vla_ros.simulation.faults import Faults
from vla_ros.simulation.joint_servo import GripperDrive, JointServo
from vla_ros.simulation.joint_trajectory_controller import JointTrajectoryController
from vla_ros.simulation.model_builder import TIMESTEP_S
from vla_ros.simulation.scene_config import SceneConfig
from vla_ros.simulation.scene_sampler import PlacedObject, sample_scene
from vla_ros.simulation.tactile import TactilePad, TactileReading
from vla_ros.simulation.world import World

STEP_NS = round(TIMESTEP_S * 1e9)
STEPS_PER_TICK = 5  # 10 ms: the rate of joint states and tactile arrays
SETTLING_STEPS = 50  # after a reset, so that the objects lie still when the first image is taken


class SimRobot:
    """Arm with trajectory controller, gripper, tactile pads and the objects around it. Not thread-safe: one owner."""

    def __init__(self, robot: RobotConfig, scene: SceneConfig, seed: int = 0, meshes: bool = True) -> None:
        self.config = robot
        self.world = World(robot, scene, meshes)
        n = self.world.n_arm
        self.controller = JointTrajectoryController(robot.arm_joints, robot.home_rad)
        self._servo = JointServo(self.world.model, self.world.qpos[:n], self.world.dofs[:n], robot.limits.effort_nm)
        gripper = robot.gripper
        self.gripper = GripperDrive(gripper.width_open_m, gripper.width_open_m, gripper.max_force_n, gripper.speed_mps)
        self._pads = {name: TactilePad(self.world, config) for name, config in robot.tactile.items()}
        self.faults = Faults(self.world, seed)
        self.now_ns = 0
        self.placed: tuple[PlacedObject, ...] = ()
        self.seed = seed
        self.reset(seed)

    def reset(self, seed: int) -> tuple[PlacedObject, ...]:
        """Objects placed anew, arm at home and at rest, gripper open, no faults. Time goes on. Returns where the objects were put."""
        self.seed = seed
        self.placed = sample_scene(self.world.scene, np.random.default_rng(seed))
        self.restore(self.placed)
        return self.placed

    def restore(
        self,
        placed: tuple[PlacedObject, ...],
        arm_rad: Array | None = None,
        gripper_width_m: float | None = None,
        grip_force_n: float = 0.0,
    ) -> None:
        """The same with given places, joint angles [dof] and opening; a grip force holds what is between the fingers."""
        arm = self.config.home_rad if arm_rad is None else np.asarray(arm_rad, dtype=float)
        width = self.config.gripper.width_open_m if gripper_width_m is None else gripper_width_m
        self.placed = placed
        self.world.reset(placed, arm, width)
        self.faults.clear()
        self.controller.hold(arm)
        self.gripper.reset(width, grip_force_n)
        start_ns = self.now_ns
        self.step(SETTLING_STEPS)
        self.now_ns = start_ns

    def step(self, n_substeps: int = STEPS_PER_TICK) -> None:
        """Advances by ``n_substeps`` of 2 ms. Raises SimulationError when the physics diverges."""
        model, data = self.world.model, self.world.data
        n, dofs = self.world.n_arm, self.world.dofs
        self.faults.act_on_body(self.now_ns)
        fingers_q, fingers_v = self.world.qpos[n:], dofs[n:]
        for _ in range(n_substeps):
            mujoco.mj_step1(model, data)
            data.qfrc_applied[dofs[:n]] = self._servo.torque(data, self.controller.sample(self.now_ns))
            force = self.gripper.forces(data.qpos[fingers_q], data.qvel[fingers_v], TIMESTEP_S)
            data.qfrc_applied[fingers_v] = force + data.qfrc_bias[fingers_v]
            mujoco.mj_step2(model, data)
            self.now_ns += STEP_NS
        self.world.refresh_poses()
        self.world.check()

    def joint_state(self) -> JointState:
        """Arm and finger joints as measured now; efforts are what the drives apply."""
        names = (*self.config.arm_joints, *self.config.finger_joints)
        efforts = np.array(self.world.data.qfrc_applied[self.world.dofs])
        state = JointState(self.now_ns, names, self.world.joint_positions, self.world.joint_velocities, efforts)
        return self.faults.on_joint_state(state)

    def tactile(self, finger: str) -> TactileReading:
        """What the pad of ``finger`` ("left", "right") feels. Raises SimulationError for one that the robot lacks."""
        if finger not in self._pads:
            raise SimulationError(unknown_choice("finger", finger, self._pads))
        return self.faults.on_tactile(self._pads[finger].read(self.now_ns))
