"""Sends one goal and follows it to its end; Ctrl-C cancels, one key is the emergency stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vla_ros.cli.emergency_stop import EmergencyStop
from vla_ros.cli.goal_view import GoalView
from vla_ros.cli.graph import ANSWER_S, Graph, NoGraphError
from vla_ros.cli.interrupts import noted
from vla_ros.cli.keys import Keys
from vla_ros.cli.vitals import Vitals
from vla_ros.ros.interfaces import EXECUTE_GOAL, load_type

ESTOP_KEY = " "


def follow_goal(
    graph: Graph,
    instruction: str,
    time_limit_s: float,
    say: Callable[[str], None],
    wait_s: float = ANSWER_S,
    check: Callable[[], None] = lambda: None,
) -> Any:
    """The result message. Raises NoGraphError when nobody takes the goal, or when the planner or the whole graph dies.

    ``check`` is called all the while; what it raises ends the wait.
    """
    view = GoalView(say)
    stop, vitals = EmergencyStop(graph, say), Vitals(graph, EXECUTE_GOAL.server)
    with noted() as interrupts, Keys() as keys:
        if keys.available:
            say("Ctrl-C cancels the goal; the space bar is the emergency stop.")
        goal = graph.send(
            EXECUTE_GOAL, load_type(EXECUTE_GOAL.type).Goal(instruction=instruction, time_limit=time_limit_s), view.on_feedback, wait_s
        )
        canceled: list[int] = []

        def meanwhile() -> None:
            if ESTOP_KEY in keys.read():
                stop.send()
            stop.poll()
            vitals.check()
            check()
            view.poll()
            if interrupts and not canceled:
                canceled.append(1)
                goal.cancel()
                view.canceled = True
                say("Canceling ...")
            if len(interrupts) > 1:
                raise NoGraphError("Interrupted a second time: left without waiting for the arm to stop.")

        result = goal.wait(meanwhile=meanwhile)
    view.show_result(result)
    return result
