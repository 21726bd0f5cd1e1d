"""The matrix's cells: each source of messages in each way of going wrong, and what does not come by messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyReason, Verdict
from vla_ros.core.geometry import Array, Pose, transform
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import CameraFault, SceneObject
from vla_ros.evaluation.fault_ears import Mode
from vla_ros.robots import RobotConfig
from vla_ros.safety.chunk_checks import ChunkId
from vla_ros.safety.config import SafetyConfig

if TYPE_CHECKING:
    from vla_ros.evaluation.fault_matrix import FaultScenario

TICK_NS = 10_000_000
PERIODS = {"contact": 2, "deadman": 5, "objects": 10, "heartbeat": 20, "camera_health": 100, "plan": 100}  # ticks between messages
HOLD, STOP = SafetyAction.HOLD, SafetyAction.STOP
CUBE_M = np.full(3, 0.06)
PERSON_MPS = 0.3


@dataclass(frozen=True)
class Expected:
    """What must come of a fault. ``action`` None: the motion goes on as if nothing were."""

    action: SafetyAction | None
    reason: SafetyReason = SafetyReason.OK
    after_s: float = 0.0  # since the last good message: then it is evident. 0: with the first bad one
    grows: bool = False  # the evidence grows until it suffices: when that is, is not judged


GOES_ON = Expected(None)
STRANGE = "strange"  # shape of a thing of which perception tells the cells that it is in, and no more


@dataclass(frozen=True)
class Cell:
    """One fault. ``source`` and ``mode``: of messages; ``act``: anything else, done at the fault's tick."""

    name: str
    expected: Expected
    source: str = ""
    mode: Mode | None = None
    act: Callable[[FaultScenario], None] | None = None
    held: bool = False  # the hand holds something from the beginning
    guided: bool = False  # the motion comes from a person, who holds a switch


def cells(robot: RobotConfig, config: SafetyConfig) -> Iterator[Cell]:
    """All of them, for what this robot feels and this configuration waits for."""
    yield from _messages(robot, config)
    yield from _heartbeats(config)
    yield from _deadman(config)
    yield from _commands()
    yield from _sensors(robot, config)
    yield from _clocks()
    yield from _requests()
    yield from _surroundings()


def _messages(robot: RobotConfig, config: SafetyConfig) -> Iterator[Cell]:
    stale = {
        "joint_states": Expected(HOLD, SafetyReason.JOINT_STATES_STALE, config.joint_states_age_s),
        "objects": Expected(HOLD, SafetyReason.OBJECTS_STALE, config.scene_age_s),
    }
    if robot.tactile:
        stale["contact"] = Expected(HOLD, SafetyReason.CONTACT_STALE, config.contact.age_s)
    if config.cameras:
        stale["camera_health"] = Expected(HOLD, SafetyReason.CAMERA, max(config.cameras.values()))
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
                expected = Expected(HOLD, at_once[source, mode])
            elif mode in harmless and not (source == "camera_health" and mode in rare):
                expected = GOES_ON
            yield Cell(f"{source} {mode}", expected, source, mode)


def _heartbeats(config: SafetyConfig) -> Iterator[Cell]:
    """Of each node. Their time is that of their arrival: a sender's clock is not looked at."""
    gap_s = 2 * PERIODS["heartbeat"] * TICK_NS * 1e-9
    for node, limit_s in {**config.heartbeats, **config.vision_heartbeats, **config.plan_heartbeats}.items():
        for mode in (m for m in Mode if m not in (Mode.CLOCK_BACK, Mode.CLOCK_FORWARD)):
            thinned = mode in (Mode.DROPPED, Mode.REORDERED)
            is_fatal = mode in (Mode.KILLED, Mode.HUNG, Mode.LATE, Mode.NONSENSE) or (thinned and gap_s > limit_s)
            expected = Expected(HOLD, SafetyReason.HEARTBEAT, limit_s) if is_fatal else GOES_ON
            yield Cell(f"heartbeat of {node} {mode}", expected, f"heartbeat of {node}", mode)


def _deadman(config: SafetyConfig) -> Iterator[Cell]:
    """Of whoever guides the arm by hand. Nonsense is a switch that is let go."""
    if not config.deadman.experts:
        return
    silent = Expected(HOLD, SafetyReason.DEADMAN, config.deadman.age_s)
    expected = dict.fromkeys((Mode.KILLED, Mode.HUNG, Mode.LATE), silent) | {Mode.NONSENSE: Expected(HOLD, SafetyReason.DEADMAN)}
    for mode in (m for m in Mode if m not in (Mode.CLOCK_BACK, Mode.CLOCK_FORWARD)):
        yield Cell(f"deadman switch {mode}", expected.get(mode, GOES_ON), "deadman", mode, guided=True)


def _commands() -> Iterator[Cell]:
    """On the way from the gate to the controller, through the forwarder's checks."""
    lost = Expected(HOLD, SafetyReason.TRACKING_ERROR, grows=True)
    for mode, expected in {
        Mode.KILLED: lost,
        Mode.HUNG: lost,
        Mode.LATE: lost,
        Mode.DUPLICATED: GOES_ON,
        Mode.REORDERED: GOES_ON,
        Mode.DROPPED: GOES_ON,
        Mode.FLOOD: GOES_ON,
    }.items():
        yield Cell(f"commands {mode}", expected, "commands", mode)


def _sensors(robot: RobotConfig, config: SafetyConfig) -> Iterator[Cell]:
    for camera in config.cameras:
        for fault in (f for f in CameraFault if f is not CameraFault.OK):
            yield Cell(f"camera {camera} {fault.name.lower()}", Expected(HOLD, SafetyReason.CAMERA), act=partial(_blind, camera, fault))
    bad, off = Expected(HOLD, SafetyReason.JOINT_STATES_STALE), SafetyReason.TRACKING_ERROR
    hold_rad, latch_rad = config.tracking_hold_rad, config.tracking_latch_rad
    yield Cell("joint_states lack a joint", bad, act=lambda s: _misread(s, _without_last))
    yield Cell("joint_states without velocities", GOES_ON, act=lambda s: _misread(s, _without_velocities))
    yield Cell("a joint reads a little off", Expected(HOLD, off), act=lambda s: _misread(s, partial(_off_by, 1.2 * hold_rad)))
    yield Cell("a joint reads far off", Expected(STOP, off), act=lambda s: _misread(s, partial(_off_by, 1.2 * latch_rad)))
    if robot.tactile:
        yield Cell("finger pressed", Expected(HOLD, SafetyReason.CONTACT), act=lambda s: _press(s, 1.5 * config.contact.pad_n))
    yield Cell("arm blocked, and its drives give way", Expected(HOLD, SafetyReason.TRACKING_ERROR, grows=True), act=_block)


def _clocks() -> Iterator[Cell]:
    """Of the monitor alone: what arrives, and the controller, keep the true time. 50 ms ahead nothing is too old, and the curve goes on."""
    anew = Expected(HOLD, SafetyReason.TIME_JUMP)
    for by_s, expected in ((0.05, GOES_ON), (0.5, anew), (5.0, anew), (-0.05, anew), (-0.5, anew), (-5.0, anew)):
        way = f"leaps ahead by {by_s:g} s" if by_s > 0 else f"goes back by {-by_s:g} s"
        yield Cell(f"the monitor's clock {way}", expected, act=partial(_shift_clock, by_s))
    for late_ms in (50, 100, 200, 500):
        yield Cell(f"the monitor is late by {late_ms} ms", GOES_ON, act=partial(_delay, late_ms))
    yield Cell("the monitor is killed", Expected(HOLD), act=lambda s: setattr(s, "monitor_is_dead", True))


def _requests() -> Iterator[Cell]:
    yield Cell("emergency stop", Expected(STOP, SafetyReason.ESTOP), act=lambda s: s.rig.gate.estop("a person"))
    yield Cell("rogue publisher", Expected(STOP, SafetyReason.BYPASS), act=lambda s: s.rig.gate.bypass("a stranger publishes"))
    yield Cell("rogue action client", Expected(STOP, SafetyReason.BYPASS), act=lambda s: s.rig.gate.bypass("a stranger may send goals"))
    yield Cell("goal cancelled", Expected(HOLD, SafetyReason.REQUESTED), act=lambda s: s.rig.gate.hold("planner"))
    yield Cell("the world model foresees a collision", Expected(HOLD, SafetyReason.WORLD_MODEL), act=_foresee)


def _surroundings() -> Iterator[Cell]:
    """By what perception reports, which is true."""
    collision = Expected(HOLD, SafetyReason.COLLISION, grows=True)
    yield Cell("an arm reaches across the path", collision, act=_reach_across)
    yield Cell("a person's arm enters", collision, act=_enter)
    yield Cell("something unknown comes to stand in the path", collision, act=partial(_strange, _reach_across))
    yield Cell("something unknown comes from the side", collision, act=partial(_strange, _enter))
    yield Cell("an object is moved into the path", collision, act=_move_into_path)
    yield Cell("what is held slips and falls", GOES_ON, act=_slip, held=True)
    yield Cell("what is held slips and lies in the path", collision, act=_slip_into_path, held=True)


def _foresee(scenario: FaultScenario) -> None:
    rig = scenario.rig
    chunk = rig.gate.followed_chunk
    assert chunk is not None, "the arm is under way"
    rig.gate.on_world_model(ChunkId(chunk.expert, chunk.seq, chunk.stamp_ns), Verdict.REJECT, "The hand hits the cube.")


def _press(scenario: FaultScenario, force_n: float) -> None:
    scenario.pressed_n = force_n


def _block(scenario: FaultScenario) -> None:
    scenario.blocked = scenario.rig.motion(scenario.rig.now_ns)[0]


def _blind(camera: str, fault: CameraFault, scenario: FaultScenario) -> None:
    scenario.camera_faults[camera] = fault
    scenario.look()


def _misread(scenario: FaultScenario, read: Callable[[JointState], JointState]) -> None:
    scenario.read = read


def _without_last(state: JointState) -> JointState:
    kept = slice(0, len(state.names) - 1)
    return JointState(state.stamp_ns, state.names[kept], state.positions[kept], state.velocities[kept], state.efforts[kept])


def _without_velocities(state: JointState) -> JointState:
    return replace(state, velocities=np.full(len(state.names), np.nan))


def _off_by(off_rad: float, state: JointState) -> JointState:
    return replace(state, positions=state.positions + off_rad * np.eye(len(state.names))[2])


def _shift_clock(by_s: float, scenario: FaultScenario) -> None:
    scenario.clock_off_ns = round(by_s * 1e9)


def _delay(late_ms: int, scenario: FaultScenario) -> None:
    scenario.late_ticks = late_ms * 1_000_000 // TICK_NS


def _reach_across(scenario: FaultScenario) -> None:
    """A forearm, as a long box, comes to lie across the end of the sweep."""
    scenario.add(SceneObject("arm", "forearm", "", "box", scenario.end_pose(), np.array([0.4, 0.08, 0.3]), 0.9, 0))


def _enter(scenario: FaultScenario) -> None:
    """A forearm comes from the side towards the end of the sweep."""
    end = scenario.end_pose().position_m
    away = np.array([0.0, np.sign(end[1]), 0.0])
    pose = Pose.from_matrix(transform(np.eye(3), end + 0.5 * away))
    size_m = np.array([0.08, 0.4, 0.08])
    scenario.add(SceneObject("arm", "forearm", "", "box", pose, size_m, 0.9, 0, velocity_mps=-PERSON_MPS * away))


def _strange(act: Callable[[FaultScenario], None], scenario: FaultScenario) -> None:
    """The same by a thing that perception does not know."""
    act(scenario)
    scenario.things[-1] = replace(scenario.things[-1], shape=STRANGE)


def _move_into_path(scenario: FaultScenario) -> None:
    """What was seen beside the path stands at its end now."""
    scenario.add(replace(scenario.things.pop(), pose=scenario.end_pose(), size_m=np.array([0.06, 0.06, 0.4])))


def _slip(scenario: FaultScenario) -> None:
    """What was in the hand lies on the table under it."""
    at_m = scenario.tcp_pose().position_m
    scenario.let_go(cube_at("held_1", (at_m[0], at_m[1], CUBE_M[2] / 2)))


def _slip_into_path(scenario: FaultScenario) -> None:
    """It was flung to where the motion ends."""
    scenario.let_go(replace(cube_at("held_1", (0.0, 0.0, 0.0)), pose=scenario.end_pose()))


def cube_at(name: str, position_m: tuple[float, float, float] | Array, *, held: bool = False) -> SceneObject:
    """A red cube in the base frame."""
    pose = Pose.from_matrix(transform(np.eye(3), np.asarray(position_m, dtype=float)))
    return SceneObject(name, "red cube", "red", "cube", pose, CUBE_M, 0.9, 0, held=held)
