"""What the gate listens to, and whether it is all there: joint states, contact, cameras, heartbeats."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import CameraHealth
from vla_ros.robots import Arm
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.contact import ContactWatch
from vla_ros.safety.faults import FUTURE_S, Fault

ANCHOR_STEP_RAD = 0.01  # when anchored anew, the commanded position is kept if the arm is this near to it: no step at all


@dataclass(frozen=True)
class Measured:
    """The arm's joints in its own order."""

    stamp_ns: int
    positions: Array  # [dof] rad
    speed_radps: float  # of the fastest joint
    width_m: float  # between the fingers; NaN where they are not reported


class Inputs:
    """Keeps the newest of each input and says what is wrong with them."""

    def __init__(self, arm: Arm, config: SafetyConfig) -> None:
        self._joints = arm.config.arm_joints
        self._width_of = arm.config.gripper_width_m
        self._config = config
        self._measured: Measured | None = None
        self._unusable_joints = ""
        self.contact = ContactWatch(arm, config.contact)
        self._cameras: dict[str, CameraHealth] = {}
        self._scene_ns: int | None = None
        self._heard_ns: dict[str, int] = {}  # node -> steady time
        self._dry: set[str] = set()  # nodes that pass nothing on
        self._pressed_ns: int | None = None  # steady time at which the switch of whoever guides the arm was last said to be pressed

    @property
    def scene_ns(self) -> int:
        """Stamp of the newest scene; 0: none has come."""
        return self._scene_ns or 0

    @property
    def measured(self) -> Measured | None:
        """The newest usable joint state."""
        return self._measured

    def on_joint_state(self, state: JointState) -> None:
        """Keeps the newest state; one that lacks a joint or is not finite is not used, and is told of until a good one comes."""
        try:
            arm = state.select(self._joints)
        except KeyError as error:
            self._unusable_joints = str(error.args[0])
            return
        if not np.all(np.isfinite(arm.positions)):
            self._unusable_joints = "joint_states holds positions that are not finite"
            return
        old = self._measured
        if old is not None and arm.stamp_ns <= old.stamp_ns:
            return
        self._unusable_joints = ""
        velocities = arm.velocities
        if not np.all(np.isfinite(velocities)):  # not measured: from the step since the last state, and unknown (not at rest) without one
            steps = np.full(len(self._joints), math.inf) if old is None else arm.positions - old.positions
            velocities = steps if old is None else steps / ((arm.stamp_ns - old.stamp_ns) * 1e-9)
        if np.all(np.isfinite(velocities)):
            self.contact.on_joint_state(replace(arm, velocities=velocities))
        self._measured = Measured(
            arm.stamp_ns, np.asarray(arm.positions, dtype=float), float(np.abs(velocities).max()), self._width_m(state)
        )

    def _width_m(self, state: JointState) -> float:
        try:
            return self._width_of(state)
        except KeyError:
            return math.nan

    def on_camera_health(self, health: CameraHealth) -> None:
        """Whether a camera's images can be acted on; of a camera that nobody waits for, nothing is kept."""
        if health.camera in self._config.cameras:
            self._cameras[health.camera] = health

    def on_scene(self, stamp_ns: int) -> None:
        """What stands around was seen at that time."""
        self._scene_ns = stamp_ns

    def on_heartbeat(self, node: str, steady_ns: int, *, dry_run: bool = False) -> None:
        """A sign of life, by the steady clock of the receiver; ``dry_run``: the node sends nothing to the arm.

        Of a node that nobody waits for, nothing is kept.
        """
        if node not in self._config.nodes:
            return
        self._heard_ns[node] = steady_ns
        (self._dry.add if dry_run else self._dry.discard)(node)

    def on_deadman(self, is_pressed: bool, steady_ns: int) -> None:
        """The switch of whoever guides the arm by hand, by the steady clock of the receiver."""
        self._pressed_ns = steady_ns if is_pressed else None

    @property
    def dry_run(self) -> bool:
        """Whether a node on the way to the arm says that it passes nothing on."""
        return not self._dry.isdisjoint(self._config.heartbeats)

    def drop_future(self, now_ns: int) -> None:
        """Joint states of a time to come are no measurement; kept, they would shut out the true ones until then."""
        if self._measured is not None and (ahead_s := (self._measured.stamp_ns - now_ns) * 1e-9) > FUTURE_S:
            self._measured = None
            self.contact.forget_push()
            self._unusable_joints = f"joint_states are stamped {ahead_s:.2f} s ahead of the monitor's clock"

    def forget_stamps(self) -> None:
        """The clock went back: what is stamped with the old time is worth nothing."""
        self._measured = None
        self.contact.forget()
        self._cameras.clear()
        self._scene_ns = None

    def joint_fault(self, now_ns: int) -> Fault | None:
        """Whether the joint states can be moved on."""
        if self._unusable_joints:
            return Fault(SafetyReason.JOINT_STATES_STALE, f"{self._unusable_joints}.")
        if self._measured is None:
            return Fault(SafetyReason.JOINT_STATES_STALE, "No joint states have arrived yet.")
        age_s = (now_ns - self._measured.stamp_ns) * 1e-9
        if not -FUTURE_S <= age_s <= self._config.joint_states_age_s:
            allowed = f"allowed {-FUTURE_S:g} to {self._config.joint_states_age_s:g} s"
            return Fault(SafetyReason.JOINT_STATES_STALE, f"The newest joint states are {age_s:.3f} s old; {allowed}.")
        return None

    def fault(self, now_ns: int, steady_ns: int) -> Fault | None:
        """The first thing that is wrong for motion of any kind."""
        return self.joint_fault(now_ns) or self.contact.fault(now_ns) or self._silence(self._config.heartbeats, steady_ns)

    def partial_fault(
        self, now_ns: int, steady_ns: int, *, vision: bool = False, planned: bool = False, guided: bool = False
    ) -> Fault | None:
        """What is wrong for motion that a person guides, that belongs to a plan, or that rests on what cameras see (``vision``)."""
        if guided and (fault := self._deadman_fault(steady_ns)):
            return fault
        if planned and (fault := self._silence(self._config.plan_heartbeats, steady_ns)):
            return replace(fault, planned=True, cut=True)
        if vision and (fault := self._vision_fault(now_ns, steady_ns)):
            return replace(fault, vision=True)
        return None

    def tracking_fault(self, commanded: Callable[[int], Array], finished: bool) -> Fault | None:
        """Whether the arm is where it was ``commanded(stamp_ns)`` [dof] to be; ``finished``: it was told to rest there.

        A dry run is held like any other arm that does not follow, but by its own name; a finished one already by a small error.
        """
        if self._measured is None:
            return None
        error = np.abs(self._measured.positions - commanded(self._measured.stamp_ns))
        joint = int(error.argmax())
        hold_rad, latch_rad = self._config.tracking_hold_rad, self._config.tracking_latch_rad
        if error[joint] <= (min(ANCHOR_STEP_RAD, hold_rad) if self.dry_run and finished else hold_rad):
            return None
        if self.dry_run and error[joint] <= latch_rad:
            passed = f"the first {error[joint]:.2f} rad of the motion were judged and passed"
            return Fault(SafetyReason.DRY_RUN, f"Dry run: {passed}; nothing is sent to the arm, which stays where it is.", cut=True)
        detail = f"{self._joints[joint]} is {error[joint]:.3f} rad off the commanded position"
        if error[joint] > latch_rad:
            return Fault(SafetyReason.TRACKING_ERROR, f"{detail}; allowed {latch_rad:g} rad. Reset to go on.", cut=True, latch=True)
        return Fault(SafetyReason.TRACKING_ERROR, f"{detail}; allowed {hold_rad:g} rad.", cut=True)

    def ages_s(self, now_ns: int, steady_ns: int) -> dict[str, float]:
        """Age of each input; infinity for one that was never seen."""
        ages = {"joint_states": math.inf if self._measured is None else (now_ns - self._measured.stamp_ns) * 1e-9}
        if (felt_s := self.contact.age_s(now_ns)) is not None:
            ages["contact"] = felt_s
        ages["objects"] = math.inf if self._scene_ns is None else (now_ns - self._scene_ns) * 1e-9
        for camera in self._config.cameras:
            health = self._cameras.get(camera)
            ages[f"camera/{camera}"] = math.inf if health is None else (now_ns - health.stamp_ns) * 1e-9
        for node in self._config.nodes:
            heard = self._heard_ns.get(node)
            ages[node] = math.inf if heard is None else (steady_ns - heard) * 1e-9
        return ages

    def _vision_fault(self, now_ns: int, steady_ns: int) -> Fault | None:
        return self._camera_fault(now_ns) or self._silence(self._config.vision_heartbeats, steady_ns) or self._scene_fault(now_ns)

    def _scene_fault(self, now_ns: int) -> Fault | None:
        if self._scene_ns is None:
            return Fault(SafetyReason.OBJECTS_STALE, "What stands around the arm has not been reported yet; is depth_perception running?")
        age_s = (now_ns - self._scene_ns) * 1e-9
        if not -FUTURE_S <= age_s <= self._config.scene_age_s:
            allowed = f"allowed {-FUTURE_S:g} to {self._config.scene_age_s:g} s"
            return Fault(SafetyReason.OBJECTS_STALE, f"What stands around the arm was last seen {age_s:.2f} s ago; {allowed}.")
        return None

    def _camera_fault(self, now_ns: int) -> Fault | None:
        for camera, limit_s in self._config.cameras.items():
            health = self._cameras.get(camera)
            if health is None:
                return Fault(SafetyReason.CAMERA, f"The health of camera '{camera}' has not been reported yet.")
            if not health.usable:
                return Fault(SafetyReason.CAMERA, f"Camera '{camera}' is not usable: {health.detail}")
            age_s = (now_ns - health.stamp_ns) * 1e-9
            if not -FUTURE_S <= age_s <= limit_s:
                detail = f"The last health report of camera '{camera}' is {age_s:.2f} s old; allowed {-FUTURE_S:g} to {limit_s:g} s."
                return Fault(SafetyReason.CAMERA, detail)
        return None

    def _deadman_fault(self, steady_ns: int) -> Fault | None:
        limit_s = self._config.deadman.age_s
        if self._pressed_ns is None:
            detail = "The switch of whoever guides the arm (safety/deadman) is not pressed."
        elif (silent_s := (steady_ns - self._pressed_ns) * 1e-9) > limit_s:
            detail = f"The switch of whoever guides the arm (safety/deadman) was last heard of {silent_s:.2f} s ago; allowed {limit_s:g} s."
        else:
            return None
        return Fault(SafetyReason.DEADMAN, detail, cut=True)

    def _silence(self, nodes: Mapping[str, float], steady_ns: int) -> Fault | None:
        for node, limit_s in nodes.items():
            heard = self._heard_ns.get(node)
            if heard is None:
                return Fault(SafetyReason.HEARTBEAT, f"'{node}' has not been heard of yet.")
            silent_s = (steady_ns - heard) * 1e-9
            if silent_s > limit_s:
                return Fault(SafetyReason.HEARTBEAT, f"'{node}' has been silent for {silent_s:.2f} s; allowed {limit_s:g} s.")
        return None
