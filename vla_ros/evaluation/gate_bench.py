"""An adversary publishes whatever it likes; does the gate let anything through that it must not, and what does that cost?

The gate runs in simulated time and gets values, not messages, before an arm that is measured with an error inside the stated bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from vla_ros.core.actions import ActionChunk, ActionSpace, SafetyAction
from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array, Pose, rotation_z, transform
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.evaluation.gate_oracle import Box, Breaches
from vla_ros.evaluation.gate_rig import MS, Ears, Filter, FilterRig, GateRig, rig_without_gate, straight
from vla_ros.robots import Arm
from vla_ros.safety.chunk_checks import TCP_ROWS
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.gate import Gate
from vla_ros.safety.tcp_rows import DELTA_COLUMNS, POSE_COLUMNS

OBSTACLES = 20
EPISODE_TICKS = 300
REST_TICKS = 100
CHUNK_SHARE = 0.08  # of the ticks
SCENE_TICKS = 10
CLEARS_M = (0.03, 0.03, 0.03, 0.001)  # of new obstacles from the arm at least: one episode in four may begin inside what is kept
STORM_SHARE = 0.04  # of the episodes; for a while each tick brings a chunk
STORM_TICKS = 60
ERROR_RAD = 0.01  # of the measured arm, at most
LAGS_NS = (0, 10 * MS, 20 * MS)  # of the arm behind what it is commanded
KINDS = ("reach", "reach", "aim", "aim", "aim", "far", "fast", "fast", "ram", "noise", "absurd", "garbage", "continue", "tcp", "estop")


@dataclass
class GateFigures:
    """What came of it. Times are of one command: chunk, scene and tick together."""

    commands: int = 0
    chunks: int = 0
    stops: dict[str, int] = field(default_factory=dict)  # decisions to hold or stop, by reason
    held: int = 0  # times that the commands turned from motion to a hold or a stop
    rescued: int = 0  # episodes that ended in a collision, after which the arm was carried home
    cpu_ns: list[int] = field(default_factory=list)
    wall_ns: list[int] = field(default_factory=list)
    moving: list[bool] = field(default_factory=list)  # whether a chunk was followed
    breaches: Breaches = field(default_factory=Breaches)
    moved_rad: float = 0.0  # way of all joints together: an arm that never moves breaks nothing

    def summary(self, robot: str) -> dict[str, Any]:
        """As `vla bench gate --json` prints it."""
        cpu, wall, moving = np.array(self.cpu_ns) / 1e6, np.array(self.wall_ns) / 1e6, np.array(self.moving)
        busy = cpu[moving] if moving.any() else cpu
        return {
            "robot": robot,
            "commands": self.commands,
            "breaches": self.breaches.count,
            "breach_kinds": self.breaches.kinds,
            "first_breach": self.breaches.first,
            "samples_1khz": self.breaches.samples,
            "obstacles": OBSTACLES,
            "chunks": self.chunks,
            "moved_rad": round(self.moved_rad, 1),
            "stops": dict(sorted(self.stops.items(), key=lambda item: -item[1])),
            "held": self.held,
            "rescued": self.rescued,
            "p50_ms": round(float(np.median(cpu)), 4),
            "p99_ms": round(float(np.percentile(cpu, 99)), 4),
            "p999_ms": round(float(np.percentile(cpu, 99.9)), 4),
            "max_ms": round(float(cpu.max()), 4),
            "moving": int(moving.sum()),
            "moving_p50_ms": round(float(np.median(busy)), 4),
            "moving_p999_ms": round(float(np.percentile(busy, 99.9)), 4),
            "wall_p50_ms": round(float(np.median(wall)), 4),
            "wall_p999_ms": round(float(np.percentile(wall, 99.9)), 4),
        }


class Adversary:
    """Makes chunks from what it knows of the arm: plausible ones, wild ones, and none that could be called data."""

    def __init__(self, arm: Arm, rng: np.random.Generator) -> None:
        self._arm, self._rng = arm, rng
        self.seq = 0
        self.targets: list[Array] = []  # middles of obstacles

    def chunk(self, kind: str, here: Array, now_ns: int, followed: tuple[int, float]) -> ActionChunk:
        """From about where the arm is commanded to be; ``followed``: number and row of the chunk that is followed."""
        rows, dt_s = self._rows(kind, here)
        space, names = ActionSpace.JOINT_POSITION, self._arm.config.arm_joints
        if kind == "garbage":
            space = ActionSpace(int(self._rng.integers(0, 4)))
        elif kind == "tcp":
            space, names, rows = self._tcp(rows)
        self.seq += 1
        known = kind in ("continue", "tcp") and followed[0]
        return ActionChunk(
            seq=self.seq,
            expert="adversary",
            subtask_id="",
            trace_id=str(self.seq),
            stamp_ns=now_ns,
            space=space,
            names=names,
            frame_id=self._arm.config.base_frame,
            dt_s=dt_s,
            data=rows,
            gripper_width_m=np.full(len(rows), self._arm.config.gripper.width_open_m),
            gripper_force_n=self._arm.config.gripper.grasp_force_n,
            input_stamps_ns={"joint_states": now_ns},
            continues_seq=followed[0] if known else 0,
            continues_row=followed[1] if known else 0.0,
        )

    def _rows(self, kind: str, here: Array) -> tuple[Array, float]:
        rng, limits, dof = self._rng, self._arm.config.limits, self._arm.config.dof
        dt_s = float(rng.choice([0.01, 0.02, 0.05, 0.1]))
        low, high = np.asarray(limits.position_min_rad), np.asarray(limits.position_max_rad)
        if kind == "garbage":
            return rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e300], size=(int(rng.integers(1, 30)), int(rng.integers(1, dof + 3)))), dt_s
        if kind == "absurd":
            return here + rng.normal(size=(20, dof)) * rng.choice([0.02, 0.3, 1e4]), dt_s
        if kind == "ram":
            return self._ram(here, dt_s), dt_s
        target = rng.uniform(low, high) if kind == "far" else self._pose(kind, here)
        way = np.clip(target, low, high) - here
        share = rng.uniform(0.85, 1.1) if kind == "fast" else rng.uniform(0.1, 0.8)
        by_speed = 1.875 * float(np.max(np.abs(way) / limits.velocity_radps)) / share
        by_force = (5.78 * float(np.max(np.abs(way) / limits.acceleration_radps2)) / share) ** 0.5
        count = int(np.clip(max(by_speed, by_force) / dt_s, 3, 250)) + 1
        s = np.linspace(0, 1, count)[:, None]
        rows = here + (10 * s**3 - 15 * s**4 + 6 * s**5) * way
        return rows + (rng.normal(size=rows.shape) * 1e-4 if kind == "noise" else 0.0), dt_s

    def _tcp(self, rows: Array) -> tuple[ActionSpace, tuple[str, ...], Array]:
        """The way of the TCP along ``rows``, or straight to where they end or beyond (past singular postures, limits): poses or deltas."""
        T = np.array([self._arm.fk(q) for q in rows[np.unique(np.linspace(0, len(rows) - 1, TCP_ROWS).astype(int))]])
        place, turn = T[:, :3, 3], Rotation.from_matrix(T[:, :3, :3])
        if self._rng.random() < 0.5:
            s = np.linspace(0, 1, len(T))
            place, turn = place[0] + s[:, None] * self._rng.uniform(0.5, 3.0) * (place[-1] - place[0]), Slerp([0, 1], turn[[0, -1]])(s)
        if self._rng.random() < 0.5:
            return ActionSpace.TCP_POSE, POSE_COLUMNS, np.column_stack([place, turn.as_quat()])
        deltas = np.column_stack([np.diff(place, axis=0), (turn[1:] * turn[:-1].inv()).as_rotvec()])
        return ActionSpace.TCP_DELTA, DELTA_COLUMNS, np.vstack([np.zeros(6), deltas])

    def _ram(self, here: Array, dt_s: float) -> Array:
        """One joint at a constant speed to the end of its range, or as far as a chunk may go."""
        rng, limits = self._rng, self._arm.config.limits
        joint, up = int(rng.integers(len(here))), rng.random() < 0.5
        end = limits.position_max_rad[joint] - 0.011 if up else limits.position_min_rad[joint] + 0.011
        step = float(rng.uniform(0.02, 1.05) * limits.velocity_radps[joint] * dt_s)
        count = int(np.clip(abs(end - here[joint]) / step, 2, 250))
        rows = np.tile(here, (count + 1, 1))
        way = np.minimum(step * np.arange(count + 1), abs(end - here[joint]))
        rows[:, joint] += np.copysign(way, end - here[joint])
        return rows

    def _pose(self, kind: str, here: Array) -> Array:
        """Joints that bring the TCP somewhere in its workspace, or (``aim``) to an obstacle; near ``here`` where that fails."""
        box = self._arm.config.workspace
        T = transform(np.diag([1.0, -1.0, -1.0]) @ rotation_z(self._rng.uniform(-1.5, 1.5)), self._rng.uniform(box.min_m, box.max_m))
        if kind == "aim" and self.targets:
            T[:3, 3] = np.clip(self.targets[int(self._rng.integers(len(self.targets)))], box.min_m, box.max_m)
        try:
            return self._arm.ik(T, here)
        except MotionError:
            return here + self._rng.normal(size=len(here)) * 0.2


class GateBench:
    """``run`` until enough commands were judged; ``figures`` grow meanwhile. ``ears``: see GateRig."""

    def __init__(
        self, robot: str, seed: int, ears: Callable[[Gate], Ears] = straight, instead: Callable[[Arm, SafetyConfig], Filter] | None = None
    ) -> None:
        """``instead``: makes what stands in the gate's place, and takes chunks over at once."""
        self._make_rig: Callable[[], FilterRig] = (lambda: rig_without_gate(robot, instead)) if instead else (lambda: GateRig(robot, ears))
        self.rig = self._make_rig()
        self._arm, self._config = self.rig.arm, self.rig.config
        self._ahead_ns = 0 if instead else self._config.lookahead_ticks * self._config.tick_ns
        self._is_held, self._lag_ns = False, 0
        self._rng = np.random.default_rng(seed)
        self._adversary = Adversary(self._arm, self._rng)
        self.figures = GateFigures(breaches=self.rig.breaches)
        self._followed: tuple[int, float] = (0, 0.0)  # number and row of the chunk that is followed
        self._things: tuple[SceneObject, ...] = ()
        self._scene = Scene(self.rig.now_ns, self._arm.config.base_frame, ())

    def run(self, commands: int, progress: Callable[[int], None] = lambda done: None) -> None:
        """Whole episodes until ``commands`` have been judged."""
        while self.figures.commands < commands:
            self._episode()
            progress(self.figures.commands)

    def _episode(self) -> None:
        """New obstacles around the resting arm, chunk after chunk, then a hold until it rests again.

        Obstacles that came to be in front of a moving arm, nearer than it can stop, would be hit whatever is done.
        """
        self._scatter()
        self._lag_ns = int(self._rng.choice(LAGS_NS))
        storm = int(self._rng.integers(EPISODE_TICKS)) if self._rng.random() < STORM_SHARE else EPISODE_TICKS
        for tick in range(EPISODE_TICKS):
            sends = storm <= tick < storm + STORM_TICKS or self._rng.random() < CHUNK_SHARE
            self._tick(str(self._rng.choice(KINDS)) if sends else None, tick)
        self.rig.filter.hold("the bench")
        for tick in range(REST_TICKS):
            self._tick(None, tick)
        self.rig.judge()
        self.figures.moved_rad = self.rig.moved_rad
        if self.rig.oracle.touches(self.rig.motion(self.rig.now_ns)[0], self._arm.config.gripper.width_open_m):
            self._carry_home()

    def _carry_home(self) -> None:
        """Whatever let the arm run into something would be found to touch it for the rest of the run."""
        done, self.rig = self.rig, self._make_rig()
        self.rig.breaches, self.rig.moved_rad = done.breaches, done.moved_rad
        self._followed = (0, 0.0)
        self.figures.rescued += 1

    def _scatter(self) -> None:
        rig, now_ns = self.rig, self.rig.now_ns
        low, high = self._arm.config.workspace.min_m, self._arm.config.workspace.max_m
        boxes = [
            Box(self._rng.uniform(0.03, 0.12, 3), transform(rotation_z(self._rng.uniform(0, 3)), self._rng.uniform(low, high)))
            for _ in range(3 * OBSTACLES)
        ]
        clear_m = float(self._rng.choice(CLEARS_M))
        boxes = rig.oracle.away_from(rig.motion(now_ns)[0], self._arm.config.gripper.width_open_m, clear_m, boxes)[:OBSTACLES]
        rig.oracle.place(boxes)
        self._adversary.targets = [box.T_base_box[:3, 3] for box in boxes]
        self._things = tuple(
            SceneObject(
                f"box_{n}_{self.figures.commands}", "grey box", "grey", "box", Pose.from_matrix(b.T_base_box), b.size_m, 0.9, now_ns
            )
            for n, b in enumerate(boxes)
        )

    def _tick(self, kind: str | None, tick: int) -> None:
        rig = self.rig
        rig.now_ns += self._config.tick_ns + int(self._rng.choice([0, 0, 0, 3, 11])) * MS
        self._sense(tick)
        chunk = self._chunk(kind) if kind is not None and kind != "estop" else None
        cpu_ns, wall_ns = time.thread_time_ns(), time.perf_counter_ns()
        if tick % SCENE_TICKS == 0:
            rig.ears.on_scene(self._scene)
        if kind == "estop":
            rig.filter.estop("the adversary")
        elif chunk is not None:
            rig.ears.on_chunk(chunk, rig.now_ns)
            self.figures.chunks += 1
        command = rig.filter.tick(rig.now_ns, rig.now_ns)
        self.figures.cpu_ns.append(time.thread_time_ns() - cpu_ns)
        self.figures.wall_ns.append(time.perf_counter_ns() - wall_ns)
        self.figures.commands += 1
        self.figures.moving.append(command is not None and command.chunk_seq > 0)
        for decision in rig.filter.drain_decisions():
            if decision.action >= SafetyAction.HOLD:
                self.figures.stops[decision.reason.value] = self.figures.stops.get(decision.reason.value, 0) + 1
        if kind == "estop" or rig.filter.latched:
            rig.filter.reset()
        was_held, self._is_held = self._is_held, command is not None and command.action >= SafetyAction.HOLD
        self.figures.held += self._is_held and not was_held
        if command is not None:
            self._followed = (command.chunk_seq, command.chunk_row)
        rig.play(command)

    def _chunk(self, kind: str) -> ActionChunk:
        now_ns = self.rig.now_ns
        return self._adversary.chunk(kind, self.rig.motion(now_ns + self._ahead_ns)[0], now_ns, self._followed)

    def _sense(self, tick: int) -> None:
        rig = self.rig
        q, v = rig.motion(rig.now_ns - self._lag_ns)
        off = self._rng.uniform(-ERROR_RAD, ERROR_RAD, len(q)) * min(1.0, float(np.abs(v).max()) / 0.1)  # of a moving arm
        rig.tell_joints(q + off, v, self._lag_ns)
        rig.tell_touch()
        rig.tell_heartbeats()
        rig.tell_cameras()
        if tick % SCENE_TICKS == 0:
            self._scene = Scene(rig.now_ns, self._arm.config.base_frame, self._things)
