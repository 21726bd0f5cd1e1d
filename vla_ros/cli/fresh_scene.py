"""A new scene in a running graph, seen by perception and accepted by the safety monitor."""

from __future__ import annotations

import time
from typing import Any

from vla_ros.cli.graph import Graph, NoGraphError
from vla_ros.cli.running_graph import RunningGraph
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.errors import VlaRosError
from vla_ros.ros.interfaces import FORGET, JOINT_STATES, RESET, SAFETY_STATE, SIM_RESET

REST_S = 1.0  # after a reset, for the objects to come to rest
SETTLE_S = 1.5  # for perception to see the scene from several images
READY_TIMEOUT_S = 30.0
STILL_RADPS = 0.01


class FreshScene:
    """Samples scenes one after the other."""

    def __init__(self, graph: Graph, running: RunningGraph) -> None:
        self._graph, self._running = graph, running
        self._safety: Any = None
        self._is_still = False
        graph.listen(SAFETY_STATE, self._on_safety)
        graph.listen(JOINT_STATES, self._on_joints)

    def _on_joints(self, message: Any) -> None:
        self._is_still = all(abs(v) < STILL_RADPS for v in message.velocity)

    def _on_safety(self, message: Any) -> None:
        self._safety = message

    def sample(self, seed: int) -> None:
        """A new scene, and a monitor that is ready: it has seen the arm leap home and has stopped, as it must.

        Raises VlaRosError when the simulator refuses or the monitor does not become ready.
        """
        self._wait_for_rest()
        answer = self._graph.call(SIM_RESET, seed=seed, scene="")
        if not answer.success:
            raise VlaRosError(f"The scene cannot be reset with seed {seed}: {answer.message}")
        self.wait(REST_S)
        self._graph.call(FORGET)
        self.wait(SETTLE_S)
        give_up_s = time.monotonic() + READY_TIMEOUT_S
        while self._safety is None or self._safety.mode != SafetyMode.READY:
            if time.monotonic() > give_up_s:
                raise NoGraphError(
                    f"The safety monitor is not ready {READY_TIMEOUT_S:g} s after the reset: {self._safety and self._safety.detail}"
                )
            if self._safety is not None and self._safety.mode == SafetyMode.STOPPED_LATCHED:
                self._graph.call(RESET)
            self.wait(0.5)

    def _wait_for_rest(self) -> None:
        """An arm that is still on its way would go on with it after the leap home."""
        if not self._graph.spin_until(lambda: self._is_still, READY_TIMEOUT_S, meanwhile=self._running.check):
            raise NoGraphError(f"The arm has not come to rest within {READY_TIMEOUT_S:g} s; the scene cannot be reset.")

    def wait(self, seconds: float) -> None:
        """Serves callbacks meanwhile. Raises VlaRosError when the graph ends."""
        self._graph.spin_until(lambda: False, seconds, meanwhile=self._running.check)
