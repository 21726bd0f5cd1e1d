"""Before anything may move, chunks that are known to be bad must be refused, each for the right reason, and a known collision must be seen.

A good chunk must be accepted, and a free motion passed: a gate that stops everything tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from vla_ros.core.actions import ActionChunk, ActionSpace
from vla_ros.core.decisions import SafetyReason
from vla_ros.core.errors import MotionError
from vla_ros.core.geometry import Array, quat_from_rotation, transform
from vla_ros.robots import Arm
from vla_ros.robots.clearance import Solid
from vla_ros.safety.chunk_checks import ChunkDoor, Context, Followed, Refusal
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.sweep_proof import SweepProof
from vla_ros.safety.tcp_rows import POSE_COLUMNS

_NOW_NS = 1_000_000_000_000
_ROWS = 8
_DT_S = 0.05
_TURN_RAD, _SWEEP_ROWS = 0.3, 30
_MARGIN_RAD = 0.2  # more than any configuration keeps from a joint's end


@dataclass(frozen=True)
class SelfTest:
    """Its result."""

    passed: bool
    detail: str  # one sentence


def run_self_test(arm: Arm, config: SafetyConfig) -> SelfTest:
    """Pushes good and bad chunks through a door, and motions through a check of distances, built like those in use, at the arm's home."""
    try:
        return _run(arm, config)
    except Exception as error:  # whatever a broken check does, it must not come to READY, and a crash would hide the reason
        return SelfTest(False, f"Self-test failed: a check broke down with {type(error).__name__}: {error}.")


def _run(arm: Arm, config: SafetyConfig) -> SelfTest:
    door = ChunkDoor(arm, config)
    home = np.asarray(arm.config.home_rad, dtype=float)
    context = Context(now_ns=_NOW_NS, position=home, moving=False, last_seq=7)
    good = _chunk(arm, home + np.linspace(0, 0.02, _ROWS)[:, None])
    verdict = door.judge(good, context)
    if isinstance(verdict, Refusal):
        return SelfTest(False, f"Self-test failed: a good chunk was refused ({verdict.reason}: {verdict.detail})")
    busy = replace(context, moving=True, followed=Followed(replace(good, expert="another"), verdict.path, 1.0))
    cases = [(what, bad, reason, context) for what, bad, reason in _bad_chunks(arm, config, good, home)]
    if blind := _blind(arm, config, home):
        return SelfTest(False, f"Self-test failed: {blind}")
    cases.append(("another source than the one that is followed", good, SafetyReason.CHUNK_SOURCE, busy))
    for what, bad, reason, case in cases:
        verdict = door.judge(bad, case)
        if not isinstance(verdict, Refusal):
            return SelfTest(False, f"Self-test failed: a chunk with {what} was accepted.")
        if verdict.reason != reason:
            return SelfTest(False, f"Self-test failed: a chunk with {what} was refused for {verdict.reason} instead of {reason}.")
    return SelfTest(True, f"Self-test passed: {len(cases)} bad chunks and a collision refused, a good one accepted.")


def _blind(arm: Arm, config: SafetyConfig, home: Array) -> str:
    """Why a known collision would not be seen, or a known free motion would be stopped; empty when both are told apart."""
    clearance, width_m = SweepProof(arm, config), arm.config.gripper.width_open_m
    turned = home + np.eye(len(home))[0] * _TURN_RAD
    sweep = np.column_stack([np.linspace(home, turned, _SWEEP_ROWS), np.full(_SWEEP_ROWS, width_m)])
    if breach := clearance.breach(sweep[0], sweep[1:]):
        return f"a free motion was taken for a collision of {' and '.join(breach.pair)}."
    in_the_way = Solid("obstacle", "box", np.full(3, 0.05), transform(np.eye(3), arm.fk(turned)[:3, 3]))
    clearance.place((in_the_way,), None, np.eye(4))
    return "" if clearance.breach(sweep[0], sweep[1:]) else "a motion into an obstacle was taken for free."


def _chunk(arm: Arm, rows: Array) -> ActionChunk:
    return ActionChunk(
        seq=8,
        expert="self_test",
        subtask_id="",
        trace_id="",
        stamp_ns=_NOW_NS,
        space=ActionSpace.JOINT_POSITION,
        names=arm.config.arm_joints,
        dt_s=_DT_S,
        data=rows,
        gripper_width_m=np.full(len(rows), np.nan),
        gripper_force_n=arm.config.gripper.grasp_force_n,
    )


def _bad_chunks(arm: Arm, config: SafetyConfig, good: ActionChunk, home: Array) -> Iterator[tuple[str, ActionChunk, SafetyReason]]:
    """(what is wrong, chunk, the reason it must be refused for)."""
    limits, closed_m = arm.config.limits, arm.config.gripper.width_closed_m
    along = np.arange(_ROWS)[:, None]
    yield "a NaN", replace(good, data=_changed(good.data, np.nan)), SafetyReason.CHUNK_NOT_FINITE
    yield "an infinity", replace(good, data=_changed(good.data, np.inf)), SafetyReason.CHUNK_NOT_FINITE
    yield "a gripper wider than it opens", replace(good, gripper_width_m=np.full(_ROWS, 1.0)), SafetyReason.POSITION_LIMIT
    yield "a grasp without force", replace(good, gripper_width_m=np.full(_ROWS, closed_m), gripper_force_n=0.0), SafetyReason.POSITION_LIMIT
    yield "a missing column", replace(good, data=good.data[:, 1:]), SafetyReason.CHUNK_SHAPE
    yield "an unknown joint", replace(good, names=("nobody", *good.names[1:])), SafetyReason.CHUNK_JOINTS
    still = np.tile([*arm.fk(home)[:3, 3], *quat_from_rotation(arm.fk(home)[:3, :3])], (_ROWS, 1))
    poses = replace(good, space=ActionSpace.TCP_POSE, names=POSE_COLUMNS, frame_id=arm.config.base_frame, data=still)
    yield "poses in an unknown frame", replace(poses, frame_id="nowhere"), SafetyReason.CHUNK_SPACE
    yield "no rotation", replace(poses, data=still * ([1.0] * 3 + [0.0] * 4)), SafetyReason.CHUNK_SHAPE
    yield "poses out of reach", replace(poses, data=still + along * np.eye(7)[0]), SafetyReason.CHUNK_UNREACHABLE
    yield "an old stamp", replace(good, stamp_ns=_NOW_NS - 60_000_000_000), SafetyReason.CHUNK_STALE
    yield "a number used before", replace(good, seq=7), SafetyReason.CHUNK_SEQUENCE
    yield "a start far from the arm", replace(good, data=good.data + 2 * config.start_jump_rad), SafetyReason.CHUNK_JUMP
    past = np.array(good.data)
    past[-1, 0] = limits.position_max_rad[0] + 0.01
    yield "a position past its limit", replace(good, data=past), SafetyReason.POSITION_LIMIT
    fast = home + np.eye(len(home))[0] * along * (1.05 * limits.velocity_radps[0] * _DT_S)
    yield "too high a velocity", replace(good, data=fast), SafetyReason.VELOCITY_LIMIT
    shaking = np.array(good.data)
    shaking[1::2, 1] += 0.6 * limits.acceleration_radps2[1] * _DT_S**2
    yield "too high an acceleration", replace(good, data=shaking), SafetyReason.ACCELERATION_LIMIT
    outside = home + (_outside(arm) - home) * (along / (_ROWS - 1))
    yield "an end outside the workspace", replace(good, dt_s=0.5, data=outside), SafetyReason.WORKSPACE


def _changed(data: Array, value: float) -> Array:
    changed = np.array(data)
    changed[_ROWS // 2, 0] = value
    return changed


def _outside(arm: Arm) -> Array:
    """A posture near home whose TCP is outside the workspace: the base turned until it is, one way or the other.

    Raises MotionError where joint 1 cannot turn so far.
    """
    home, limits = np.asarray(arm.config.home_rad, dtype=float), arm.config.limits
    for turn in (sign * turn for turn in np.arange(0.1, 2.0, 0.1) for sign in (1, -1)):
        posture = home + np.eye(len(home))[0] * turn
        inside = limits.position_min_rad[0] + _MARGIN_RAD < posture[0] < limits.position_max_rad[0] - _MARGIN_RAD
        if inside and not arm.config.workspace.contains(arm.fk(posture)[:3, 3]):
            return posture
    raise MotionError("no turn of joint 1 by up to 1.9 rad leads the TCP from home out of the workspace, whose border could not be tried")
