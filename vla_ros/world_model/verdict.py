"""What the world model answers about a chunk."""

from __future__ import annotations

from dataclasses import dataclass

from vla_ros.core.decisions import Verdict
from vla_ros.world_model.own_error import Prediction


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
    spilled: bool | None = None
    progress_m: float = float("nan")  # by how much the TCP comes nearer to where the subtask is done
    prediction: Prediction | None = None  # of an approved chunk, for comparison with what then happens
