"""One fault at a time, while the arm follows an expert: does the gate notice in time, name it, and bring the arm to rest as its model says?

Each cell runs the gate in simulated time before a simulated arm (gate_rig.py), with chunks that rest on cameras and belong to a plan. What
reached the arm is judged by the oracle of the gate's bench.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vla_ros.core.actions import ActionChunk, ActionSpace, GatedCommand, SafetyAction
from vla_ros.core.decisions import SafetyMode, SafetyReason
from vla_ros.core.geometry import Array, Pose, transform
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import CameraFault, CameraHealth, Scene, SceneObject
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.evaluation.fault_cells import PERIODS, STRANGE, TICK_NS, Cell, cells, cube_at
from vla_ros.evaluation.fault_ears import FaultyEars
from vla_ros.evaluation.gate_oracle import Box
from vla_ros.evaluation.gate_rig import MS, START_NS, GateRig
from vla_ros.motion.forwarding import Forwarding
from vla_ros.robots import load_robot
from vla_ros.safety.config import load_safety_config

FAULT_TICK = 150  # the arm is under way
TICKS = 650
DT_S, ROWS = 0.05, 80
RENEWAL_TICKS = 20  # between chunks, as from an expert of 5 Hz
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
CELL_M = 0.05  # in which perception tells of what it does not know


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
        self.read: Callable[[JointState], JointState] = lambda state: state  # what the joints' sensors make of the truth
        self.camera_faults = dict.fromkeys(self.rig.config.cameras, CameraFault.OK)
        self.late_ticks = 0
        self.monitor_is_dead = False
        self.clock_off_ns = 0
        self.things = [cube_at("cube_1", (0.45, 0.0, 0.03)), cube_at("cube_2", (0.5, -0.3, 0.03))]
        if cell.held:
            self.things.append(replace(cube_at("held_1", (0, 0, 0), held=True), pose=self.tcp_pose(), size_m=np.full(3, 0.03)))
        self._where: list[tuple[object, ...]] = []  # what the oracle knows to stand around
        self._woke = False
        self._forwarding = Forwarding(arm.arm_joints)
        self._played: list[Array] = []  # what was judged already
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
            if self.late_ticks:  # the monitor's process stands still; time does not, and the newest messages wait for it
                self.late_ticks -= 1
                self._woke = self.late_ticks == 0
                self.rig.now_ns += TICK_NS
                continue
            self._tick(tick)
            if self._rested_ticks > AT_REST_TICKS:
                break
        self._judge()
        return self._verdict(np.concatenate(self._played))

    def end_pose(self) -> Pose:
        """Where the TCP comes to at the end of the motion, upright."""
        return Pose.from_matrix(transform(np.eye(3), self.rig.arm.fk(self._path[-1])[:3, 3]))

    def tcp_pose(self) -> Pose:
        """Where the TCP is now."""
        return Pose.from_matrix(self.rig.arm.fk(self.rig.motion(self.rig.now_ns)[0]))

    def add(self, thing: SceneObject) -> None:
        """It stands there, and perception sees it at once."""
        self.things.append(thing)
        self.see()

    def let_go(self, thing: SceneObject) -> None:
        """What was held is now where ``thing`` is, which is told at once; the fingers feel nothing more than before."""
        self.things = [known for known in self.things if known.id != thing.id]
        self.add(thing)

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
        command = None if self.monitor_is_dead else rig.gate.tick(rig.now_ns + self.clock_off_ns, rig.now_ns)
        if command is not None:
            self._chunk_row = command.chunk_row if command.chunk_seq == self._seq else None
            self.ears.on_command(command, self._forward)
        rig.gate.drain_decisions()
        speed_radps = float(np.abs(rig.motion(rig.now_ns)[1]).max())
        self._speeds.append((rig.now_ns, speed_radps))
        self._rested_ticks = self._rested_ticks + 1 if self._stop and speed_radps < STILL_RADPS else 0
        state = rig.gate.state()
        if tick >= FAULT_TICK and self._stop is None and (state.mode in ACTIONS or self.monitor_is_dead):
            action, reason = ACTIONS.get(state.mode, SafetyAction.HOLD), SafetyReason.OK if self.monitor_is_dead else state.reason
            self._stop = _Stop(rig.now_ns, action, reason, self.ears.last_good_ns)

    def _sense(self, tick: int) -> None:
        rig, woke = self.rig, self._woke
        self._woke = False

        def is_due(source: str) -> bool:
            return woke or tick % PERIODS[source] == 0

        (q, v), a = rig.motion(rig.now_ns), rig.acceleration(rig.now_ns)
        if self.blocked is not None:
            q, v, a = self.blocked, np.zeros(len(q)), np.zeros(len(q))
        self.ears.on_joint_state(self.read(JointState(rig.now_ns, rig.arm.config.arm_joints, q, v, rig.arm.torques(q, v, a))))
        if is_due("contact"):
            rig.tell_touch(self.pressed_n)
        if is_due("heartbeat"):
            rig.tell_heartbeats()
        if self.cell.guided and is_due("deadman"):
            self.ears.on_deadman(True)
        if is_due("camera_health"):
            self.look()
        if is_due("objects"):
            self.see()
        if is_due("plan"):
            self.ears.on_plan(_plan(rig.now_ns))

    def look(self) -> None:
        """Each camera reports its health."""
        for camera, fault in self.camera_faults.items():
            detail = "" if fault is CameraFault.OK else f"The image is {fault.name.lower()}."
            self.ears.on_camera_health(CameraHealth(self.rig.now_ns, camera, fault, not detail, detail, 0.0, 30.0))

    def see(self) -> None:
        """Perception reports what stands around now; what moves has moved on since it did so last."""
        now_ns = self.rig.now_ns
        self.things = [self._now(thing) for thing in self.things]
        standing = [thing for thing in self.things if not thing.held]
        where = [(thing.id, *thing.pose.position_m, *thing.size_m) for thing in standing]
        if where != self._where:
            self._judge()
            self._where = where
            self.rig.oracle.place([Box(thing.size_m, thing.pose.matrix()) for thing in standing])
        known = tuple(thing for thing in self.things if thing.shape != STRANGE)
        cells_m = np.concatenate([np.zeros((0, 3)), *(_cells_of(thing) for thing in self.things if thing.shape == STRANGE)])
        self.ears.on_scene(Scene(now_ns, self.rig.arm.config.base_frame, known, 0.0, cells_m, CELL_M))

    def _now(self, thing: SceneObject) -> SceneObject:
        now_ns = self.rig.now_ns
        if thing.held:
            return replace(thing, pose=self.tcp_pose(), last_seen_ns=now_ns)
        moved_m = thing.velocity_mps * ((now_ns - (thing.last_seen_ns or now_ns)) * 1e-9)
        return replace(thing, pose=Pose(thing.pose.position_m + moved_m, thing.pose.quat_xyzw), last_seen_ns=now_ns)

    def _forward(self, command: GatedCommand) -> None:
        """What the forwarder passes on reaches the controller."""
        now_ns = self.rig.now_ns
        try:
            self._forwarding.check(command, now_ns, now_ns, lambda: self.rig.motion(now_ns)[0])
        except ValueError:
            return
        self._forwarding.passed(command, now_ns)
        self.rig.play(command)

    def _judge(self) -> None:
        """Has the oracle look at what was played since the last time, among what stands there yet."""
        self._played.append(self.rig.played()[3 if self._played else 0 :])  # three samples are kept for differences
        self.rig.judge()

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
            expert=self.rig.config.deadman.experts[0] if self.cell.guided else "expert",
            subtask_id="1",
            trace_id=str(self._seq),
            stamp_ns=now_ns,
            space=ActionSpace.JOINT_POSITION,
            names=arm.arm_joints,
            dt_s=DT_S,
            data=self._path[first:],
            gripper_width_m=np.full(ROWS - first, np.nan),
            gripper_force_n=arm.gripper.grasp_force_n,
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
            line["travel_rad"] = round(self._travel_rad(played, evidence_ns), 4)
            line["contact_n"] = self.pressed_n  # felt; where the oracle finds a collision, the cell is not safe
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

    def _travel_rad(self, played: Array, from_ns: int) -> float:
        """Way of the joint that goes farthest from then on."""
        return float(np.abs(np.diff(played[(from_ns - START_NS) // MS :], axis=0)).sum(axis=0).max())


def _plan(stamp_ns: int) -> Plan:
    held = Predicate(Relation.HELD, "cube_1")
    subtask = Subtask(id="1", skill=Skill.PICK, description="pick up the red cube", success=held, object_id="cube_1")
    return Plan(instruction="pick up the red cube", subtasks=(subtask,), goal=(held,), planner="matrix", stamp_ns=stamp_ns)


def _word(action: SafetyAction | None) -> str:
    return "goes on" if action is None else action.name.lower()


def run_matrix(robot: str, pattern: str = "", progress: Callable[[dict[str, Any]], None] = lambda line: None) -> list[dict[str, Any]]:
    """A line for each of ``chosen``."""
    lines = []
    for cell in chosen(robot, pattern):
        lines.append(FaultScenario(cell, robot).run())
        progress(lines[-1])
    return lines


def chosen(robot: str, pattern: str = "") -> list[Cell]:
    """The cells whose name, or whose expected reason, contains ``pattern``."""
    found = cells(load_robot(robot).config, load_safety_config(robot))
    return [cell for cell in found if pattern in cell.name or pattern in cell.expected.reason.value]


def _cells_of(thing: SceneObject) -> Array:
    """[n, 3] middles of the cells that a thing reaches into, its box as large as along the axes of the base."""
    T = thing.pose.matrix()
    half_m = np.abs(T[:3, :3]) @ (np.asarray(thing.size_m) / 2)
    low, beyond = np.floor((T[:3, 3] - half_m) / CELL_M), np.ceil((T[:3, 3] + half_m) / CELL_M)
    sides = [np.arange(a, b) for a, b in zip(low, beyond, strict=True)]
    return (np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 3) + 0.5) * CELL_M
