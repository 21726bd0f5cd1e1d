"""The scripted expert: runs a skill's script one step for each observation, and turns its motion into chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from vla_ros.core.actions import ActionChunk
from vla_ros.core.errors import PlanningError, unknown_choice
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.stamps import ns_from_s
from vla_ros.core.tasks import Skill, Subtask
from vla_ros.experts.chunk_stream import ChunkShape, ChunkStream, Gripper
from vla_ros.experts.policy import ExpertStatus, ExpertStep, Observation
from vla_ros.experts.registry import ExpertConfig
from vla_ros.experts.scripted.body import Body, Script
from vla_ros.experts.scripted.failures import SkillFailure
from vla_ros.experts.scripted.feeling import touched
from vla_ros.experts.scripted.parameters import ScriptedParameters
from vla_ros.experts.scripted.pick import pick
from vla_ros.experts.scripted.place import home, place
from vla_ros.robots import Arm

SCRIPTS: Mapping[Skill, Callable[[Body], Script]] = {Skill.PICK: pick, Skill.PLACE: place, Skill.HOME: home}
_STANDING_RADPS = 0.05  # below this the arm counts as standing


class ScriptedExpert:
    """Follows the Expert protocol (policy.py)."""

    def __init__(self, name: str, arm: Arm, parameters: ScriptedParameters, skills: frozenset[Skill] = frozenset(SCRIPTS)) -> None:
        self._name = name
        self._skills = skills
        self._arm = arm
        self._p = parameters
        self._stream = ChunkStream(tuple(arm.config.arm_joints), name, ChunkShape())
        self._body = Body(arm, parameters, self._stream, name)
        self._script: Script | None = None
        self._aborted = False
        self._held_up = False
        self._emitted_ns = 0
        self._restarts = 0
        self._traces = 0

    @staticmethod
    def from_config(config: ExpertConfig, arm: Arm) -> ScriptedExpert:
        """Raises ConfigError for unknown parameters."""
        where = f"config/experts/{config.name}.yaml, parameters"
        return ScriptedExpert(config.name, arm, ScriptedParameters.from_mapping(config.parameters, where), config.skills)

    @property
    def name(self) -> str:
        """As in config/experts/."""
        return self._name

    @property
    def skills(self) -> frozenset[Skill]:
        """What it can be asked for."""
        return self._skills

    def begin(self, subtask: Subtask, observation: Observation, hint: str = "") -> None:
        """Starts ``subtask``. The scripted expert looks for itself, so ``hint`` only shows in its reasoning."""
        if subtask.skill not in self._skills:
            raise PlanningError(f"Expert '{self._name}': {unknown_choice('skill', subtask.skill.value, (s.value for s in self._skills))}")
        body = self._body
        body.subtask, body.observation, body.hint = subtask, observation, hint
        body.interrupted, self._aborted, self._held_up, self._restarts = False, False, False, 0
        self._forget_lost_object(observation)
        if not self._stream.observe(observation) or not self._stream.finished:
            self._stream.restart(body.measured)
        self._keep_grip(observation)
        self._script = SCRIPTS[subtask.skill](body)
        self._emitted_ns = observation.stamp_ns

    def step(self, observation: Observation) -> ExpertStep:
        """The next chunk, if one is due."""
        if self._script is None:
            return ExpertStep(ExpertStatus.FAILED, "No subtask was begun, or it has ended.", failure=FailureKind.ABORTED)
        self._body.observation = observation
        followed = self._stream.observe(observation)
        if self._aborted:
            return self._end(FailureKind.ABORTED, f"'{self._body.subtask.description}' was aborted.")
        if observation.safety_hold:
            self._held_up = True
            return self._running(f"Waits: {observation.safety_reason or 'the safety monitor holds the arm'}.")
        if self._lost_the_monitor(followed, observation) and not self._replan_when_standing(observation):
            return self._running("Waits for the arm to stand before it plans anew.")
        if self._restarts > self._p.restarts:
            why = observation.safety_reason or "the monitor does not follow its chunks"
            return self._end(FailureKind.BLOCKED, f"Gave up after {self._restarts} new plans: {why}.")
        return self._advance(observation)

    def abort(self) -> None:
        """The next step stops the arm and answers FAILED (ABORTED)."""
        self._aborted = True

    def _advance(self, observation: Observation) -> ExpertStep:
        """One step of the script, and the chunk that is due."""
        assert self._script is not None
        try:
            next(self._script)
        except StopIteration as result:
            chunk = self._emit(observation)
            self._script = None
            return self._running(result.value, chunk, ExpertStatus.DONE)
        except SkillFailure as failure:
            if failure.kind is FailureKind.DROPPED:
                self._body.holding = None
            return self._end(failure.kind, failure.detail)
        if not self._stream.newest_is_followed and self._stream.sent_any:
            if observation.stamp_ns - self._emitted_ns < ns_from_s(self._p.patience_s):
                return self._running("The monitor has not taken up the last chunk yet.")
            self._stream.retract()
        return self._running(self._body.phase, self._emit(observation))

    def _lost_the_monitor(self, followed: bool, observation: Observation) -> bool:
        """True when the arm was held up, or nothing that was sent is followed although there was time for it."""
        waited = observation.stamp_ns - self._emitted_ns >= ns_from_s(self._p.patience_s)
        return self._held_up or (self._stream.sent_any and not followed and waited)

    def _replan_when_standing(self, observation: Observation) -> bool:
        speeds = observation.joints.select(self._arm.config.arm_joints).velocities
        if np.any(np.abs(speeds) > _STANDING_RADPS):
            return False
        self._held_up = False
        self._body.interrupted = True
        self._stream.restart(self._body.measured)
        self._restarts += 1
        return True

    def _end(self, kind: FailureKind, detail: str) -> ExpertStep:
        """FAILED, with a chunk that brings the arm to rest on its path if it is moving."""
        self._script = None
        self._stream.stop(self._p.lead_s, self._p.stop_ramp_s)
        chunk = self._emit(self._body.observation) if self._stream.sent_any and not self._stream.finished else None
        return self._running(detail, chunk, ExpertStatus.FAILED, kind)

    def _emit(self, observation: Observation) -> ActionChunk:
        self._emitted_ns = observation.stamp_ns
        return self._stream.emit(observation, self._body.subtask.id, self._trace_id())

    def _running(
        self,
        detail: str,
        chunk: ActionChunk | None = None,
        status: ExpertStatus = ExpertStatus.RUNNING,
        failure: FailureKind = FailureKind.NONE,
    ) -> ExpertStep:
        said, self._body.unsaid = self._body.unsaid, None
        return ExpertStep(status, detail, chunk, said, failure, self._body.phase)

    def _trace_id(self) -> str:
        """Names subtask and phase; a new number with each reasoning trace."""
        if self._body.unsaid is not None:
            self._traces += 1
        return f"{self._body.subtask.id}/{self._body.phase}/{self._traces}"

    def _forget_lost_object(self, observation: Observation) -> None:
        """What was held before this subtask may have been lost meanwhile: nothing is held that no finger feels."""
        if self._body.holding is not None and not touched(observation.contact):
            self._body.holding = None

    def _keep_grip(self, observation: Observation) -> None:
        """Starts with the gripper as it is: squeezing what it touches, else at its present opening."""
        touching = touched(observation.contact)
        self._stream.grip(Gripper(0.0 if touching else observation.gripper_width_m, self._body.grip_n))
