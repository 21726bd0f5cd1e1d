"""Baseline: where the arm is now is checked for collisions ten times a second.

This is the way of teleoperation servers (MoveIt Servo's defaults: 10 Hz, 2 cm from the scene, 1 cm from itself), which several stacks put
before their arms: setpoints are clamped, and the arm is stopped when it is too near to something and comes nearer. Where the motion leads,
and how fast, counts for nothing. An arm that does not come nearer is let go, so that it is not caught there for ever.
"""

from __future__ import annotations

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyReason
from vla_ros.evaluation.box_clamp import BoxClamp

PERIOD_NS = 100_000_000
THINGS_M = 0.02
SELF_M = 0.01
NEARER_M = 1e-4  # than at the check before


class PoseCheck(BoxClamp):
    """A clamp that looks where the arm is measured."""

    _checked_ns = 0
    _room_m = float("inf")  # at the last check

    def watch(self, now_ns: int) -> None:
        """Stops the arm when it is too near to something and comes nearer."""
        if now_ns - self._checked_ns < PERIOD_NS or self._measured is None:
            return
        own_m, pair = self._collision.self_distance(self._measured)
        room_m = own_m - SELF_M
        things_m, other = self._collision.min_distance(self._measured, self._obstacles)
        if things_m - THINGS_M < room_m:
            room_m, pair = things_m - THINGS_M, other
        comes_nearer = room_m < self._room_m - NEARER_M
        self._checked_ns, self._room_m = now_ns, room_m
        if room_m < 0 and comes_nearer and self._playing is not None:
            self._stop(SafetyAction.HOLD, SafetyReason.COLLISION, f"{pair[0]} is near {pair[1]}.")
