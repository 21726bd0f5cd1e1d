"""How far off the roll-outs are: what was foreseen of a chunk against what was then measured.

The monitor decides how fast a chunk is played, so nothing is compared by time: ``gated_command`` tells the row that has been reached, and
the measured TCP is held against the foreseen path up to there. A prediction counts as long as the chunks that continue its own promise
the same rows and the same gripper; where an expert changes its mind, the comparison ends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from vla_ros.core.actions import ActionChunk, ActionSpace
from vla_ros.core.geometry import Array
from vla_ros.core.scene import Scene
from vla_ros.core.stamps import ns_from_s

LAG_NS = ns_from_s(0.2)  # the arm comes this much after what is committed
LEAST_NS = ns_from_s(0.5)  # what is followed for less says little, and perception needs as long to see what is held
SETTLE_NS = ns_from_s(1.0)  # after a grasp or a release, until it has been seen what came of it
UNFOLLOWED_NS = ns_from_s(0.5)  # a chunk that is not followed by then never is
SAME_RAD = 0.005  # rows nearer than this are the same promise
SAME_M = 0.001  # likewise of the gripper
CHUNKS_KEPT = 8  # that came while their predecessor was still rolled out


@dataclass(frozen=True)
class Prediction:
    """What a roll-out foresaw, row by row of its chunk."""

    chunk: ActionChunk
    rows_rad: Array  # [n, dof]
    tcp_m: Array  # [n, 3] in the base frame
    held_before: str  # id of what is in the hand; empty: nothing
    held_after: str
    change_row: int | None = None  # at which that changes; None: it does not
    resting_m: Array | None = None  # [3] where the object that is let go comes to rest


@dataclass(frozen=True)
class Progress:
    """Of the monitor, as GatedCommand tells it."""

    trace_id: str
    chunk_seq: int
    row: float


@dataclass(frozen=True)
class Comparison:
    """Of one prediction with what happened."""

    chunk: ActionChunk
    stamp_ns: int
    horizon_s: float  # how much of the chunk was followed as foreseen, at the chunk's own pace
    tcp_m: Array  # [samples] distances of the measured TCP to the foreseen path
    held_compared: bool  # False: the chunk was followed up to before a grasp or a release only
    held_foreseen: str
    held_seen: str
    object_m: float  # from where what was let go was foreseen to rest to where it was seen; NaN: nothing was, or unseen

    @property
    def held_wrong(self) -> bool:
        """Whether something else is in the hand than was foreseen."""
        return self.held_compared and self.held_foreseen != self.held_seen


@dataclass(frozen=True)
class Summary:
    """Of all comparisons so far."""

    compared: int = 0
    samples: int = 0
    tcp_mean_m: float = 0.0
    tcp_max_m: float = 0.0
    held_compared: int = 0
    held_wrong: int = 0
    object_max_m: float = float("nan")

    def with_(self, c: Comparison) -> Summary:
        """The same with one more."""
        samples = self.samples + len(c.tcp_m)
        return Summary(
            self.compared + 1,
            samples,
            (self.tcp_mean_m * self.samples + float(c.tcp_m.sum())) / samples,
            max(self.tcp_max_m, float(c.tcp_m.max())),
            self.held_compared + c.held_compared,
            self.held_wrong + c.held_wrong,
            float(np.fmax(self.object_max_m, c.object_m)),
        )

    def sentence(self) -> str:
        """For people."""
        tcp = f"the TCP was {self.tcp_mean_m * 1000:.1f} mm off the foreseen path on average, {self.tcp_max_m * 1000:.1f} mm at most"
        held = f"what is held was foreseen {self.held_compared - self.held_wrong} of {self.held_compared} times"
        landed = "" if np.isnan(self.object_max_m) else f"; what was let go came to rest {self.object_max_m * 1000:.0f} mm off at most"
        return f"In {self.compared} roll-outs {tcp}; {held}{landed}."


@dataclass
class _Open:
    """The prediction that is being compared."""

    prediction: Prediction
    opened_ns: int
    valid_to: float  # row up to which all chunks so far promise the same
    rows: dict[tuple[str, int], float]  # trace id and number of a chunk -> where its row 0 lies on the prediction
    followed_ns: int | None = None
    row: float = 0.0
    errors_m: list[float] = field(default_factory=list)
    due_ns: int | None = None  # when it can be seen what came of a grasp or a release


class OwnError:
    """Compares one prediction at a time, the newest when none is under way."""

    def __init__(self) -> None:
        self.summary = Summary()
        self._open: _Open | None = None
        self._chunks: deque[ActionChunk] = deque(maxlen=CHUNKS_KEPT)

    @property
    def is_comparing(self) -> bool:
        """Whether a prediction is under way."""
        return self._open is not None

    def foresee(self, prediction: Prediction, now_ns: int) -> None:
        """Takes the prediction if none is under way; ``now_ns``: stamp of the joint states that it began with."""
        if self._open is not None:
            return
        chunk = prediction.chunk
        rows = {(chunk.trace_id, chunk.seq): 0.0}
        self._open = _Open(prediction, now_ns, float(len(prediction.rows_rad) - 1), rows)
        for later in self._chunks:
            if later.seq > chunk.seq:
                self._continue(self._open, later)

    def on_chunk(self, chunk: ActionChunk) -> None:
        """A chunk that was proposed, in the order of proposal."""
        self._chunks.append(chunk)
        if self._open is not None:
            self._continue(self._open, chunk)

    def observe(self, progress: Progress, tcp_m: Array, scene: Scene, now_ns: int) -> Comparison | None:
        """``tcp_m`` [3] as measured at ``now_ns``. A comparison when one has come to its end."""
        o = self._open
        if o is None:
            return None
        if o.due_ns is None and self._goes_on(o, progress, tcp_m, now_ns):
            return None
        change = o.prediction.change_row
        if o.due_ns is None and change is not None and o.row >= change:
            o.due_ns = now_ns + SETTLE_NS
        if o.due_ns is not None and now_ns < o.due_ns:
            return None
        self._open = None
        if o.followed_ns is None or not o.errors_m or (o.due_ns is None and now_ns - o.followed_ns < LEAST_NS):
            return None
        comparison = _compare(o, scene, now_ns)
        self.summary = self.summary.with_(comparison)
        return comparison

    def _goes_on(self, o: _Open, progress: Progress, tcp_m: Array, now_ns: int) -> bool:
        """Takes a sample; False when the prediction does not count any more."""
        first = o.rows.get((progress.trace_id, progress.chunk_seq))
        if first is None:
            return o.followed_ns is None and now_ns - o.opened_ns < UNFOLLOWED_NS
        if o.followed_ns is None:
            o.followed_ns = now_ns
        row = first + progress.row
        o.row = min(row, o.valid_to)
        if now_ns - o.followed_ns >= LAG_NS:
            o.errors_m.append(_distance_m(tcp_m, o.prediction.tcp_m[: int(np.ceil(row)) + 1]))
        return row < o.valid_to

    def _continue(self, o: _Open, chunk: ActionChunk) -> None:
        """Where ``chunk`` lies on the prediction, if it goes on from a chunk that does, and how far it promises the same."""
        origin = o.prediction.chunk
        before = next((row for (_, seq), row in o.rows.items() if seq == chunk.continues_seq), None)
        if before is None or chunk.expert != origin.expert or chunk.dt_s != origin.dt_s or chunk.space is not ActionSpace.JOINT_POSITION:
            return
        first = before + chunk.continues_row
        if not first >= 0.0 or chunk.data.shape[1:] != o.prediction.rows_rad.shape[1:]:
            return  # anybody may propose anything
        o.rows[(chunk.trace_id, chunk.seq)] = first
        o.valid_to = min(o.valid_to, _same_to(o.prediction, chunk, first))


def _same_to(prediction: Prediction, chunk: ActionChunk, first: float) -> float:
    """The last row of the prediction up to which ``chunk``, whose row 0 lies at ``first``, promises the same; infinity: to its end."""
    rows, widths = prediction.rows_rad, prediction.chunk.gripper_width_m
    at = first + np.arange(chunk.horizon, dtype=np.float64)
    at = at[at <= len(rows) - 1]
    foreseen = np.column_stack([np.interp(at, np.arange(len(rows)), column) for column in rows.T])
    other = ~(np.abs(chunk.data[: len(at)] - foreseen).max(axis=1) <= SAME_RAD)  # nor is what is not finite the same
    other |= ~np.isclose(chunk.gripper_width_m[: len(at)], widths[at.astype(int)], rtol=0.0, atol=SAME_M, equal_nan=True)
    return max(float(at[other.argmax()]) - 1.0, first) if other.any() else float("inf")


def _compare(o: _Open, scene: Scene, now_ns: int) -> Comparison:
    prediction, changed = o.prediction, o.due_ns is not None
    return Comparison(
        chunk=prediction.chunk,
        stamp_ns=now_ns,
        horizon_s=o.row * prediction.chunk.dt_s,
        tcp_m=np.array(o.errors_m),
        held_compared=changed or prediction.change_row is None,
        held_foreseen=prediction.held_after if changed else prediction.held_before,
        held_seen=next((thing.id for thing in scene.objects if thing.held), ""),
        object_m=_landing_error_m(prediction, scene) if changed else float("nan"),
    )


def _landing_error_m(prediction: Prediction, scene: Scene) -> float:
    """NaN when nothing was let go, or when it is not seen where it lies now."""
    thing = scene.get(prediction.held_before)
    if prediction.resting_m is None or thing is None or thing.held or thing.occluded:
        return float("nan")
    return float(np.linalg.norm(thing.pose.position_m - prediction.resting_m))


def _distance_m(point: Array, path: Array) -> float:
    """Distance of ``point`` [3] to the line through the points of ``path`` [n, 3]."""
    start, step = path[:-1], np.diff(path, axis=0)
    if not len(step):
        return float(np.linalg.norm(point - path[0]))
    square = np.maximum(np.einsum("ij,ij->i", step, step), 1e-18)
    along = np.clip(np.einsum("ij,ij->i", point - start, step) / square, 0.0, 1.0)
    return float(np.linalg.norm(point - start - along[:, None] * step, axis=1).min())
