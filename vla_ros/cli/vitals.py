"""Whether a node that a command waits for still lives, by its heartbeats."""

from __future__ import annotations

import time
from typing import Any

from vla_ros.cli.graph import Graph, NoGraphError
from vla_ros.ros.interfaces import HEARTBEAT, SAFETY_STATE

DEAD_S = 3.0  # of silence; also how long a node may take to be heard for the first time
STEP_S = 0.2  # that one look counts at most: a command that was stopped itself (Ctrl-Z) has heard nobody


class Vitals:
    """Listens from now on; ``check`` is called whenever the graph's node has been spun."""

    def __init__(self, graph: Graph, node: str) -> None:
        self._node = node
        self._silent_s: dict[str, float] = {node: 0.0}
        self._looked_s = time.monotonic()
        self._safety = ""
        graph.listen(HEARTBEAT, self._on_heartbeat)
        graph.listen(SAFETY_STATE, self._on_safety)

    def _on_heartbeat(self, message: Any) -> None:
        self._silent_s[message.node] = 0.0

    def _on_safety(self, message: Any) -> None:
        self._safety = message.detail

    def check(self) -> None:
        """Raises NoGraphError naming who has died, when the node is among them."""
        now_s = time.monotonic()
        step_s, self._looked_s = min(now_s - self._looked_s, STEP_S), now_s
        for name in self._silent_s:
            self._silent_s[name] += step_s
        if self._silent_s[self._node] < DEAD_S:
            return
        dead = sorted(name for name, silent_s in self._silent_s.items() if silent_s > DEAD_S / 2)
        if len(dead) == len(self._silent_s):
            raise NoGraphError(f"The graph has ended: nothing has been heard of {', '.join(dead)} for {DEAD_S:g} s. There is no result.")
        died = f"Died: {', '.join(dead)} (no heartbeat for {DEAD_S:g} s). There is no result."
        raise NoGraphError(f"{died} The safety monitor says: {self._safety or 'nothing'}")
