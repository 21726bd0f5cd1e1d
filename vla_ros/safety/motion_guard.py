"""Moves the committed curve on, and lets no ticks into it before the stop after them has been verified."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Array
from vla_ros.robots import Arm
from vla_ros.robots.values import JointLimits
from vla_ros.safety.braking import MotionState, Stop, braking_of
from vla_ros.safety.chunk_checks import Accepted, Followed
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.faults import Fault
from vla_ros.safety.horizon import Horizon
from vla_ros.safety.surroundings import Surroundings, TooNear
from vla_ros.safety.tcp_speed import TcpSpeed
from vla_ros.safety.tracker import Progress, Tracker, VelocityRange
from vla_ros.safety.workspace import Workspace

VELOCITY_ROUNDING_RADPS = 1e-9
SPARE_TICKS = 4  # beyond what a message can still change, for the next ticks to be committed a tick later
UNKNOWN_TICKS = 4  # that are committed at most before it is known how fast the TCP may go: those of two ticks that were late
OPENING_STEP_M = 0.004  # of the gripper, between two looks


@dataclass(frozen=True)
class Following:
    """A chunk that is followed, and how far."""

    accepted: Accepted
    progress: Progress
    finished: bool = False  # the last row was reached; the arm rests there
    knows_tcp: bool = False  # its path is no faster than the TCP may go
    tcp_may_wait: bool = True  # that is found in the next tick, not in this one

    @property
    def followed(self) -> Followed:
        """As the door sees it."""
        return Followed(self.accepted.chunk, self.accepted.path, self.progress.row)


class MotionGuard:
    """The curve from rest at ``position`` [dof] at ``now_ns`` on. ``width_m``, of the gripper, is set from outside."""

    def __init__(self, arm: Arm, config: SafetyConfig, surroundings: Surroundings, position: Array, now_ns: int) -> None:
        limits = arm.config.limits
        a, j, run = np.asarray(limits.acceleration_radps2), np.asarray(limits.jerk_radps3), config.operation
        self._low, self._high, self._limits = np.asarray(limits.position_min_rad), np.asarray(limits.position_max_rad), limits
        self._tick_s = config.tick_s
        self._names = arm.config.arm_joints
        self._tracker = Tracker(_share_of(limits, run.velocity), run.acceleration * a, run.jerk * j, config.tick_s)
        self._braking = braking_of(arm, config)
        self._arm = arm
        self._workspace, self._tcp_speed = Workspace(arm, 0.0), TcpSpeed(arm, config)
        self._surroundings = surroundings
        self.width_m = arm.config.gripper.width_open_m
        self._lookahead = config.lookahead_ticks
        self.horizon = Horizon(position, now_ns, config.tick_ns, self._names)
        self._unproven: set[int] = set()  # committed ticks from which no stop was verified
        self._inside_m = self._workspace.inside_m(position)
        self.owes_ticks = False  # what the last call did not commit, the next one does

    def advance(
        self, now_ns: int, following: Following | None, speed: float, *, may_wait: bool = False
    ) -> tuple[Following | None, Fault | None]:
        """Commits what is missing up to the look-ahead. Returns where the chunk is now, or None and why its next ticks were not safe.

        ``may_wait``: what is missing may be committed together with the next call's, where enough is committed until then.
        """
        end = self.horizon.tick_at(now_ns) + self._lookahead
        self.horizon.skip_to(self._soonest(now_ns))
        fault = None
        spare = self.horizon.end - self._soonest(now_ns)
        self.owes_ticks = may_wait and not self.owes_ticks and following is not None and not following.finished and spare >= SPARE_TICKS
        if self.owes_ticks:
            return following, None
        if following is not None and not following.finished and self.horizon.end < end:
            following, fault = self._follow(following, speed, end - self.horizon.end)
        elif self.horizon.at_rest:
            self._surroundings.look_around(self.posture(self.horizon.rest_position))
        while self.horizon.end < end:
            self.horizon.follow_stop()
        return following, fault

    def cut(self, now_ns: int) -> None:
        """Brakes from the soonest tick on instead of after the look-ahead.

        Of ticks that were committed together only the stop after the last one was verified: from amid them the arm brakes at the first
        from which that is safe too, at the latest after the last. Where it brakes already it goes on: no other stop would be verified.
        """
        states = self.horizon.states_from(self._soonest(now_ns))
        first = self.horizon.end - len(states) + 1
        for tick, state in enumerate(states[:-1], first):
            if tick >= self.horizon.stop_tick:
                return
            stop = self._stop_from(state)
            if isinstance(stop, Stop) and (tick not in self._unproven or self._verify(stop, state) is None):
                self.horizon.cut(tick, stop)
                return

    def _stop_from(self, state: MotionState) -> Stop | Fault:
        try:
            return self._braking.plan(state.position, state.velocity, state.acceleration)
        except ValueError as error:
            return Fault(SafetyReason.ACCELERATION_LIMIT, f"The arm could not be stopped after the next ticks: {error}.")

    def _soonest(self, now_ns: int) -> int:
        """The first tick that a message sent now can still change: one period is left for it to reach the controller."""
        return self.horizon.tick_at(now_ns - 1) + 2

    def _follow(self, following: Following, speed: float, ticks: int) -> tuple[Following | None, Fault | None]:
        """So many ticks farther along the path, fewer where it ends. All of them together, and the stop after the last, are verified."""
        following = self._under_the_tcp(following, ticks)
        if not following.knows_tcp:
            speed = min(speed, following.progress.pace)
        accepted = following.accepted
        path, progress, state = accepted.path, following.progress, self.horizon.state
        states: list[MotionState] = []
        while len(states) < ticks and not self._tracker.settled(state, path, progress):
            state, progress = self._tracker.advance(state, path, progress, speed)
            states.append(state)
        if states and (fault := self._commit(states)):
            return None, fault
        return replace(following, progress=progress, finished=len(states) < ticks, tcp_may_wait=False), None

    def _under_the_tcp(self, following: Following, ticks: int) -> Following:
        """To find out how fast the TCP may go takes as long as a tick: the first call for a chunk leaves it to the second.

        Until then the chunk is followed no faster than what was followed before, and no more than ``UNKNOWN_TICKS``.
        """
        if following.knows_tcp or (following.tcp_may_wait and ticks <= UNKNOWN_TICKS):
            return following
        accepted = following.accepted
        most, reason = self._tcp_speed.highest_pace(*accepted.path.looks())
        path = accepted.path.under(most)
        if path.slowest_cap < accepted.path.slowest_cap:
            accepted = replace(accepted, path=path, tightest_joint=self._arm.config.tcp_frame, slowed_by=reason)
        else:
            accepted = replace(accepted, path=path)
        return replace(following, accepted=accepted, knows_tcp=True)

    def _commit(self, states: list[MotionState]) -> Fault | None:
        stop = self._stop_from(states[-1])
        if isinstance(stop, Fault):
            return stop
        if fault := self._verify(stop.after(states[:-1]), self.horizon.state):
            return fault
        first = self.horizon.end + 1
        self.horizon.commit(states, stop)
        self._unproven = {tick for tick in self._unproven if tick >= first - self._lookahead} | set(range(first, self.horizon.end))
        return None

    def _verify(self, motion: Stop, before: MotionState) -> Fault | None:
        """The next ticks and the stop after them inside joint limits and workspace and clear of everything, or no worse than the arm is.

        What the arm has come away to counts from then on.
        """
        low, high = np.minimum(self._low, before.position), np.maximum(self._high, before.position)
        over = np.maximum(low - motion.positions.min(axis=0), motion.positions.max(axis=0) - high)
        joint = int(over.argmax())
        if over[joint] > 1e-9:
            detail = f"Stopping after the next ticks, {self._names[joint]} would pass its limit by {over[joint]:.4f} rad."
            return Fault(SafetyReason.POSITION_LIMIT, detail)
        too_fast = self._too_fast(motion)
        if too_fast.any():
            joint = int(too_fast.argmax())
            return Fault(SafetyReason.VELOCITY_LIMIT, f"Stopping after the next ticks, {self._names[joint]} would pass its velocity limit.")
        tcp_m = self._arm.tcp_positions(motion.positions)
        if excess := self._tcp_speed.excess(motion.positions, motion.velocities, tcp_m):
            return Fault(SafetyReason.VELOCITY_LIMIT, f"Stopping after the next ticks, {excess}.", limiting=self._arm.config.tcp_frame)
        rows_inside_m = self._workspace.places_inside_m(tcp_m)
        outermost = int(rows_inside_m.argmin())
        inside_m = float(rows_inside_m[outermost])
        if inside_m < min(self._inside_m, 0.0) - 1e-6:
            detail = f"Stopping after the next ticks would leave the workspace: {self._workspace.describe(motion.positions[outermost])}."
            return Fault(SafetyReason.WORKSPACE, detail)
        accelerations = np.concatenate([before.acceleration[None], motion.accelerations])
        breach = self._surroundings.breach(self.posture(before.position), self._postures(motion.positions), accelerations)
        if breach:
            return _collision(breach, "Stopping after the next ticks")
        self._inside_m = inside_m
        return None

    def _too_fast(self, stop: Stop) -> NDArray[np.bool_]:
        """[dof] whether a joint passes its velocity limit in a stop, between two rows too where the limit depends on the position."""
        v, p = stop.velocities, stop.positions
        if not self._limits.velocity_envelopes:
            return np.asarray(np.abs(v).max(axis=0) > self._limits.velocity_radps)
        between = np.stack([v[:-1], v[:-1] + stop.accelerations[:-1] * (self._tick_s / 2), v[1:]])  # control points of the parabola
        low = self._limits.lowest_velocity(np.minimum(p[:-1], p[1:]))
        high = self._limits.highest_velocity(np.maximum(p[:-1], p[1:]))
        over = np.maximum(between.max(axis=0) - high, low - between.min(axis=0))
        return np.asarray((over > VELOCITY_ROUNDING_RADPS).any(axis=0))

    def committed_fault(self, now_ns: int) -> Fault | None:
        """Whether what is committed already, and the stop after it, comes too near to anything since the world has changed."""
        if self.horizon.is_still(now_ns):
            return None
        rows = self.horizon.rows_from(self._soonest(now_ns))
        breach = self._surroundings.breach(self.posture(rows[0]), self._postures(rows[1:])) if len(rows) > 1 else None
        return _collision(breach, "On the way that is committed", cut=True) if breach else None

    def opening_fault(self, width_m: float) -> Fault | None:
        """Whether the fingers would come too near to anything when the gripper opens to ``width_m`` at the end of what is committed."""
        if width_m <= self.width_m:
            return None  # what closes between the fingers is felt
        steps = np.arange(self.width_m, width_m + OPENING_STEP_M, OPENING_STEP_M).clip(max=width_m)
        position = self.horizon.state.position
        rows = np.column_stack([np.tile(position, (len(steps), 1)), steps])
        breach = self._surroundings.breach(self.posture(position), rows)
        return _collision(breach, "Opening the gripper") if breach else None

    def posture(self, position: Array) -> Array:
        """[dof + 1] with the gripper's width."""
        return self._postures(position[None])[0]

    def _postures(self, positions: Array) -> Array:
        postures = np.empty((len(positions), positions.shape[1] + 1))
        postures[:, :-1], postures[:, -1] = positions, self.width_m
        return postures


def _share_of(limits: JointLimits, share: float) -> VelocityRange:
    def velocity(position: Array) -> tuple[Array, Array]:
        low, high = limits.velocity_range(position)
        return share * low, share * high

    return velocity


def _collision(breach: TooNear, when: str, *, cut: bool = False) -> Fault:
    return Fault(SafetyReason.COLLISION, f"{when}, {breach.sentence}.", cut=cut, limiting=breach.pair, margin_m=breach.margin_m)
