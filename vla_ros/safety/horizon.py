"""The commanded curve: what was followed, what is committed, and the stop that follows it.

Knots lie on a grid of ticks in ROS time and never change once they are committed, so that consecutive messages agree wherever they
overlap. Behind the last committed knot lies its verified stop: a controller that hears nothing more follows it to rest. Only ``cut``
(for a fault that does not wait for the end of what is committed) takes committed knots back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_ros.core.actions import ShortTrajectory
from vla_ros.core.geometry import Array
from vla_ros.safety.braking import AT_REST, MotionState, Stop, still

KEPT_NS = 1_000_000_000  # of the past, to compare measurements with
ROOM = 10  # times as much, before the oldest are dropped
REST_S = 0.2  # that a message at rest lasts beyond its last knot
PAST_AT_REST = 4  # knots that stand for a time at rest that was skipped; a message begins among them


class Horizon:
    """Starts at rest at ``position`` [dof] at ``origin_ns``; knots lie every ``tick_ns`` after that."""

    def __init__(self, position: Array, origin_ns: int, tick_ns: int, names: tuple[str, ...]) -> None:
        self._origin_ns = origin_ns
        self._tick_ns = tick_ns
        self._names = names
        self._kept = -(-KEPT_NS // tick_ns)
        self._knots = np.zeros((3, ROOM * self._kept, len(position)))  # positions, velocities, accelerations
        self._knots[0, 0] = position
        self._count = 1  # of knots that are there
        self._end = 0  # tick of the last committed knot
        self._stop = still(self._knots[0, 0])
        self._stop_row = 0  # row of the stop that the last committed knot is
        self._stop_tick = 0  # at which the stop begins

    @property
    def state(self) -> MotionState:
        """At the last committed knot."""
        return MotionState(*self._knots[:, self._count - 1].copy())

    @property
    def end(self) -> int:
        """Tick of the last committed knot."""
        return self._end

    @property
    def stop_tick(self) -> int:
        """From which tick on the verified stop is followed, or will be."""
        return self._stop_tick

    @property
    def at_rest(self) -> bool:
        """Whether the committed curve ends at rest."""
        return self._stop_row >= self._stop.ticks

    def is_still(self, now_ns: int) -> bool:
        """Whether the arm is commanded to stand still from ``now_ns`` on."""
        ahead = max(self._end - self.tick_at(now_ns), 0) + 1
        return self.at_rest and bool(np.abs(self._knots[1, max(self._count - ahead, 0) : self._count]).max() < AT_REST)

    @property
    def rest_position(self) -> Array:
        """[dof] where the arm comes to rest if nothing more is committed."""
        return self._stop.positions[-1]

    def tick_at(self, now_ns: int) -> int:
        """The tick at or before ``now_ns``."""
        return (now_ns - self._origin_ns) // self._tick_ns

    def commit(self, states: Sequence[MotionState], stop: Stop) -> None:
        """Adds knots that were verified. Of the last one the first row of ``stop`` is added: an arm at rest is so to the last bit."""
        for state in states[:-1]:
            self._append(state.position, state.velocity, state.acceleration)
        self._append(stop.positions[0], stop.velocities[0], stop.accelerations[0])
        self._stop, self._stop_row, self._stop_tick = stop, 0, self._end

    def follow_stop(self) -> None:
        """Adds the next knot of the verified stop (the same position again when it is over)."""
        self._stop_row = min(self._stop_row + 1, self._stop.ticks)
        row = self._stop_row
        self._append(self._stop.positions[row], self._stop.velocities[row], self._stop.accelerations[row])

    def skip_to(self, tick: int) -> None:
        """Follows the stop up to ``tick``; what was not heard of in time has happened on its own."""
        while self._end < tick and not self.at_rest:
            self.follow_stop()
        if self._end < tick - PAST_AT_REST:  # a long time at rest: only its end is kept
            self._keep(1)
            self._end = tick - PAST_AT_REST
        while self._end < tick:
            self.follow_stop()

    def states_from(self, tick: int) -> list[MotionState]:
        """At the committed knots from ``tick`` on; the last one alone where there are none after it."""
        return [MotionState(*self._knots[:, row].copy()) for row in range(self._row_of(tick), self._count)]

    def cut(self, tick: int, stop: Stop) -> None:
        """Takes back what is committed after ``tick``, from where ``stop`` starts."""
        taken = self._count - 1 - self._row_of(tick)
        self._count -= taken
        self._end -= taken
        self._stop, self._stop_row, self._stop_tick = stop, 0, self._end

    def rows_from(self, tick: int) -> Array:
        """[n, dof] positions of the knots from ``tick`` on and of the stop after them; one row where the arm rests already."""
        return np.concatenate([self._knots[0, self._row_of(tick) : self._count], self._stop.positions[self._stop_row + 1 :]])

    def position_at(self, time_ns: int) -> Array:
        """[dof] commanded position at ``time_ns`` (linear between knots, the oldest one kept before them)."""
        ticks = (time_ns - self._origin_ns) / self._tick_ns - (self._end - self._count + 1)
        low = min(max(int(ticks), 0), self._count - 1)
        high = min(low + 1, self._count - 1)
        share = min(max(ticks - low, 0.0), 1.0)
        positions = self._knots[0]
        return np.asarray((1 - share) * positions[low] + share * positions[high])

    def message(self, now_ns: int) -> ShortTrajectory:
        """From one tick before ``now_ns`` over what is committed to the end of the stop."""
        past = min(max(self._end - self.tick_at(now_ns) + 1, 0), self._count - 1)
        knots = self._knots[:, self._count - 1 - past : self._count]
        first = self._end - past
        rows = slice(self._stop_row + 1, None)
        positions = np.concatenate([knots[0], self._stop.positions[rows]])
        velocities = np.concatenate([knots[1], self._stop.velocities[rows]])
        accelerations = np.concatenate([knots[2], self._stop.accelerations[rows]])
        times = np.arange(len(positions), dtype=np.float64) * (self._tick_ns * 1e-9)
        if len(positions) > 2 and self._still(velocities, accelerations):
            ends = [0, -1]
            positions, velocities, accelerations, times = positions[ends], velocities[ends], accelerations[ends], times[ends]
            times[-1] += REST_S  # a controller refuses a trajectory that has ended when it arrives, be it at rest from end to end
        return ShortTrajectory(self._origin_ns + first * self._tick_ns, self._names, times, positions, velocities, accelerations)

    @staticmethod
    def _still(velocities: Array, accelerations: Array) -> bool:
        return bool(np.abs(velocities).max() < AT_REST and np.abs(accelerations).max() < AT_REST)

    def _row_of(self, tick: int) -> int:
        """Of the knot at ``tick``, or the nearest one that is there."""
        return min(max(self._count - 1 - (self._end - tick), 0), self._count - 1)

    def _append(self, position: Array, velocity: Array, acceleration: Array) -> None:
        if self._count == self._knots.shape[1]:
            self._keep(self._kept)
        self._knots[:, self._count] = position, velocity, acceleration
        self._count += 1
        self._end += 1

    def _keep(self, last: int) -> None:
        """Drops all knots but the ``last`` ones."""
        self._knots[:, :last] = self._knots[:, self._count - last : self._count].copy()
        self._count = last
