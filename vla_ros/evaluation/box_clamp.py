"""Baseline: every setpoint is clamped into a box of what is allowed, one at a time.

This is the way of the runtimes without a gate: a cap on the step from one action to the next, actions capped to the limits of the joints,
a box around the TCP (in LeRobot, EmbodiedAgents, rosetta, vla_ros2 and RAI, each of them a part). It knows no obstacle and no tomorrow.
"""

from __future__ import annotations

import numpy as np

from vla_ros.core.actions import ActionChunk, ActionSpace, ShortTrajectory
from vla_ros.core.decisions import SafetyReason
from vla_ros.evaluation.baseline import Baseline
from vla_ros.evaluation.playback import Playback, play
from vla_ros.robots import Arm
from vla_ros.safety.chunk_checks import TCP_SPACES, Context, Refusal
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.workspace import Workspace

SENT_TICKS = 10  # setpoints in a message, so that a late tick does not stop the arm with a jerk


class BoxClamp(Baseline):
    """Joint positions into their limits less the margin, steps into the operational velocity, the TCP into its workspace."""

    def __init__(self, arm: Arm, config: SafetyConfig) -> None:
        super().__init__(arm, config)
        limits = arm.config.limits
        self._low = np.asarray(limits.position_min_rad) + config.position_margin_rad
        self._high = np.asarray(limits.position_max_rad) - config.position_margin_rad
        self._workspace = Workspace(arm, config.workspace_margin_m)

    def admit(self, chunk: ActionChunk, context: Context) -> Playback | Refusal:
        """Whatever its rows are, they are clamped; those of the TCP are not known here."""
        if chunk.space in TCP_SPACES:
            return Refusal(SafetyReason.CHUNK_SPACE, "Only rows of joints are followed.")
        rows = np.asarray(chunk.data, dtype=float)[:, [chunk.names.index(name) for name in self._names]]
        if chunk.space is ActionSpace.JOINT_DELTA:
            rows = context.position + np.cumsum(rows, axis=0)
        return play(chunk, np.clip(rows, self._low, self._high), self._playing, context.now_ns)

    def follow(self, playing: Playback, now_ns: int) -> ShortTrajectory:
        """The setpoints of the next ticks, each clamped against the one before it; as the path goes where nothing had to be clamped."""
        limits, tick_s, now = self._arm.config.limits, self._config.tick_s, self.commanded(now_ns)
        fastest, hardest = self._config.operation.velocity * np.asarray(limits.velocity_radps), np.asarray(limits.acceleration_radps2)
        step = fastest * tick_s
        knots = [(now.position, now.velocity, now.acceleration)]
        for k in range(1, SENT_TICKS + 1):
            before = knots[-1][0]
            wanted, velocity, acceleration = playing.motion(now_ns + k * self._config.tick_ns)
            way = np.clip(np.clip(wanted, self._low, self._high) - before, -step, step)
            is_clamped = np.abs(before + way - wanted) > 1e-9
            velocity = np.where(is_clamped, way / tick_s, np.clip(velocity, -fastest, fastest))
            knots.append((before + way, velocity, np.where(is_clamped, 0.0, np.clip(acceleration, -hardest, hardest))))
        rows = np.array(knots)  # [knots, 3, dof]
        inside_m = self._workspace.rows_inside_m(rows[:, 0])
        outside = np.flatnonzero(inside_m < min(inside_m[0], 0.0) - 1e-6)
        if len(outside):
            rows[outside[0] :] = [rows[outside[0] - 1, 0], np.zeros_like(step), np.zeros_like(step)]
        rows[-1, 1:] = 0.0
        return ShortTrajectory(now_ns, self._names, tick_s * np.arange(len(rows), dtype=np.float64), rows[:, 0], rows[:, 1], rows[:, 2])
