"""What the world model answers about a chunk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Verdict(IntEnum):
    """The numbers are those of EvaluateChunk.srv."""

    APPROVE = 0
    REJECT = 1
    UNKNOWN = 2  # it could not be judged, or not in time


@dataclass(frozen=True)
class ChunkVerdict:
    """None: that question was not, or could not be, answered."""

    verdict: Verdict
    detail: str  # one sentence: what is foreseen, with the pair and the depth when it is a collision
    collision: bool | None = None
    dropped: bool | None = None
    target_reached: bool | None = None
    min_distance_m: float = float("inf")  # smallest foreseen distance of arm or held object to anything it should not touch
    simulated_s: float = 0.0  # of the chunk, and of what falls after it
    cpu_s: float = 0.0
