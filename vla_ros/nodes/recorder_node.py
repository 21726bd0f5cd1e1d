"""recorder: raw bytes of the whole graph into a rosbag2 folder, nothing deserialized; counts what it loses and says so."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vla_ros.core.errors import DataError
from vla_ros.data.bag_metadata import QosProfile
from vla_ros.data.bag_writer import BagWriter
from vla_ros.data.message_definitions import MessageDefinitions
from vla_ros.data.run_folder import RunFolder, create_run_folder
from vla_ros.robots import load_robot_config
from vla_ros.ros.action_server import Ending, OneGoalServer, Work
from vla_ros.ros.interfaces import RECORD_EPISODE, Topic, load_type
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.qos import durability_word, reliability_word
from vla_ros.ros.recording_profile import recorded_topics
from vla_ros.ros.spin import run

QUEUE_MESSAGES = 4000  # about 5 s of everything; a disk that is slower than that loses messages, which are counted


@dataclass(frozen=True)
class RecorderConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    root: str = parameter("runs", "folder under which each run gets a folder of its own")
    pictures: bool = parameter(True, "make video.mp4 and timeline.png after each run, in a process of their own")
    time_limit: float = parameter(300.0, "of a run, for the space that must be free on the disk", unit="s", low=1.0, high=36000.0)


@dataclass(frozen=True)
class _Item:
    topic: str
    cdr: bytes
    received_ns: int


class RecorderNode(VlaNode):
    """Callbacks put bytes into a queue; the goal's thread writes them."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.config = declare(self, RecorderConfig)

    def setup(self) -> None:
        """Subscribes to everything that a run's bag holds, as raw bytes, and serves record_episode."""
        self._topics = recorded_topics(load_robot_config(self.config.robot))
        self._definitions = MessageDefinitions()
        self._queue: queue.Queue[_Item] = queue.Queue(QUEUE_MESSAGES)
        self._recording = False
        self._lost = 0
        self._latched: dict[str, _Item] = {}  # the newest of each topic that late joiners get, so that every bag begins with them
        for topic in self._topics:
            self.subscribe_to(topic, partial(self._on_bytes, topic), raw=True)
        OneGoalServer(self, RECORD_EPISODE, self._work)

    def _on_bytes(self, topic: Topic, cdr: bytes) -> None:
        item = _Item(self.resolve_topic_name(topic.name), cdr, time.time_ns())
        if durability_word(topic.qos) == "transient_local":
            self._latched[topic.name] = item
        if not self._recording:
            return
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._lost += 1

    # --- in the goal's thread
    def _work(self, work: Work) -> tuple[Ending, Any]:
        result = load_type(RECORD_EPISODE.type).Result()
        started_s = time.monotonic()
        try:
            folder = self._folder(work.goal)
            result.folder = str(folder.path.resolve())
            self._record(folder, work, result)
            result.success, result.message = (
                True,
                f"{result.messages} messages in {folder.bag}" + (f", {result.lost} lost" if result.lost else ""),
            )
        except DataError as error:
            result.message = str(error)
        finally:
            self._recording = False
            result.duration = time.monotonic() - started_s
        if result.success and self.config.pictures:
            self._make_pictures(folder)
        if work.cancel.is_set():
            return Ending.CANCELED, result
        return (Ending.SUCCEEDED if result.success else Ending.ABORTED), result

    def _folder(self, goal: Any) -> RunFolder:
        if goal.folder:
            Path(goal.folder).mkdir(parents=True, exist_ok=True)
            return RunFolder(Path(goal.folder))
        profile = goal.profile or "train"
        return create_run_folder(
            Path(self.config.root), goal.instruction, time.time_ns(), profile=profile, time_limit_s=self.config.time_limit
        )

    def _record(self, folder: RunFolder, work: Work, result: Any) -> None:
        writer = BagWriter(folder.bag, "none", ros_distro=os.environ.get("ROS_DISTRO", ""))
        try:
            for topic in self._topics:
                self._announce(writer, topic)
            self._lost = 0
            while not self._queue.empty():
                self._queue.get_nowait()
            for item in list(self._latched.values()):
                writer.write(item.topic, item.cdr, time.time_ns(), time.time_ns())
            self._recording = True
            self._drain(writer, work)
        finally:
            info = writer.close()
            result.messages, result.lost, result.bytes = info.message_count, self._lost, writer.size_bytes

    def _announce(self, writer: BagWriter, topic: Topic) -> None:
        definition = self._definitions.get(topic.type)
        qos = QosProfile(reliability_word(topic.qos), durability_word(topic.qos))
        writer.add_topic(self.resolve_topic_name(topic.name), topic.type, definition.text, definition.type_hash, [qos])

    def _drain(self, writer: BagWriter, work: Work) -> None:
        """Writes until canceled, then what is still queued."""
        feedback = load_type(RECORD_EPISODE.type).Feedback()
        started_s = told_s = time.monotonic()
        work.feedback(feedback)
        while True:
            try:
                item = self._queue.get(timeout=0.1)
                writer.write(item.topic, item.cdr, item.received_ns, item.received_ns)
            except queue.Empty:
                if work.cancel.is_set():
                    return
            if work.cancel.is_set():
                self._recording = False
            if time.monotonic() - told_s > 1.0:
                told_s = time.monotonic()
                feedback.messages, feedback.lost, feedback.bytes = writer.message_count, self._lost, writer.size_bytes
                feedback.elapsed = told_s - started_s
                work.feedback(feedback)

    def _make_pictures(self, folder: RunFolder) -> None:
        """Video and timeline, at the lowest priority: the next goal must not feel it."""
        command = [sys.executable, "-m", "vla_ros.data.make_pictures", str(folder.path), "--robot", self.config.robot]
        subprocess.Popen(["nice", "-n", "19", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(RecorderNode)
