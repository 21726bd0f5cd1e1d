"""safety_monitor: every command passes here, or does not. The rules are vla_ros/safety; this file only connects them."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from rclpy.action import get_action_client_names_and_types_by_node
from rclpy.node import NodeNameNonExistentError

from vla_ros.core.actions import ActionChunk, ActionSpace, SafetyAction
from vla_ros.core.decisions import SafetyMode, SafetyState, Verdict
from vla_ros.core.scheduling import Urgency
from vla_ros.nodes.safety_monitor_inputs import GateInputs
from vla_ros.robots import load_robot
from vla_ros.ros.conversions.actions import chunk_to_msg, gated_to_msg
from vla_ros.ros.conversions.arrays import ns_from_stamp
from vla_ros.ros.conversions.safety import decision_to_msg, diagnostics_to_msg, safety_state_to_msg
from vla_ros.ros.inbox import Inbox
from vla_ros.ros.interfaces import (
    ACTION_CHUNK,
    CAMERA_HEALTH,
    CONTACT,
    DEADMAN,
    DIAGNOSTICS,
    ESTOP,
    ESTOP_TOPIC,
    EVALUATE_CHUNK,
    GATED_COMMAND,
    HEARTBEAT,
    HOLD,
    JOINT_STATES,
    MOVE_TO,
    OBJECTS,
    PLAN,
    RESET,
    SAFETY_DECISION,
    SAFETY_MARKERS,
    SAFETY_STATE,
    SET_SPEED,
)
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.markers import Witness, safety_markers
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.qos import Qos
from vla_ros.ros.spin import run
from vla_ros.ros.world_model_client import WorldModelClient
from vla_ros.safety.chunk_checks import ChunkId
from vla_ros.safety.config import SafetyConfig, load_safety_config
from vla_ros.safety.faults import Fault
from vla_ros.safety.gate import Gate
from vla_ros.safety.stop_file import StopFile, stop_path

STATE_PERIOD_S = 0.2
MESSAGES_KEPT = 64  # between two ticks, were they late
DIAGNOSTICS_PERIOD_NS = 1_000_000_000
BYPASS_PERIOD_S = 0.5
# Of ros2_control: whoever can call them can put another controller in the place of the one that plays what was gated.
SWITCHES = ("controller_manager/switch_controller", "controller_manager/set_hardware_component_state")

SHOWN_AS = {
    SafetyMode.STARTING: SafetyAction.HOLD,
    SafetyMode.READY: SafetyAction.PASS,
    SafetyMode.SLOWED: SafetyAction.SLOW,
    SafetyMode.HOLDING: SafetyAction.HOLD,
    SafetyMode.STOPPED_LATCHED: SafetyAction.STOP,
}


@dataclass(frozen=True)
class SafetyMonitorConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    safety: str = parameter("", "name in config/safety, or a YAML file; empty: that of the robot")
    speed: float = parameter(1.0, "override of the pace of all motion at the start (safety/set_speed changes it)", low=0.0, high=1.0)


class SafetyMonitorNode(VlaNode):
    """Hands messages to the gate as values and publishes what it lets through, its decisions and its state."""

    def __init__(self) -> None:
        super().__init__("safety_monitor")
        self.config = declare(self, SafetyMonitorConfig)

    def setup(self) -> None:
        """Makes the gate, connects what it watches, and ticks it by the steady clock."""
        self.arm = load_robot(self.config.robot)
        safety = load_safety_config(self.config.safety or self.arm.config.name)
        self.gate = Gate(self.arm, safety, session=secrets.randbits(63))
        self.gate.set_speed(self.config.speed)
        self._stop_file = StopFile(stop_path(os.environ, self.get_namespace()))
        self._kept = self._stop_file.load()  # the latched stop that is in the file, or on its way there
        self._saving: threading.Thread | None = None
        if self._kept:
            self.gate.keep_stopped(self._kept)
        self._said: SafetyState | None = None
        self._chunk: ActionChunk | None = None
        self._followed: ActionChunk | None = None  # the world model was asked about it
        self._latency_s: dict[int, float] = {}  # of decisions about chunks, until they are published
        self._judging_since_ns: dict[tuple[int, str], int] = {}  # number and trace of chunks that take several ticks
        self._gated, self._decision = self.publish_on(GATED_COMMAND), self.publish_on(SAFETY_DECISION)
        self._state, self._markers = self.publish_on(SAFETY_STATE), self.publish_on(SAFETY_MARKERS)
        self._diagnostics, self._diagnosed_ns = self.publish_on(DIAGNOSTICS), 0
        self._world_model = self._world_model_client(safety)
        for topic in (ESTOP_TOPIC, replace(ESTOP_TOPIC, qos=Qos.SENSOR)):  # reliable, and from publishers that are not
            self.subscribe_to(topic, lambda _: self._estop("a message on safety/estop"), always=True)
        self._inputs = GateInputs(self.gate, self.now_ns, self.steady_ns, self._warn)
        self._inboxes = [
            Inbox(self, HEARTBEAT, depth=MESSAGES_KEPT),
            Inbox(self, DEADMAN, depth=MESSAGES_KEPT),
            Inbox(self, CAMERA_HEALTH, depth=MESSAGES_KEPT),
            Inbox(self, JOINT_STATES),
            Inbox(self, OBJECTS),
            Inbox(self, CONTACT),
        ]
        self._joints: Any = None  # the newest message that could be read
        self.subscribe_to(ACTION_CHUNK, self._on_chunk, raw=True)
        self.subscribe_to(PLAN, lambda cdr: self._inputs.take(PLAN, cdr), raw=True)
        self.serve(ESTOP, self._on_estop)
        self.serve(HOLD, self._on_hold)
        self.serve(RESET, self._on_reset)
        self.serve(SET_SPEED, self._on_speed)
        self.poll_clock()
        self.every(safety.tick_s, self._tick)
        self.every(STATE_PERIOD_S, self._report)
        self.every(BYPASS_PERIOD_S, self._watch_for_bypass)

    # --- what arrives
    def _on_chunk(self, cdr: bytes) -> None:
        taken_ns = self.steady_ns()
        if (judged := self._inputs.take_chunk(cdr)) is None:
            return
        chunk, decision = judged
        if decision is None:
            self._judging_since_ns[chunk.seq, chunk.trace_id] = taken_ns
        else:
            self._chunk = chunk
            self._latency_s[decision.id] = (self.steady_ns() - taken_ns) * 1e-9
        self._ask_world_model()

    def _ask_world_model(self) -> None:
        """About a chunk that is followed since just now."""
        followed = self.gate.followed_chunk
        if followed is None or followed is self._followed:
            return
        self._chunk = self._followed = followed  # joint positions, whatever space it came in
        if self._joints is not None:
            self._world_model.ask(chunk_to_msg(followed), self._joints)

    def _world_model_client(self, safety: SafetyConfig) -> WorldModelClient:
        if not safety.world_model.required:
            self.get_logger().warning("world_model.required is false in the safety file: motion is not slowed where nobody foresees it.")
        return WorldModelClient(self.client_of(EVALUATE_CHUNK), self._on_verdict, safety.world_model.deadline_s, self.steady_ns)

    def _on_verdict(self, chunk: Any, verdict: Verdict, detail: str) -> None:
        self.gate.on_world_model(ChunkId(chunk.expert, chunk.seq, ns_from_stamp(chunk.header.stamp)), verdict, detail)

    def _estop(self, source: str) -> None:
        self.gate.estop(source)
        if self.is_active:
            self._tick()
        self._keep_stop()

    def _on_estop(self, _: Any, response: Any) -> Any:
        self._estop("a call of safety/estop")
        response.success, response.message = True, "The arm brakes and stays still until safety/reset is called."
        return response

    def _on_hold(self, _: Any, response: Any) -> Any:
        self.gate.hold("A call of safety/hold")
        response.success, response.message = True, "The arm brakes; a fresh chunk resumes."
        return response

    def _on_reset(self, _: Any, response: Any) -> Any:
        response.success, response.message = self.gate.reset()
        if response.success:
            self._forget_stop()
        return response

    def _keep_stop(self) -> None:
        """A stop that latched is written by a thread of its own: the disk may take its time, the next ticks may not."""
        stop = self.gate.latched
        if stop is None or self._kept is not None:
            return
        self._kept = stop
        self._saving = threading.Thread(target=self._save, args=(stop,), name="stop", daemon=True)
        self._saving.start()

    def _save(self, stop: Fault) -> None:
        try:
            self._stop_file.save(stop)
        except OSError as error:
            self.get_logger().error(f"The stop holds, but a monitor that is started again would not know of it: {error}")

    def _forget_stop(self) -> None:
        if self._saving is not None:
            self._saving.join()
        self._kept = self._saving = None
        try:
            self._stop_file.clear()
        except OSError as error:
            self.get_logger().error(f"The stop was reset, but a monitor that is started again would come up stopped: {error}")

    def _on_speed(self, request: Any, response: Any) -> Any:
        try:
            self.gate.set_speed(request.scale)
            held = " Nothing moves until it is raised; an expert that is still at work goes on then." if request.scale == 0.0 else ""
            response.success, response.message = True, f"Speed override: {request.scale:.0%}.{held}"
        except ValueError as error:
            response.message = str(error)
        return response

    # --- what goes out
    def _tick(self) -> None:
        self._look()
        command = self.gate.tick(self.now_ns(), self.steady_ns())
        if command is not None:
            self._gated.publish(gated_to_msg(command))
        self._keep_stop()
        self._ask_world_model()
        decisions = self.gate.drain_decisions()
        for decision in decisions:
            since_ns = self._judging_since_ns.pop((decision.chunk_seq, decision.trace_id), None)
            latency_s = self._latency_s.pop(decision.id, decision.latency_s if since_ns is None else (self.steady_ns() - since_ns) * 1e-9)
            self._decision.publish(decision_to_msg(replace(decision, latency_s=latency_s)))
        if decisions:
            self._report()

    def _watch_for_bypass(self) -> None:
        """Nobody else may command the arm: a second monitor, or another one who can reach its controllers, ends all motion by name."""
        controllers, gripper = self.arm.config.controllers, self.arm.config.gripper.binding
        for watched in (GATED_COMMAND.name, controllers.joint_trajectory, *([gripper.name] if "/msg/" in gripper.type else [])):
            publishers = sorted({info.node_name for info in self.get_publishers_info_by_topic(watched)})
            if self.count_publishers(watched) > 1:
                self.gate.bypass(f"more than one publishes on {watched} ({', '.join(publishers)})")
        for action, allowed in ((controllers.follow_joint_trajectory, set()), (gripper.name, {MOVE_TO.server})):
            if self.count_clients(f"{action}/_action/send_goal") > len(allowed):
                clients = self._clients_of(action, allowed, partial(get_action_client_names_and_types_by_node, self))
                self.gate.bypass(f"{' and '.join(clients)} may send goals to {action}")
        for service in SWITCHES:
            if self.count_clients(service):
                clients = self._clients_of(service, set(), self.get_client_names_and_types_by_node)
                self.gate.bypass(f"{' and '.join(clients)} may put another controller in the place of the arm's by {service}")

    def _clients_of(self, served: str, allowed: Set[str], clients_by_node: Callable[[str, str], list[tuple[str, list[str]]]]) -> list[str]:
        """Names of the nodes that have a client of ``served`` and should have none; all that have one, where none of them is to blame."""
        name = self.resolve_topic_name(served)
        clients = []
        for node, space in self.get_node_names_and_namespaces():
            with suppress(NodeNameNonExistentError):  # it has gone meanwhile
                clients += [node] * (name in dict(clients_by_node(node, space)))
        return sorted(set(clients) - allowed) or sorted(clients) or ["a node that does not say its name"]

    def _look(self) -> None:
        """Hands what has come since the last tick to the gate."""
        for inbox in self._inboxes:
            for letter in inbox.take():
                message = self._inputs.take(inbox.topic, letter.cdr)
                if inbox.topic is JOINT_STATES and message is not None:
                    self._joints = message

    def _warn(self, sentence: str) -> None:
        self.get_logger().warning(sentence, throttle_duration_sec=1.0)

    def _report(self) -> None:
        nearest = self.gate.nearest()
        state = replace(self.gate.state(), nearest=nearest.pair, clearance_m=nearest.margin_m)
        is_news = self._said is None or (self._said.mode, self._said.reason) != (state.mode, state.reason)
        if is_news:
            self.get_logger().info(f"{state.mode.name}: {state.detail}")
        if is_news or self.steady_ns() - self._diagnosed_ns >= DIAGNOSTICS_PERIOD_NS:
            self._diagnosed_ns = self.steady_ns()
            self._diagnostics.publish(diagnostics_to_msg(state, self.arm.config.name))
        self._said = state
        self._state.publish(safety_state_to_msg(state))
        if self._markers.get_subscription_count():
            shown = Witness(SHOWN_AS[state.mode], self._proposed_path(), self.gate.committed_path_m(), nearest.points_m)
            self._markers.publish(safety_markers(shown, state, self.arm.config.workspace))

    def _proposed_path(self) -> Any:
        """[n, 3] TCP positions of the newest chunk's rows, in the base frame."""
        chunk = self._chunk
        joints = self.arm.config.arm_joints
        if chunk is None or chunk.space is not ActionSpace.JOINT_POSITION or sorted(chunk.names) != sorted(joints):
            return np.zeros((0, 3))
        if chunk.data.shape[1] != len(joints) or not np.all(np.isfinite(chunk.data)):
            return np.zeros((0, 3))
        return self.arm.tcp_positions(chunk.data[::4, [chunk.names.index(name) for name in joints]])


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(SafetyMonitorNode, urgency=Urgency.CONTROL)
