"""Kinematics of an arm, computed by Pinocchio."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pinocchio
from numpy.typing import NDArray

from vla_ros.core.errors import ConfigError, MotionError
from vla_ros.core.geometry import Array
from vla_ros.robots.description import LinkShape, collision_shapes
from vla_ros.robots.values import RobotConfig

MAX_ITERATIONS = 60  # of one descent; a reachable pose near the seed takes 4 to 15
MAX_STEP_RAD = 0.5  # of one joint in one iteration: beyond it the linearisation is worthless
STALL_ITERATIONS = 12  # a descent that has not come closer for so long is given up
SEED_PULL = 0.1  # share of the way back to the seed, per iteration, in the motion that leaves the TCP where it is
PULL_FADES_BELOW_M = 0.003  # nearer to the goal the pull grows weaker, lest its second-order effect on the TCP hold up convergence
METRES_PER_RADIAN = 0.1  # weighs orientation against position where one number has to judge a pose error
RESTARTS = 10  # postures to start from when the descent from the seed ends in a local minimum


@dataclass(frozen=True)
class _Descent:
    q: Array
    position_error_m: float
    rotation_error_rad: float
    reached: bool

    @property
    def cost(self) -> float:
        return self.position_error_m + METRES_PER_RADIAN * self.rotation_error_rad


class Arm:
    """Forward and inverse kinematics of one arm. Not for several threads at once: calls share their work memory.

    Joint vectors ``q`` are [dof] rad in the order of ``config.arm_joints``; poses are those of ``config.tcp_frame`` in the base frame.
    """

    def __init__(self, config: RobotConfig) -> None:
        self.config = config
        self._full = full_model(config)
        self._full_data = self._full.createData()
        fingers = [self._full.getJointId(name) for name in config.finger_joints]
        self._model = pinocchio.buildReducedModel(self._full, fingers, pinocchio.neutral(self._full))
        self._data = self._model.createData()
        self._tcp = self._model.getFrameId(config.tcp_frame)
        self._arm_rows = [self._full.joints[self._full.getJointId(name)].idx_q for name in config.arm_joints]
        self._finger_rows = [self._full.joints[i].idx_q for i in fingers]
        self._links = [(f.name, i) for i, f in enumerate(self._full.frames) if f.type == pinocchio.FrameType.BODY and f.name != "universe"]
        self._restarts = _restart_postures(config)
        self._chain, self._axes, self._t_last_tcp = _chain_of(self._model, self._tcp)

    @cached_property
    def collision_shapes(self) -> tuple[LinkShape, ...]:
        """The collision primitives of every link."""
        return collision_shapes(self.config)

    @cached_property
    def moving_joint(self) -> dict[str, str]:
        """For each link the last joint between the base and it; "" for what no joint moves."""
        joints = {i: "" if i == 0 else str(self._full.names[i]) for i in range(self._full.njoints)}
        return {name: joints[self._full.frames[i].parentJoint] for name, i in self._links}

    @cached_property
    def parent_joint(self) -> dict[str, str]:
        """For each joint the one before it on the way from the base; "" for the first."""
        names = ["", *list(self._full.names)[1:]]
        return {names[i]: names[self._full.parents[i]] for i in range(1, self._full.njoints)}

    def fk(self, q: Array) -> Array:
        """T_base_tcp [4, 4]."""
        pinocchio.forwardKinematics(self._model, self._data, np.asarray(q, dtype=float))
        return np.array(pinocchio.updateFramePlacement(self._model, self._data, self._tcp).homogeneous)

    def tcp_positions(self, rows: Array) -> Array:
        """[n, 3] positions of the TCP in the base frame for many postures [n, dof] at once."""
        turns, translations = self._chain
        factors = _factors(rows)
        position = np.broadcast_to(self._t_last_tcp[:, None], (3, len(rows)))
        for joint in range(len(turns) - 1, -1, -1):
            position = turns[joint] @ (factors[joint, :, None] * position).reshape(9, -1)
            position += translations[joint]
        return position.T

    def tcp_rates(self, rows: Array, velocities: Array) -> tuple[Array, Array]:
        """Linear [n, 3] m/s and angular [n, 3] rad/s velocity of the TCP in the base frame, for postures and joint velocities [n, dof]."""
        turns, translations = self._chain
        factors, rates = _factors(rows)[:, :, None, None], np.asarray(velocities, dtype=float).T
        moved = np.zeros((3, 3, len(rows)))  # position, linear and angular velocity of the TCP, seen from the joint that it has got to
        moved[:, 0] = self._t_last_tcp[:, None]
        for joint in range(len(turns) - 1, -1, -1):
            moved = (turns[joint] @ (factors[joint] * moved).reshape(9, -1)).reshape(moved.shape)
            axis, cross = self._axes[joint]
            moved[:, 1] += rates[joint] * (cross @ moved[:, 0])
            moved[:, 2] += rates[joint] * axis
            moved[:, 0] += translations[joint]
        return moved[:, 1].T, moved[:, 2].T

    def jacobian(self, q: Array) -> Array:
        """[6, dof]: linear [m/rad], then angular velocity of the TCP for each joint's velocity, in the base's axes."""
        q = np.asarray(q, dtype=float)
        return np.array(pinocchio.computeFrameJacobian(self._model, self._data, q, self._tcp, pinocchio.ReferenceFrame.LOCAL_WORLD_ALIGNED))

    def torques(self, q: Array, velocity: Array, acceleration: Array) -> Array:
        """[dof] Nm that the drives give in this motion, with nothing touched or held and the URDF's masses."""
        q, v, a = (np.asarray(values, dtype=float) for values in (q, velocity, acceleration))
        return np.array(pinocchio.rnea(self._model, self._data, q, v, a))

    def momentum(self, q: Array, velocity: Array) -> tuple[Array, Array]:
        """The generalised momentum p [dof] (Nm s), and what changes it beside drives and contact [dof] (Nm): C(q, v)^T v - g(q)."""
        q, v = np.asarray(q, dtype=float), np.asarray(velocity, dtype=float)
        gravity = np.array(pinocchio.computeGeneralizedGravity(self._model, self._data, q))
        momentum = np.array(pinocchio.rnea(self._model, self._data, q, np.zeros(len(q)), v)) - gravity
        coriolis = np.array(pinocchio.computeCoriolisMatrix(self._model, self._data, q, v))
        return momentum, coriolis.T @ v - gravity

    def pose_error(self, q: Array, goal: pinocchio.SE3) -> tuple[Array, Array]:
        """[6] from the TCP at ``q`` to ``goal`` (m, then rotation vector), and the Jacobian [6, dof], both in the axes of the TCP."""
        pinocchio.computeJointJacobians(self._model, self._data, q)
        here = pinocchio.updateFramePlacement(self._model, self._data, self._tcp)
        jacobian = pinocchio.getFrameJacobian(self._model, self._data, self._tcp, pinocchio.ReferenceFrame.LOCAL)
        return _pose_error(here, goal), jacobian

    def full_q(self, q: Array, gripper_width_m: float = 0.0) -> Array:
        """Joints of the whole URDF (arm and fingers) in Pinocchio's order."""
        full = np.zeros(self._full.nq)
        full[self._arm_rows] = q
        full[self._finger_rows] = self.config.gripper.binding.position_from_width(gripper_width_m)
        return full

    def link_poses(self, q: Array, gripper_width_m: float = 0.0, only: Collection[str] | None = None) -> dict[str, Array]:
        """T_base_link [4, 4] of every link of the URDF, or of ``only`` some, by name."""
        pinocchio.framesForwardKinematics(self._full, self._full_data, self.full_q(q, gripper_width_m))
        placements = self._full_data.oMf
        return {name: np.array(placements[i].homogeneous) for name, i in self._links if only is None or name in only}

    def ik(self, T_base_tcp: Array, seed_rad: Array, *, position_tolerance_m: float = 1e-4, rotation_tolerance_rad: float = 1e-3) -> Array:
        """Joint angles [dof] inside the limits that put the TCP at ``T_base_tcp``, near ``seed_rad``.

        Descends from the seed; where that ends in a local minimum, from other postures, of whose results the nearest to the seed is taken:
        it can then lie far from it. Takes 0.2-0.5 ms from a seed within 0.3 rad, 20 ms when it has to give up.
        Raises MotionError saying how far it got.
        """
        if not (np.all(np.isfinite(T_base_tcp)) and np.all(np.isfinite(seed_rad))):
            raise MotionError("Inverse kinematics was asked for a pose or from a seed that is not finite.")
        goal = pinocchio.SE3(np.asarray(T_base_tcp, dtype=float))
        seed = np.clip(np.asarray(seed_rad, dtype=float), self.config.limits.position_min_rad, self.config.limits.position_max_rad)
        first = self._descend(goal, seed, seed, position_tolerance_m, rotation_tolerance_rad)
        if first.reached:
            return first.q
        others = [self._descend(goal, start, seed, position_tolerance_m, rotation_tolerance_rad) for start in self._restarts]
        reached = [d for d in others if d.reached]
        if reached:
            return min(reached, key=lambda d: float(np.abs(d.q - seed).max())).q
        raise MotionError(self._unreached(goal, min([first, *others], key=lambda d: d.cost)))

    def _descend(
        self, goal: pinocchio.SE3, start: Array, seed: Array, position_tolerance_m: float, rotation_tolerance_rad: float
    ) -> _Descent:
        """Damped least squares from ``start``; joints that would leave their limits stay there and the others do the work."""
        low, high = self.config.limits.position_min_rad, self.config.limits.position_max_rad
        q = start
        best, best_at = _Descent(q, np.inf, np.inf, False), 0
        for iteration in range(MAX_ITERATIONS):
            error, jacobian = self.pose_error(q, goal)
            position, rotation = float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))
            now = _Descent(q, position, rotation, position <= position_tolerance_m and rotation <= rotation_tolerance_rad)
            if now.reached:
                return now
            if now.cost < 0.99 * best.cost:
                best, best_at = now, iteration
            elif iteration - best_at >= STALL_ITERATIONS:
                break
            pull = SEED_PULL * min(1.0, now.cost / PULL_FADES_BELOW_M) * (seed - q)
            step = _step(jacobian, error, pull, q <= low, q >= high)
            q = np.clip(q + step * min(1.0, MAX_STEP_RAD / (float(np.abs(step).max()) + 1e-12)), low, high)
        return best

    def _unreached(self, goal: pinocchio.SE3, best: _Descent) -> str:
        limits = self.config.limits
        at_limit = (best.q <= limits.position_min_rad + 1e-6) | (best.q >= limits.position_max_rad - 1e-6)
        joints = [name for name, stuck in zip(self.config.arm_joints, at_limit, strict=True) if stuck]
        where = np.array2string(goal.translation, precision=3, separator=", ")
        why = f"; at its limit: {', '.join(joints)}" if joints else ""
        far = f"{best.position_error_m * 1000:.1f} mm and {np.degrees(best.rotation_error_rad):.1f} deg away"
        return (
            f"{self.config.name} cannot bring {self.config.tcp_frame} to {where} m in {self.config.base_frame} with the "
            f"orientation asked for: nearest posture found is {far}{why}."
        )


def full_model(config: RobotConfig) -> pinocchio.Model:
    """Pinocchio's model of the whole URDF. Raises ConfigError when URDF and configuration do not fit together."""
    try:
        model = pinocchio.buildModelFromXML(config.urdf_path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{config.urdf_path}: not a usable URDF: {error}") from error
    names = list(model.names)[1:]
    expected = [*config.arm_joints, *config.finger_joints]
    if names != expected:
        raise ConfigError(
            f"{config.urdf_path} moves the joints {', '.join(names)}; {config.name}'s configuration has {', '.join(expected)}."
        )
    for frame in (config.base_frame, config.tcp_frame):
        if not model.existFrame(frame):
            raise ConfigError(f"{config.urdf_path} has no link '{frame}', which {config.name}'s configuration names.")
    base = model.frames[model.getFrameId(config.base_frame)]
    if base.parentJoint != 0 or not base.placement.isIdentity():
        raise ConfigError(f"{config.name}: base_frame '{config.base_frame}' must be the root link of {config.urdf_path}.")
    return model


def _chain_of(model: pinocchio.Model, tcp: int) -> tuple[tuple[Array, Array], list[tuple[Array, Array]], Array]:
    """What each joint does to a point p: R (I + K K) p + sin R K p - cos R K K p (Rodrigues), as one [3, 9]; then a translation [3, 1].

    R is the rotation before the joint, K the cross-product matrix of its axis. Then each joint's axis [3, 1], turned by R, with its
    cross-product matrix [3, 3], and the TCP in the last joint.
    """
    data, neutral = model.createData(), pinocchio.neutral(model)
    joints = range(1, model.njoints)
    axes = [pinocchio.computeJointJacobian(model, data, neutral, j)[3:, model.joints[j].idx_v] for j in joints]
    rotations = [np.array(model.jointPlacements[j].rotation) for j in joints]
    crosses = [np.array(pinocchio.skew(axis)) for axis in axes]
    turns = np.array([np.hstack([R + R @ K @ K, R @ K, -R @ K @ K]) for R, K in zip(rotations, crosses, strict=True)])
    translations = np.array([model.jointPlacements[j].translation for j in joints])[:, :, None]
    turned = [(axis[:, None], np.array(pinocchio.skew(axis))) for axis in (R @ a for R, a in zip(rotations, axes, strict=True))]
    return (turns, translations), turned, np.array(model.frames[tcp].placement.translation)


def _factors(rows: Array) -> Array:
    """[dof, 3, n]: 1, sine and cosine of postures [n, dof]."""
    angles = np.asarray(rows, dtype=float).T
    factors = np.ones((len(angles), 3, angles.shape[1]))
    np.sin(angles, out=factors[:, 1])
    np.cos(angles, out=factors[:, 2])
    return factors


def _restart_postures(config: RobotConfig) -> list[Array]:
    """Home, and postures spread evenly over the inner 80 % of the joints' ranges (a Kronecker sequence: fixed, no random numbers)."""
    low, high = config.limits.position_min_rad, config.limits.position_max_rad
    steps = np.sqrt(np.array([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0])[: config.dof])
    spread = [low + (0.1 + 0.8 * np.mod(0.5 + i * steps, 1.0)) * (high - low) for i in range(RESTARTS - 1)]
    return [np.array(config.home_rad), *spread]


def _pose_error(here: pinocchio.SE3, goal: pinocchio.SE3) -> Array:
    """[6] from ``here`` to ``goal`` in the axes of ``here``: metres, then rotation vector."""
    away = here.actInv(goal)
    return np.concatenate([away.translation, pinocchio.log3(away.rotation)])


def _step(jacobian: Array, error: Array, pull: Array, at_low: NDArray[np.bool_], at_high: NDArray[np.bool_]) -> Array:
    """Joint step [dof] towards zero error, with ``pull`` in what is left of freedom."""
    damping = 1e-6 + 0.02 * float(error @ error)
    free = np.ones(len(pull), dtype=bool)
    while True:
        J = jacobian * free
        A = J @ J.T
        A[np.diag_indices(6)] += damping
        held_pull = pull * free
        step: Array = J.T @ np.linalg.solve(A, error - J @ held_pull) + held_pull
        blocked = free & ((at_low & (step < 0)) | (at_high & (step > 0)))
        if not blocked.any():
            return step
        free &= ~blocked
