"""recorder: raw bytes of the whole graph into a rosbag2 folder, nothing deserialized; counts what it loses and says so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_ros.core.errors import DataError
from vla_ros.core.outcomes import Outcome
from vla_ros.core.resources import share_dir
from vla_ros.core.scheduling import Urgency
from vla_ros.data.bag_metadata import QosProfile
from vla_ros.data.bag_writer import BagWriter
from vla_ros.data.message_definitions import MessageDefinitions
from vla_ros.data.run_folder import RunFolder, create_run_folder
from vla_ros.data.versions import collect_versions
from vla_ros.robots import load_robot_config
from vla_ros.ros.action_server import Ending, OneGoalServer, Work
from vla_ros.ros.inbox import Inbox, Letter, Losses
from vla_ros.ros.interfaces import HEARTBEAT, RECORD_EPISODE, Topic, load_type
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.qos import durability_word, reliability_word
from vla_ros.ros.recording_profile import recorded_topics
from vla_ros.ros.spin import run

KEPT = 60  # messages of each topic until they are taken: 0.6 s of the busiest; what comes beyond that is lost, and counted
TAKE_PERIOD_S = 0.05
OWNER_SILENT_S = 2.0  # after which who asked for a recording counts as dead
BEATS_KEPT = 64


@dataclass(frozen=True)
class RecorderConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    root: str = parameter("runs", "folder under which each run gets a folder of its own")
    pictures: bool = parameter(True, "make video.mp4, timeline.png and measures after each run, in a process of their own")
    time_limit: float = parameter(300.0, "of a run, for the space that must be free on the disk", unit="s", low=1.0, high=36000.0)


class OwnerWatch:
    """Whether the node that asked for a recording still lives, by its heartbeats; "" is nobody, who never dies."""

    def __init__(self, heartbeats: Inbox, owner: str) -> None:
        self._heartbeats, self._owner = heartbeats, owner
        self._heard_s = time.monotonic()

    def died(self) -> str:
        """A sentence, or ""."""
        now_s = time.monotonic()
        if any(beat.node == self._owner for beat in self._heartbeats.take_messages()):
            self._heard_s = now_s
        silent_s = now_s - self._heard_s
        if not self._owner or silent_s < OWNER_SILENT_S:
            return ""
        return f"Node '{self._owner}' has died: no heartbeat for {silent_s:.1f} s. Its recording was ended."


class RecorderNode(VlaNode):
    """DDS keeps what comes; the goal's thread takes and writes it."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.config = declare(self, RecorderConfig)

    def setup(self) -> None:
        """Subscribes to everything that a run's bag holds, as raw bytes, and serves record_episode."""
        self._definitions = MessageDefinitions()
        self._inboxes = {
            self.resolve_topic_name(t.name): Inbox(self, t, KEPT) for t in recorded_topics(load_robot_config(self.config.robot))
        }
        self._heartbeats = Inbox(self, HEARTBEAT, BEATS_KEPT)
        self._latched: dict[str, Letter] = {}  # the newest of each topic that late joiners get, so that every bag begins with them
        OneGoalServer(self, RECORD_EPISODE, self._work)

    # --- in the goal's thread
    def _work(self, work: Work) -> tuple[Ending, Any]:
        result = load_type(RECORD_EPISODE.type).Result()
        started_s = time.monotonic()
        orphaned = ""
        try:
            folder = self._folder(work.goal)
            result.folder = str(folder.path.resolve())
            orphaned = self._record(folder, work, result)
            result.success = True
            result.message = f"{result.messages} messages in {folder.bag}" + (f", {result.lost} lost" if result.lost else "")
        except DataError as error:
            result.message = str(error)
        finally:
            result.duration = time.monotonic() - started_s
        if orphaned:
            self._leave_result(folder, work.goal, result, orphaned)
        if result.success and self.config.pictures:
            self._finish(folder)
        if work.cancel.is_set():
            return Ending.CANCELED, result
        return (Ending.SUCCEEDED if result.success else Ending.ABORTED), result

    def _folder(self, goal: Any) -> RunFolder:
        if goal.folder:
            Path(goal.folder).mkdir(parents=True, exist_ok=True)
            return RunFolder(Path(goal.folder))
        return create_run_folder(Path(self.config.root), goal.instruction, time.time_ns(), time_limit_s=self.config.time_limit)

    def _record(self, folder: RunFolder, work: Work, result: Any) -> str:
        """Why it ended without having been canceled, or ""."""
        writer = BagWriter(folder.bag, "none", ros_distro=os.environ.get("ROS_DISTRO", ""))
        losses = Losses()
        try:
            for name, inbox in self._inboxes.items():
                self._announce(writer, name, inbox.topic)
            self._take()  # what came before the goal, but for the latched
            for name, letter in self._latched.items():
                writer.write(name, letter.cdr, time.time_ns(), time.time_ns())
            return self._write_until_canceled(writer, losses, work, result.folder)
        finally:
            info = writer.close()
            result.messages, result.lost, result.bytes = info.message_count, losses.count, writer.size_bytes

    def _announce(self, writer: BagWriter, name: str, topic: Topic) -> None:
        definition = self._definitions.get(topic.type)
        qos = QosProfile(reliability_word(topic.qos), durability_word(topic.qos))
        writer.add_topic(name, topic.type, definition.text, definition.type_hash, [qos])

    def _take(self) -> list[tuple[str, Letter]]:
        """Everything that has come, by name of topic, oldest first."""
        taken = []
        for name, inbox in self._inboxes.items():
            letters = inbox.take()
            taken += [(name, letter) for letter in letters]
            if letters and durability_word(inbox.topic.qos) == "transient_local":
                self._latched[name] = letters[-1]
        return sorted(taken, key=lambda pair: pair[1].received_ns)

    def _write_until_canceled(self, writer: BagWriter, losses: Losses, work: Work, folder: str) -> str:
        owner = OwnerWatch(self._heartbeats, work.goal.owner)
        orphaned = ""
        feedback = load_type(RECORD_EPISODE.type).Feedback(folder=folder)
        started_s = time.monotonic()
        told_s = 0.0
        ending = False
        while not (ending or orphaned):
            ending = work.cancel.wait(TAKE_PERIOD_S)  # what has come until then is still written
            for name, letter in self._take():
                losses.note(name, letter)
                writer.write(name, letter.cdr, letter.received_ns, letter.received_ns)
            now_s = time.monotonic()
            if now_s - told_s > 1.0:
                told_s = now_s
                orphaned = owner.died()
                feedback.messages, feedback.lost, feedback.bytes = writer.message_count, losses.count, writer.size_bytes
                feedback.elapsed = now_s - started_s
                work.feedback(feedback)
        return "" if ending else orphaned

    def _leave_result(self, folder: RunFolder, goal: Any, result: Any, why: str) -> None:
        """What is known without the owner, who would have written result.json: the run is not to be taken for one that goes on."""
        self.get_logger().warning(f"{why} {result.message}")
        facts = {"instruction": goal.instruction, "robot": self.config.robot, "subtasks": [], "versions": collect_versions(share_dir())}
        end = {"outcome": Outcome.FAILED.word, "reason": "node_died", "message": why, "verified": False, "duration_s": result.duration}
        recording = {"complete": True, "message": result.message, "messages": result.messages, "lost": result.lost, "bytes": result.bytes}
        try:
            folder.write_result({**facts, **end, "recording": {**recording, "duration_s": result.duration}})
        except DataError as error:
            self.get_logger().error(str(error))

    def _finish(self, folder: RunFolder) -> None:
        """Video, timeline and measures, in a process of their own that the next goal does not feel."""
        command = [sys.executable, "-m", "vla_ros.evaluation.finish_run", str(folder.path), "--robot", self.config.robot]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(RecorderNode, urgency=Urgency.BACKGROUND)
