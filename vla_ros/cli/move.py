"""Sends a move_to goal and waits for its end; Ctrl-C cancels it."""

from __future__ import annotations

import math

from vla_ros.cli.graph import Graph
from vla_ros.cli.interrupts import noted
from vla_ros.cli.vitals import Vitals
from vla_ros.core.outcomes import MoveKind
from vla_ros.ros.interfaces import MOVE_TO, load_type


def move_to(kind: MoveKind, gripper_width: float = math.nan) -> int:
    """The exit code is 0 when the motion was carried out."""
    with noted() as interrupts, Graph("vla_move") as graph:
        goal = graph.send(MOVE_TO, load_type(MOVE_TO.type).Goal(kind=kind, gripper_width=gripper_width))
        canceled: list[int] = []
        vitals = Vitals(graph, MOVE_TO.server)

        def meanwhile() -> None:
            vitals.check()
            if interrupts and not canceled:
                canceled.append(1)
                goal.cancel()

        result = goal.wait(meanwhile=meanwhile)
    print(result.message)
    return 0 if result.success else 1
