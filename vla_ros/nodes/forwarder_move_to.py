"""The move_to action: plans a free-space motion and submits it as chunks; the monitor decides, gated_command tells how far it got."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_ros.core.actions import GatedCommand, SafetyAction
from vla_ros.core.decisions import SafetyMode, SafetyState
from vla_ros.core.errors import MotionError, StartBlocked
from vla_ros.core.geometry import Array
from vla_ros.core.outcomes import MoveKind
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import Scene
from vla_ros.core.stamps import s_from_ns
from vla_ros.motion.around_scene import plan_around
from vla_ros.motion.backend import MotionRequest, create_backend
from vla_ros.motion.chunks import TrajectoryChunks
from vla_ros.motion.timing import TimedTrajectory
from vla_ros.robots import Arm
from vla_ros.ros.action_server import Ending, OneGoalServer, Work
from vla_ros.ros.conversions.actions import chunk_to_msg
from vla_ros.ros.conversions.arrays import pose_from_msg
from vla_ros.ros.conversions.robot import joint_state_from_msg
from vla_ros.ros.conversions.safety import safety_state_from_msg
from vla_ros.ros.conversions.scene import scene_from_msg
from vla_ros.ros.inbox import Latest
from vla_ros.ros.interfaces import ACTION_CHUNK, HOLD, JOINT_STATES, MOVE_TO, OBJECTS, SAFETY_STATE, load_type
from vla_ros.ros.lifecycle import VlaNode

SOURCE = "move_to"
POLL_S = 0.05
STALL_S = 4.0  # without progress the monitor is taken to refuse the motion
GRIPPER_S = 1.5  # for the fingers to arrive
SCENE_AGE_S = 1.0  # older objects are not planned around
STILL_RADPS = 0.05
DRY_RUN = "dry_run: the motion was planned, judged and passed; nothing was sent to the arm."


@dataclass(frozen=True)
class _Motion:
    """What was planned, and from what."""

    trajectory: TimedTrajectory
    width_m: float
    scene: Scene | None  # None: only the gripper moves
    neglected: str = ""  # what is in the gripper, of which the plan knows nothing


class MoveToServer:
    """Serves move_to for ``node``; ``backend`` names what plans. Publishes chunks only: they pass the monitor like all others."""

    def __init__(self, node: VlaNode, arm: Arm, backend: str) -> None:
        self._node, self._arm = node, arm
        self._backend = create_backend(backend, arm)
        self._chunks = node.publish_on(ACTION_CHUNK)
        self._types = load_type(MOVE_TO.type)
        self._command: GatedCommand | None = None
        self._seq = 0
        self._holds = node.client_of(HOLD)
        self._joints = Latest(node, JOINT_STATES, joint_state_from_msg)
        self._scene = Latest(node, OBJECTS, scene_from_msg)
        self._safety = Latest(node, SAFETY_STATE, safety_state_from_msg)
        OneGoalServer(node, MOVE_TO, self._work)

    def on_command(self, command: GatedCommand) -> None:
        """The newest gated command, for progress."""
        self._command = command

    # --- in the goal's thread
    def _work(self, work: Work) -> tuple[Ending, Any]:
        started_s = time.monotonic()
        result = self._types.Result()
        ending = Ending.ABORTED
        try:
            motion = self._plan(work.goal)
            reason = self._follow(motion, work)
            result.success, result.reason = not reason, reason.split(":")[0] or "done"
            result.message = reason or self._arrived(work.goal)
            if motion.neglected:
                result.message += f" It was planned as if the gripper were empty; {motion.neglected}."
            ending = Ending.CANCELED if reason.startswith("canceled") else Ending.SUCCEEDED if result.success else Ending.ABORTED
        except (MotionError, ValueError, KeyError) as error:
            result.reason, result.message = "not_planned", str(error.args[0] if error.args else error)
            if work.goal.kind == MoveKind.HOME and isinstance(error, StartBlocked):
                result.message += ' The goal "go home" draws back first.'
        result.duration = time.monotonic() - started_s
        return ending, result

    def _arrived(self, goal: Any) -> str:
        if goal.kind != MoveKind.GRIPPER:
            return "The arm is where it was sent."
        return f"The gripper is {self._arm.config.gripper_width_m(self._measured()) * 1000:.0f} mm open."

    def _plan(self, goal: Any) -> _Motion:
        arm = self._measured().select(self._arm.config.arm_joints)
        if not float(np.abs(arm.velocities).max()) < STILL_RADPS:
            raise MotionError("The arm moves; a motion is planned from rest. Wait for its end, or cancel what moves it.")
        start = arm.positions
        width_m = float(goal.gripper_width)
        if goal.kind == MoveKind.GRIPPER and math.isnan(width_m):
            raise MotionError("A gripper motion needs gripper_width [m].")
        target = start if goal.kind == MoveKind.GRIPPER else self._target(goal)
        scene = None if goal.kind == MoveKind.GRIPPER else self._newest_scene()
        request = MotionRequest(start, target, time_limit_s=goal.time_limit or MotionRequest.time_limit_s)
        if scene is None:
            return _Motion(self._backend.plan(request), width_m, scene)
        trajectory, neglected = plan_around(self._backend, self._arm, scene, request)
        return _Motion(trajectory, width_m, scene, neglected)

    def _measured(self) -> JointState:
        joints = self._joints.get()
        if joints is None:
            raise MotionError("No joint states have been seen yet; nothing can be planned.")
        return joints

    def _target(self, goal: Any) -> Array:
        if goal.kind == MoveKind.HOME:
            return np.array(self._arm.config.home_rad)
        if goal.kind == MoveKind.JOINTS:
            by_name = dict(zip(goal.joint_names, goal.joint_positions, strict=True))
            missing = [name for name in self._arm.config.arm_joints if name not in by_name]
            if missing:
                raise MotionError(f"joint_names lacks {', '.join(missing)}.")
            return np.array([by_name[name] for name in self._arm.config.arm_joints])
        frame = goal.pose.header.frame_id
        if frame not in ("", self._arm.config.base_frame):
            raise MotionError(f"The pose must be given in {self._arm.config.base_frame}, not in '{frame}'.")
        return pose_from_msg(goal.pose.pose).matrix()

    def _newest_scene(self) -> Scene:
        """Seen while the arm rests where it is now: how a thing lies in the hand is told by both together."""
        since_ns, give_up_s = self._measured().stamp_ns, time.monotonic() + SCENE_AGE_S
        while ((scene := self._scene.get()) is None or scene.stamp_ns < since_ns) and time.monotonic() < give_up_s:
            time.sleep(POLL_S / 5)
        age_s = s_from_ns(self._measured().stamp_ns - scene.stamp_ns) if scene else float("inf")
        if scene is None or scene.stamp_ns < since_ns:
            raise MotionError(
                f"What stands around the arm was last seen {age_s:.1f} s ago; nothing is moved blindly. Is depth_perception running?"
            )
        return scene

    def _follow(self, motion: _Motion, work: Work) -> str:
        """Submits the motion piece by piece. Returns "" when it was carried out, else why not."""
        names, force_n = self._arm.config.arm_joints, self._arm.config.gripper.grasp_force_n
        width_m = motion.width_m
        chunks = TrajectoryChunks(
            motion.trajectory,
            names,
            expert=SOURCE,
            first_seq=self._seq + 1,
            trace_id=work.goal_id,
            gripper_width_m=width_m,
            gripper_force_n=force_n,
            planned_from_ns={"objects": motion.scene.stamp_ns} if motion.scene else {},
        )
        start_ns = self._measured().stamp_ns
        self._chunks.publish(chunk_to_msg(chunks.first(start_ns)))
        moved_s, best, refusal = time.monotonic(), (0, -1.0), ""
        while not work.cancel.wait(POLL_S):
            self._seq = chunks.seq
            refusal = _refusal(self._safety.get(), start_ns) or refusal  # a hold may be over before the motion counts as refused
            command = self._command
            if command is not None and command.trace_id == work.goal_id:
                if chunks.finished(command.chunk_seq, command.chunk_row):
                    return DRY_RUN if self._node.dry_run else self._wait_for_gripper(width_m, work)
                if (command.chunk_seq, command.chunk_row) > best:
                    moved_s, best = time.monotonic(), (command.chunk_seq, command.chunk_row)
                following = chunks.next(self._measured().stamp_ns, command.chunk_seq, command.chunk_row)
                if following is not None:
                    self._chunks.publish(chunk_to_msg(following))
            if self._node.dry_run and best[0] and command is not None and command.action >= SafetyAction.HOLD:
                return DRY_RUN
            if time.monotonic() - moved_s > STALL_S:
                held = command is not None and command.action >= SafetyAction.HOLD
                if not held and command is not None and command.trace_id == work.goal_id:
                    self._hold()  # what is reported as refused must not be carried out later
                why = refusal or "the safety monitor does not let the motion pass; safety/state says why."
                return f"{'held' if held else 'refused'}: {why}"
        self._seq = chunks.seq
        self._hold()
        return "canceled: the arm was told to stop."

    def _hold(self) -> None:
        if self._holds.service_is_ready():
            self._holds.call_async(load_type(HOLD.type).Request())

    def _wait_for_gripper(self, width_m: float, work: Work) -> str:
        if not math.isnan(width_m):
            work.cancel.wait(GRIPPER_S)
        return ""


def _refusal(state: SafetyState | None, since_ns: int) -> str:
    """The monitor's own sentence where, after ``since_ns``, it lets nothing pass; else empty."""
    if state is None or state.stamp_ns < since_ns or state.mode in (SafetyMode.READY, SafetyMode.SLOWED):
        return ""
    return f"{state.detail} vla reset ends the stop." if state.mode is SafetyMode.STOPPED_LATCHED else state.detail
