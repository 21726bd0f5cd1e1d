"""Reasonable reaches among obstacles: what does it cost to be kept safe, and who is kept safe?

An expert plans a reach around what it knows and sends it in chunks. There is nothing else ("clear"), or there is a box on its way that it
does not know of though perception reports it ("in_the_way"), or such a box is put there while it moves ("put_there"), never so late that
an arm which is told 0.18 s later could not stop. When it is stopped it goes back along its way and plans anew around all that is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vla_ros.core.actions import GatedCommand, SafetyAction
from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array, Pose, rotation_z, transform
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.evaluation.gate_oracle import Box, Breaches, GateOracle
from vla_ros.evaluation.gate_rig import FilterRig
from vla_ros.motion.chunks import TrajectoryChunks
from vla_ros.motion.interpolation import JointSpline
from vla_ros.motion.planner import plan_joint_path
from vla_ros.motion.timing import TimedTrajectory, time_path
from vla_ros.robots import Arm
from vla_ros.robots.collision import CollisionModel, Obstacle

KINDS = ("clear", "in_the_way", "put_there")
OBSTACLES = 8
CLEAR_M = 0.03  # of obstacles from the arm where it starts and where it is to go
GROWN_M = 0.015  # the expert plans around things that are so much larger on each side; the planner keeps another centimetre
TIME_LIMIT_S = 30.0
STOPPABLE_S = 0.8  # before the arm would be where a box is put
IMAGE_TICKS, IMAGE_DELAY_TICKS = 10, 8  # as in the graph: ten scenes a second, each known 0.08 s after its stamp
EXPERT_TICKS = 10
THERE_RAD = 0.01
SHORTEST_S = 2.0
PLANNING_S = 30.0  # far more than it takes, so that a busy machine changes nothing
PLANS = 5  # that may fail before the expert gives up


@dataclass(frozen=True)
class Reach:
    """One goal; the same for all that is compared."""

    seed: int
    kind: str
    known: tuple[Box, ...]
    hidden: Box | None  # the expert does not know of it
    hidden_from_s: float  # after the start; 0: it is there from the beginning
    plan: TimedTrajectory
    goal_rad: Array


@dataclass
class Outcome:
    """What came of one reach."""

    kind: str
    reached: bool = False
    time_s: float = float("nan")
    stops: int = 0
    breaches: Breaches = field(default_factory=Breaches)


class Reaches:
    """Samples reaches for one arm from its home."""

    def __init__(self, arm: Arm) -> None:
        self._arm, self._oracle = arm, GateOracle(arm.config)
        self.planner = Planner(arm)

    def sample(self, seed: int) -> Reach:
        """The kinds take turns. Deterministic, unless the planner runs out of its time."""
        rng, kind = np.random.default_rng([seed, 77]), KINDS[seed % len(KINDS)]
        while (reach := self._try(rng, seed, kind)) is None:
            continue
        return reach

    def _try(self, rng: np.random.Generator, seed: int, kind: str) -> Reach | None:
        arm, width_m = self._arm, self._arm.config.gripper.width_open_m
        box, home = arm.config.workspace, np.asarray(arm.config.home_rad)
        T = transform(np.diag([1.0, -1.0, -1.0]) @ rotation_z(rng.uniform(-1.0, 1.0)), rng.uniform(box.min_m + 0.03, box.max_m - 0.03))
        things = [_random_box(rng, box.min_m, box.max_m) for _ in range(2 * OBSTACLES)]
        try:
            goal_rad = arm.ik(T, home)
            for q in (home, goal_rad):
                things = self._oracle.away_from(q, width_m, CLEAR_M, things)
            known = tuple(things[:OBSTACLES])
            reach = Reach(seed, kind, known, None, 0.0, self.planner.plan(home, goal_rad, known, seed), goal_rad)
            if reach.plan.duration_s < SHORTEST_S:
                return None
            return reach if kind == "clear" else self._obstructed(rng, reach)
        except MotionError:
            return None

    def _obstructed(self, rng: np.random.Generator, reach: Reach) -> Reach | None:
        """The same with a box where the TCP would come by. Raises MotionError where it leaves no way to the goal."""
        plan, width_m = reach.plan, self._arm.config.gripper.width_open_m
        path = JointSpline(plan.times_s, plan.positions, plan.velocities, plan.accelerations)
        hit_s = float(rng.uniform(0.4, 0.75)) * plan.duration_s
        at_s = max(hit_s - float(rng.uniform(1.0, 1.5)), 0.1) if reach.kind == "put_there" else 0.0
        until_s = at_s + STOPPABLE_S if reach.kind == "put_there" else 0.0
        middle = self._arm.fk(path.sample(hit_s)[0])[:3, 3]
        hidden = Box(rng.uniform(0.05, 0.1, 3), transform(rotation_z(rng.uniform(0, 3)), middle))
        for t in [*np.arange(at_s, until_s + 0.01, 0.05), plan.duration_s]:
            if not self._oracle.away_from(path.sample(float(t))[0], width_m, CLEAR_M, [hidden]):
                return None
        self.planner.plan(plan.positions[0], reach.goal_rad, (*reach.known, hidden), reach.seed)  # there is a way around it
        return Reach(reach.seed, reach.kind, reach.known, hidden, at_s, plan, reach.goal_rad)


class Planner:
    """The expert's: straight lines in joint space around grown boxes and the table."""

    def __init__(self, arm: Arm) -> None:
        self._arm, self._collision = arm, CollisionModel(arm)

    def plan(self, start: Array, goal: Array, boxes: Sequence[Box], seed: int) -> TimedTrajectory:
        """Raises MotionError where there is none."""
        obstacles = self._grown(boxes)
        path = plan_joint_path(self._arm, self._collision, start, goal, obstacles, time_limit_s=PLANNING_S, rng_seed=seed + 1)
        return time_path(path, self._arm.config.limits)

    def way_back(self, way: Sequence[Array], boxes: Sequence[Box]) -> TimedTrajectory:
        """Along the last rows of ``way`` (each [dof]), to where there is room to plan from; at most to its first row."""
        grown = self._grown(boxes)
        free = next((q for q in reversed(way) if not self._collision.in_collision(q, grown, 0.012)), way[0])
        return time_path(np.stack([way[-1], free]), self._arm.config.limits)

    @staticmethod
    def _grown(boxes: Sequence[Box]) -> list[Obstacle]:
        grown = [Obstacle(f"box_{n}", "box", tuple(np.asarray(b.size_m) + 2 * GROWN_M), b.T_base_box) for n, b in enumerate(boxes)]
        return [*grown, Obstacle("table", "box", (4.0, 4.0, 0.1), transform(np.eye(3), np.array([0.0, 0.0, -0.05])))]


class GoalRun:
    """One reach behind one filter."""

    def __init__(self, rig: FilterRig, planner: Planner, reach: Reach) -> None:
        self._rig, self._planner, self._reach = rig, planner, reach
        self.outcome = Outcome(reach.kind, breaches=rig.breaches)
        self._start_ns = rig.now_ns
        self._boxes = [*reach.known, *([reach.hidden] if reach.hidden and reach.hidden_from_s == 0 else [])]
        self._reported: list[tuple[int, Scene]] = []  # tick from which it is known
        self._known = list(reach.known)  # to the expert
        self._way: list[Array] = []
        self._chunks: TrajectoryChunks | None = None
        self._plan: TimedTrajectory | None = reach.plan
        self._seq = self._failed = 0
        self._is_held = False

    def run(self) -> Outcome:
        """Until the goal is reached or the time is up."""
        rig, tick = self._rig, 0
        rig.oracle.place(self._boxes)
        while not self.outcome.reached and self._elapsed_s < TIME_LIMIT_S and self._failed < PLANS:
            rig.now_ns += rig.config.tick_ns
            self._appear()
            self._sense(tick)
            if tick % EXPERT_TICKS == 0 and tick >= IMAGE_TICKS:
                self._act()
            command = rig.filter.tick(rig.now_ns, rig.now_ns)
            rig.play(command)
            self._note(command)
            tick += 1
        rig.judge()
        return self.outcome

    @property
    def _elapsed_s(self) -> float:
        return (self._rig.now_ns - self._start_ns) * 1e-9

    def _appear(self) -> None:
        """Puts the box there that was not there from the beginning."""
        hidden = self._reach.hidden
        if hidden is not None and len(self._boxes) == len(self._reach.known) and self._elapsed_s >= self._reach.hidden_from_s:
            self._rig.judge()
            self._boxes.append(hidden)
            self._rig.oracle.place(self._boxes)

    def _sense(self, tick: int) -> None:
        rig = self._rig
        rig.tell_joints(*rig.motion(rig.now_ns))
        rig.tell_touch()
        rig.tell_heartbeats()
        rig.tell_cameras()
        if tick % IMAGE_TICKS == 0:
            self._reported.append((tick + IMAGE_DELAY_TICKS, scene_of(self._boxes, rig.now_ns, rig.arm.config.base_frame)))
        while self._reported and self._reported[0][0] <= tick:
            rig.ears.on_scene(self._reported.pop(0)[1])

    def _act(self) -> None:
        """The expert's turn."""
        rig = self._rig
        if self._is_held:
            self._chunks = None
            if np.abs(rig.motion(rig.now_ns)[1]).max() < 1e-6:
                self._go_back()
        elif self._chunks is None:
            self._set_out()
        elif self._chunks.finished(self._command.chunk_seq, self._command.chunk_row):
            self._chunks = None
        elif chunk := self._chunks.next(rig.now_ns, self._command.chunk_seq, self._command.chunk_row):
            self._seq = chunk.seq
            rig.ears.on_chunk(chunk, rig.now_ns)

    def _go_back(self) -> None:
        """From now on it knows all that is reported."""
        self._known = list(self._boxes)
        self._send(self._planner.way_back([*self._way, self._rig.motion(self._rig.now_ns)[0]], self._known))

    def _set_out(self) -> None:
        here = self._rig.motion(self._rig.now_ns)[0]
        try:
            plan = self._plan or self._planner.plan(here, self._reach.goal_rad, self._known, self._reach.seed + self._seq)
        except MotionError:
            self._failed += 1
            return
        self._plan = None
        self._send(plan)

    def _send(self, plan: TimedTrajectory) -> None:
        rig = self._rig
        self._chunks = TrajectoryChunks(plan, rig.arm.config.arm_joints, expert="reach", first_seq=self._seq + 1)
        first = self._chunks.first(rig.now_ns)
        self._seq = first.seq
        rig.ears.on_chunk(first, rig.now_ns)

    def _note(self, command: GatedCommand | None) -> None:
        if command is None:
            return
        self._command = command
        was_held, self._is_held = self._is_held, command.action >= SafetyAction.HOLD
        self.outcome.stops += self._is_held and not was_held and self._seq > 0
        q, v = self._rig.motion(self._rig.now_ns)
        if not self._way or np.abs(q - self._way[-1]).max() > 0.01:
            self._way.append(q)
        if np.abs(q - self._reach.goal_rad).max() < THERE_RAD and np.abs(v).max() < 1e-3:
            self.outcome.reached, self.outcome.time_s = True, self._elapsed_s


def scene_of(boxes: Sequence[Box], now_ns: int, frame: str) -> Scene:
    """As perception would report them, without error."""
    things = (
        SceneObject(f"box_{n}", "grey box", "grey", "box", Pose.from_matrix(b.T_base_box), b.size_m, 0.9, now_ns)
        for n, b in enumerate(boxes)
    )
    return Scene(now_ns, frame, tuple(things))


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """For each kind of reach, as `vla bench gate --baselines --json` prints it."""
    return {kind: _summary([o for o in outcomes if o.kind == kind]) for kind in KINDS}


def _summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    times_s = [o.time_s for o in outcomes if o.reached]
    kinds = sorted({kind for o in outcomes for kind in o.breaches.kinds})
    return {
        "goals": len(outcomes),
        "reached": sum(o.reached for o in outcomes),
        "reached_without_breach": sum(o.reached and not o.breaches.count for o in outcomes),
        "collided": sum("collision" in o.breaches.kinds for o in outcomes),
        "goals_with_breach": {kind: sum(kind in o.breaches.kinds for o in outcomes) for kind in kinds},
        "stops": sum(o.stops for o in outcomes),
        "median_s": float(np.median(times_s)) if times_s else None,
    }


def _random_box(rng: np.random.Generator, low: Array, high: Array) -> Box:
    return Box(rng.uniform(0.03, 0.12, 3), transform(rotation_z(rng.uniform(0, 3)), rng.uniform(low, high)))


def run_goals(make_rig: Callable[[], FilterRig], planner: Planner, reaches: Sequence[Reach]) -> list[Outcome]:
    """Each reach from home, behind a new filter."""
    return [GoalRun(make_rig(), planner, reach).run() for reach in reaches]
