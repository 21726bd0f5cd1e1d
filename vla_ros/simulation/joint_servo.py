"""The torque loop under the trajectory controller, and the gripper's drive: 500 Hz, on MuJoCo's own model of the arm."""

from __future__ import annotations

import mujoco
import numpy as np

from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array
from vla_ros.simulation.joint_trajectory_controller import DesiredState

# Computed torque makes each joint a unit mass on a critically damped spring, whatever the pose. 50 rad/s is a tenth of the loop's
# frequency (2 pi x 500 Hz / 60), so that a sampled loop behaves as the continuous one, and stiff enough that the heaviest object
# that the scenes hold (0.45 kg at 0.85 m: 3.8 Nm on an inertia of about 1 kg m2) bends it by less than 2 mrad.
NATURAL_FREQUENCY_RADPS = 50.0
STIFFNESS = NATURAL_FREQUENCY_RADPS**2  # 1/s2
DAMPING = 2 * NATURAL_FREQUENCY_RADPS  # 1/s


class JointServo:
    """Computed torque for the degrees of freedom ``dofs`` of a model, clipped to the motors' limits."""

    def __init__(self, model: mujoco.MjModel, qpos: Array, dofs: Array, effort_nm: Array) -> None:
        self._model = model
        self._qpos = qpos  # [n] addresses
        self._dofs = dofs  # [n] addresses
        self._block = np.ix_(dofs, dofs)
        self._effort = np.asarray(effort_nm, dtype=float)
        self._inertia = np.zeros((model.nv, model.nv))

    def torque(self, data: mujoco.MjData, desired: DesiredState) -> Array:
        """[n] Nm. ``data`` must have been brought up to date by mj_step1."""
        mujoco.mj_fullM(self._model, data, self._inertia)
        error = desired.positions - data.qpos[self._qpos]
        error_rate = desired.velocities - data.qvel[self._dofs]
        acceleration = desired.accelerations + STIFFNESS * error + DAMPING * error_rate
        torque: Array = self._inertia[self._block] @ acceleration + data.qfrc_bias[self._dofs] - data.qfrc_passive[self._dofs]
        return np.minimum(np.maximum(torque, -self._effort), self._effort)


FINGER_STIFFNESS_NPM = 4000.0  # 70 N, the most the hand gives, at 18 mm of error: closing pushes with the full commanded force
FINGER_DAMPING_NSPM = 45.0  # critical for a finger with its drive (0.13 kg)
REACHED_M = 0.0015
STALLED_SPEED_MPS = 0.001
STALLED_AFTER_S = 0.1


class GripperDrive:
    """A parallel gripper that moves to a width and never presses harder than it was told to."""

    def __init__(self, width_m: float, max_width_m: float, max_force_n: float, speed_mps: float) -> None:
        self._max_width = max_width_m
        self._max_force = max_force_n
        self._speed = speed_mps
        self.reset(width_m)

    def reset(self, width_m: float, grip_force_n: float = 0.0) -> None:
        """At rest, open by ``width_m``; with a grip force it closes on what is between the fingers from the first step on."""
        self.width_m = width_m  # measured
        self.target_m = 0.0 if grip_force_n > 0 else width_m
        self.force_n = min(grip_force_n, self._max_force) if grip_force_n > 0 else self._max_force  # the most that each pad presses with
        self._reference = self.target_m
        self._still_s = 0.0

    def command(self, width_m: float, force_n: float) -> None:
        """Move to ``width_m`` (clipped to what the gripper can do), with at most ``force_n`` on each pad. Raises MotionError for NaN."""
        if not np.isfinite(width_m) or not np.isfinite(force_n):
            raise MotionError(f"The gripper's width and force must be finite numbers, got {width_m} m and {force_n} N.")
        target = float(np.clip(width_m, 0.0, self._max_width))
        if target != self.target_m:
            self._still_s = 0.0
            self._reference = self.width_m
        self.target_m = target
        self.force_n = float(np.clip(force_n, 0.0, self._max_force))

    @property
    def reached(self) -> bool:
        """The fingers are where they were sent."""
        return abs(self.width_m - self.target_m) <= REACHED_M

    @property
    def stalled(self) -> bool:
        """Something keeps it from its target: it has stood still short of it for a while."""
        return not self.reached and self._still_s >= STALLED_AFTER_S

    def forces(self, positions: Array, velocities: Array, dt_s: float) -> Array:
        """[2] N for the two fingers, each at ``positions`` (m from the middle) with ``velocities``."""
        self.width_m = float(positions.sum())
        moving = abs(float(velocities.sum())) > STALLED_SPEED_MPS
        self._still_s = 0.0 if moving else self._still_s + dt_s
        step = self._speed * dt_s
        self._reference += max(-step, min(step, self.target_m - self._reference))
        force = FINGER_STIFFNESS_NPM * (self._reference / 2 - positions) - FINGER_DAMPING_NSPM * velocities
        return np.minimum(np.maximum(force, -self.force_n), self.force_n)
