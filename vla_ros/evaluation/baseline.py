"""What the ways that the gate is compared with have in common: they hear what it hears, read messages as it does, and stop as sharply.

For measurements only: nothing in the graph knows of them, and nothing can put them into it. They differ in what they do with a chunk and
from tick to tick. None of them knows of meant contact: they are compared on motion through free space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ruckig import ControlInterface, InputParameter, Result, Ruckig, Synchronization, Trajectory

from vla_ros.core.actions import ActionChunk, GatedCommand, SafetyAction, ShortTrajectory
from vla_ros.core.decisions import SafetyDecision, SafetyReason
from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import Scene
from vla_ros.evaluation.playback import Playback, still
from vla_ros.motion.interpolation import JointSpline
from vla_ros.robots import Arm
from vla_ros.robots.collision import CollisionModel, Obstacle
from vla_ros.safety.chunk_checks import ChunkDoor, Context, Followed, Refusal
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.journal import Journal, Status

TABLE_SIDE_M, TABLE_THICKNESS_M = 4.0, 0.1


@dataclass(frozen=True)
class State:
    """What the arm is commanded at an instant: each [dof], rad, rad/s, rad/s2."""

    position: Array
    velocity: Array
    acceleration: Array


class Baseline:
    """Takes what a Gate takes. Subclasses say what a chunk comes to (``admit``) and what is sent while one is played (``follow``)."""

    def __init__(self, arm: Arm, config: SafetyConfig) -> None:
        self._arm, self._config = arm, config
        self._names = arm.config.arm_joints
        self._door = ChunkDoor(arm, config)
        self._journal = Journal()
        self._measured: Array | None = None
        self._sent: ShortTrajectory | None = None
        self._playing: Playback | None = None
        self._hold: Status | None = None
        self._brake = False  # from the next tick on
        self._seq = self._last_seq = self._last_stamp_ns = 0
        self._now_ns = 0
        self._collision = CollisionModel(arm)
        self._obstacles: tuple[Obstacle, ...] = (_table(config.clearance.table_height_m),)

    # --- what arrives

    def ignore(self, *_: Any, **__: Any) -> None:
        """Forces, cameras, heartbeats and plans are no concern of these ways."""

    on_contact = on_camera_health = on_heartbeat = on_plan = ignore

    def on_joint_state(self, state: JointState) -> None:
        """What the arm's joints measure; what is not finite is not taken."""
        positions = state.select(self._names).positions
        if np.all(np.isfinite(positions)):
            self._measured = positions

    def on_scene(self, scene: Scene) -> None:
        """What stands around, for those that look."""
        things = [Obstacle(o.id, "box", tuple(float(s) for s in o.size_m), o.pose.matrix()) for o in scene.objects if not o.held]
        self._obstacles = (_table(max(scene.table_height_m, self._config.clearance.table_height_m)), *things)

    def on_chunk(self, chunk: ActionChunk, now_ns: int) -> SafetyDecision:
        """Refuses what is no chunk, and has ``admit`` judge the rest."""
        if self._sent is None or self.latched:
            return self._refuse(chunk, Refusal(SafetyReason.STARTING if self._sent is None else SafetyReason.ESTOP, "Not now."), now_ns)
        context = self._context(now_ns)
        admitted = self._door.formal_fault(chunk, context) or self.admit(chunk, context)
        if isinstance(admitted, Refusal):
            return self._refuse(chunk, admitted, now_ns)
        self._playing, self._hold, self._brake = admitted, None, False
        self._last_seq, self._last_stamp_ns = chunk.seq, chunk.stamp_ns
        return self._journal.note(self._status(), now_ns)

    def admit(self, chunk: ActionChunk, context: Context) -> Playback | Refusal:
        """What is played of a chunk, or why it is not."""
        raise NotImplementedError

    def follow(self, playing: Playback, now_ns: int) -> ShortTrajectory:
        """What is sent in this tick."""
        raise NotImplementedError

    def after_refusal(self, refusal: Refusal) -> None:
        """What a refused chunk does to the motion that is going on: nothing, unless a subclass stops it."""

    # --- what stops it

    def estop(self, source: str) -> None:
        """Brakes and latches."""
        self._stop(SafetyAction.STOP, SafetyReason.ESTOP, f"Emergency stop by {source}.")

    def hold(self, source: str) -> None:
        """Brakes; the next chunk goes on."""
        self._stop(SafetyAction.HOLD, SafetyReason.REQUESTED, f"{source} asked for a stop.")

    @property
    def latched(self) -> Status | None:
        """The stop that only ``reset`` ends."""
        return self._hold if self._hold and self._hold.action is SafetyAction.STOP else None

    def reset(self) -> tuple[bool, str]:
        """Unlatches an arm that rests."""
        if self._sent is not None and self._sent.start_ns + self._sent.times_s[-1] * 1e9 > self._now_ns:
            return False, "Not reset: the arm still moves."
        self._hold = None
        return True, "Reset."

    def _stop(self, action: SafetyAction, reason: SafetyReason, detail: str) -> None:
        if self.latched:
            return
        self._brake = self._brake or self._playing is not None
        self._playing, self._hold = None, Status(action, reason, detail, 0.0)

    # --- what goes out

    def tick(self, now_ns: int, steady_ns: int) -> GatedCommand | None:
        """The command of this tick; None before the arm has been measured."""
        self._now_ns = now_ns
        if self._measured is None:
            return None
        if self._sent is None:
            self._sent = still(self._measured, now_ns, self._names)
        self.watch(now_ns)
        if self._playing is not None:
            self._sent = self.follow(self._playing, now_ns)
        elif self._brake:
            self._sent, self._brake = self._stopping(self.commanded(now_ns), now_ns), False
        status = self._status()
        self._journal.note(status, now_ns)
        self._seq += 1
        playing = self._playing
        return GatedCommand(
            seq=self._seq,
            stamp_ns=now_ns,
            action=status.action,
            trajectory=self._sent,
            speed_scale=1.0 if playing else 0.0,
            chunk_seq=status.chunk_seq,
            chunk_row=playing.row(now_ns) if playing else 0.0,
            trace_id=status.trace_id,
            decision_id=self._journal.current_id,
            gripper_width_m=float("nan"),
            gripper_force_n=0.0,
        )

    def watch(self, now_ns: int) -> None:
        """What is looked at in each tick: nothing, unless a subclass does."""

    def drain_decisions(self) -> list[SafetyDecision]:
        """The decisions since the last call."""
        return self._journal.drain()

    def commanded(self, at_ns: int) -> State:
        """By what was sent last."""
        assert self._sent is not None
        sent = self._sent
        curve = JointSpline(sent.times_s, sent.positions, sent.velocities, sent.accelerations)
        return State(*curve.sample((at_ns - sent.start_ns) * 1e-9))

    # --- inside

    def _context(self, now_ns: int) -> Context:
        playing = self._playing
        return Context(
            now_ns=now_ns,
            position=self.commanded(now_ns).position,
            moving=playing is not None and playing.row(now_ns) < playing.path.last_row,
            followed=Followed(playing.chunk, playing.path, playing.row(now_ns)) if playing else None,
            last_seq=self._last_seq,
            last_stamp_ns=self._last_stamp_ns,
        )

    def _refuse(self, chunk: ActionChunk, refusal: Refusal, now_ns: int) -> SafetyDecision:
        self.after_refusal(refusal)
        return self._journal.enter(Status(SafetyAction.HOLD, refusal.reason, refusal.detail, 0.0, chunk.seq, chunk.trace_id), now_ns)

    def _status(self) -> Status:
        if self._hold:
            return self._hold
        if self._playing is None:
            return Status(SafetyAction.PASS, SafetyReason.NO_CHUNK, "Ready.")
        chunk = self._playing.chunk
        return Status(SafetyAction.PASS, SafetyReason.OK, "Played.", 1.0, chunk.seq, chunk.trace_id)

    def _stopping(self, state: State, now_ns: int) -> ShortTrajectory:
        """The quickest jerk-limited stop of each joint, as sharp as the gate's; nobody looks at where it leads."""
        limits, shares, dof = self._arm.config.limits, self._config.braking, self._arm.config.dof
        given = InputParameter(dof)
        given.control_interface, given.synchronization = ControlInterface.Velocity, Synchronization.No
        given.current_position, given.current_velocity = state.position, state.velocity
        most = np.asarray(limits.acceleration_radps2)  # what the arm has; a clamped setpoint may ask for more
        given.current_acceleration = np.clip(state.acceleration, -most, most)
        given.target_velocity = given.target_acceleration = np.zeros(dof)
        given.max_acceleration = shares.acceleration * np.asarray(limits.acceleration_radps2)
        given.max_jerk = shares.jerk * np.asarray(limits.jerk_radps3)
        found = Trajectory(dof)
        if Ruckig(dof).calculate(given, found) not in (Result.Working, Result.Finished):
            raise MotionError("Ruckig found no stop.")
        if found.duration < 1e-6:
            return still(state.position, now_ns, self._names)
        times_s = np.append(np.arange(0.0, found.duration, self._config.tick_s / 2), found.duration)
        if times_s[-1] - times_s[-2] < 1e-6:
            times_s = np.delete(times_s, -2)
        rows = np.array([found.at_time(float(t)) for t in times_s])
        rows[-1, 1:] = 0.0
        return ShortTrajectory(now_ns, self._names, times_s, rows[:, 0], rows[:, 1], rows[:, 2])


def _table(height_m: float) -> Obstacle:
    placed = np.eye(4)
    placed[2, 3] = height_m - TABLE_THICKNESS_M / 2
    return Obstacle("table", "box", (TABLE_SIDE_M, TABLE_SIDE_M, TABLE_THICKNESS_M), placed)
