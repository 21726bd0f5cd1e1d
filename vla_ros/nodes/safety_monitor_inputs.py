"""What reaches the gate from topics: bytes become messages, messages become values, values are handed over.

Anybody may publish, so anything may come. What cannot be read is told and counts as nothing: the gate soon misses it, and holds the arm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.serialization import deserialize_message

from vla_ros.core.actions import ActionChunk
from vla_ros.core.decisions import SafetyDecision
from vla_ros.core.outcomes import NodeState
from vla_ros.ros.conversions.actions import chunk_from_msg
from vla_ros.ros.conversions.robot import contact_from_msg, joint_state_from_msg
from vla_ros.ros.conversions.scene import health_from_msg, scene_from_msg
from vla_ros.ros.conversions.tasks import plan_from_msg
from vla_ros.ros.interfaces import ACTION_CHUNK, CAMERA_HEALTH, CONTACT, DEADMAN, HEARTBEAT, JOINT_STATES, OBJECTS, PLAN, Topic, load_type
from vla_ros.safety.gate import Gate

# rclpy raises a RuntimeError for bytes that are no message, the conversions a ValueError for values that make no sense together.
UNREADABLE = (RuntimeError, ValueError)

_VALUES: dict[str, Callable[[Any], Any]] = {
    ACTION_CHUNK.name: chunk_from_msg,
    CAMERA_HEALTH.name: health_from_msg,
    CONTACT.name: contact_from_msg,
    DEADMAN.name: lambda message: bool(message.data),
    HEARTBEAT.name: lambda message: message,
    JOINT_STATES.name: joint_state_from_msg,
    OBJECTS.name: scene_from_msg,
    PLAN.name: plan_from_msg,
}


class GateInputs:
    """For one gate. ``now_ns``: ROS time; ``steady_ns``: a steady clock; ``warn(sentence)`` is told of what cannot be read."""

    def __init__(self, gate: Gate, now_ns: Callable[[], int], steady_ns: Callable[[], int], warn: Callable[[str], None]) -> None:
        self._gate, self._now_ns, self._steady_ns, self._warn = gate, now_ns, steady_ns, warn
        self._uses: dict[str, Callable[[Any], None]] = {
            CAMERA_HEALTH.name: gate.on_camera_health,
            CONTACT.name: gate.on_contact,
            DEADMAN.name: lambda is_pressed: gate.on_deadman(is_pressed, steady_ns()),
            HEARTBEAT.name: self._on_heartbeat,
            JOINT_STATES.name: gate.on_joint_state,
            OBJECTS.name: gate.on_scene,
            PLAN.name: gate.on_plan,
        }

    def take(self, topic: Topic, cdr: bytes) -> Any:
        """Hands a serialized message of anything but chunks to the gate. Returns the message; None where it could not be read."""
        message, value = self._read(topic, cdr)
        if message is None:
            return None
        try:
            self._uses[topic.name](value)
        except ValueError as error:
            self._warn(f"{topic.name}: not taken: {error}")
        return message

    def take_chunk(self, cdr: bytes) -> tuple[ActionChunk, SafetyDecision | None] | None:
        """Hands a serialized chunk to the gate. Returns its value and what ``Gate.on_chunk`` returns; None where it could not be read."""
        message, chunk = self._read(ACTION_CHUNK, cdr)
        return None if message is None else (chunk, self._gate.on_chunk(chunk, self._now_ns()))

    def _read(self, topic: Topic, cdr: bytes) -> tuple[Any, Any]:
        """The message and its value; None for both where there is none."""
        try:
            message = deserialize_message(cdr, load_type(topic.type))
            return message, _VALUES[topic.name](message)
        except UNREADABLE as error:
            self._warn(f"{topic.name}: not read: {error}")
            return None, None

    def _on_heartbeat(self, message: Any) -> None:
        if message.lifecycle_state == NodeState.ACTIVE:
            self._gate.on_heartbeat(message.node, self._steady_ns(), dry_run=message.dry_run)
