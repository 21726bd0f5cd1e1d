"""A kinematic stand-in for gate, arm and gripper, for the expert's unit tests: chunks are consumed by the gate's rule, nothing has mass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vla_ros.core.actions import ActionChunk
from vla_ros.core.geometry import Pose, inverse, quat_from_rotation, rotation_about
from vla_ros.core.robot_state import ContactState, FingerContact, JointState
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Predicate, Relation, Skill, Subtask
from vla_ros.experts.policy import Consumed, Expert, ExpertStatus, ExpertStep, Observation
from vla_ros.robots import Arm

TICK_S = 0.01
EXPERT_TICKS = 10
DELAY_TICKS = 4
SIZES = {"cube": (0.045, 0.045, 0.045), "bowl": (0.14, 0.14, 0.05), "plate": (0.16, 0.16, 0.012), "box": (0.11, 0.03, 0.03)}


def thing(id_: str, x: float, y: float, yaw: float = 0.0, z: float | None = None, **changes: object) -> SceneObject:
    shape = id_.split("_")[0]
    size = np.array(SIZES[shape])
    rotation = rotation_about(np.array([0.0, 0.0, 1.0]), yaw)
    pose = Pose(np.array([x, y, size[2] / 2 if z is None else z]), quat_from_rotation(rotation))
    return replace(SceneObject(id_, f"red {shape}", "red", shape, pose, size, 1.0, 0), **changes)


def scene(*things: SceneObject) -> Scene:
    return Scene(1, "panda_link0", things)


def pick(object_id: str = "cube_1") -> Subtask:
    return Subtask("1", Skill.PICK, "pick it up", Predicate(Relation.HELD, object_id), object_id)


def place(relation: Relation, target_id: str, object_id: str = "cube_1") -> Subtask:
    return Subtask("2", Skill.PLACE, "put it there", Predicate(relation, object_id, target_id), object_id, relation, target_id)


HOME = Subtask("3", Skill.HOME, "go home", Predicate(Relation.AT_HOME))


class Bench:
    """``pace``: how fast the gate consumes rows; ``misses``, ``hold`` and ``lose_at_s`` make things go wrong."""

    def __init__(self, arm: Arm, expert: Expert, world: Scene, *, pace: float = 1.0) -> None:
        self.arm, self.expert, self.world, self.pace = arm, expert, world, pace
        self.q = np.array(arm.config.home_rad)
        self.width_m = arm.config.gripper.width_open_m
        self.misses = 0  # so many closings meet nothing
        self.hold = ""  # why the gate holds
        self.lose_at_s = np.inf  # what is held vanishes then
        self.now_ns = 1_000_000_000
        self.chunk: ActionChunk | None = None
        self.row = 0.0
        self.held: SceneObject | None = None
        self._T_tcp_held = np.eye(4)
        self._post: list[tuple[int, ActionChunk]] = []
        self._ticks = 0
        self.history: list[np.ndarray] = []
        self.steps: list[ExpertStep] = []
        self.entries: list[float] = []  # rows at which chunks were entered
        self.jumps: list[float] = []  # rad between the old chunk and the new one where it takes over

    def observe(self) -> Observation:
        touched = self.held is not None
        fingers = tuple(FingerContact(n, 20.0 * touched, 1e-4, (0.0, 0.0), False, touched) for n in ("left", "right"))
        names = (*self.arm.config.arm_joints, *self.arm.config.finger_joints)
        moving = len(self.history) > 1 and not self.hold
        velocity = (self.history[-1] - self.history[-2]) / TICK_S if moving else np.zeros(7)
        positions = np.array([*self.q, self.width_m / 2, self.width_m / 2])
        before = (self.history[-2] - self.history[-3]) / TICK_S if moving and len(self.history) > 2 else velocity
        torques = self.arm.torques(self.q, velocity, (velocity - before) / TICK_S)
        joints = JointState(self.now_ns, names, positions, np.array([*velocity, 0, 0]), np.array([*torques, 0, 0]))
        consumed = Consumed(self.chunk.seq, self.row, self.now_ns) if self.chunk else Consumed(0, 0.0, self.now_ns)
        seen = replace(self.world, stamp_ns=self.now_ns)
        contact = ContactState(self.now_ns, fingers)
        return Observation(self.now_ns, joints, seen, contact, self.width_m, consumed, bool(self.hold), self.hold)

    def begin(self, subtask: Subtask) -> None:
        self.expert.begin(subtask, self.observe())

    def run(self, subtask: Subtask, limit_s: float = 30.0) -> ExpertStep:
        self.begin(subtask)
        end = self.now_ns + limit_s * 1e9
        while self.now_ns < end:
            step = self.step()
            if step.status is not ExpertStatus.RUNNING:
                return step
        raise AssertionError(f"Not done in {limit_s} s: {step.detail}")

    def step(self) -> ExpertStep:
        step = self.expert.step(self.observe())
        self.steps.append(step)
        if step.chunk is not None:
            self._post.append((self._ticks + DELAY_TICKS, step.chunk))
        for _ in range(EXPERT_TICKS):
            self.tick()
        return step

    def tick(self) -> None:
        self._ticks += 1
        self.now_ns += round(TICK_S * 1e9)
        while self._post and self._post[0][0] <= self._ticks:
            chunk = self._post.pop(0)[1]
            if not self.hold:
                self._take(chunk)
        if self.hold:
            self.chunk = None
        if self.chunk is not None:
            self.row = min(self.row + self.pace * TICK_S / self.chunk.dt_s, self.chunk.horizon - 1)
            self.q = self._at(self.chunk, self.row)
            self._move_fingers(float(self.chunk.gripper_width_m[int(self.row)]))
        self.history.append(self.q)
        self._move_held()

    def _take(self, chunk: ActionChunk) -> None:
        row = 0.0
        if self.chunk is not None and chunk.continues_seq == self.chunk.seq:
            row = (self.row - chunk.continues_row) * self.chunk.dt_s / chunk.dt_s
        self.entries.append(row)
        self.jumps.append(float(np.abs(self._at(chunk, max(row, 0.0)) - self.q).max()))
        self.chunk, self.row = chunk, max(row, 0.0)

    def _at(self, chunk: ActionChunk, row: float) -> np.ndarray:
        before = min(int(row), chunk.horizon - 2)
        return chunk.data[before] + (row - before) * (chunk.data[before + 1] - chunk.data[before])

    def _move_fingers(self, wanted_m: float) -> None:
        least = 0.0
        T_base_tcp = self.arm.fk(self.q)
        cubes = [o for o in self.world.objects if o.shape == "cube"]
        between = next((o for o in cubes if np.linalg.norm(o.pose.position_m - T_base_tcp[:3, 3]) < 0.015), None)
        if between is not None and (self.held is not None or self.misses == 0):
            least = float(between.size_m[0])
        before = self.width_m
        self.width_m = max(self.width_m + float(np.clip(wanted_m - self.width_m, -0.001, 0.001)), least)
        if self.held is None and between is not None and self.width_m == least > wanted_m:
            self.held, self._T_tcp_held = between, inverse(T_base_tcp) @ between.pose.matrix()
        elif self.held is not None and self.width_m > least + 0.002:
            self.held = None
        if self.misses and before == 0.0 and self.width_m > 0.0:
            self.misses -= 1

    def _move_held(self) -> None:
        if self.held is None:
            return
        rest = tuple(o for o in self.world.objects if o.id != self.held.id)
        if (self.now_ns - 1_000_000_000) * 1e-9 > self.lose_at_s:
            self.held, self.world = None, scene(*rest)
            return
        self.held = replace(self.held, pose=Pose.from_matrix(self.arm.fk(self.q) @ self._T_tcp_held))
        self.world = scene(*rest, self.held)
