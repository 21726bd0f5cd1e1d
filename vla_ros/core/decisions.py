"""What the safety monitor says: one decision for each change, and its state; and what the world model answers it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from vla_ros.core.actions import SafetyAction


class SafetyMode(IntEnum):
    """The numbers are those of SafetyState.msg."""

    STARTING = 0
    READY = 1
    SLOWED = 2
    HOLDING = 3
    STOPPED_LATCHED = 4


class Verdict(IntEnum):
    """Of the world model about a chunk. The numbers are those of EvaluateChunk.srv."""

    APPROVE = 0
    REJECT = 1
    UNKNOWN = 2  # it could not be judged, or not in time


class SafetyReason(StrEnum):
    """Why a command was not passed as it was, one word each; sentences go with them in ``detail``."""

    OK = "ok"
    STARTING = "starting"
    NO_CHUNK = "no_chunk"
    CHUNK_SHAPE = "chunk_shape"
    CHUNK_NOT_FINITE = "chunk_not_finite"
    CHUNK_SPACE = "chunk_space"
    CHUNK_JOINTS = "chunk_joints"
    CHUNK_STALE = "chunk_stale"
    CHUNK_SEQUENCE = "chunk_sequence"
    CHUNK_SOURCE = "chunk_source"  # another expert's chunk is being followed
    CHUNK_JUMP = "chunk_jump"
    CHUNK_UNREACHABLE = "chunk_unreachable"  # the arm cannot bring the TCP along a chunk's rows
    CHUNK_EXHAUSTED = "chunk_exhausted"
    POSITION_LIMIT = "position_limit"
    VELOCITY_LIMIT = "velocity_limit"
    ACCELERATION_LIMIT = "acceleration_limit"
    WORKSPACE = "workspace"
    COLLISION = "collision"  # a link would come too near to another one, to the table, or to what perception sees
    WORLD_MODEL = "world_model"
    UNFORESEEN = "unforeseen"  # the world model cannot tell, or has not approved the motion in time
    SEPARATION = "separation"  # something that moves, or is no known object, is near: the nearer, the slower
    BLIND_ZONE = "blind_zone"  # no camera is turned to where the hand is
    SPEED_OVERRIDE = "speed_override"
    JOINT_STATES_STALE = "joint_states_stale"
    TRACKING_ERROR = "tracking_error"
    TIME_JUMP = "time_jump"  # the clock went back, or leapt ahead
    HEARTBEAT = "heartbeat"
    DEADMAN = "deadman"  # whoever guides the arm by hand does not hold the switch
    CAMERA = "camera"
    OBJECTS_STALE = "objects_stale"  # what stands around has not been reported for too long
    CONTACT = "contact"  # a finger is pressed too hard, or something pushes the arm
    SLIP = "slip"  # what is held slips in the hand
    CONTACT_STALE = "contact_stale"  # nothing is felt any more
    DRY_RUN = "dry_run"  # what was passed is not sent to the arm, which stays where it is
    REQUESTED = "requested"  # somebody asked for a stop that does not latch: a goal was cancelled
    ESTOP = "estop"
    BYPASS = "bypass"  # somebody else publishes to the controllers or as the monitor
    SELF_TEST = "self_test"


# A chunk that is refused for one of these is not for now; the motion that was passed before it goes on to its end.
UNTIMELY = frozenset({SafetyReason.CHUNK_SEQUENCE, SafetyReason.CHUNK_STALE, SafetyReason.CHUNK_SOURCE})

# The monitor holds for these because of the chunk, and takes another one meanwhile: an expert need not wait for the hold to end.
CURED_BY_A_CHUNK = frozenset(
    {
        SafetyReason.CHUNK_SHAPE,
        SafetyReason.CHUNK_NOT_FINITE,
        SafetyReason.CHUNK_SPACE,
        SafetyReason.CHUNK_JOINTS,
        SafetyReason.CHUNK_JUMP,
        SafetyReason.CHUNK_UNREACHABLE,
        SafetyReason.POSITION_LIMIT,
        SafetyReason.VELOCITY_LIMIT,
        SafetyReason.ACCELERATION_LIMIT,
        SafetyReason.WORKSPACE,
        SafetyReason.COLLISION,
        SafetyReason.WORLD_MODEL,
    }
)

# No intervention: the arm has nothing to do, or its user wants it slow.
UNDISTURBED = frozenset(
    {
        SafetyReason.OK,
        SafetyReason.STARTING,
        SafetyReason.SELF_TEST,
        SafetyReason.NO_CHUNK,
        SafetyReason.CHUNK_EXHAUSTED,
        SafetyReason.SPEED_OVERRIDE,
    }
)


@dataclass(frozen=True)
class SafetyDecision:
    """What was done with a command, and why. NaN: that margin was not measured."""

    id: int
    stamp_ns: int
    action: SafetyAction
    reason: SafetyReason
    detail: str  # one sentence
    chunk_seq: int = 0
    trace_id: str = ""
    speed_scale: float = 1.0
    limiting_joint: str = ""  # or pair of bodies, the TCP's frame, "gripper"
    margin_position_rad: float = float("nan")  # smallest distance to a joint limit along the chunk's rows
    margin_velocity: float = float("nan")  # 1 - largest |v| / limit
    margin_workspace_m: float = float("nan")
    margin_clearance_m: float = float("nan")  # of the nearest pair of bodies, beyond what is kept between them; negative: within that
    latency_s: float = float("nan")  # from taking the chunk's message to this decision


@dataclass(frozen=True)
class SafetyState:
    """Why the arm moves or does not."""

    stamp_ns: int
    mode: SafetyMode
    reason: SafetyReason
    detail: str  # one sentence: why the arm does not move, or "ready"
    speed_override: float
    input_ages_s: dict[str, float] = field(default_factory=dict)
    self_test_passed: bool = False
    self_test_detail: str = ""
    clearance_m: float = float("nan")  # of the nearest pair where the arm is commanded to be, beyond what is kept between them
    nearest: str = ""  # that pair, in words
