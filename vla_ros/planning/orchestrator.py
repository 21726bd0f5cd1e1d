"""Carries a goal through: look, plan, act, verify, recover. A state machine without ROS: all it touches are the callables in ``Ports``.

Recovery, in this order and bounded by ``Policy``: the same again, another approach, another plan. A verdict of "unsafe" goes to another
plan at once. A camera that fails makes the arm hold still and wait. Whatever cannot be recovered ends the goal with its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from vla_ros.core.errors import NotUnderstood, PerceptionError, PlanningError, VlaRosError
from vla_ros.core.outcomes import FailureKind, Outcome
from vla_ros.core.scene import Scene
from vla_ros.core.stamps import s_from_ns
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.planning.goal_result import (
    Attempt,
    GoalResult,
    Progress,
    Reason,
    State,
    SubtaskOutcome,
    SubtaskRecord,
    SubtaskStatus,
)
from vla_ros.planning.grounding import Ambiguous, NoSuchObject
from vla_ros.planning.plan import describe_predicate
from vla_ros.planning.ports import OTHER_APPROACH, CancelToken, Hazard, HazardKind, Policy, Ports
from vla_ros.planning.verifier import GoalReport, PredicateReport
from vla_ros.planning.words import counted


class _End(Exception):
    """Ends the goal."""

    def __init__(self, outcome: Outcome, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.outcome, self.reason, self.message = outcome, reason, message


def run_goal(instruction: str, ports: Ports, cancel: CancelToken, policy: Policy | None = None) -> GoalResult:
    """Carries ``instruction`` through and returns what came of it. Blocks; call it in a thread of its own.

    Errors of this package become results; any other exception makes the arm hold and is raised again.
    """
    run = _Run(instruction, ports, cancel, policy or Policy())
    try:
        return run.result()
    except Exception:
        ports.hold()
        raise


class _Run:
    """One goal."""

    def __init__(self, instruction: str, ports: Ports, cancel: CancelToken, policy: Policy) -> None:
        self._instruction, self._ports, self._cancel, self._policy = instruction, ports, cancel, policy
        self._start_ns = self._entered_ns = ports.now_ns()
        self._interventions = ports.interventions()
        self._state = State.LOOKING
        self._time_in_state_s: dict[State, float] = {}
        self._plan: Plan | None = None
        self._subtask: Subtask | None = None
        self._attempt = 0
        self._records: list[SubtaskRecord] = []
        self._attempts: list[Attempt] = []
        self._goal: GoalReport | None = None
        self._replans = 0
        self._before = ""
        self._told_to_stop = False
        self._question: Ambiguous | None = None

    def result(self) -> GoalResult:
        try:
            message = self._work()
            end = _End(Outcome.SUCCEEDED, Reason.VERIFIED, message)
        except _End as error:
            end = error
        except VlaRosError as error:
            end = _End(Outcome.FAILED, Reason.ERROR, str(error))
        if end.outcome is not Outcome.SUCCEEDED and self._records:  # before the first subtask nothing moves
            self._ports.hold()
        self._enter(State.DONE, end.message)
        return GoalResult(
            end.outcome,
            end.reason,
            end.message,
            self._plan,
            tuple(self._records),
            self._goal,
            question=self._question.question if self._question else "",
            options=self._question.options if self._question else (),
            replans=self._replans,
            safety_interventions=self._ports.interventions() - self._interventions,
            duration_s=self._elapsed_s(),
            image_before=self._before,
            image_after=self._ports.snapshot("after"),
            time_in_state_s=dict(self._time_in_state_s),
        )

    # --- the course of a goal

    def _work(self) -> str:
        """The sentence of success; every other end is raised as _End."""
        scene = self._look(State.LOOKING)
        self._before = self._ports.snapshot("before")
        plan = self._first_plan(scene)
        while True:
            failure = self._carry_out(plan) or self._verify_goal(plan)
            if failure is None:
                return self._success(plan)
            plan = self._next_plan(plan, failure)

    def _look(self, state: State) -> Scene:
        self._enter(state, "Looking at the scene.")
        start_ns = self._ports.now_ns()
        while True:
            self._check()
            try:
                return self._ports.look()
            except PerceptionError as error:
                if self._since_s(start_ns) >= self._policy.look_wait_s:
                    raise _End(
                        Outcome.FAILED, Reason.NOTHING_SEEN, f"Nothing was seen for {self._policy.look_wait_s:g} s: {error}"
                    ) from error
            self._ports.wait_s(self._policy.poll_s)

    def _first_plan(self, scene: Scene) -> Plan:
        self._enter(State.PLANNING, f"Planning: {self._instruction}")
        self._check()
        try:
            self._plan = self._ports.plan(self._instruction, scene)
        except Ambiguous as error:
            self._question = error
            raise _End(Outcome.REFUSED, Reason.AMBIGUOUS, str(error)) from error
        except NoSuchObject as error:
            raise _End(Outcome.REFUSED, Reason.NO_SUCH_OBJECT, str(error)) from error
        except NotUnderstood as error:
            raise _End(Outcome.REFUSED, Reason.NOT_UNDERSTOOD, str(error)) from error
        except PlanningError as error:
            raise _End(Outcome.REFUSED, Reason.NOT_POSSIBLE, str(error)) from error
        return self._plan

    def _next_plan(self, plan: Plan, failure: _End) -> Plan:
        """Another plan after ``failure``, which ends the goal when no more are allowed."""
        if self._replans >= self._policy.replans or self._turned_down_twice():
            raise failure
        scene = self._look(State.REPLANNING)
        self._enter(State.REPLANNING, f"Planning again: {failure.message}")
        self._check()
        self._replans += 1
        try:
            self._plan = self._ports.replan(plan, failure.message, scene)
        except PlanningError as error:
            raise _End(Outcome.FAILED, failure.reason, f"{failure.message} No other plan was found: {error}") from error
        return self._plan

    def _carry_out(self, plan: Plan) -> _End | None:
        """Runs the subtasks; what went wrong, or None."""
        for subtask in plan.subtasks:
            self._subtask, self._attempts = subtask, []
            start_ns, status = self._ports.now_ns(), SubtaskStatus.FAILED
            try:
                failure = self._persist(subtask)
                status = SubtaskStatus.DONE if failure is None else SubtaskStatus.FAILED
            except _End as end:
                status = SubtaskStatus.CANCELED if end.outcome is Outcome.CANCELED else SubtaskStatus.FAILED
                raise
            finally:
                self._records.append(SubtaskRecord(subtask, plan.revision, status, tuple(self._attempts), self._since_s(start_ns)))
                self._ports.record(self._records[-1])
            if failure is not None:
                return failure
        self._subtask, self._attempt = None, 0
        return None

    def _persist(self, subtask: Subtask) -> _End | None:
        """Tries one subtask until it is verified or the attempts are used up; what went wrong, or None."""
        hints = [""] * (1 + self._policy.retries) + [OTHER_APPROACH] * self._policy.approaches
        for hint in hints:
            if self._attempts and self._attempts[-1].hint == hint and _was_turned_down(self._attempts[-1].outcome):
                continue  # the same expert would say the same of the same scene
            attempt = self._try(subtask, hint)
            if attempt.verified:
                return None
            if attempt.outcome.status is SubtaskStatus.UNSAFE:
                return _End(
                    Outcome.FAILED,
                    Reason.UNSAFE,
                    f"To {subtask.description} was judged unsafe: {attempt.outcome.message or attempt.outcome.reason}",
                )
            if not self._worth_repeating(subtask):
                break
        return _End(Outcome.FAILED, Reason.SUBTASK_FAILED, _failure_sentence(subtask, self._attempts))

    def _turned_down_twice(self) -> bool:
        """Whether two plans in a row ended with a subtask that no attempt moved the arm for: a third one would end so, too."""
        last = self._records[-2:]
        return len(last) == 2 and all(
            record.attempts and all(_was_turned_down(attempt.outcome) for attempt in record.attempts) for record in last
        )

    def _try(self, subtask: Subtask, hint: str) -> Attempt:
        """One attempt, repeated uncounted when only a camera's fault stopped it."""
        self._attempt = len(self._attempts) + 1
        while True:
            self._enter(State.ACTING, f"{subtask.description} (attempt {self._attempt}{', another approach' if hint else ''})")
            self._check()
            start_ns = self._ports.now_ns()
            self._told_to_stop = False
            outcome = self._ports.run_subtask(subtask, hint, self._must_stop)
            if outcome.status is SubtaskStatus.DONE or not self._told_to_stop:
                break
            self._check()  # ends the goal, or returns when the camera is back
        report = self._after(subtask, outcome)
        attempt = Attempt(
            self._attempt,
            hint,
            outcome,
            report.holds if report else None,
            report.score if report else 0.0,
            report.detail if report else "",
            self._since_s(start_ns),
        )
        self._attempts.append(attempt)
        return attempt

    def _after(self, subtask: Subtask, outcome: SubtaskOutcome) -> PredicateReport | None:
        """What is measured after an attempt: perception decides, even when the expert gave up on its way back."""
        if outcome.status is SubtaskStatus.DONE:
            return self._verified(subtask.success)
        return self._measured(subtask.success) if outcome.status is SubtaskStatus.FAILED else None

    def _measured(self, predicate: Predicate) -> PredicateReport:
        """One measure; a moment without perception tells nothing."""
        try:
            return self._ports.verify(predicate)
        except PerceptionError as error:
            return PredicateReport(predicate, None, 0.0, str(error))

    def _worth_repeating(self, subtask: Subtask) -> bool:
        """A thing that fell out of the hand cannot be placed: that needs another plan."""
        if subtask.skill is not Skill.PLACE:
            return True
        return self._measured(Predicate(Relation.HELD, subtask.object_id)).holds is not False

    def _verified(self, predicate: Predicate) -> PredicateReport:
        self._enter(State.VERIFYING, f"Checking {predicate}.")
        start_ns = self._ports.now_ns()
        while True:
            self._check()
            report = self._measured(predicate)
            if report.holds or self._waited_enough(report.holds, start_ns):
                return report
            self._ports.wait_s(self._policy.poll_s)

    def _verify_goal(self, plan: Plan) -> _End | None:
        self._enter(State.VERIFYING_GOAL, "Checking the goal.")
        start_ns = self._ports.now_ns()
        while True:
            self._check()
            self._goal = self._measured_goal(plan)
            if self._goal.holds:
                return None
            if self._waited_enough(self._goal.holds, start_ns):
                return _End(Outcome.FAILED, Reason.NOT_VERIFIED, f"The goal was not measured to hold: {self._goal.detail}")
            self._ports.wait_s(self._policy.poll_s)

    def _measured_goal(self, plan: Plan) -> GoalReport:
        try:
            return self._ports.verify_goal(plan.goal)
        except PerceptionError as error:
            return GoalReport(None, 0.0, str(error), ())

    def _waited_enough(self, holds: bool | None, start_ns: int) -> bool:
        return self._since_s(start_ns) >= (self._policy.unknown_s if holds is None else self._policy.settle_s)

    def _success(self, plan: Plan) -> str:
        done = ", ".join(describe_predicate(p, plan.names) for p in plan.goal)
        return f"{'Done' if self._records else 'Nothing had to be moved'}: {done}."

    # --- what may interrupt at any moment

    def _must_stop(self) -> bool:
        stop = self._cancel.canceled or self._elapsed_s() > self._policy.goal_limit_s or self._ports.hazard() is not None
        self._told_to_stop |= stop
        return stop

    def _check(self) -> None:
        """Returns when acting is allowed, waiting for a camera if need be. Raises _End otherwise."""
        self._end_if_over()
        hazard = self._ports.hazard()
        if hazard is None:
            return
        if hazard.kind is not HazardKind.CAMERA:
            self._end_for(hazard)
        self._wait_for_camera(hazard)

    def _end_if_over(self) -> None:
        if self._cancel.canceled:
            raise _End(Outcome.CANCELED, Reason.CANCELED, self._cancel.why)
        if self._elapsed_s() > self._policy.goal_limit_s:
            raise _End(
                Outcome.FAILED, Reason.TIMEOUT, f"The goal was not reached within {self._policy.goal_limit_s:g} s (state: {self._state})."
            )

    def _end_for(self, hazard: Hazard) -> NoReturn:
        outcome = Outcome.DRY_RUN if hazard.kind is HazardKind.DRY_RUN else Outcome.FAILED
        raise _End(outcome, Reason(hazard.kind.value), hazard.detail)

    def _wait_for_camera(self, hazard: Hazard) -> None:
        before, start_ns = self._state, self._ports.now_ns()
        self._ports.hold()
        self._enter(State.HOLDING, hazard.detail)
        now: Hazard | None = hazard
        while now is not None:
            if now.kind is not HazardKind.CAMERA:
                self._end_for(now)
            if self._since_s(start_ns) >= self._policy.camera_wait_s:
                raise _End(Outcome.FAILED, Reason.CAMERA, f"Waited {self._policy.camera_wait_s:g} s in vain: {now.detail}")
            self._ports.wait_s(self._policy.poll_s)
            self._end_if_over()
            now = self._ports.hazard()
        self._enter(before, "The camera is usable again.")

    # --- bookkeeping

    def _enter(self, state: State, message: str) -> None:
        now_ns = self._ports.now_ns()
        spent_s = s_from_ns(now_ns - self._entered_ns)
        self._time_in_state_s[self._state] = self._time_in_state_s.get(self._state, 0.0) + spent_s
        self._state, self._entered_ns = state, now_ns
        subtasks = self._plan.subtasks if self._plan else ()
        step = subtasks.index(self._subtask) + 1 if self._subtask in subtasks else 0
        self._ports.report(Progress(state, self._plan, self._subtask, step, self._attempt, message))

    def _elapsed_s(self) -> float:
        return self._since_s(self._start_ns)

    def _since_s(self, start_ns: int) -> float:
        return s_from_ns(self._ports.now_ns() - start_ns)


def _was_turned_down(outcome: SubtaskOutcome) -> bool:
    """Whether the expert said that it cannot be done, and moved nothing."""
    return outcome.chunks == 0 and outcome.reason in (FailureKind.UNREACHABLE, FailureKind.UNSUPPORTED)


def _failure_sentence(subtask: Subtask, attempts: Sequence[Attempt]) -> str:
    last = attempts[-1]
    if last.outcome.status is SubtaskStatus.DONE:
        why = f"{'it could not be told whether it worked' if last.verified is None else 'it did not work'}: {last.verification}"
    else:
        why = last.outcome.message or last.outcome.reason or "the expert gave no reason"
    return f"Could not {subtask.description} ({counted(len(attempts), 'attempt')}): {why}"
