"""The door: the rules that a chunk must keep before anything of it is followed.

Rules are tried in order, the cheap and formal ones first. The first that is broken refuses the chunk, with a reason and a sentence that
names joint, value and limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from vla_ros.core.actions import ActionChunk, ActionSpace
from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Array
from vla_ros.core.handling import Handling, handling_table
from vla_ros.robots import Arm
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.path import ChunkPath
from vla_ros.safety.tcp_rows import (
    DELTA_COLUMNS,
    POSE_COLUMNS,
    SLOWEST_PACE,
    TOLERANCE_M,
    TOLERANCE_RAD,
    JointRange,
    TcpRows,
    Turning,
    Unreached,
    tcp_poses,
)
from vla_ros.safety.workspace import Workspace

HORIZON = (2, 256)  # rows
FARTHEST_ROW = 1e6  # of a chunk that is continued
TCP_ROWS = 100  # of a chunk in a TCP space: each takes a quadratic programme or two, and a tick solves few of them
FARTHEST_M = 10.0  # no arm reaches so far
UNIT = 0.01  # a quaternion may be so much longer or shorter than 1
DT_S = (0.005, 0.5)  # between rows
CHUNK_FUTURE_S = 0.05  # a stamp may lie this far ahead of the monitor's clock
ROUNDING = 1 + 1e-6
OWN = "safety_monitor"  # whose a path is that no expert proposed
TCP_SPACES = (ActionSpace.TCP_POSE, ActionSpace.TCP_DELTA)


@dataclass(frozen=True)
class ChunkId:
    """Which chunk; an expert that was started again counts from 1 again, so that its number alone does not tell."""

    expert: str
    seq: int
    stamp_ns: int


@dataclass(frozen=True)
class Refusal:
    """Why a chunk is not followed."""

    reason: SafetyReason
    detail: str  # one sentence
    joint: str = ""


@dataclass(frozen=True)
class Followed:
    """The chunk that is being followed, and the row that is committed."""

    chunk: ActionChunk
    path: ChunkPath
    row: float


@dataclass(frozen=True)
class Context:
    """What a chunk is judged against."""

    now_ns: int
    position: Array  # [dof] commanded position at which the chunk would take over
    moving: bool
    followed: Followed | None = None
    last_seq: int = 0  # of the same expert; 0: none yet
    last_stamp_ns: int = 0  # of the same expert
    not_before_ns: int = 0  # the arm was held then: what was seen before is not acted on
    handling: Handling = field(default_factory=lambda: handling_table().default)  # of what the chunk takes or carries


@dataclass(frozen=True)
class Accepted:
    """A chunk as it will be followed, and how near it comes to the limits."""

    chunk: ActionChunk  # its rows as positions of the arm's joints, whatever space they came in
    path: ChunkPath
    row: float  # where it is entered
    continued: bool  # it goes on where the chunk before it was; False: it starts afresh at row 0
    margin_position_rad: float
    margin_velocity: float
    margin_workspace_m: float
    tightest_joint: str  # or the TCP's frame
    slowed_by: SafetyReason  # the limit of that joint that is the nearest


@dataclass(frozen=True)
class _Rows:
    """The chunk's rows as absolute positions [n, dof] in the arm's order of joints."""

    positions: Array
    row: float  # where it is entered
    continued: bool
    inside_m: Array  # [n] of the TCP from the border of its workspace; negative: outside
    slowest: float = 1.0  # the pace at which the limits have to be kept; below 1 the chunk is slowed where it is faster


class ChunkDoor:
    """Judges chunks for one arm."""

    def __init__(self, arm: Arm, config: SafetyConfig) -> None:
        self.arm = arm
        self.config = config
        self.workspace = Workspace(arm, config.workspace_margin_m)
        self.tcp = TcpRows(arm)
        self.acceleration = config.operation.acceleration * np.asarray(arm.config.limits.acceleration_radps2)

    def judge(self, chunk: ActionChunk, context: Context, turned: Array | Unreached | None = None) -> Accepted | Refusal:
        """The chunk as a path that may be followed, or why not. ``turned``: what ``turning`` made of its rows; else it is made here."""
        if refusal := self.formal_fault(chunk, context):
            return refusal
        rows = self._rows(chunk, context, turned)
        if isinstance(rows, Refusal):
            return rows
        for rule in ROW_RULES:
            refusal = rule(self, chunk, rows, context)
            if refusal:
                return refusal
        return self._accept(chunk, rows)

    def formal_fault(self, chunk: ActionChunk, context: Context) -> Refusal | None:
        """What is wrong with a chunk before its rows are looked at as a way."""
        return next((refusal for rule in FORMAL_RULES if (refusal := rule(self, chunk, context))), None)

    def turning(self, chunk: ActionChunk, context: Context) -> Turning:
        """The rows of a chunk of the TCP that has no formal fault, on their way into joints."""
        base, _, continued = self._entry(chunk, context)
        low, high = self.position_range(context)
        first_rad = np.inf if continued else 0.999 * self.config.start_jump_rad  # a continuation need not be entered at row 0
        poses = tcp_poses(self._data(chunk), chunk.space, self.arm.fk(base))
        return Turning(self.tcp, poses, base, chunk.dt_s, JointRange(low, high, first_rad))

    def own_way(self, rows: Array, dt_s: float) -> Accepted:
        """A path [n, dof] rad of the monitor's own, not judged here: each tick of it is proven as that of any other path."""
        still = np.full(len(rows), np.nan)  # the gripper stays as it is
        names, stamp_ns = self.arm.config.arm_joints, 0
        chunk = ActionChunk(0, OWN, "", "", stamp_ns, ActionSpace.JOINT_POSITION, names, dt_s, rows, still, gripper_force_n=0.0)
        return self._accept(chunk, _Rows(rows, 0.0, False, self.workspace.rows_inside_m(rows)))

    def columns(self, space: ActionSpace) -> tuple[str, ...]:
        """What the columns of a chunk must be named, in any order."""
        return {ActionSpace.TCP_POSE: POSE_COLUMNS, ActionSpace.TCP_DELTA: DELTA_COLUMNS}.get(space, self.arm.config.arm_joints)

    def position_range(self, context: Context) -> tuple[Array, Array]:
        """Lowest and highest positions [dof]: the margin is kept from the limits, unless the arm is within it already."""
        limits, margin = self.arm.config.limits, self.config.position_margin_rad
        low = np.minimum(limits.position_min_rad + margin, context.position)
        return low, np.maximum(limits.position_max_rad - margin, context.position)

    def _data(self, chunk: ActionChunk) -> Array:
        return np.asarray(chunk.data, dtype=float)[:, [chunk.names.index(name) for name in self.columns(chunk.space)]]

    def _entry(self, chunk: ActionChunk, context: Context) -> tuple[Array, float, bool]:
        """[dof] from where its deltas lead on, the row at which it is entered, and whether it goes on where the chunk before it was."""
        old = context.followed
        if old is None or chunk.continues_seq != old.chunk.seq or chunk.expert != old.chunk.expert:
            return context.position, 0.0, False
        per_row = old.chunk.dt_s / chunk.dt_s  # rows of this chunk for each row of the old one
        before = 0.0 if chunk.space == ActionSpace.TCP_POSE else 1 / per_row  # deltas lead to row 0 from the row before it
        base = old.path.at(max(chunk.continues_row - before, 0.0)).position
        return base, max((old.row - chunk.continues_row) * per_row, 0.0), True

    def _rows(self, chunk: ActionChunk, context: Context, turned: Array | Unreached | None) -> _Rows | Refusal:
        base, row, continued = self._entry(chunk, context)
        data, slowest = self._data(chunk), 1.0
        if chunk.space == ActionSpace.JOINT_DELTA:
            data = base + np.cumsum(data, axis=0)
        elif chunk.space in TCP_SPACES:
            if turned is None:
                turning = self.turning(chunk, context)
                turning.go_on()
                turned = turning.result
            if isinstance(turned, Unreached):
                return _not_reached(turned, is_start=not continued)
            assert turned is not None
            data, slowest = turned, SLOWEST_PACE
        return _Rows(data, row, continued, self.workspace.rows_inside_m(data), slowest)

    def _accept(self, chunk: ActionChunk, rows: _Rows) -> Accepted:
        limits, q = self.arm.config.limits, rows.positions
        path = ChunkPath(q, chunk.dt_s, self.config.operation.velocity * limits.speed_along(q), self.acceleration)
        room = np.minimum(q - limits.position_min_rad, limits.position_max_rad - q).min(axis=0)
        use = np.minimum(np.abs(np.diff(q, axis=0)).max(axis=0) / chunk.dt_s / limits.velocity_radps, 1.0)  # faster rows are slowed
        return Accepted(
            chunk=replace(chunk, space=ActionSpace.JOINT_POSITION, names=self.arm.config.arm_joints, data=q),
            path=path,
            row=min(rows.row, path.last_row),
            continued=rows.continued,
            margin_position_rad=float(room.min()),
            margin_velocity=float(1 - use.max()),
            margin_workspace_m=float(rows.inside_m.min()),
            tightest_joint=self.arm.config.arm_joints[path.tightest.joint],
            slowed_by=SafetyReason.ACCELERATION_LIMIT if path.tightest.by_acceleration else SafetyReason.VELOCITY_LIMIT,
        )


def _not_reached(found: Unreached, *, is_start: bool) -> Refusal:
    joint = (*found.at_limit, *found.too_fast, "")[0]
    if found.row == 0 and is_start and found.too_fast:
        return Refusal(SafetyReason.CHUNK_JUMP, f"It would start with a step: {found}.", joint)
    allowed = f"allowed {TOLERANCE_M * 1000:.0f} mm and {np.degrees(TOLERANCE_RAD):.0f} deg"
    return Refusal(SafetyReason.CHUNK_UNREACHABLE, f"Row {found.row} is not reached: {found}; {allowed}.", joint)


def check_space(door: ChunkDoor, chunk: ActionChunk, _: Context) -> Refusal | None:
    """A space that is known; for the TCP in the base frame, since where other frames are is not the monitor's to know."""
    base = door.arm.config.base_frame
    if chunk.space not in tuple(ActionSpace):
        detail = f"Chunks in space {chunk.space} are not followed; there are {', '.join(space.name for space in ActionSpace)}."
        return Refusal(SafetyReason.CHUNK_SPACE, detail)
    if chunk.space in TCP_SPACES and chunk.frame_id != base:
        space = ActionSpace(chunk.space).name
        detail = f"A chunk in {space} must be given in '{base}', not in '{chunk.frame_id}': set header.frame_id and transform its rows."
        return Refusal(SafetyReason.CHUNK_SPACE, detail)
    return None


def check_joints(door: ChunkDoor, chunk: ActionChunk, _: Context) -> Refusal | None:
    """The columns are the arm's joints, or those of the TCP's space, in any order."""
    wanted = door.columns(chunk.space)
    if sorted(chunk.names) == sorted(wanted):
        return None
    missing = ", ".join(name for name in wanted if name not in chunk.names) or "none"
    extra = ", ".join(name for name in chunk.names if name not in wanted) or "none"
    whose = f"those of {ActionSpace(chunk.space).name}" if chunk.space in TCP_SPACES else "the arm's joints"
    detail = f"The columns must be {whose}, each once; missing: {missing}; not among them: {extra}."
    return Refusal(SafetyReason.CHUNK_JOINTS, detail)


def check_shape(door: ChunkDoor, chunk: ActionChunk, _: Context) -> Refusal | None:
    """Rows, columns, numbers and the time between rows."""
    data, gripper = np.asarray(chunk.data), np.asarray(chunk.gripper_width_m)
    columns, most = len(door.columns(chunk.space)), TCP_ROWS if chunk.space in TCP_SPACES else HORIZON[1]
    wrong = ""
    if data.ndim != 2 or data.shape[1] != columns:
        wrong = f"The data must be [rows, {columns}], got {list(data.shape)}."
    elif not (np.issubdtype(data.dtype, np.floating) or np.issubdtype(data.dtype, np.integer)):
        wrong = f"The data must be real numbers, got {data.dtype}."
    elif not HORIZON[0] <= len(data) <= most:
        wrong = f"A chunk has {HORIZON[0]} to {most} rows, got {len(data)}."
    elif gripper.shape != (len(data),) or not np.issubdtype(gripper.dtype, np.number):
        wrong = f"The gripper needs one width for each of the {len(data)} rows, got shape {list(gripper.shape)}."
    elif not (np.isfinite(chunk.dt_s) and DT_S[0] <= chunk.dt_s <= DT_S[1]):
        wrong = f"The time between rows must be {DT_S[0]} to {DT_S[1]} s, got {chunk.dt_s}."
    return Refusal(SafetyReason.CHUNK_SHAPE, wrong) if wrong else None


def check_finite(door: ChunkDoor, chunk: ActionChunk, _: Context) -> Refusal | None:
    """Every position is finite, and so is the row at which it continues another chunk, far beyond any chunk's length too."""
    bad = ~np.isfinite(np.asarray(chunk.data, dtype=float))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        name = chunk.names[column]
        return Refusal(SafetyReason.CHUNK_NOT_FINITE, f"Row {row} of {name} is {chunk.data[row, column]}.", name)
    if chunk.continues_seq and not abs(chunk.continues_row) <= FARTHEST_ROW:
        detail = f"The row at which it continues chunk {chunk.continues_seq} is {chunk.continues_row:g}."
        is_finite = np.isfinite(chunk.continues_row)
        return Refusal(SafetyReason.CHUNK_SHAPE if is_finite else SafetyReason.CHUNK_NOT_FINITE, detail)
    return None


def check_poses(door: ChunkDoor, chunk: ActionChunk, _: Context) -> Refusal | None:
    """Rows of the TCP hold rotations, and places that an arm could be at."""
    if chunk.space not in TCP_SPACES:
        return None
    data = np.asarray(chunk.data, dtype=float)
    far = np.abs(data) > FARTHEST_M
    if far.any():
        row, column = np.argwhere(far)[0]
        return Refusal(SafetyReason.CHUNK_UNREACHABLE, f"Row {row} is not reached: {chunk.names[column]} is {data[row, column]:.3g}.")
    if chunk.space == ActionSpace.TCP_POSE:
        norm = np.linalg.norm(data[:, [chunk.names.index(name) for name in POSE_COLUMNS[3:]]], axis=1)
        if (wrong := np.abs(norm - 1) > UNIT).any():
            row = int(np.argmax(wrong))
            return Refusal(SafetyReason.CHUNK_SHAPE, f"The quaternion of row {row} must have length 1, got {norm[row]:.3f}.")
    return None


def check_gripper(door: ChunkDoor, chunk: ActionChunk, context: Context) -> Refusal | None:
    """Widths inside the opening, or NaN for "leave it as it is"; a force that the gripper has, above 0 where it is to move.

    Some grippers read a force of 0 as the most that they have.
    """
    gripper = door.arm.config.gripper
    width = np.asarray(chunk.gripper_width_m, dtype=float)
    wrong = (width < gripper.width_closed_m - 1e-6) | (width > gripper.width_open_m + 1e-6)
    if wrong.any():
        row = int(np.argmax(wrong))
        allowed = f"{gripper.width_closed_m} to {gripper.width_open_m} m"
        detail = f"The gripper's width in row {row} is {width[row]:.4f} m; allowed {allowed}."
        return Refusal(SafetyReason.POSITION_LIMIT, detail, "gripper")
    force_n, moves = chunk.gripper_force_n, bool(np.isfinite(width).any())
    most_n = min(gripper.max_force_n, context.handling.grip_n)
    if not 0 <= force_n <= most_n or (moves and force_n == 0):
        what = f" on the {context.handling.kind}" if context.handling.kind else ""
        detail = f"The grasp force is {force_n} N{what}; allowed above 0 to {most_n:g} N."
        return Refusal(SafetyReason.POSITION_LIMIT, detail, "gripper")
    return None


def check_source(door: ChunkDoor, chunk: ActionChunk, context: Context) -> Refusal | None:
    """One expert at a time: another one may take over when the arm rests."""
    old = context.followed
    if old is None or old.chunk.expert == chunk.expert or not context.moving:
        return None
    detail = f"'{chunk.expert}' has to wait: the arm still follows chunk {old.chunk.seq} of '{old.chunk.expert}'."
    return Refusal(SafetyReason.CHUNK_SOURCE, detail)


def check_stamp(door: ChunkDoor, chunk: ActionChunk, context: Context) -> Refusal | None:
    """Computed from what was seen lately, and after the last hold."""
    age_s = (context.now_ns - chunk.stamp_ns) * 1e-9
    wrong = ""
    if chunk.stamp_ns <= 0 or age_s > door.config.chunk_age_s:
        wrong = f"It was computed from what was seen {age_s:.2f} s ago; allowed {door.config.chunk_age_s} s."
    elif age_s < -CHUNK_FUTURE_S:
        wrong = f"Its stamp lies {-age_s:.2f} s in the future; the clocks of expert and monitor differ."
    elif chunk.stamp_ns < context.not_before_ns:
        wrong = "It was computed before the arm was held; only a chunk that has seen what came after is followed."
    return Refusal(SafetyReason.CHUNK_STALE, wrong) if wrong else None


def check_sequence(door: ChunkDoor, chunk: ActionChunk, context: Context) -> Refusal | None:
    """Numbers count up for each expert; an expert that was started anew may count from 1 again once the arm rests."""
    if chunk.seq < 1:
        return Refusal(SafetyReason.CHUNK_SEQUENCE, f"Chunks are numbered from 1, got {chunk.seq}.")
    restarted = chunk.seq == 1 and not context.moving and chunk.stamp_ns > context.last_stamp_ns
    if chunk.seq <= context.last_seq and not restarted:
        detail = f"Chunk {chunk.seq} of '{chunk.expert}' comes after chunk {context.last_seq}; numbers must increase."
        return Refusal(SafetyReason.CHUNK_SEQUENCE, detail)
    return None


def check_positions(door: ChunkDoor, chunk: ActionChunk, rows: _Rows, context: Context) -> Refusal | None:
    """Inside the joint limits by the margin, or at least not farther out than the arm already is."""
    low, high = door.position_range(context)
    over = np.maximum(low - rows.positions, rows.positions - high)
    row, joint = np.unravel_index(int(np.argmax(over)), over.shape)
    if over[row, joint] <= 1e-9:
        return None
    value, name = rows.positions[row, joint], door.arm.config.arm_joints[joint]
    detail = f"{name} would be at {value:.3f} rad in row {row}; allowed {low[joint]:.3f} to {high[joint]:.3f}."
    return Refusal(SafetyReason.POSITION_LIMIT, detail, name)


def check_velocities(door: ChunkDoor, chunk: ActionChunk, rows: _Rows, _: Context) -> Refusal | None:
    """The speed from row to row is one that the robot has; where a joint's end allows less of it, the path is followed more slowly."""
    speed = np.abs(np.diff(rows.positions, axis=0)) / chunk.dt_s
    limit = np.asarray(door.arm.config.limits.velocity_radps)
    return _over(door, speed * rows.slowest, limit, SafetyReason.VELOCITY_LIMIT, "rad/s")


def check_accelerations(door: ChunkDoor, chunk: ActionChunk, rows: _Rows, _: Context) -> Refusal | None:
    """The change of that speed is one that the robot can make."""
    acceleration = np.abs(np.diff(rows.positions, n=2, axis=0)) / chunk.dt_s**2
    limit = np.asarray(door.arm.config.limits.acceleration_radps2)
    return _over(door, acceleration * rows.slowest**2, limit, SafetyReason.ACCELERATION_LIMIT, "rad/s2") if len(acceleration) else None


def check_jump(door: ChunkDoor, chunk: ActionChunk, rows: _Rows, context: Context) -> Refusal | None:
    """The step from where the arm is commanded to be, or along the old path, to where this chunk is entered."""
    old = context.followed
    here = old.path.at(old.row).position if rows.continued and old is not None else context.position
    low = min(int(rows.row), len(rows.positions) - 2)
    share = min(rows.row - low, 1.0)
    entry = (1 - share) * rows.positions[low] + share * rows.positions[low + 1]
    jump = np.abs(entry - here)
    joint = int(np.argmax(jump))
    if jump[joint] <= door.config.start_jump_rad:
        return None
    name = door.arm.config.arm_joints[joint]
    what = f"continue chunk {chunk.continues_seq}" if rows.continued else "start"
    step = f"a step of {jump[joint]:.3f} rad of {name}; allowed {door.config.start_jump_rad} rad"
    detail = f"It would {what} at row {rows.row:.1f} with {step}."
    return Refusal(SafetyReason.CHUNK_JUMP, detail, name)


def check_workspace(door: ChunkDoor, chunk: ActionChunk, rows: _Rows, context: Context) -> Refusal | None:
    """The TCP stays in the workspace, or at least not farther out than it already is."""
    allowed = min(door.workspace.inside_m(context.position), 0.0) - 1e-6
    outside = np.flatnonzero(rows.inside_m < allowed)
    if len(outside) == 0:
        return None
    row = int(outside[0])
    return Refusal(SafetyReason.WORKSPACE, f"Row {row} leaves the workspace: {door.workspace.describe(rows.positions[row])}.")


def _over(door: ChunkDoor, values: Array, limit: Array, reason: SafetyReason, unit: str) -> Refusal | None:
    use = values / limit
    row, joint = np.unravel_index(int(np.argmax(use)), use.shape)
    if use[row, joint] <= ROUNDING:
        return None
    name = door.arm.config.arm_joints[joint]
    return Refusal(reason, f"{name} would need {values[row, joint]:.2f} {unit} at row {row}; the limit is {limit[joint]:.2f} {unit}.", name)


FORMAL_RULES: tuple[Callable[[ChunkDoor, ActionChunk, Context], Refusal | None], ...] = (
    check_space,
    check_joints,
    check_shape,
    check_finite,
    check_poses,
    check_gripper,
    check_source,
    check_stamp,
    check_sequence,
)
ROW_RULES: tuple[Callable[[ChunkDoor, ActionChunk, _Rows, Context], Refusal | None], ...] = (
    check_positions,
    check_velocities,
    check_accelerations,
    check_jump,
    check_workspace,
)
