"""A fake planner: it takes a goal, says that it acts, and does nothing until it is canceled."""

from __future__ import annotations

import threading
from typing import Any

from vla_ros.core.decisions import SafetyMode
from vla_ros.core.outcomes import Outcome
from vla_ros.ros.action_server import Ending, OneGoalServer, Work
from vla_ros.ros.interfaces import EXECUTE_GOAL, load_type
from vla_ros.ros.lifecycle import VlaNode

LIMIT_S = 30.0


class FakePlanner(VlaNode):
    """``heeds`` False: a cancel is heard and nothing comes of it."""

    heartbeat_period_s = 0.1

    def __init__(self) -> None:
        super().__init__("planner")
        self.heeds = True
        self.canceled = threading.Event()
        self._ended = threading.Event()

    def setup(self) -> None:
        self.end_work_with(self._ended.set)
        OneGoalServer(self, EXECUTE_GOAL, self._work)

    def _work(self, work: Work) -> tuple[Ending, Any]:
        kinds = load_type(EXECUTE_GOAL.type)
        work.feedback(kinds.Feedback(state="acting", subtask="wave", step=1, steps=1, safety_mode=SafetyMode.READY, elapsed=0.1))
        if work.cancel.wait(LIMIT_S):
            self.canceled.set()
        if not self.heeds:
            self._ended.wait(LIMIT_S)
        message = f"Canceled: {work.goal.instruction}."
        return Ending.CANCELED, kinds.Result(outcome=Outcome.CANCELED, reason="canceled", message=message)
