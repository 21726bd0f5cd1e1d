"""The orchestrator on fake ports: a small world with a clock that moves only when somebody waits or acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from planning_scene import table

from vla_ros.core.errors import MotionError, NotUnderstood, PerceptionError, PlanningError
from vla_ros.core.outcomes import Outcome
from vla_ros.core.scene import Scene
from vla_ros.core.stamps import ns_from_s
from vla_ros.core.tasks import Plan, Predicate, Relation, Subtask
from vla_ros.planning.goal_result import GoalResult, Progress, Reason, State, SubtaskOutcome, SubtaskStatus
from vla_ros.planning.grounding import Ambiguous, NoSuchObject
from vla_ros.planning.orchestrator import run_goal
from vla_ros.planning.plan import Capabilities, Move, build_plan
from vla_ros.planning.ports import OTHER_APPROACH, CancelToken, Hazard, HazardKind, Policy, Ports
from vla_ros.planning.verifier import GoalReport, PredicateReport

CAPABILITIES = Capabilities(gripper_open_m=0.08, reachable=lambda position: True)
IN_BOWL = Predicate(Relation.IN, "red_cube", "blue_bowl")
HELD = Predicate(Relation.HELD, "red_cube")
BLACK = Hazard(HazardKind.CAMERA, "Camera front is black.")
DONE = SubtaskOutcome(SubtaskStatus.DONE, "done")
GRASP_FAILED = SubtaskOutcome(SubtaskStatus.FAILED, "grasp_failed", "The fingers closed on nothing.")
NO_ROOM = SubtaskOutcome(SubtaskStatus.FAILED, "unreachable", "There is no room for the fingers.", chunks=0)
UNSAFE = SubtaskOutcome(SubtaskStatus.UNSAFE, "collision", "The arm would hit the bowl.")


def plan_for(instruction: str, seen: Scene, revision: int = 0) -> Plan:
    steps = [Move("red_cube", Relation.IN, "blue_bowl")]
    return build_plan(instruction, steps, seen, CAPABILITIES, planner="fake", explanation="", now_ns=1, revision=revision)


@dataclass
class World:
    """Fake ports. ``script`` holds what the expert answers in turn (then DONE); ``truth`` what can be measured to hold."""

    script: list[SubtaskOutcome | Callable[[], SubtaskOutcome]] = field(default_factory=list)
    blind_to: set[Predicate] = field(default_factory=set)  # cannot be told
    never: set[Predicate] = field(default_factory=set)  # never come to hold, whatever the expert says
    truth: set[Predicate] = field(default_factory=set)
    now_ns: int = 1_000
    hazard: Hazard | None = None
    holds: int = 0
    interventions: int = 4
    progress: list[Progress] = field(default_factory=list)
    calls: list[tuple[str, int, str]] = field(default_factory=list)
    token: CancelToken = field(default_factory=CancelToken)
    at: dict[State, Callable[[], None]] = field(default_factory=dict)  # done once when a state is entered
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)  # [s] from the start
    plan: Callable[[str, Scene], Plan] = plan_for
    replan: Callable[[Plan, str, Scene], Plan] | None = None
    look: Callable[[], Scene] = table

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now_ns += ns_from_s(seconds)
        for entry in [e for e in self.later if ns_from_s(e[0]) <= self.now_ns]:
            self.later.remove(entry)
            entry[1]()

    def run_subtask(self, subtask: Subtask, hint: str, stop: Callable[[], bool]) -> SubtaskOutcome:
        self.calls.append((subtask.description, hint))
        for _ in range(20):  # 2 s of motion
            self.wait(0.1)
            if stop():
                return SubtaskOutcome(SubtaskStatus.CANCELED, "stopped")
        step = self.script.pop(0) if self.script else DONE
        outcome = step() if callable(step) else step
        if outcome.status is SubtaskStatus.DONE and subtask.success not in self.never:
            self.truth = {p for p in self.truth if p.object_id != subtask.object_id} | {subtask.success}
        return outcome

    def verify(self, predicate: Predicate) -> PredicateReport:
        holds = None if predicate in self.blind_to else predicate in self.truth
        return PredicateReport(predicate, holds, 0.9 if holds else 0.0, f"{predicate} measured {holds}.")

    def verify_goal(self, goal: Sequence[Predicate]) -> GoalReport:
        reports = tuple(self.verify(p) for p in goal)
        answers = [r.holds for r in reports]
        holds = False if False in answers else None if None in answers else True
        return GoalReport(holds, min(r.score for r in reports), "measured", reports)

    def report(self, progress: Progress) -> None:
        self.progress.append(progress)
        self.at.pop(progress.state, lambda: None)()

    def snapshot(self, label: str) -> str:
        return f"{label}@{self.now_ns}"

    def hold(self) -> None:
        self.holds += 1

    def again(self, plan: Plan, why: str, seen: Scene) -> Plan:
        return self.replan(plan, why, seen) if self.replan else plan_for(plan.instruction, seen, plan.revision + 1)

    def run(self, policy: Policy | None = None) -> GoalResult:
        ports = Ports(
            look=lambda: self.look(),
            plan=lambda instruction, seen: self.plan(instruction, seen),
            replan=self.again,
            run_subtask=self.run_subtask,
            verify=lambda predicate: self.verify(predicate),
            verify_goal=lambda goal: self.verify_goal(goal),
            hazard=lambda: self.hazard,
            hold=self.hold,
            now_ns=lambda: self.now_ns,
            wait_s=self.wait,
            report=self.report,
            snapshot=self.snapshot,
            interventions=lambda: self.interventions,
        )
        result = run_goal("put the red cube in the blue bowl", ports, self.token, policy)
        assert self.progress[-1].state is State.DONE
        assert result.message
        return result

    def states(self) -> list[State]:
        return [p.state for p in self.progress]


def test_plain_success_carries_the_proof() -> None:
    world = World()
    result = world.run()
    assert (result.outcome, result.reason) == (Outcome.SUCCEEDED, Reason.VERIFIED)
    assert result.message == "Done: the red cube is in the blue bowl."
    assert [r.subtask.description for r in result.subtasks] == ["pick up the red cube", "place the red cube in the blue bowl"]
    assert all(r.status is SubtaskStatus.DONE and r.score == 0.9 and r.duration_s >= 2.0 for r in result.subtasks)
    assert result.goal is not None
    assert result.goal.holds
    assert (result.recoveries, result.replans, result.safety_interventions) == (0, 0, 0)
    assert result.image_before.startswith("before@")
    assert result.image_after.startswith("after@")
    assert result.duration_s == pytest.approx(4.0)
    assert sum(result.time_in_state_s.values()) == pytest.approx(result.duration_s)
    assert list(dict.fromkeys(world.states())) == [
        State.LOOKING,
        State.PLANNING,
        State.ACTING,
        State.VERIFYING,
        State.VERIFYING_GOAL,
        State.DONE,
    ]
    assert [(p.step, p.attempt) for p in world.progress if p.state is State.ACTING] == [(1, 1), (2, 1)]


def test_a_dry_run_has_an_outcome_of_its_own() -> None:
    world = World()

    def meets_the_gate() -> None:
        world.hazard = Hazard(HazardKind.DRY_RUN, "Dry run: judged and passed.")

    world.later = [(0.5, meets_the_gate)]
    result = world.run()
    assert (result.outcome, result.reason) == (Outcome.DRY_RUN, Reason.DRY_RUN)
    assert result.message == "Dry run: judged and passed."
    assert result.plan is not None
    assert result.goal is None, "nothing was measured"


def test_goal_that_holds_already_moves_nothing() -> None:
    world = World(truth={IN_BOWL}, plan=lambda instruction, seen: replace(plan_for(instruction, seen), subtasks=()))
    result = world.run()
    assert result.outcome is Outcome.SUCCEEDED
    assert result.message.startswith("Nothing had to be moved")
    assert world.calls == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotUnderstood("I do not understand."), Reason.NOT_UNDERSTOOD),
        (PlanningError("The cube cannot be picked up."), Reason.NOT_POSSIBLE),
        (NoSuchObject("There is no purple cube. I see: a red cube."), Reason.NO_SUCH_OBJECT),
        (Ambiguous("Which cube?", ["the left", "the right"]), Reason.AMBIGUOUS),
    ],
)
def test_refusal_moves_nothing_and_says_why(error: PlanningError, reason: Reason) -> None:
    def refuse(instruction: str, seen: Scene) -> Plan:
        raise error

    world = World(plan=refuse)
    result = world.run()
    assert (result.outcome, result.reason, result.message) == (Outcome.REFUSED, reason, str(error))
    assert world.calls == []
    assert world.holds == 0, "nothing moved that would have to be held"
    if isinstance(error, Ambiguous):
        assert (result.question, result.options) == ("Which cube?", ("the left", "the right"))


def test_failed_attempt_is_repeated() -> None:
    world = World(script=[GRASP_FAILED])
    result = world.run()
    assert result.outcome is Outcome.SUCCEEDED
    assert result.recoveries == 1
    assert [c[1] for c in world.calls] == ["", "", ""]
    assert [len(record.attempts) for record in result.subtasks] == [2, 1]
    assert [a.outcome.reason for a in result.subtasks[0].attempts] == ["grasp_failed", "done"]


def test_same_then_other_approach_then_other_plan_then_failure_by_name() -> None:
    world = World(never={HELD})
    result = world.run()
    assert (result.outcome, result.reason, result.replans) == (Outcome.FAILED, Reason.SUBTASK_FAILED, 2)
    assert [c[1] for c in world.calls] == ["", "", "", OTHER_APPROACH] * 3
    assert [[a.number for a in record.attempts] for record in result.subtasks] == [[1, 2, 3, 4]] * 3
    assert result.message == "Could not pick up the red cube (4 attempts): it did not work: held(red_cube) measured False."
    assert [r.revision for r in result.subtasks] == [0, 1, 2]
    assert world.holds >= 1


def test_expert_that_gives_up_although_it_worked_is_not_repeated() -> None:
    def late() -> SubtaskOutcome:
        world.truth = {HELD}
        return SubtaskOutcome(SubtaskStatus.FAILED, "timeout")

    world = World()
    world.script = [late]
    result = world.run()
    assert result.outcome is Outcome.SUCCEEDED
    assert result.recoveries == 0


def test_unsafe_verdict_goes_to_another_plan_at_once() -> None:
    world = World(script=[UNSAFE])
    result = world.run()
    assert result.outcome is Outcome.SUCCEEDED
    assert (result.replans, result.recoveries) == (1, 0)
    assert State.REPLANNING in world.states()


def test_lasting_unsafe_verdict_fails_as_unsafe() -> None:
    result = World(script=[UNSAFE] * 3).run()
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.UNSAFE)
    assert "judged unsafe: The arm would hit the bowl." in result.message


def test_dropped_thing_is_not_placed_again_but_planned_again() -> None:
    def drop() -> SubtaskOutcome:
        world.truth.clear()
        return SubtaskOutcome(SubtaskStatus.FAILED, "dropped", "The cube fell.")

    world = World()
    world.script = [DONE, drop]
    result = world.run()
    assert result.outcome is Outcome.SUCCEEDED
    assert [c[0].split()[0] for c in world.calls] == ["pick", "place", "pick", "place"]
    assert result.replans == 1


def test_no_other_plan_fails_with_both_reasons() -> None:
    def give_up(plan: Plan, why: str, seen: Scene) -> Plan:
        raise PlanningError("The red cube is no longer seen.")

    result = World(script=[UNSAFE], replan=give_up).run()
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.UNSAFE)
    assert "No other plan was found: The red cube is no longer seen." in result.message


def test_what_cannot_be_told_is_waited_for_then_not_believed() -> None:
    world = World(blind_to={IN_BOWL, HELD})
    result = world.run(Policy(retries=0, approaches=0, replans=0))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.SUBTASK_FAILED)
    assert "it could not be told whether it worked" in result.message
    assert result.time_in_state_s[State.VERIFYING] == pytest.approx(Policy().unknown_s, abs=0.11)


def test_moment_without_perception_while_verifying_is_waited_for() -> None:
    world = World()
    measure, seen = world.verify, world.verify_goal

    def blind(*_: object) -> PredicateReport:
        raise PerceptionError("The objects were last reported 1.2 s ago.")

    def back() -> None:
        world.verify, world.verify_goal = measure, seen  # type: ignore[method-assign]

    world.verify = world.verify_goal = blind  # type: ignore[method-assign, assignment]
    world.later = [(3.0, back)]
    assert world.run().outcome is Outcome.SUCCEEDED
    world = World()
    world.verify_goal = blind  # type: ignore[method-assign, assignment]
    result = world.run(Policy(replans=0))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.NOT_VERIFIED)
    assert "last reported 1.2 s ago" in result.message


def test_what_comes_to_be_seen_in_time_is_believed() -> None:
    world = World(blind_to={IN_BOWL})
    world.later = [(6.0, world.blind_to.clear)]
    assert world.run().outcome is Outcome.SUCCEEDED


def test_goal_that_does_not_hold_at_the_end_is_planned_again_then_failed() -> None:
    world = World()
    world.at = {State.VERIFYING_GOAL: world.never.clear}

    def lost_again(goal: Sequence[Predicate]) -> GoalReport:
        return GoalReport(False, 0.0, "the cube rolled out", ())

    world.verify_goal = lost_again  # type: ignore[method-assign]
    result = world.run()
    assert (result.outcome, result.reason, result.replans) == (Outcome.FAILED, Reason.NOT_VERIFIED, 2)
    assert "the cube rolled out" in result.message


@pytest.mark.parametrize("state", [s for s in State if s not in (State.DONE, State.HOLDING, State.REPLANNING)])
def test_cancel_in_any_state_ends_at_once(state: State) -> None:
    world = World()
    world.at = {state: world.token.cancel}
    result = world.run()
    assert (result.outcome, result.reason) == (Outcome.CANCELED, Reason.CANCELED)
    assert bool(world.holds) == bool(result.subtasks), "held where anything may have moved"
    assert world.states()[-2] is state  # nothing else was begun


@pytest.mark.parametrize(("state", "script", "hazard"), [(State.REPLANNING, [UNSAFE], None), (State.HOLDING, [], BLACK)])
def test_cancel_while_recovering(state: State, script: list[SubtaskOutcome | Callable[[], SubtaskOutcome]], hazard: Hazard | None) -> None:
    world = World(script=script)
    world.at = {state: world.token.cancel}
    if hazard:
        world.later = [(1.0, lambda: setattr(world, "hazard", hazard))]
    assert world.run().outcome is Outcome.CANCELED
    assert world.states()[-2] is state


def test_cancel_while_moving_is_recorded() -> None:
    world = World()
    world.later = [(2.5, lambda: world.token.cancel("Ctrl-C."))]
    result = world.run()
    assert (result.outcome, result.message) == (Outcome.CANCELED, "Ctrl-C.")
    assert [r.status for r in result.subtasks] == [SubtaskStatus.DONE, SubtaskStatus.CANCELED]
    assert result.duration_s < 2.7  # not the subtask's whole 2 s


def test_camera_that_comes_back_resumes_the_same_attempt() -> None:
    world = World()
    world.later = [(1.0, lambda: setattr(world, "hazard", BLACK)), (9.0, lambda: setattr(world, "hazard", None))]
    result = world.run()
    assert result.outcome is Outcome.SUCCEEDED
    assert result.recoveries == 0
    assert world.calls[:2] == [("pick up the red cube", "")] * 2
    assert world.holds == 1
    assert result.time_in_state_s[State.HOLDING] == pytest.approx(8.0, abs=0.2)


def test_camera_that_stays_away_fails_by_name() -> None:
    world = World()
    world.later = [(1.0, lambda: setattr(world, "hazard", BLACK))]
    result = world.run()
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.CAMERA)
    assert result.message == "Waited 20 s in vain: Camera front is black."
    assert result.duration_s == pytest.approx(21.0, abs=0.2)


@pytest.mark.parametrize(
    "hazard", [Hazard(HazardKind.SAFETY_STOP, "E-stop: pressed."), Hazard(HazardKind.NODE_DIED, "Node action_expert died.")]
)
@pytest.mark.parametrize("after", [None, BLACK])
def test_stop_and_dead_node_end_the_goal_by_name(hazard: Hazard, after: Hazard | None) -> None:
    """While acting, and while waiting for a camera."""
    world = World()
    world.later = [(1.0, lambda: setattr(world, "hazard", after or hazard)), (2.0, lambda: setattr(world, "hazard", hazard))]
    result = world.run()
    assert (result.outcome, result.message) == (Outcome.FAILED, hazard.detail)
    assert result.reason.value == hazard.kind.value
    assert result.subtasks[0].status is SubtaskStatus.FAILED


def test_hazard_that_flickers_does_not_cost_an_attempt() -> None:
    world = World()
    world.later = [(1.0, lambda: setattr(world, "hazard", BLACK))]
    inner = world.run_subtask

    def run(subtask: Subtask, hint: str, stop: Callable[[], bool]) -> SubtaskOutcome:
        outcome = inner(subtask, hint, stop)
        world.hazard = None  # gone by the time the expert has stopped
        return outcome

    world.run_subtask = run  # type: ignore[method-assign]
    result = world.run()
    assert (result.outcome, result.recoveries) == (Outcome.SUCCEEDED, 0)


def test_nothing_seen_is_waited_for_then_failed() -> None:
    def blind() -> Scene:
        raise PerceptionError("No image has arrived.")

    world = World(look=blind)
    result = world.run()
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.NOTHING_SEEN)
    assert "No image has arrived." in result.message
    world = World(look=blind)
    world.later = [(2.0, lambda: setattr(world, "look", table))]
    assert world.run().outcome is Outcome.SUCCEEDED


def test_time_limit_ends_the_goal() -> None:
    result = World(never={HELD}).run(Policy(goal_limit_s=10.0))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.TIMEOUT)
    assert result.duration_s < 10.3


def test_interventions_are_counted_from_the_start() -> None:
    world = World()
    world.later = [(1.0, lambda: setattr(world, "interventions", 7))]
    assert world.run().safety_interventions == 3


def test_error_of_this_package_becomes_a_result() -> None:
    def fail() -> SubtaskOutcome:
        raise MotionError("The expert's server refused the subtask.")

    result = World(script=[fail]).run()
    assert (result.outcome, result.reason, result.message) == (Outcome.FAILED, Reason.ERROR, "The expert's server refused the subtask.")


def test_other_exception_holds_the_arm_and_is_raised() -> None:
    def fail() -> SubtaskOutcome:
        raise RuntimeError("bug")

    world = World(script=[fail])
    with pytest.raises(RuntimeError, match="bug"):
        world.run()
    assert world.holds == 1


def test_what_the_expert_turns_down_without_moving_is_asked_once_more_in_another_way_and_after_one_replan():
    world = World(script=[NO_ROOM] * 20)
    result = world.run()
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.SUBTASK_FAILED)
    assert [hint for _, hint in world.calls] == ["", OTHER_APPROACH] * 2
    assert "no room" in result.message


def test_a_thing_for_which_there_is_room_after_looking_again_is_taken():
    world = World(script=[NO_ROOM, NO_ROOM])
    assert world.run().outcome is Outcome.SUCCEEDED
