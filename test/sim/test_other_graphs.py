"""Goals in graphs that are started for one test: one that moves nothing, one that loses its robot."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from test_goals import GOAL, STILL_RADPS, Bench, Victim

from vla_ros.cli.graph import Graph
from vla_ros.cli.running_graph import RunningGraph
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.errors import VlaRosError
from vla_ros.robots import load_robot_config
from vla_ros.ros.interfaces import MOVE_TO, SAFETY_DECISION, load_type

pytestmark = [pytest.mark.sim, pytest.mark.timeout(300)]


def test_a_dry_run_ends_with_what_was_judged_and_moves_nothing(tmp_path: Path) -> None:
    arguments = {"dry_run": "true", "record": "false"}
    with RunningGraph("demo", arguments, tmp_path / "graph.log", say=lambda text: None) as running, Graph("test_dry_run") as graph:
        running.wait_until_ready(graph)
        bench = Bench(graph, running, tmp_path / "runs")
        decisions: list[Any] = []
        graph.listen(SAFETY_DECISION, decisions.append)
        since_s = time.monotonic()
        result = bench.send(GOAL).wait(20.0)
        assert (result.outcome, result.reason, result.verified) == (result.DRY_RUN, "dry_run", False), result.message
        assert "judged and passed" in result.message
        assert "nothing is sent to the arm" in result.message
        assert time.monotonic() - since_s < 15.0
        assert result.plan.subtasks[0].description == "pick up the red cube"
        assert {"ok", "dry_run"} <= {d.reason for d in decisions}
        assert not {"tracking_error"} & {d.reason for d in decisions}
        assert graph.spin_until(lambda: bench.safety[-1].mode == SafetyMode.READY, 5.0), bench.safety[-1].detail
        kinds = load_type(MOVE_TO.type).Goal
        turned = [float(q) for q in load_robot_config("panda").home_rad]
        turned[0] += 0.4
        names = list(load_robot_config("panda").arm_joints)
        motion = kinds(kind=kinds.JOINTS, joint_names=names, joint_positions=turned, gripper_width=float("nan"))
        moved = graph.send(MOVE_TO, motion).wait(20.0)
        assert (moved.success, moved.reason) == (False, "dry_run"), moved.message
        assert max(speed for _, speed in bench.speeds) < STILL_RADPS


def test_the_end_of_the_simulator_ends_goal_and_graph(tmp_path: Path) -> None:
    with RunningGraph("demo", {"record": "false"}, tmp_path / "graph.log", say=lambda text: None) as running, Graph("test_end") as graph:
        running.wait_until_ready(graph)
        bench = Bench(graph, running, tmp_path / "runs")
        goal = bench.send(GOAL)
        bench.until_moving()
        Victim(bench, "sim_robot").kill()
        result = goal.wait(20.0)
        assert not result.verified
        assert result.reason in {"canceled", "node_died"}, result.message  # the graph ends meanwhile; the launcher names who died
        with pytest.raises(VlaRosError, match="'sim_robot' was killed by SIGKILL"):
            bench.graph.spin_until(lambda: False, 20.0, meanwhile=bench.running.check)
