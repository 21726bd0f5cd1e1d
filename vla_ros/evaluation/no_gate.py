"""What stands in the gate's place when its price is measured: every chunk is played as it comes.

Only the evaluator without ROS can use it; nothing in the graph knows of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_ros.core.actions import ActionChunk, GatedCommand, SafetyAction
from vla_ros.core.decisions import SafetyDecision, SafetyMode, SafetyReason, SafetyState
from vla_ros.evaluation.playback import Playback, play
from vla_ros.robots import Arm


class NoGate:
    """Takes what a Gate takes, and lets everything through at the pace that it asks for."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._playing: Playback | None = None
        self._now_ns = self._seq = 0

    def hear(self, *_: Any, **__: Any) -> None:
        """Nothing that is measured changes anything."""

    on_joint_state = on_contact = on_camera_health = on_heartbeat = on_scene = on_plan = hear

    def on_chunk(self, chunk: ActionChunk, now_ns: int) -> None:
        """Played from now on, or from the row on that the chunk before it has come to."""
        order = [chunk.names.index(name) for name in self._arm.config.arm_joints]
        self._playing = play(chunk, np.asarray(chunk.data, dtype=float)[:, order], self._playing, now_ns)

    def tick(self, now_ns: int, steady_ns: int) -> GatedCommand | None:
        """The rest of the chunk, as a trajectory that ends at rest."""
        self._now_ns = now_ns
        if self._playing is None:
            return None
        self._seq += 1
        chunk, row = self._playing.chunk, self._playing.row(now_ns)
        return GatedCommand(
            seq=self._seq,
            stamp_ns=now_ns,
            action=SafetyAction.PASS,
            trajectory=self._playing.trajectory(now_ns, self._arm.config.arm_joints),
            speed_scale=1.0,
            chunk_seq=chunk.seq,
            chunk_row=row,
            trace_id=chunk.trace_id,
            decision_id=0,
            gripper_width_m=float(chunk.gripper_width_m[int(row)]),
            gripper_force_n=chunk.gripper_force_n,
        )

    def drain_decisions(self) -> list[SafetyDecision]:
        """Nothing is decided."""
        return []

    def state(self) -> SafetyState:
        """Always ready."""
        return SafetyState(self._now_ns, SafetyMode.READY, SafetyReason.OK, "There is no gate.", 1.0)
