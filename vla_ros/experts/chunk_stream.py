"""Cuts a plan q(t) into overlapping action chunks that continue one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.core.actions import ActionChunk, ActionSpace
from vla_ros.core.geometry import Array
from vla_ros.experts.plans import JointPlan, RestPlan, StoppingPlan
from vla_ros.experts.policy import Observation


@dataclass(frozen=True)
class ChunkShape:
    """Of every chunk: seconds between rows, number of rows."""

    dt_s: float = 0.05
    horizon: int = 32


@dataclass(frozen=True)
class Gripper:
    """What the gripper is told: opening and force."""

    width_m: float
    force_n: float


@dataclass(frozen=True)
class _Sent:
    """A chunk that was emitted: where on the stream's time line its row 0 lies."""

    seq: int
    row0_s: float


class ChunkStream:
    """Keeps one time line of motion: what the monitor has consumed tells where on it the arm is.

    The time line is a plan that begins at ``_begin_s`` and rests at its first configuration before that. A chunk's row 0 lies at what was
    last consumed, never ahead of it, so the monitor always enters a new chunk somewhere behind its row 0 and finds the motion unbroken.
    """

    def __init__(self, joint_names: tuple[str, ...], expert: str, shape: ChunkShape) -> None:
        self._names = joint_names
        self._expert = expert
        self._shape = shape
        self._plan: JointPlan = RestPlan(np.zeros(len(joint_names)))
        self._begin_s = 0.0
        self._gripper = Gripper(float("nan"), 0.0)
        self._seq = 0
        self._sent: tuple[_Sent, ...] = ()  # the newest few, newest last
        self._now_s = 0.0
        self._lead_s = 0.0
        self._plan_seq = 1  # the first chunk that holds the present plan
        self._followed_seq = 0

    def observe(self, observation: Observation) -> bool:
        """Takes note of what was consumed; False when the monitor follows none of this stream's recent chunks."""
        consumed = observation.consumed
        sent = next((c for c in self._sent if consumed and c.seq == consumed.chunk_seq), None)
        if sent is None or consumed is None:
            return False
        self._now_s = max(self._now_s, sent.row0_s + consumed.row * self._shape.dt_s)
        self._sent = tuple(c for c in self._sent if c.seq >= sent.seq)
        self._followed_seq = sent.seq
        return True

    @property
    def sent_any(self) -> bool:
        """True when a chunk was sent since the last restart."""
        return bool(self._sent)

    def retract(self) -> None:
        """Forgets the chunks that the monitor has not taken up; the next one continues the one that it follows."""
        self._sent = self._sent[:1]

    @property
    def newest_is_followed(self) -> bool:
        """True when the monitor follows the chunk that was emitted last."""
        return len(self._sent) == 1

    @property
    def finished(self) -> bool:
        """True when the plan has been consumed to its end."""
        return self._plan_is_followed and self._now_s >= self._begin_s + self._plan.duration_s - 1e-6

    @property
    def _plan_is_followed(self) -> bool:
        return self._followed_seq >= self._plan_seq

    @property
    def commanded(self) -> Array:
        """[dof] configuration that has been consumed."""
        return np.array(self._at(np.array([self._now_s]))[0])

    @property
    def goal(self) -> Array:
        """[dof] configuration at which the present plan ends."""
        return np.array(self._plan.positions(np.array([self._plan.duration_s]))[0])

    def follow(self, plan: JointPlan, lead_s: float) -> None:
        """Appends ``plan``; it must begin where the present one ends. It starts ``lead_s`` from now, after the present one's end.

        The lead is what passes until the monitor has the chunk; rows within it stay as they were promised.
        """
        self._begin_s = max(self._now_s + lead_s, self._begin_s + self._plan.duration_s)
        self._plan, self._lead_s, self._plan_seq = plan, lead_s, self._seq + 1

    def restart(self, q_rad: Array) -> None:
        """Forgets what was sent; the next chunk starts afresh at rest in ``q_rad``."""
        self._sent = ()
        self._plan = RestPlan(np.array(q_rad))
        self._begin_s, self._plan_seq = self._now_s, self._seq + 1

    def stop(self, lead_s: float, ramp_s: float) -> None:
        """Brings the present plan to rest along its own path."""
        from_s = self._now_s + lead_s - self._begin_s
        if from_s < self._plan.duration_s:
            self._plan = StoppingPlan(self._plan, max(from_s, 0.0), ramp_s)

    def grip(self, gripper: Gripper) -> None:
        """What the gripper is told from the next chunk on."""
        self._gripper = gripper

    def emit(self, observation: Observation, subtask_id: str, trace_id: str) -> ActionChunk:
        """The next chunk; its row 0 lies at what is consumed."""
        dt, n = self._shape.dt_s, self._shape.horizon
        if not self._plan_is_followed:  # the monitor does not know it yet: it has not begun
            self._begin_s = max(self._begin_s, self._now_s + self._lead_s)
        previous = self._sent[-1] if self._sent else None
        self._seq += 1
        self._sent = (*self._sent, _Sent(self._seq, self._now_s))[-4:]
        return ActionChunk(
            seq=self._seq,
            expert=self._expert,
            subtask_id=subtask_id,
            trace_id=trace_id,
            stamp_ns=observation.stamp_ns,
            space=ActionSpace.JOINT_POSITION,
            names=self._names,
            dt_s=dt,
            data=self._at(self._now_s + dt * np.arange(n, dtype=float)),
            gripper_width_m=np.full(n, self._gripper.width_m),
            gripper_force_n=self._gripper.force_n,
            continues_seq=previous.seq if previous else 0,
            continues_row=(self._now_s - previous.row0_s) / dt if previous else 0.0,
            input_stamps_ns={
                "joint_states": observation.joints.stamp_ns,
                "objects": observation.scene.stamp_ns,
                "contact": observation.contact.stamp_ns,
            },
        )

    def _at(self, times_s: Array) -> Array:
        return self._plan.positions(np.maximum(times_s - self._begin_s, 0.0))
