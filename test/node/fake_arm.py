"""A fake arm for the monitor: it does at once what gated commands ask for, publishes joint states and beats as motion_forwarder."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
from ros_harness import Peer

from vla_ros.core.actions import ActionChunk, ActionSpace
from vla_ros.core.errors import MotionError
from vla_ros.core.outcomes import NodeState
from vla_ros.core.robot_state import ContactState, FingerContact, JointState
from vla_ros.robots import load_robot
from vla_ros.ros.conversions.actions import chunk_to_msg, gated_from_msg
from vla_ros.ros.conversions.robot import contact_to_msg, joint_state_to_msg
from vla_ros.ros.interfaces import ACTION_CHUNK, CONTACT, GATED_COMMAND, HEARTBEAT, JOINT_STATES, load_type
from vla_ros.simulation.joint_trajectory_controller import JointTrajectoryController

PERIOD_S = 0.01
BEAT_S = 0.1


class FakeArm:
    """By the system's clock. ``is_silent``, ``is_numb`` and ``is_dead`` take joint states, contact and heartbeats away.

    ``is_dry``: it passes nothing on, and says so.
    """

    def __init__(self, peer: Peer) -> None:
        self._arm = load_robot("panda")
        self.config = self._arm.config
        self.is_silent = self.is_dead = self.is_dry = self.is_numb = False
        self.chunks = self.beats = 0
        self._controller = JointTrajectoryController(self.config.arm_joints, np.asarray(self.config.home_rad))
        self._lock = threading.Lock()
        self.commands = peer.listen(GATED_COMMAND, on_message=self._follow)
        self._joints, self._beats = peer.publisher(JOINT_STATES), peer.publisher(HEARTBEAT)
        self._contact = peer.publisher(CONTACT)
        self._chunks = peer.publisher(ACTION_CHUNK)
        self.peer = peer
        peer.node.create_timer(PERIOD_S, self._publish)
        peer.node.create_timer(BEAT_S, self._beat)

    def _follow(self, message: Any) -> None:
        if self.is_dry:
            return
        command = gated_from_msg(message)
        with self._lock, contextlib.suppress(MotionError):  # a controller refuses what comes too late, and goes on
            self._controller.accept(command.trajectory, time.time_ns())

    def position(self) -> np.ndarray:
        with self._lock:
            return self._controller.sample(time.time_ns()).positions

    def _publish(self) -> None:
        if self.is_silent:
            return
        stamp_ns = time.time_ns()
        with self._lock:
            desired = self._controller.sample(stamp_ns)
        torques = self._arm.torques(desired.positions, desired.velocities, desired.accelerations)
        state = JointState(stamp_ns, self.config.arm_joints, desired.positions, desired.velocities, torques)
        self._joints.publish(joint_state_to_msg(state))
        if not self.is_numb:
            pads = tuple(FingerContact(finger, 0.0, 0.0, (0.0, 0.0), False, False) for finger in self.config.tactile)
            self._contact.publish(contact_to_msg(ContactState(stamp_ns, pads)))

    def _beat(self) -> None:
        if not self.is_dead:
            self.beats += 1
            beat = load_type(HEARTBEAT.type)(node="motion_forwarder", seq=1, lifecycle_state=NodeState.ACTIVE, dry_run=self.is_dry)
            self._beats.publish(beat)

    def send(self, sweep: Any, *, rows: int = 21, dt_s: float = 0.05, spoil: Any = None, **changes: Any) -> ActionChunk:
        """A chunk from where the arm is by ``sweep`` [7] rad, at rest at both ends, that rests on joint states alone; with ``changes``."""
        s = np.linspace(0, 1, rows)[:, None]
        data = self.position() + (10 * s**3 - 15 * s**4 + 6 * s**5) * np.asarray(sweep, dtype=float)
        if spoil is not None:
            spoil(data)
        self.chunks += 1
        stamp_ns = time.time_ns()
        chunk = ActionChunk(
            seq=self.chunks,
            expert="fake_expert",
            subtask_id="",
            trace_id=f"fake-{self.chunks}",
            stamp_ns=stamp_ns,
            space=ActionSpace.JOINT_POSITION,
            names=self.config.arm_joints,
            dt_s=dt_s,
            data=data,
            gripper_width_m=np.full(rows, np.nan),
            input_stamps_ns={"joint_states": stamp_ns},
        )
        chunk = replace(chunk, **changes)
        self._chunks.publish(chunk_to_msg(chunk))
        return chunk
