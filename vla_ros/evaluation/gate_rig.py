"""A gate with a simulated arm behind it, in simulated time and without ROS, and an oracle that judges what reached the arm.

What a joint_trajectory_controller makes of the gate's messages is sampled at 1 kHz; the oracle shares no code with the gate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from vla_ros.core.actions import ActionChunk, GatedCommand
from vla_ros.core.decisions import SafetyDecision
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import ContactState, FingerContact, JointState
from vla_ros.core.scene import CameraFault, CameraHealth, Scene
from vla_ros.core.tasks import Plan
from vla_ros.evaluation.gate_oracle import Breaches, GateOracle
from vla_ros.motion.interpolation import JointSpline
from vla_ros.robots import Arm, load_robot
from vla_ros.safety.config import SafetyConfig, load_safety_config
from vla_ros.safety.gate import Gate

START_NS = 10_000_000_000
MS = 1_000_000
KEPT = 8  # messages that were played, to tell where the arm was


class Ears(Protocol):
    """What a gate is told by; a Gate has them."""

    def on_joint_state(self, state: JointState) -> None:
        """Measured joints."""

    def on_contact(self, contact: ContactState) -> None:
        """What the fingers feel."""

    def on_camera_health(self, health: CameraHealth) -> None:
        """Whether a camera's images can be acted on."""

    def on_heartbeat(self, node: str, steady_ns: int) -> None:
        """A node's sign of life."""

    def on_scene(self, scene: Scene) -> None:
        """What perception sees. May raise ValueError."""

    def on_plan(self, plan: Plan) -> None:
        """What is going to be done."""

    def on_chunk(self, chunk: ActionChunk, now_ns: int) -> object:
        """What an expert proposes."""


class Filter(Ears, Protocol):
    """What stands between an expert and an arm: a Gate, or what it is compared with. See Gate for each of them."""

    def tick(self, now_ns: int, steady_ns: int) -> GatedCommand | None:
        """The command of this tick."""

    def estop(self, source: str) -> None:
        """Stops for good."""

    def hold(self, source: str) -> None:
        """Stops without latching."""

    @property
    def latched(self) -> object | None:
        """The stop that only ``reset`` ends."""

    def reset(self) -> tuple[bool, str]:
        """Unlatches."""

    def drain_decisions(self) -> list[SafetyDecision]:
        """The decisions since the last call."""


def straight(gate: Gate) -> Ears:
    """The gate's own ears."""
    return gate


class FilterRig:
    """One arm, at home, behind ``passes``; ``ears``: what that hears may go another way than straight to it."""

    def __init__(self, arm: Arm, config: SafetyConfig, passes: Filter, ears: Ears) -> None:
        self.arm, self.config, self.filter, self.ears = arm, config, passes, ears
        self.oracle = GateOracle(self.arm.config)
        self.breaches = Breaches()
        self.moved_rad = 0.0  # way of all joints together: an arm that never moves breaks nothing
        self.now_ns = START_NS
        self._playing = (JointSpline(np.array([0.0]), np.asarray(self.arm.config.home_rad)[None]), START_NS)
        self._before: deque[tuple[int, JointSpline, int]] = deque(maxlen=KEPT)  # what was played, until when
        self._recent: list[Array] = []  # what the controller played, each millisecond, up to ...
        self._sampled_ns = START_NS

    def tell_joints(self, q: Array, v: Array, lag_ns: int = 0) -> None:
        """The arm is measured at ``q`` [dof] rad, with ``v`` [dof] rad/s, as it was commanded to be ``lag_ns`` ago."""
        torques_nm = self.arm.torques(q, v, self.acceleration(self.now_ns - lag_ns))
        self.ears.on_joint_state(JointState(self.now_ns, self.arm.config.arm_joints, q, v, torques_nm))

    def tell_touch(self, force_n: float = 0.0) -> None:
        """Every finger feels ``force_n``."""
        fingers = (FingerContact(finger, force_n, 0.0, (0.0, 0.0), False, force_n > 0) for finger in self.arm.config.tactile)
        self.ears.on_contact(ContactState(self.now_ns, tuple(fingers)))

    def tell_heartbeats(self) -> None:
        """All nodes live."""
        for node in self.config.nodes:
            self.ears.on_heartbeat(node, self.now_ns)

    def tell_cameras(self) -> None:
        """All cameras can be used."""
        for camera in self.config.cameras:
            self.ears.on_camera_health(CameraHealth(self.now_ns, camera, CameraFault.OK, True, "", 0.0, 30.0))

    def play(self, command: GatedCommand | None) -> None:
        """The message reaches the controller now; what it replaces has been played until now.

        To one that begins later the controller goes from where it is, as a joint_trajectory_controller does.
        """
        if command is None:
            return
        self._sample(self.now_ns)
        t, spline, start_ns = command.trajectory, *self._playing
        times_s, knots = t.times_s, [t.positions, t.velocities, t.accelerations]
        if (now_s := (self.now_ns - t.start_ns) * 1e-9) < times_s[0]:
            here = spline.sample((self.now_ns - start_ns) * 1e-9)
            times_s, knots = np.append(now_s, times_s), [np.vstack(pair) for pair in zip(here, knots, strict=True)]
        self._before.append((self.now_ns, spline, start_ns))
        self._playing = (JointSpline(times_s, *knots), t.start_ns)

    def motion(self, at_ns: int) -> tuple[Array, Array]:
        """Position [dof] rad and velocity [dof] rad/s of the arm then, if no other message reaches it."""
        position, velocity, _ = self._state(at_ns)
        return position, velocity

    def acceleration(self, at_ns: int) -> Array:
        """[dof] rad/s2 of the same."""
        return self._state(at_ns)[2]

    def _state(self, at_ns: int) -> tuple[Array, Array, Array]:
        then = ((spline, start_ns) for until_ns, spline, start_ns in self._before if at_ns < until_ns)
        spline, start_ns = next(then, self._playing)
        return spline.sample((at_ns - start_ns) * 1e-9)

    def played(self) -> Array:
        """[n, dof] rad: where the arm was, each millisecond since it was last judged."""
        self._sample(self.now_ns)
        return np.concatenate(self._recent)

    def judge(self) -> None:
        """Has the oracle look at all that was played since the last call."""
        positions = self.played()
        self._recent = [positions[-3:]]  # so that the differences go on
        self.moved_rad += float(np.abs(np.diff(positions, axis=0)).sum())
        self.oracle.judge(positions, self.arm.config.gripper.width_open_m, self.breaches)

    def _sample(self, until_ns: int) -> None:
        spline, start_ns = self._playing
        times = np.arange(self._sampled_ns, until_ns, MS, dtype=np.int64)
        if len(times):
            self._recent.append(spline.sample_many(np.asarray((times - start_ns) * 1e-9, dtype=np.float64))[0])
            self._sampled_ns = int(times[-1]) + MS


class GateRig(FilterRig):
    """The same behind the gate."""

    def __init__(self, robot: str, ears: Callable[[Gate], Ears] = straight) -> None:
        arm, config = load_robot(robot), load_safety_config(robot).without_world_model().without_blind_zones()
        self.gate = Gate(arm, config)
        super().__init__(arm, config, self.gate, ears(self.gate))


def rig_without_gate(robot: str, make: Callable[[Arm, SafetyConfig], Filter]) -> FilterRig:
    """The same behind what stands in the gate's place."""
    arm, config = load_robot(robot), load_safety_config(robot)
    passes = make(arm, config)
    return FilterRig(arm, config, passes, passes)
