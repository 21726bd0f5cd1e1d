"""Sends the emergency stop until the safety monitor says that it has stopped the arm, and says loudly when nobody does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from vla_ros.cli.graph import Graph
from vla_ros.core.decisions import SafetyMode
from vla_ros.ros.interfaces import ESTOP_TOPIC, SAFETY_STATE, load_type
from vla_ros.ros.qos import profile

AGAIN_S = 0.2  # the first message may come before the monitor has been found
CONFIRM_S = 3.0  # until the warning; the stop is asked for all the while
GIVE_UP_S = 10.0


class EmergencyStop:
    """``send``, then ``poll`` whenever the graph's node has been spun. ``confirmed``: None as long as it is open."""

    def __init__(self, graph: Graph, say: Callable[[str], None]) -> None:
        self._say = say
        self._type = load_type(ESTOP_TOPIC.type)
        self._publisher = graph.node.create_publisher(self._type, ESTOP_TOPIC.name, profile(ESTOP_TOPIC.qos))
        self._begun_s: float | None = None
        self._sent_s = 0.0
        self._stopped = self._warned = False
        self.confirmed: bool | None = None
        graph.listen(SAFETY_STATE, self._on_safety)

    def _on_safety(self, message: Any) -> None:
        self._stopped = message.mode == SafetyMode.STOPPED_LATCHED

    def send(self) -> None:
        """Asks for the stop, from now on until it is confirmed or given up."""
        self._begun_s, self.confirmed, self._warned = time.monotonic(), None, False
        self._publish(self._begun_s)

    def poll(self) -> None:
        """Warns when the confirmation does not come, and says once how it ended."""
        if self._begun_s is None or self.confirmed is not None:
            return
        now_s = time.monotonic()
        if self._stopped:
            self.confirmed = True
            self._say("EMERGENCY STOP: the safety monitor has stopped the arm; 'vla reset' ends it.")
            return
        if now_s - self._begun_s > CONFIRM_S and not self._warned:
            self._warned = True
            self._say(
                f"NOBODY HAS CONFIRMED THE EMERGENCY STOP within {CONFIRM_S:g} s in ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}. "
                f"The arm may move: USE THE ROBOT'S OWN EMERGENCY STOP. Asking for {GIVE_UP_S - CONFIRM_S:g} s more."
            )
        if now_s - self._begun_s > GIVE_UP_S:
            self.confirmed = False
            self._say(f"Given up: nobody has confirmed the emergency stop within {GIVE_UP_S:g} s.")
        elif now_s - self._sent_s > AGAIN_S:
            self._publish(now_s)

    def _publish(self, now_s: float) -> None:
        self._sent_s = now_s
        self._publisher.publish(self._type())
