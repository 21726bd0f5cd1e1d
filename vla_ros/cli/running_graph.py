"""A graph of one's own: started from a launch file in a free ROS domain, waited for, and ended with all its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vla_ros.cli.graph import Graph
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.errors import VlaRosError
from vla_ros.core.outcomes import NodeState
from vla_ros.launcher.processes import guarded, with_id
from vla_ros.ros.domain import free_domain_id
from vla_ros.ros.interfaces import HEARTBEAT, OBJECTS, SAFETY_STATE

NODES = (
    "sim_robot",
    "state_publisher",
    "safety_monitor",
    "motion_forwarder",
    "camera_perception",
    "depth_perception",
    "tactile_perception",
    "action_expert",
    "world_model",
    "planner",
)
STOP_TIMEOUT_S = 20.0
READY_TIMEOUT_S = 180.0  # a slow or busy machine; a node that cannot start says so at once
TELL_PERIOD_S = 10.0
TAIL_LINES = 15
NOISE = ("nanobind", " - leaked function", " - ... skipped remainder")  # of a library at its end, in the place of what matters
CANNOT_START = "]: cannot start: "  # as every node of this package says it


class RunningGraph:
    """Use as a context manager; ``arguments`` are launch arguments. The process id of the launcher is ``pid``."""

    def __init__(self, launch_file: str, arguments: Mapping[str, str], log: Path, say: Callable[[str], None]) -> None:
        self._arguments = dict(arguments)
        self._launch_file = launch_file
        self._log = log
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        domain = free_domain_id()
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        words = [f"{name}:={value}" for name, value in self._arguments.items() if value != ""]
        command = [sys.executable, "-m", "vla_ros.cli.main", "launch", self._launch_file, *words]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        launch_id = uuid.uuid4().hex
        environment = with_id(os.environ, launch_id)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            )
        self._guard = guarded(launch_id, STOP_TIMEOUT_S, {})  # were this process killed, the arm would go on with nobody to stop it
        self._say(f"Starting the graph (log: {self._log}). To join it from another terminal (RViz, ros2, vla):")
        given = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
        # SYSTEM_DEFAULT is for our profiles, which keep to this machine themselves; who joins may have none.
        discovery = "LOCALHOST" if given in ("", "SYSTEM_DEFAULT") else given
        self._say(f"    export ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE={discovery}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        process, guard = self._process, self._guard
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()  # the launcher's guard then ends the children
                process.wait()
        if guard is not None:
            guard.communicate()  # ends its input: it looks for left-overs and goes

    @property
    def pid(self) -> int:
        """The launcher's process id; only within the context."""
        assert self._process is not None
        return self._process.pid

    def check(self) -> None:
        """Raises VlaRosError with the end of the log when the launcher has ended."""
        if self._process is not None and self._process.poll() is not None:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
            lines = [line for line in lines if not any(noise in line for noise in NOISE)][-TAIL_LINES:]
            raise VlaRosError("The graph has ended by itself:\n" + "\n".join(f"    {line}" for line in lines))
        refusals = [line for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines() if CANNOT_START in line]
        if refusals:
            raise VlaRosError("A node could not start:\n" + "\n".join(f"    {line}" for line in refusals[:TAIL_LINES]))

    def wait_until_ready(self, graph: Graph, timeout_s: float = READY_TIMEOUT_S) -> float:
        """Until every node beats, the monitor is ready and objects are seen; seconds that it took. What is missing is told now and then.

        Raises VlaRosError naming what is missing.
        """
        started_s = time.monotonic()
        alive: set[str] = set()
        state: list[Any] = []
        seen: list[Any] = []
        graph.listen(HEARTBEAT, lambda m: alive.add(m.node) if m.lifecycle_state == NodeState.ACTIVE else None)
        graph.listen(SAFETY_STATE, lambda m: state.append(m))
        graph.listen(OBJECTS, lambda m: seen.append(m) if m.objects else None)

        def ready() -> bool:
            return set(NODES) <= alive and bool(state) and state[-1].mode == SafetyMode.READY and bool(seen)

        told_s = started_s

        def meanwhile() -> None:
            nonlocal told_s
            self.check()
            if time.monotonic() - told_s > TELL_PERIOD_S:
                told_s = time.monotonic()
                self._say(f"  {told_s - started_s:.0f} s: {self._missing(alive, state, seen)}")

        if not graph.spin_until(ready, timeout_s, meanwhile):
            raise VlaRosError(f"The graph is not ready after {timeout_s:g} s: {self._missing(alive, state, seen)}. See {self._log}.")
        return time.monotonic() - started_s

    def _missing(self, alive: set[str], state: list[Any], seen: list[Any]) -> str:
        reasons = [f"no heartbeat of {name}" for name in NODES if name not in alive]
        if not state or state[-1].mode != SafetyMode.READY:
            reasons.append(f"safety monitor: {state[-1].detail if state else 'not heard of'}")
        if not seen:
            reasons.append("no objects seen")
        return "; ".join(reasons)
