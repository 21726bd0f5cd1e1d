"""What the planner knows of the world, as the goal's thread reads it: scene, touch, image, safety, who lives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.decisions import SafetyMode, SafetyReason, SafetyState
from vla_ros.core.errors import ConfigError, PerceptionError, unknown_choice
from vla_ros.core.interventions import Interventions
from vla_ros.core.outcomes import NodeState
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import CameraHealth, Scene
from vla_ros.core.stamps import ns_from_s, s_from_ns
from vla_ros.core.tasks import Predicate
from vla_ros.planning.ports import Hazard, HazardKind
from vla_ros.planning.verifier import Evidence, GoalReport, PredicateReport, Verifier
from vla_ros.robots import Arm
from vla_ros.ros.conversions.robot import contact_from_msg, joint_state_from_msg
from vla_ros.ros.conversions.safety import safety_state_from_msg
from vla_ros.ros.conversions.scene import health_from_msg, scene_from_msg
from vla_ros.ros.inbox import Latest
from vla_ros.ros.interfaces import (
    CAMERA_HEALTH,
    COLOR_COMPRESSED,
    CONTACT,
    HEARTBEAT,
    JOINT_STATES,
    OBJECTS,
    SAFETY_DECISION,
    SAFETY_STATE,
)
from vla_ros.ros.lifecycle import VlaNode

LOOK_SCENES = 6  # in a row that name the same things, before they are planned on
LOOK_S = 4.0
LOOK_POLL_S = 0.02
STILL_RADPS = 0.02
SCENE_AGE_S = 1.0  # an older scene is not planned on
DISCOVERY_S = 15.0  # until a node that starts together with this one must have been heard
BYSTANDERS = {"recorder"}  # whose death no goal ends for: the result says what became of the recording
SILENCE_S = 2.0  # a node that has not beaten for so long is dead


class PlannerSenses:
    """``watched`` are the nodes that must beat, ``camera`` the one that must see.

    Of the others those that lived when a goal began must live until it ends.

    What changes seldom is kept by callbacks, which write single attributes; what comes often is looked at when it is asked for.
    """

    def __init__(self, node: VlaNode, arm: Arm, watched: tuple[str, ...], camera: str) -> None:
        if camera not in arm.config.cameras:
            raise ConfigError(f"{node.get_name()}: {unknown_choice(f'camera of {arm.config.name}', camera, arm.config.cameras)}")
        self._node, self._arm, self._watched, self._camera = node, arm, watched, camera
        self._verifier = Verifier()
        self._scene = Latest(node, OBJECTS, scene_from_msg)
        self._contact = Latest(node, CONTACT, contact_from_msg)
        self._safety: SafetyState | None = None
        self._health: dict[str, CameraHealth] = {}
        start_ns = node.steady_ns() + ns_from_s(DISCOVERY_S)
        self._beats_ns: dict[str, int] = dict.fromkeys(watched, start_ns)
        self._needed = set(watched)
        self._interventions = Interventions()
        self.unsafe = ""  # what the world model foresaw when the monitor last held the arm for it; whoever acts on it clears it
        self._dry_run = ""  # what the monitor said when it met an arm to which nothing is sent
        self.on_safety: Callable[[], None] = lambda: None
        node.subscribe_to(SAFETY_STATE, self._on_safety)
        node.subscribe_to(SAFETY_DECISION, self._on_decision)
        node.subscribe_to(CAMERA_HEALTH, self._on_health)
        node.subscribe_to(HEARTBEAT, self._on_heartbeat)
        self._newest_joints = Latest(node, JOINT_STATES, joint_state_from_msg)
        self._image: Latest[Any] = Latest(node, COLOR_COMPRESSED.at(camera=camera), lambda message: message)

    # --- callbacks
    def _on_health(self, message: Any) -> None:
        self._health[message.camera] = health_from_msg(message)

    def _on_heartbeat(self, message: Any) -> None:
        if message.lifecycle_state == NodeState.ACTIVE:
            self._beats_ns[message.node] = self._node.steady_ns()

    def _on_decision(self, message: Any) -> None:
        self._interventions.note(message.action, message.reason)
        if message.reason == SafetyReason.WORLD_MODEL:
            self.unsafe = message.detail

    def _on_safety(self, message: Any) -> None:
        before, self._safety = self._safety, safety_state_from_msg(message)
        if self._safety.reason is SafetyReason.DRY_RUN:
            self._dry_run = self._safety.detail
        if before is None or (before.mode, before.reason) != (self._safety.mode, self._safety.reason):
            self.on_safety()

    # --- the ports
    @property
    def interventions(self) -> int:
        """Of the monitor, so far."""
        return self._interventions.count

    def begin_goal(self) -> None:
        """What was noted during the goal before does not count any more."""
        self._dry_run = ""
        now_ns = self._node.steady_ns()
        alive = {name for name, beat_ns in dict(self._beats_ns).items() if now_ns - beat_ns < ns_from_s(SILENCE_S)}
        self._needed = (alive - BYSTANDERS - {self._node.get_name()}) | set(self._watched)

    def is_ready(self) -> bool:
        """Whether all watched nodes live, the monitor lets motion through, and the scene is known: a goal could begin."""
        now_ns = self._node.steady_ns()
        beating = all(0 <= now_ns - self._beats_ns[name] < ns_from_s(SILENCE_S) for name in self._watched)
        moving = self._safety is not None and self._safety.mode in (SafetyMode.READY, SafetyMode.SLOWED)
        return beating and moving and self._scene.get() is not None

    def now_ns(self) -> int:
        """Time of the robot: the newest stamp of joint states."""
        joints = self._newest_joints.get()
        return joints.stamp_ns if joints is not None else 0

    def wait_for_rest(self, limit_s: float) -> None:
        """Returns when the joints have come to rest, or after ``limit_s``."""
        give_up_s = time.monotonic() + limit_s
        while time.monotonic() < give_up_s:
            joints = self._newest_joints.get()
            names = self._arm.config.arm_joints
            if joints is None or not set(names) <= set(joints.names) or np.abs(joints.select(names).velocities).max() < STILL_RADPS:
                return
            time.sleep(LOOK_POLL_S)

    def look(self) -> Scene:
        """The newest scene. Raises PerceptionError when there is none, or only an old one."""
        scene = self._scene.get()
        if scene is None:
            raise PerceptionError("No objects have been reported yet; is depth_perception running?")
        age_s = s_from_ns(self.now_ns() - scene.stamp_ns)
        if age_s > SCENE_AGE_S:
            raise PerceptionError(f"The objects were last reported {age_s:.1f} s ago; is depth_perception running?")
        return scene

    def look_for_a_while(self) -> Scene:
        """The newest scene, once the same things have been reported several times in a row (or LOOK_S have passed): first views may err."""
        scene = self.look()
        names, alike, give_up_s = _names(scene), 1, time.monotonic() + LOOK_S
        while alike < LOOK_SCENES and time.monotonic() < give_up_s:
            time.sleep(LOOK_POLL_S)
            newest = self.look()
            if newest.stamp_ns != scene.stamp_ns:
                alike = alike + 1 if _names(newest) == names else 1
                scene, names = newest, _names(newest)
        return scene

    def image(self) -> NDArray[np.uint8] | None:
        """RGB [h, w, 3] of the camera, for planners that see."""
        image = self._image.get()
        if image is None:
            return None
        decoded = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
        return None if decoded is None else np.asarray(decoded[:, :, ::-1], dtype=np.uint8)

    def compressed_image(self) -> Any:
        """The newest CompressedImage of the camera, or None."""
        return self._image.get()

    def verify(self, predicate: Predicate) -> PredicateReport:
        """Whether ``predicate`` holds by what is sensed now. Raises PerceptionError when nothing recent is."""
        return self._verifier.check(predicate, self._evidence())

    def verify_goal(self, predicates: Sequence[Predicate]) -> GoalReport:
        """All predicates of a goal together, on the same evidence. Raises PerceptionError as ``verify`` does."""
        return self._verifier.verify_goal(predicates, self._evidence())

    def hazard(self) -> Hazard | None:
        """What forbids acting now, the gravest first."""
        for name in sorted(self._needed):
            if why := self.died(name):
                return Hazard(HazardKind.NODE_DIED, why, node=name)
        if stop := self.stop():
            return Hazard(HazardKind.SAFETY_STOP, stop)
        if self._dry_run:
            return Hazard(HazardKind.DRY_RUN, f"{self._dry_run} The plan stands; the goal cannot go on.")
        health = self._health.get(self._camera)
        if health is not None and not health.usable:
            return Hazard(HazardKind.CAMERA, f"Camera '{health.camera}' cannot be used ({health.fault.name.lower()}): {health.detail}.")
        return None

    def died(self, name: str) -> str:
        """A sentence when a node that lived is silent, or ""."""
        silent_s = s_from_ns(self._node.steady_ns() - self._beats_ns.get(name, self._node.steady_ns()))
        return f"Node '{name}' has died: no heartbeat for {silent_s:.1f} s." if silent_s > SILENCE_S else ""

    def stop(self) -> str:
        """A sentence while the monitor has latched a stop, or ""."""
        if self._safety is None or self._safety.mode is not SafetyMode.STOPPED_LATCHED:
            return ""
        return f"The safety monitor has stopped the arm: {self._safety.detail}"

    def safety_words(self) -> tuple[int, str]:
        """Mode and sentence of the monitor."""
        if self._safety is None:
            return SafetyMode.STARTING, "The safety monitor has not been heard of yet."
        return int(self._safety.mode), self._safety.detail

    def _evidence(self) -> Evidence:
        joints = self._joints()
        arm = joints.select(self._arm.config.arm_joints).positions
        width_m = self._arm.config.gripper_width_m(joints)
        return Evidence(joints.stamp_ns, self.look(), self._contact.get(), width_m, float(np.abs(arm - self._arm.config.home_rad).max()))

    def _joints(self) -> JointState:
        joints = self._newest_joints.get()
        if joints is None:
            raise PerceptionError("No joint states have been seen yet.")
        return joints


def _names(scene: Scene) -> frozenset[tuple[str, str]]:
    return frozenset((o.id, o.name) for o in scene.objects)
