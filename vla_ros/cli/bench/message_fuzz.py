"""Messages that nobody would send, at every topic of the gate, while an arm moves: does anything break, or move as it must not?

The bench of the gate (evaluation/gate_bench.py) runs as it is, with its adversary and its oracle, but all that its gate hears goes through
the bytes of ROS messages, and mutants of them come in between. No middleware is needed: what would arrive is handed to GateInputs.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message

from vla_ros.cli.bench.message_mutation import mutant
from vla_ros.core.actions import ActionChunk
from vla_ros.core.outcomes import NodeState
from vla_ros.core.robot_state import ContactState, JointState
from vla_ros.core.scene import CameraHealth, Scene
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.evaluation.gate_bench import GateBench
from vla_ros.nodes.safety_monitor_inputs import GateInputs
from vla_ros.ros.conversions.actions import chunk_to_msg
from vla_ros.ros.conversions.robot import contact_to_msg, joint_state_from_msg, joint_state_to_msg
from vla_ros.ros.conversions.scene import health_to_msg, scene_to_msg
from vla_ros.ros.conversions.tasks import plan_to_msg
from vla_ros.ros.interfaces import ACTION_CHUNK, CAMERA_HEALTH, CONTACT, DEADMAN, HEARTBEAT, JOINT_STATES, OBJECTS, PLAN, Topic, load_type
from vla_ros.safety.gate import Gate

TOPICS = (ACTION_CHUNK, PLAN, JOINT_STATES, OBJECTS, CONTACT, CAMERA_HEALTH, HEARTBEAT, DEADMAN)
BURST_SHARE = 0.05  # of the messages that come each tick, about which mutants come: between two bursts the arm gets going
RARE_BURST_SHARE = 0.25  # the same of those that come more rarely
RARE = (ACTION_CHUNK, OBJECTS, PLAN)
MOST_IN_BURST = 64
TRUE_RAD = 0.01  # nearer to the truth than this, a joint state is none the worse


@dataclass
class FuzzFigures:
    """Of one topic."""

    mutants: int = 0
    unread: int = 0  # refused before they became values
    crashes: int = 0
    first_crash: str = ""
    lies: int = 0  # well-formed and untrue joint states, left out: nobody could tell


class MessageEdge:
    """Stands where the gate's subscriptions stand: what the bench tells goes through bytes, and mutants of ``topic`` come with it."""

    def __init__(self, gate: Gate, topic: Topic, figures: FuzzFigures, rng: np.random.Generator) -> None:
        self._topic, self._figures, self._rng = topic, figures, rng
        self._now_ns = 0
        self._inputs = GateInputs(gate, lambda: self._now_ns, lambda: self._now_ns, self._count_unread)
        self._is_mutant = False
        self._truth: JointState | None = None

    def on_joint_state(self, state: JointState) -> None:
        """As the gate's."""
        self._now_ns, self._truth = state.stamp_ns, state
        self._send(JOINT_STATES, joint_state_to_msg(state))

    def on_contact(self, contact: ContactState) -> None:
        """As the gate's."""
        self._send(CONTACT, contact_to_msg(contact))

    def on_camera_health(self, health: CameraHealth) -> None:
        """As the gate's."""
        self._send(CAMERA_HEALTH, health_to_msg(health))

    def on_heartbeat(self, node: str, steady_ns: int) -> None:
        """As the gate's."""
        self._send(HEARTBEAT, load_type(HEARTBEAT.type)(node=node, seq=1, lifecycle_state=int(NodeState.ACTIVE)))
        self._send(DEADMAN, load_type(DEADMAN.type)(data=True))

    def on_plan(self, plan: Plan) -> None:
        """As the gate's."""
        self._send(PLAN, plan_to_msg(plan))

    def on_scene(self, scene: Scene) -> None:
        """As the gate's; a plan that means no contact of these objects comes with it."""
        self.on_plan(_plan(scene.stamp_ns))
        self._send(OBJECTS, scene_to_msg(scene))

    def on_chunk(self, chunk: ActionChunk, now_ns: int) -> None:
        """As the gate's."""
        self._now_ns = now_ns
        self._send(ACTION_CHUNK, chunk_to_msg(chunk))

    def _send(self, topic: Topic, message: Any) -> None:
        """Some mutants, the message, some more."""
        if topic is self._topic and self._rng.random() < (RARE_BURST_SHARE if topic in RARE else BURST_SHARE):
            burst = [mutant(message, self._rng) for _ in range(int(self._rng.integers(1, MOST_IN_BURST)))]
            before = int(self._rng.integers(len(burst) + 1))
        else:
            burst, before = [], 0
        for cdr in burst[:before]:
            self._try(topic, cdr)
        self._take(topic, bytes(serialize_message(message)))
        for cdr in burst[before:]:
            self._try(topic, cdr)

    def _try(self, topic: Topic, cdr: bytes) -> None:
        if topic is JOINT_STATES and self._is_lie(cdr):
            self._figures.lies += 1
            return
        self._figures.mutants += 1
        self._is_mutant = True
        try:
            self._take(topic, cdr)
        except Exception:
            self._figures.crashes += 1
            self._figures.first_crash = self._figures.first_crash or f"{cdr.hex()}\n{traceback.format_exc()}"
        self._is_mutant = False

    def _take(self, topic: Topic, cdr: bytes) -> None:
        if topic is ACTION_CHUNK:
            self._inputs.take_chunk(cdr)
        else:
            self._inputs.take(topic, cdr)

    def _count_unread(self, _: str) -> None:
        self._figures.unread += self._is_mutant

    def _is_lie(self, cdr: bytes) -> bool:
        assert self._truth is not None
        try:
            state = joint_state_from_msg(deserialize_message(cdr, load_type(JOINT_STATES.type))).select(self._truth.names)
        except (RuntimeError, ValueError, KeyError):
            return False
        return bool(np.abs(state.positions - self._truth.positions).max() > TRUE_RAD)


def fuzz_topic(topic: Topic, robot: str, mutants: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Whole episodes until so many mutants were sent. What was found, as `vla bench messages --json` prints it.

    An untrue scene may let the arm touch what it hides, so that contacts are not counted for mutants of the objects.
    """
    figures, rng = FuzzFigures(), np.random.default_rng(seed)
    bench = GateBench(robot, seed, lambda gate: MessageEdge(gate, topic, figures, rng))
    while figures.mutants < mutants:
        bench.run(bench.figures.commands + 1)
        progress(figures.mutants)
    found = bench.figures.breaches
    kinds = {kind: count for kind, count in found.kinds.items() if not (topic is OBJECTS and kind == "collision")}
    return {
        "topic": topic.name,
        "mutants": figures.mutants,
        "unread": figures.unread,
        "lies_left_out": figures.lies,
        "crashes": figures.crashes,
        "first_crash": figures.first_crash,
        "breaches": sum(kinds.values()),
        "breach_kinds": kinds,
        "first_breach": found.first if kinds else "",
        "commands": bench.figures.commands,
        "moved_rad": round(bench.figures.moved_rad, 1),
    }


def _plan(stamp_ns: int) -> Plan:
    done = Predicate(Relation.IN, "thing_1", "thing_2")
    subtask = Subtask(id="s1", skill=Skill.PLACE, description="put it there", success=done, object_id="thing_1", target_id="thing_2")
    return Plan(instruction="put it there", subtasks=(subtask,), goal=(done,), planner="fuzz", stamp_ns=stamp_ns)
