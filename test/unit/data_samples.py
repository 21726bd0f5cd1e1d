"""Signals and bags of a made-up run, for the tests of data and evaluation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.outcomes import ReportStatus
from vla_ros.core.resources import share_dir
from vla_ros.data.bag_writer import BagWriter
from vla_ros.data.images import jpeg_encode
from vla_ros.data.run_signals import ContactSignal, Decision, JointSignal, ModeChange, Note, RunSignals, SubtaskSpan

S = 1_000_000_000
JOINTS = tuple(f"panda_joint{k}" for k in range(1, 8))
FINGERS = ("panda_finger_joint1", "panda_finger_joint2")
FRONT, WRIST = "/camera/front/color/compressed", "/camera/wrist/color/compressed"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
LIMITS = SimpleNamespace(
    position_min_rad=np.full(7, -3.0),
    position_max_rad=np.full(7, 3.0),
    velocity_radps=np.full(7, 2.0),
    acceleration_radps2=np.full(7, 10.0),
)


def signals(duration_s: float = 10.0) -> RunSignals:
    """Joint 1 turns at 0.5 rad/s; its commanded acceleration rises by 1 rad/s2 each 10 ms up to 5 and stays there."""
    times_s = np.arange(0.0, duration_s, 0.01)
    first = np.eye(7)[0]
    joints = JointSignal(times_s, np.outer(0.5 * times_s, first), np.outer(np.full(len(times_s), 0.5), first), np.zeros((0, 7)))
    rising = np.minimum(np.arange(len(times_s)), 5.0)
    command = JointSignal(times_s, joints.positions, joints.velocities, np.outer(rising, first))
    force_n = np.stack([np.where(times_s > 4, 12.0, 0.0), np.where(times_s > 4, 15.0, 0.0)], axis=1)
    return RunSignals(
        instruction="put the red cube in the blue bowl",
        outcome="succeeded",
        reason="verified",
        start_ns=S,
        duration_s=duration_s,
        joint_names=JOINTS,
        joints=joints,
        command=command,
        gripper_times_s=times_s,
        gripper_width_m=np.where(times_s > 4, 0.045, 0.08),
        contact=ContactSignal(("left", "right"), times_s, force_n),
        subtasks=(
            SubtaskSpan("1", "pick up the red cube", 1.0, 3.0, ReportStatus.FAILED, 1, "grasp_failed"),
            SubtaskSpan("1", "pick up the red cube", 3.0, 6.0, ReportStatus.SUCCEEDED, 2, "done"),
            SubtaskSpan("2", "place the red cube in the blue bowl", 6.0, 9.0, ReportStatus.SUCCEEDED, 1, "done"),
        ),
        decisions=(decision(0.0, SafetyAction.HOLD, "no_chunk"), decision(1.0), decision(5.0, SafetyAction.STOP, "estop")),
        modes=(ModeChange(0.0, SafetyMode.READY, "ok", "ready"), ModeChange(5.0, SafetyMode.STOPPED_LATCHED, "estop", "stopped")),
        reasoning=(Note(0.5, "plan", "The red cube lies left of the blue bowl. " * 8),),
        events=(Note(0.0, "start", ""), Note(0.4, "plan", ""), Note(9.9, "end", "succeeded")),
    )


def decision(time_s: float, action: SafetyAction = SafetyAction.PASS, reason: str = "ok") -> Decision:
    return Decision(time_s, action, reason, "", 0.5, 0.1)


class BagMaker:
    """Writes messages made from their types into a bag."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.bag = BagWriter(folder, **options)
        self._store = get_typestore(Stores.ROS2_KILTED)
        for path in sorted((share_dir() / "msg").glob("*.msg")):
            self._store.register(get_types_from_msg(path.read_text(), f"vla_ros/msg/{path.stem}"))
        self._topics: set[str] = set()

    def header(self, time_ns: int) -> Any:
        return self._store.types["std_msgs/msg/Header"](self.time(time_ns), "")

    def time(self, time_ns: int) -> Any:
        return self._store.types["builtin_interfaces/msg/Time"](time_ns // S, time_ns % S)

    def write(self, topic: str, kind: str, time_ns: int, **values: Any) -> None:
        """A message with this stamp; fields that are not given are zero, empty or false."""
        message = self._zero(kind)
        message.header = self.header(time_ns)
        for name, value in values.items():
            assert hasattr(message, name), f"{kind} has no field {name}"
            setattr(message, name, value)
        if topic not in self._topics:
            self._topics.add(topic)
            self.bag.add_topic(topic, kind, self._store.generate_msgdef(kind, ros_version=2)[0], self._store.hash_rihs01(kind))
        self.bag.write(topic, bytes(self._store.serialize_cdr(message, kind)), time_ns, time_ns)

    def _zero(self, kind: str) -> Any:
        values = {name: self._zero_field(spec) for name, spec in self._store.fielddefs[kind][1]}
        return self._store.types[kind](**values)

    def _zero_field(self, spec: Any) -> Any:
        node, detail = spec
        if node.name == "NAME":
            return self._zero(detail)
        if node.name == "BASE":
            return {"string": "", "bool": False}.get(detail[0], 0.0 if detail[0].startswith("float") else 0)
        base = detail[0][1][0]
        return [] if detail[0][0].name == "NAME" or base == "string" else np.zeros(0, base)

    def image(self, topic: str, time_ns: int, rgb: np.ndarray) -> None:
        self.write(topic, COMPRESSED, time_ns, format="jpeg", data=np.frombuffer(jpeg_encode(rgb), np.uint8))


def picture(brightness: int, height: int = 480, width: int = 640) -> np.ndarray:
    """A grey image with a red square."""
    image = np.full((height, width, 3), brightness, np.uint8)
    cv2.rectangle(image, (width // 3, height // 3), (width // 2, height // 2), (220, 20, 20), -1)
    return image


def empty_joints(dof: int) -> JointSignal:
    return JointSignal(np.zeros(0), *(np.zeros((0, dof)) for _ in range(3)))
