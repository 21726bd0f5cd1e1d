"""One launch of the demo's graph, measured from the start of its processes to the end of its second goal.

The first goal is done as a user would have it done, with listeners that hardly cost anything. The images are listened to afterwards, once
at rest and once during a second goal, since whoever receives images of 0.9 MB at 30 Hz takes part of the processor.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_ros.cli.bench.probes import ImageProbe, Taps
from vla_ros.cli.bench.processes import GraphProcesses
from vla_ros.cli.fresh_scene import FreshScene
from vla_ros.cli.graph import Graph
from vla_ros.cli.run_goal import follow_goal
from vla_ros.cli.running_graph import RunningGraph
from vla_ros.core.errors import VlaRosError
from vla_ros.core.outcomes import Outcome
from vla_ros.robots import RobotConfig
from vla_ros.ros import interfaces
from vla_ros.ros.image_transport import hearing_images
from vla_ros.ros.interfaces import COLOR_IMAGE, SIM_SCORE

SETTLE_S = 3.0  # after the goal: the recorder closes its bag
IDLE_S = 10.0
IMAGES_S = 10.0
RATES = (
    interfaces.JOINT_STATES,
    interfaces.OBJECTS,
    interfaces.CONTACT,
    interfaces.SAFETY_STATE,
    interfaces.JOINT_TRAJECTORY,
)


@dataclass(frozen=True)
class Bench:
    """What is done; ``camera`` is the one whose images are listened to."""

    goal: str
    robot: RobotConfig
    scene: str
    seed: int
    time_limit_s: float
    camera: str = "front"


def measure_launch(bench: Bench, say: Callable[[str], None]) -> dict[str, Any]:
    """All figures of one launch. Raises VlaRosError when the graph does not become ready, dies, or takes no goal."""
    with tempfile.TemporaryDirectory(prefix="vla_bench_") as folder:
        arguments = {
            "robot": bench.robot.name,
            "scene": bench.scene,
            "seed": str(bench.seed),
            "runs": str(Path(folder) / "runs"),
            "pictures": "false",
        }
        started_s = time.monotonic()
        with RunningGraph("demo", arguments, Path(folder) / "bench.log", say) as running, hearing_images(), Graph("vla_bench") as graph:
            running.wait_until_ready(graph)
            ready_s = time.monotonic() - started_s
            processes = GraphProcesses(running.pid)
            figures = {"launch_to_ready_s": ready_s, **_goal(bench, graph, processes, started_s, say)}
            _add_rest(figures, graph, processes, say)
            figures["images"] = _images(bench, graph, running, say)
    return figures


def _goal(bench: Bench, graph: Graph, processes: GraphProcesses, started_s: float, say: Callable[[str], None]) -> dict[str, Any]:
    """The goal from the graph's start: how it ended, what it took, how evenly the gate ticked."""
    with Taps(graph.node, RATES) as taps:
        processes.begin()
        result = follow_goal(graph, bench.goal, bench.time_limit_s, say)
        ended_s = time.monotonic()
        shares, machine = processes.cpu_percent(), processes.machine_percent()
        figures = taps.figures()
    memory = processes.memory_mib()
    score = graph.call(SIM_SCORE)
    return {
        "launch_to_verified_s": ended_s - started_s if result.verified else None,
        "goal_s": float(result.duration),
        "verified": bool(result.verified),
        "outcome": Outcome(result.outcome).word,
        "message": result.message,
        "real_time_factor_since_start": float(score.real_time_factor),
        **figures,
        "processes": {name: {"goal_percent": shares.get(name), "pss_mib": size} for name, size in sorted(memory.items())},
        "total": {"goal_percent": sum(shares.values()), "pss_mib": sum(memory.values()), "goal_machine_percent": machine},
    }


def _add_rest(figures: dict[str, Any], graph: Graph, processes: GraphProcesses, say: Callable[[str], None]) -> None:
    """The graph while nothing is asked of it and nobody but itself listens."""
    graph.spin_until(lambda: False, SETTLE_S)
    say(f"At rest for {IDLE_S:g} s ...")
    processes.begin()
    time.sleep(IDLE_S)
    shares, machine = processes.cpu_percent(), processes.machine_percent()
    for name, row in figures["processes"].items():
        row["rest_percent"] = shares.get(name)
    figures["total"] |= {"rest_percent": sum(shares.values()), "rest_machine_percent": machine}


def _images(bench: Bench, graph: Graph, running: RunningGraph, say: Callable[[str], None]) -> dict[str, Any]:
    """Loss and latency of the camera's images, at rest and during a goal in the same scene, sampled anew."""
    if bench.camera not in bench.robot.cameras:
        raise VlaRosError(f"{bench.robot.name} has no camera '{bench.camera}' to listen to.")
    topic, rate_hz = COLOR_IMAGE.at(camera=bench.camera), bench.robot.cameras[bench.camera].rate_hz
    scene = FreshScene(graph, running)
    say(f"Listening to {topic.name} at rest for {IMAGES_S:g} s ...")
    with ImageProbe(topic, rate_hz) as probe:
        time.sleep(IMAGES_S)
        rest = probe.figures()
    scene.sample(bench.seed)
    say(f"Listening to {topic.name} during the goal ...")
    with ImageProbe(topic, rate_hz) as probe:
        follow_goal(graph, bench.goal, bench.time_limit_s, lambda _: None)
        goal = probe.figures()
    return {"rest": rest, "goal": goal}
