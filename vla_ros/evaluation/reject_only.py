"""Baseline: a chunk is checked as a whole when it comes, and then played as it came or dropped.

This is the way of the kernels that reject and never change a command (OpenRAL's, grove-g1's): limits, jump and workspace by the very rules
of the gate's door, collisions along the whole chunk by the scene of that moment. Nothing is slowed down, nothing is looked at again while
the chunk is played, and where the stop after a refusal leads is not known.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from vla_ros.core.actions import ActionChunk, SafetyAction, ShortTrajectory
from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Array
from vla_ros.evaluation.baseline import Baseline
from vla_ros.evaluation.playback import Playback
from vla_ros.safety.chunk_checks import Context, Refusal

KEPT_M = 0.005  # from everything
LEAVING_M = 0.001  # nearer than it stands an arm may come where it stands nearer than that
STEP_RAD = 0.02  # postures along a chunk are looked at this densely
JOIN_NS = 200_000_000  # from where the arm is to the rows of a chunk that does not begin there


class RejectOnly(Baseline):
    """Refuses and stops, or plays."""

    def admit(self, chunk: ActionChunk, context: Context) -> Playback | Refusal:
        """The chunk as it is, from the row on at which the gate would enter it."""
        accepted = self._door.judge(chunk, context)
        if isinstance(accepted, Refusal):
            return accepted
        playback = Playback(chunk, accepted.path, context.now_ns - round(accepted.row * chunk.dt_s * 1e9))
        rows = accepted.path.rows[int(accepted.row) :]
        return self._touching(np.concatenate([context.position[None], rows])) or playback

    def after_refusal(self, refusal: Refusal) -> None:
        """The arm stops."""
        self._stop(SafetyAction.HOLD, refusal.reason, refusal.detail)

    def follow(self, playing: Playback, now_ns: int) -> ShortTrajectory:
        """Sent once, when it is new: the rest of the chunk, joined to what the arm does."""
        sent = self._sent
        if sent is not None and self._is_sent is playing:
            return sent
        self._is_sent = playing
        here = self.commanded(now_ns)
        position, velocity, _ = playing.motion(now_ns)
        if max(np.abs(here.position - position).max(), 0.1 * np.abs(here.velocity - velocity).max()) < 1e-4:
            return playing.trajectory(now_ns, self._names)
        rest = playing.trajectory(now_ns + JOIN_NS, self._names)
        joined = [
            np.concatenate([[first], rows])
            for first, rows in (
                (here.position, rest.positions),
                (here.velocity, rest.velocities),
                (here.acceleration, rest.accelerations),
            )
        ]
        return ShortTrajectory(now_ns, self._names, np.append(0.0, rest.times_s + JOIN_NS * 1e-9), *joined)

    _is_sent: Playback | None = None

    def _touching(self, rows: Array) -> Refusal | None:
        distance_m = min(self._collision.self_distance(rows[0])[0], self._collision.min_distance(rows[0], self._obstacles)[0])
        kept_m = min(KEPT_M, max(distance_m - LEAVING_M, 0.0))
        for a, b in pairwise(rows):
            for share in np.linspace(0, 1, max(int(np.ceil(np.linalg.norm(b - a) / STEP_RAD)), 1) + 1)[1:]:
                if self._collision.in_collision(a + share * (b - a), self._obstacles, kept_m):
                    return Refusal(SafetyReason.COLLISION, f"The chunk comes nearer than {KEPT_M * 1000:.0f} mm to something.")
        return None
