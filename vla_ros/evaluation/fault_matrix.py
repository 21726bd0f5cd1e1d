"""One fault at a time, while the arm follows an expert: does the gate notice in time, name it, and bring the arm to rest as its model says?

Each cell runs the gate in simulated time before a simulated arm (gate_rig.py), with chunks that rest on cameras and belong to a plan. What
reached the arm is judged by the oracle of the gate's bench.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vla_ros.core.actions import ActionChunk, ActionSpace, SafetyAction
from vla_ros.core.decisions import SafetyMode, SafetyReason, Verdict
from vla_ros.core.geometry import Array, Pose, transform
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.evaluation.fault_ears import FaultyEars, Mode
from vla_ros.evaluation.gate_oracle import Box
from vla_ros.evaluation.gate_rig import MS, START_NS, GateRig
from vla_ros.safety.chunk_checks import ChunkId
from vla_ros.safety.config import SafetyConfig, load_safety_config

TICK_NS = 10 * MS
FAULT_TICK = 150  # the arm is under way
TICKS = 650
DT_S, ROWS = 0.05, 80
RENEWAL_TICKS = 20  # between chunks, as from an expert of 5 Hz
PERIODS = {"contact": 2, "objects": 10, "heartbeat": 20, "camera_health": 100, "plan": 100}  # ticks between messages
STILL_RADPS = 1e-3
END_SHARE = np.array([0.5, 0.85, 0.5])  # of the workspace's extents: where the motion ends
AT_REST_TICKS = 20  # after which the scene ends: what the gate does later is for later
ARRIVED_RAD = 2e-3
ACTIONS = {
    SafetyMode.STARTING: SafetyAction.HOLD,
    SafetyMode.HOLDING: SafetyAction.HOLD,
    SafetyMode.STOPPED_LATCHED: SafetyAction.STOP,
}
LATE_BY_S = 0.2  # beyond what is allowed
CUBE_M = np.full(3, 0.06)


@dataclass(frozen=True)
class Expected:
    """What must come of a fault. ``action`` None: the motion goes on as if nothing were."""

    action: SafetyAction | None
    reason: SafetyReason = SafetyReason.OK
    after_s: float = 0.0  # since the last good message: then it is evident. 0: with the first bad one
    grows: bool = False  # the evidence grows until it suffices: when that is, is not judged


GOES_ON = Expected(None)


@dataclass(frozen=True)
class Cell:
    """One fault. ``source`` and ``mode``: of messages; ``act``: anything else, done at the fault's tick."""

    name: str
    expected: Expected
    source: str = ""
    mode: Mode | None = None
    act: Callable[[FaultScenario], None] | None = None


@dataclass(frozen=True)
class _Stop:
    """The first hold or latch after the fault."""

    at_ns: int
    action: SafetyAction
    reason: SafetyReason
    last_good_ns: int


class FaultScenario:
    """The arm sweeps to the side among things, told by an expert that renews its chunk; then the fault."""

    def __init__(self, cell: Cell, robot: str) -> None:
        self.cell = cell
        delay_s = cell.expected.after_s + LATE_BY_S
        made: list[FaultyEars] = []

        def ears(gate: Any) -> FaultyEars:
            made.append(FaultyEars(gate, cell.source, cell.mode, delay_s))
            return made[0]

        self.rig = GateRig(robot, ears)
        self.ears = made[0]
        arm = self.rig.arm.config
        self.blocked: Array | None = None  # where the arm is kept, whatever it is told
        self.pressed_n = 0.0
        self.late_ticks = 0
        self.clock_off_ns = 0
        self.things = [_cube("cube_1", (0.45, 0.0, 0.03)), _cube("cube_2", (0.5, -0.3, 0.03))]
        s = np.linspace(0, 1, ROWS)[:, None]
        self._path = np.asarray(arm.home_rad) + (10 * s**3 - 15 * s**4 + 6 * s**5) * (self._end_rad() - arm.home_rad)
        self._first_row, self._seq = 0, 0
        self._chunk_row: float | None = None
        self._stop: _Stop | None = None
        self._fault_ns = 0
        self._rested_ticks = 0  # since the stop
        self._speeds: list[tuple[int, float]] = []

    def run(self) -> dict[str, Any]:
        """The cell's line of the matrix."""
        for tick in range(TICKS):
            if tick == FAULT_TICK:
                self._begin()
            if self.late_ticks:  # the monitor's process stands still; time and messages do not
                self.late_ticks -= 1
                self.rig.now_ns += TICK_NS
                continue
            self._tick(tick)
            if self._rested_ticks > AT_REST_TICKS:
                break
        played = self.rig.played()
        self.rig.judge()
        return self._verdict(played)

    def end_pose(self) -> Pose:
        """Where the TCP comes to at the end of the motion, upright."""
        return Pose.from_matrix(transform(np.eye(3), self.rig.arm.fk(self._path[-1])[:3, 3]))

    def _end_rad(self) -> Array:
        """To the side of the workspace, half way up, the hand turned as at home."""
        arm = self.rig.arm
        T, box = arm.fk(arm.config.home_rad), arm.config.workspace
        T[:3, 3] = box.min_m + END_SHARE * (box.max_m - box.min_m)
        return arm.ik(T, arm.config.home_rad)

    def _begin(self) -> None:
        self._fault_ns = self.rig.now_ns
        self.ears.begin(self.rig.now_ns)
        if self.cell.act:
            self.cell.act(self)

    def _tick(self, tick: int) -> None:
        rig = self.rig
        rig.now_ns += TICK_NS
        self.ears.advance(rig.now_ns)
        self._sense(tick)
        if tick >= 5 and (tick - 5) % RENEWAL_TICKS == 0:
            self._renew()
        command = rig.gate.tick(rig.now_ns + self.clock_off_ns, rig.now_ns)
        if command is not None:
            self._chunk_row = command.chunk_row if command.chunk_seq == self._seq else None
        rig.gate.drain_decisions()
        rig.play(command)
        speed_radps = float(np.abs(rig.motion(rig.now_ns)[1]).max())
        self._speeds.append((rig.now_ns, speed_radps))
        self._rested_ticks = self._rested_ticks + 1 if self._stop and speed_radps < STILL_RADPS else 0
        state = rig.gate.state()
        if tick >= FAULT_TICK and self._stop is None and state.mode in ACTIONS:
            self._stop = _Stop(rig.now_ns, ACTIONS[state.mode], state.reason, self.ears.last_good_ns)

    def _sense(self, tick: int) -> None:
        rig = self.rig
        q, v = rig.motion(rig.now_ns)
        if self.blocked is not None:
            q, v = self.blocked, np.zeros(len(q))
        rig.tell_joints(q, v)
        if tick % PERIODS["contact"] == 0:
            rig.tell_touch(self.pressed_n)
        if tick % PERIODS["heartbeat"] == 0:
            rig.tell_heartbeats()
        if tick % PERIODS["camera_health"] == 0:
            rig.tell_cameras()
        if tick % PERIODS["objects"] == 0:
            self.see()
        if tick % PERIODS["plan"] == 0:
            self.ears.on_plan(_plan(rig.now_ns))

    def see(self) -> None:
        """Perception reports what stands around now."""
        now_ns = self.rig.now_ns
        self.ears.on_scene(Scene(now_ns, self.rig.arm.config.base_frame, tuple(replace(t, last_seen_ns=now_ns) for t in self.things)))

    def _renew(self) -> None:
        """The rest of the same path, as from an expert that has looked again."""
        old_seq, row = self._seq, self._chunk_row
        if old_seq and row is None:
            return  # what it sent is not followed: held, or refused
        first = min(self._first_row + int(row or 0), ROWS - 2)
        self._seq += 1
        now_ns, arm = self.rig.now_ns, self.rig.arm.config
        chunk = ActionChunk(
            seq=self._seq,
            expert="expert",
            subtask_id="1",
            trace_id=str(self._seq),
            stamp_ns=now_ns,
            space=ActionSpace.JOINT_POSITION,
            names=arm.arm_joints,
            dt_s=DT_S,
            data=self._path[first:],
            gripper_width_m=np.full(ROWS - first, np.nan),
            input_stamps_ns={"joint_states": now_ns, "camera/front": now_ns},
            continues_seq=old_seq,
            continues_row=float(first - self._first_row),
        )
        self._first_row = first
        self.ears.on_chunk(chunk, now_ns)

    # --- what came of it
    def _verdict(self, played: Array) -> dict[str, Any]:
        expected, stop = self.cell.expected, self._stop
        line: dict[str, Any] = {"name": self.cell.name, "expected": _word(expected.action), "outcome": _word(stop.action if stop else None)}
        wrong = [] if line["outcome"] == line["expected"] else [f"expected {line['expected']}"]
        if stop and expected.action is not None:
            evidence_ns = stop.at_ns if expected.grows else self._evidence_ns(stop)
            reaction_ms, rest_ms, model_ms = (stop.at_ns - evidence_ns) / MS, self._rest_ms(stop.at_ns), 1000 * self._model_s(stop.at_ns)
            line |= {"reason": stop.reason.value, "reaction_ms": reaction_ms, "rest_ms": rest_ms, "model_ms": round(model_ms)}
            line["travel_mm"] = round(self._travel_mm(played, evidence_ns), 1)
            wrong += [f"expected reason {expected.reason.value}"] if stop.reason != expected.reason else []
            wrong += [f"it took {reaction_ms:.0f} ms"] if not 0 <= reaction_ms <= TICK_NS / MS else []
            wrong += [f"rest after {rest_ms:.0f} ms"] if not rest_ms <= model_ms else []
        if expected.action is None and not np.allclose(played[-1], self._path[-1], atol=ARRIVED_RAD):
            wrong.append("the end of the path was not reached")
        if self.rig.breaches.count:
            wrong.append(self.rig.breaches.first)
        return line | {"breaches": self.rig.breaches.count, "safe": not wrong, "detail": "; ".join(wrong)}

    def _evidence_ns(self, stop: _Stop) -> int:
        if self.cell.expected.after_s:
            return stop.last_good_ns + round(self.cell.expected.after_s * 1e9)
        return self.ears.first_bad_ns or self._fault_ns + TICK_NS

    def _rest_ms(self, from_ns: int) -> float:
        """From then to standstill."""
        return next(((ns - from_ns) / MS for ns, speed in self._speeds if ns >= from_ns and speed < STILL_RADPS), float("inf"))

    def _model_s(self, at_ns: int) -> float:
        """What is committed, and a stop from the speed at that time by the configured limits of braking."""
        config, limits = self.rig.config, self.rig.arm.config.limits
        speed = next(speed for ns, speed in self._speeds if ns >= at_ns)
        acceleration, jerk = config.braking.acceleration * limits.acceleration_radps2, config.braking.jerk * limits.jerk_radps3
        return float((config.lookahead_ticks + 2) * config.tick_s + (speed / acceleration + 4 * acceleration / jerk).max())

    def _travel_mm(self, played: Array, from_ns: int) -> float:
        """Way of the TCP from then on."""
        tcp_m = self.rig.arm.tcp_positions(played[(from_ns - START_NS) // MS :])
        return 1000 * float(np.linalg.norm(np.diff(tcp_m, axis=0), axis=1).sum())


def cells(config: SafetyConfig) -> Iterator[Cell]:
    """All of them, for the sources that this configuration waits for."""
    hold = SafetyAction.HOLD
    stale = {
        "joint_states": Expected(hold, SafetyReason.JOINT_STATES_STALE, config.joint_states_age_s),
        "contact": Expected(hold, SafetyReason.CONTACT_STALE, config.contact.age_s),
        "objects": Expected(hold, SafetyReason.OBJECTS_STALE, config.scene_age_s),
        "camera_health": Expected(hold, SafetyReason.CAMERA, max(config.cameras.values())),
    }
    at_once = {
        ("joint_states", Mode.NONSENSE): SafetyReason.JOINT_STATES_STALE,
        ("joint_states", Mode.CLOCK_FORWARD): SafetyReason.JOINT_STATES_STALE,
        ("contact", Mode.NONSENSE): SafetyReason.CONTACT,
        ("contact", Mode.CLOCK_BACK): SafetyReason.CONTACT_STALE,
        ("contact", Mode.CLOCK_FORWARD): SafetyReason.CONTACT_STALE,
        ("camera_health", Mode.NONSENSE): SafetyReason.CAMERA,
        ("camera_health", Mode.CLOCK_BACK): SafetyReason.CAMERA,
        ("camera_health", Mode.CLOCK_FORWARD): SafetyReason.CAMERA,
        ("action_chunk", Mode.NONSENSE): SafetyReason.CHUNK_NOT_FINITE,
    }
    harmless = (Mode.DUPLICATED, Mode.REORDERED, Mode.DROPPED, Mode.FLOOD)
    rare = (Mode.REORDERED, Mode.DROPPED)  # of messages that come once a second, the next one comes too late
    for source in (*stale, "action_chunk", "plan"):
        for mode in Mode:
            expected = stale.get(source, GOES_ON)
            if (source, mode) in at_once:
                expected = Expected(hold, at_once[source, mode])
            elif mode in harmless and not (source == "camera_health" and mode in rare):
                expected = GOES_ON
            yield Cell(f"{source} {mode}", expected, source, mode)
    for node, limit_s in {**config.heartbeats, **config.vision_heartbeats, **config.plan_heartbeats}.items():
        for mode in (Mode.KILLED, Mode.HUNG, Mode.LATE, Mode.DUPLICATED, Mode.DROPPED, Mode.FLOOD):
            gap_s = 2 * PERIODS["heartbeat"] * TICK_NS * 1e-9
            is_fatal = mode in (Mode.KILLED, Mode.HUNG, Mode.LATE) or (mode is Mode.DROPPED and gap_s > limit_s)
            expected = Expected(hold, SafetyReason.HEARTBEAT, limit_s) if is_fatal else GOES_ON
            yield Cell(f"heartbeat of {node} {mode}", expected, f"heartbeat of {node}", mode)
    yield from _acts(config)


def _acts(config: SafetyConfig) -> Iterator[Cell]:
    """What does not come by messages, or comes by true ones."""
    hold, stop = SafetyAction.HOLD, SafetyAction.STOP
    yield Cell("emergency stop", Expected(stop, SafetyReason.ESTOP), act=lambda s: s.rig.gate.estop("a person"))
    yield Cell("rogue publisher", Expected(stop, SafetyReason.BYPASS), act=lambda s: s.rig.gate.bypass("a stranger publishes"))
    yield Cell("goal cancelled", Expected(hold, SafetyReason.REQUESTED), act=lambda s: s.rig.gate.hold("planner"))
    yield Cell("the world model foresees a collision", Expected(hold, SafetyReason.WORLD_MODEL), act=_foresee)
    yield Cell("finger pressed", Expected(hold, SafetyReason.CONTACT), act=lambda s: _press(s, 1.5 * config.contact.pad_n))
    yield Cell("arm blocked", Expected(hold, SafetyReason.TRACKING_ERROR, grows=True), act=_block)
    yield Cell("the monitor's clock goes back", Expected(hold, SafetyReason.JOINT_STATES_STALE), act=lambda s: _shift_clock(s, -1.0))
    yield Cell("the monitor is late by 50 ms", GOES_ON, act=lambda s: setattr(s, "late_ticks", 5))
    yield Cell("an arm reaches across the path", Expected(hold, SafetyReason.COLLISION, grows=True), act=_reach_across)
    yield Cell("an object is moved into the path", Expected(hold, SafetyReason.COLLISION, grows=True), act=_move_into_path)


def _foresee(scenario: FaultScenario) -> None:
    rig = scenario.rig
    following = rig.gate._following
    assert following is not None, "the arm is under way"
    chunk = following.accepted.chunk
    rig.gate.on_world_model(ChunkId(chunk.expert, chunk.seq, chunk.stamp_ns), Verdict.REJECT, "The hand hits the cube.")


def _press(scenario: FaultScenario, force_n: float) -> None:
    scenario.pressed_n = force_n


def _block(scenario: FaultScenario) -> None:
    scenario.blocked = scenario.rig.motion(scenario.rig.now_ns)[0]


def _shift_clock(scenario: FaultScenario, by_s: float) -> None:
    scenario.clock_off_ns = round(by_s * 1e9)


def _reach_across(scenario: FaultScenario) -> None:
    """A forearm, as a long box, comes to lie across the end of the sweep."""
    _add(scenario, SceneObject("arm", "forearm", "", "box", scenario.end_pose(), np.array([0.4, 0.08, 0.3]), 0.9, 0))


def _move_into_path(scenario: FaultScenario) -> None:
    """What was seen beside the path stands at its end now."""
    _add(scenario, replace(scenario.things.pop(), pose=scenario.end_pose(), size_m=np.array([0.06, 0.06, 0.4])))


def _add(scenario: FaultScenario, thing: SceneObject) -> None:
    scenario.things.append(thing)
    scenario.rig.oracle.place([Box(thing.size_m, thing.pose.matrix())])
    scenario.see()


def _cube(name: str, position_m: tuple[float, float, float]) -> SceneObject:
    return SceneObject(name, "red cube", "red", "cube", Pose.from_matrix(transform(np.eye(3), np.array(position_m))), CUBE_M, 0.9, 0)


def _plan(stamp_ns: int) -> Plan:
    held = Predicate(Relation.HELD, "cube_1")
    subtask = Subtask(id="1", skill=Skill.PICK, description="pick up the red cube", success=held, object_id="cube_1")
    return Plan(instruction="pick up the red cube", subtasks=(subtask,), goal=(held,), planner="matrix", stamp_ns=stamp_ns)


def _word(action: SafetyAction | None) -> str:
    return "goes on" if action is None else action.name.lower()


def run_matrix(robot: str, pattern: str = "", progress: Callable[[dict[str, Any]], None] = lambda line: None) -> list[dict[str, Any]]:
    """A line for each cell whose name contains ``pattern``."""
    lines = []
    for cell in cells(load_safety_config(robot)):
        if pattern in cell.name:
            lines.append(FaultScenario(cell, robot).run())
            progress(lines[-1])
    return lines
