"""A gate with an arm behind it that follows every message exactly, and the signal that a stock controller would make of the messages."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from vla_ros.core.actions import ActionChunk, ActionSpace, GatedCommand, ShortTrajectory
from vla_ros.core.decisions import SafetyDecision
from vla_ros.core.geometry import Array, Pose
from vla_ros.core.resources import config_path
from vla_ros.core.robot_state import ContactState, FingerContact, JointState
from vla_ros.core.scene import CameraFault, CameraHealth, Scene, SceneObject
from vla_ros.motion.interpolation import JointSpline
from vla_ros.robots import Arm, load_robot
from vla_ros.safety.config import SafetyConfig, load_safety_config
from vla_ros.safety.gate import Gate
from vla_ros.safety.surroundings import STAYS_M
from vla_ros.safety.tcp_rows import DELTA_COLUMNS, POSE_COLUMNS

ROBOTS = tuple(sorted(path.stem for path in config_path("robots", "panda").parent.glob("*.yaml")))  # all that there are
TICK_NS = 10_000_000
START_NS = 5_000_000_000
MS = 1_000_000
DT_S = 0.05  # between the rows of chunks


@cache
def panda() -> Arm:
    return load_robot("panda")


@cache
def safety() -> SafetyConfig:
    """In most tests there is no world model, and everything is seen."""
    return load_safety_config("panda").without_world_model().without_blind_zones()


WIDTH_M = panda().config.gripper.width_open_m
KEPT_M = safety().clearance.things_m + STAYS_M  # from what is known well


def home() -> np.ndarray:
    return np.array(panda().config.home_rad, dtype=float)


def smooth(rows: int, sweep) -> np.ndarray:
    """[rows, 7] from home, at rest at both ends, by ``sweep`` [7] rad."""
    s = np.linspace(0, 1, rows)[:, None]
    return home() + (10 * s**3 - 15 * s**4 + 6 * s**5) * np.asarray(sweep, dtype=float)


SWEEP = np.array([0.35, 0.15, -0.2, 0.1, 0.2, 0.2, 0.4])


def chunk_of(rows, now_ns: int, *, seq: int = 1, dt_s: float = 0.05, expert: str = "scripted", **changes) -> ActionChunk:
    rows = np.asarray(rows)
    chunk = ActionChunk(
        seq=seq,
        expert=expert,
        subtask_id="1",
        trace_id=f"{expert}-{seq}",
        stamp_ns=now_ns,
        space=ActionSpace.JOINT_POSITION,
        names=panda().config.arm_joints,
        dt_s=dt_s,
        data=rows,
        gripper_width_m=np.full(len(rows), 0.04),
        input_stamps_ns={"joint_states": now_ns},
    )
    return replace(chunk, **changes)


def standing(stamp_ns: int, position: np.ndarray, velocity: np.ndarray | None = None) -> JointState:
    """The arm at ``position``, with the torques that keep it there."""
    v = np.zeros(7) if velocity is None else velocity
    finite = np.all(np.isfinite(position))
    return JointState(stamp_ns, panda().config.arm_joints, position, v, panda().torques(position, v, np.zeros(7)) if finite else v)


def felt(now_ns: int, left_n: float = 0.0, right_n: float = 0.0) -> ContactState:
    """Both fingers, pressed with ``left_n`` and ``right_n``."""
    pads = (("left", left_n), ("right", right_n))
    return ContactState(now_ns, tuple(FingerContact(finger, force_n, 1e-4, (0.0, 0.0), False, force_n > 0) for finger, force_n in pads))


class Rig:
    def __init__(self, config: SafetyConfig | None = None, **gate) -> None:
        self.now_ns = START_NS
        self.steady_ns = 77
        self.gate = Gate(panda(), config or safety(), **gate)
        self.sent: list[tuple[int, ShortTrajectory]] = []
        self.command: GatedCommand | None = None
        self.offset = np.zeros(7)  # of the measured arm from the commanded one
        self.decisions = []
        self.things: tuple[SceneObject, ...] = ()
        self.table_height_m = 0.0
        self.push_nm = np.zeros(7)  # from outside, on each joint
        self.touched: ContactState | None = None  # what the fingers feel; None: nothing
        self.width_m: float | None = None  # of the gripper; None: its joints are not reported

    def arm_state(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.sent:
            return home() + self.offset, np.zeros(7)
        p, v, _ = sample(self.sent[-1][1], np.array([self.now_ns]))
        return p[0] + self.offset, v[0]

    def arm_acceleration(self) -> np.ndarray:
        return sample(self.sent[-1][1], np.array([self.now_ns]))[2][0] if self.sent else np.zeros(7)

    def step(
        self,
        ticks: int = 1,
        *,
        jitter_ns: int = 0,
        joints: bool = True,
        hearts: bool = True,
        camera: bool = True,
        touch: bool = True,
        scene: bool = True,
        dead: tuple[str, ...] = (),
    ) -> GatedCommand | None:
        for _ in range(ticks):
            self.now_ns += TICK_NS + jitter_ns
            self.steady_ns += TICK_NS + jitter_ns
            if joints:
                p, v = self.arm_state()
                names, fingers = panda().config.arm_joints, ()
                if self.width_m is not None:
                    names, fingers = (*names, *panda().config.finger_joints), (self.width_m / 2,) * 2
                rest = np.zeros(len(fingers))
                efforts = np.append(panda().torques(p, v, self.arm_acceleration()) - self.push_nm, rest)
                self.gate.on_joint_state(JointState(self.now_ns, names, np.append(p, fingers), np.append(v, rest), efforts))
            if hearts:
                for node in set(safety().nodes) - set(dead):
                    self.gate.on_heartbeat(node, self.steady_ns)
            if touch:
                self.gate.on_contact(replace(self.touched or felt(self.now_ns), stamp_ns=self.now_ns))
            if camera:
                self.gate.on_camera_health(CameraHealth(self.now_ns, "front", CameraFault.OK, True, "", 0.0, 30.0))
            if scene:
                self.gate.on_scene(Scene(self.now_ns, "panda_link0", self.things, self.table_height_m))
            self.command = self.gate.tick(self.now_ns, self.steady_ns)
            if self.command is not None:
                self.sent.append((self.now_ns, self.command.trajectory))
            self.decisions += self.gate.drain_decisions()
        return self.command

    def send(self, rows, **options):
        return self.gate.on_chunk(chunk_of(rows, self.now_ns, **options), self.now_ns)

    def ready(self) -> Rig:
        self.step(2)
        return self

    def signal(self, until: int | None = None, tail_s: float = 1.0) -> tuple[np.ndarray, ...]:
        """(times [ns], position, velocity, acceleration) at 1 kHz of a controller that plays each message from its arrival on.

        Only the first ``until`` messages arrive; after the last one the controller goes on alone for ``tail_s``.
        """
        sent = self.sent[:until]
        ends = [t for t, _ in sent[1:]] + [sent[-1][0] + int(tail_s * 1e9)]
        parts = []
        for (start, trajectory), end in zip(sent, ends, strict=True):
            times = np.arange(start, end, MS)
            parts.append((times, *sample(trajectory, times)))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def sample(trajectory: ShortTrajectory, times_ns: np.ndarray):
    spline = JointSpline(trajectory.times_s, trajectory.positions, trajectory.velocities, trajectory.accelerations)
    return spline.sample_many((times_ns - trajectory.start_ns) * 1e-9)


def largest_disagreement(older: ShortTrajectory, newer: ShortTrajectory, from_ns: int, to_ns: int) -> float:
    """Between two messages [rad, and rad/s scaled by 10 ms] from ``from_ns`` to ``to_ns``."""
    times = np.arange(from_ns, to_ns, MS // 2)
    old, new = sample(older, times), sample(newer, times)
    return max(float(np.abs(old[0] - new[0]).max()), 0.01 * float(np.abs(old[1] - new[1]).max()))


def thing_at(position: np.ndarray, size_m: float = 0.05, name: str = "red cube", **changes) -> SceneObject:
    colour, shape = name.split()
    thing = SceneObject(f"{shape}_1", name, colour, shape, Pose(np.asarray(position)), np.full(3, size_m), 0.9, 0)
    return replace(thing, **changes)


def ahead(x_m: float, z_m: float = 0.0) -> np.ndarray:
    """T_base_tcp of home, moved forward and up."""
    T = panda().fk(home())
    T[:3, 3] += [x_m, 0.0, z_m]
    return T


def with_width(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows, np.full(len(rows), WIDTH_M)])


def poses_along(arm: Arm, rows: Array) -> Array:
    """[n, 7] of the TCP."""
    T = np.array([arm.fk(q) for q in rows])
    return np.column_stack([T[:, :3, 3], Rotation.from_matrix(T[:, :3, :3]).as_quat()])


def tcp_chunk(arm: Arm, data: Array, **changes) -> ActionChunk:
    space, names = (ActionSpace.TCP_POSE, POSE_COLUMNS) if data.shape[1] == 7 else (ActionSpace.TCP_DELTA, DELTA_COLUMNS)
    chunk = chunk_of(data, START_NS, seq=5, dt_s=DT_S, space=space, names=names, frame_id=arm.config.base_frame)
    return replace(chunk, gripper_width_m=np.full(len(data), np.nan), **{"gripper_force_n": 3.0, **changes})


def decided(rig: Rig, chunk: ActionChunk, ticks: int = 40) -> SafetyDecision:
    for _ in range(ticks):
        found = [d for d in rig.decisions if (d.chunk_seq, d.trace_id) == (chunk.seq, chunk.trace_id)]
        if found:
            return found[0]
        rig.step()
    raise AssertionError(f"nothing was decided about chunk {chunk.seq} in {ticks} ticks")


def way_to(T_base_tcp: np.ndarray, rows: int = 60) -> np.ndarray:
    """[rows, 7] from home, at rest at both ends."""
    s = np.linspace(0, 1, rows)[:, None]
    return home() + (10 * s**3 - 15 * s**4 + 6 * s**5) * (panda().ik(T_base_tcp, home()) - home())
