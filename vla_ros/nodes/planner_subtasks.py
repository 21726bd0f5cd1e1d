"""Has an expert do a subtask, over the action, and reports in the planner's words how it went."""

from __future__ import annotations

from collections.abc import Callable

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.outcomes import AttemptOutcome, FailureKind
from vla_ros.core.tasks import Subtask
from vla_ros.nodes.planner_senses import PlannerSenses
from vla_ros.planning.goal_result import SubtaskOutcome, SubtaskStatus
from vla_ros.ros.calls import ActionCaller, CallError
from vla_ros.ros.conversions.tasks import subtask_to_msg
from vla_ros.ros.interfaces import EXECUTE_SUBTASK
from vla_ros.ros.lifecycle import VlaNode

GRACE_S = 10.0  # beyond a subtask's own limit, before the expert counts as hanging

_STATUSES = {
    AttemptOutcome.DONE: SubtaskStatus.DONE,
    AttemptOutcome.FAILED: SubtaskStatus.FAILED,
    AttemptOutcome.CANCELED: SubtaskStatus.CANCELED,
}


class SubtaskCaller:
    """Calls execute_subtask and blocks; ``on_reasoning`` gets the expert's sentences as they come."""

    def __init__(self, node: VlaNode, senses: PlannerSenses) -> None:
        self._caller = ActionCaller(node, EXECUTE_SUBTASK)
        self._senses = senses
        self.hold: Callable[[], None] = lambda: None
        self.on_reasoning: Callable[[str], None] = lambda text: None

    def run(self, subtask: Subtask, hint: str, stop: Callable[[], bool]) -> SubtaskOutcome:
        """Blocks until the expert has ended; ``stop() -> True`` has it bring the arm to rest first.

        So does a chunk that the world model finds unsafe: the expert would only try the same again, and the planner knows other ways.
        """
        goal = self._caller.type.Goal(subtask=subtask_to_msg(subtask), hint=hint)
        self._senses.unsafe = ""
        held: list[bool] = []

        def told_to_stop() -> bool:
            if not (stop() or self._senses.unsafe):
                return False
            if not held:  # the monitor brakes at once, whatever the expert does about its end
                held.append(True)
                self.hold()
            return True

        try:
            result = self._caller.call(
                goal,
                cancel=told_to_stop,
                on_feedback=lambda f: self.on_reasoning(f.reasoning),
                time_limit_s=subtask.time_limit_s + GRACE_S,
                lost=self._lost,
            )
        except CallError as error:
            return SubtaskOutcome(SubtaskStatus.FAILED, FailureKind.NO_EXPERT.value, str(error))
        if self._senses.unsafe and result.outcome != AttemptOutcome.DONE:
            return SubtaskOutcome(SubtaskStatus.UNSAFE, SafetyReason.WORLD_MODEL, self._senses.unsafe, result.chunks)
        return SubtaskOutcome(_STATUSES[AttemptOutcome(result.outcome)], result.reason, result.message, result.chunks)

    def _lost(self) -> str:
        hazard = self._senses.hazard()
        return hazard.detail if hazard is not None and hazard.node == EXECUTE_SUBTASK.server else ""
