"""The adversary gets nothing through, and the oracle sees what a gate without eyes lets through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safety_rig import ROBOTS, home, panda

from vla_ros.core.geometry import transform
from vla_ros.evaluation import gate_bench, gate_rig
from vla_ros.evaluation.gate_bench import CLEARS_M, OBSTACLES, GateBench
from vla_ros.evaluation.gate_oracle import PERIOD_S, Box, Breaches, GateOracle
from vla_ros.robots import Arm, load_robot
from vla_ros.robots.clearance import ClearanceModel, Solid
from vla_ros.robots.collision import CollisionModel
from vla_ros.safety.gate import Gate
from vla_ros.safety.self_test import SelfTest
from vla_ros.safety.surroundings import Surroundings

WIDTH_M = 0.08


@pytest.mark.parametrize(("robot", "seed"), [(robot, 18) for robot in ROBOTS])
def test_an_adversary_gets_nothing_through_that_the_oracle_objects_to(robot: str, seed: int):
    bench = GateBench(robot, seed)
    bench.run(2400)
    found = bench.figures.breaches
    assert found.count == 0, found.first
    assert found.samples > 20_000
    assert bench.figures.moved_rad > 1.0, "an arm that stands breaks nothing"
    assert bench.figures.stops.get("collision", 0) > 1, "it was near things"


def test_the_limits_that_depend_on_the_position_hold_at_the_ends_of_the_ranges(monkeypatch: pytest.MonkeyPatch):
    """One joint after the other runs to an end of its range; the workspace leaves room for that, so that no self-test finds its end."""
    arm = load_robot("fr3")
    wide = replace(arm.config.workspace, min_m=np.full(3, -2.0), max_m=np.full(3, 2.0))
    monkeypatch.setattr(gate_rig, "load_robot", lambda robot: Arm(replace(arm.config, workspace=wide)))
    monkeypatch.setattr(gate_rig, "Gate", lambda *given: Gate(*given, self_test=lambda *_: SelfTest(True, "")))
    bench = GateBench("fr3", seed=3)
    limits, seen = arm.config.limits, []
    for _ in range(10):
        bench._tick("ram", 0)
        for tick in range(1, 500):
            bench._tick(None, tick)
        seen.append(bench.rig.played())
        bench.rig.judge()
    assert bench.figures.breaches.count == 0, bench.figures.breaches.first
    q = np.concatenate(seen)
    v = np.diff(q, axis=0) / PERIOD_S
    low, high = limits.velocity_range(q[1:])
    use = np.where(v > 0, v / np.maximum(high, 1e-6), v / np.minimum(low, -1e-6))
    is_bound = np.minimum(high, -low) < 0.9 * limits.velocity_radps
    assert 0.35 < use[is_bound].max() < 0.55, "it ran at its operational share of what the ends allow"
    at_ends = np.minimum(limits.position_max_rad - q, q - limits.position_min_rad).min(axis=0) < 0.02
    assert at_ends.sum() >= 3, f"it was at the ends of the joints {np.flatnonzero(at_ends)} only"


def test_the_oracle_sees_what_a_gate_without_eyes_lets_through(monkeypatch: pytest.MonkeyPatch):
    bench = GateBench("panda", seed=11)
    monkeypatch.setattr(gate_bench, "KINDS", ("aim",))  # at an obstacle, each time
    monkeypatch.setattr(Surroundings, "breach", lambda self, before, rows, accelerations=None: None)
    bench.run(2400)
    assert bench.figures.breaches.kinds.get("collision", 0) > 0


@pytest.mark.parametrize(
    ("kind", "motion"),
    [
        ("position", lambda t: home() + np.outer(np.ones_like(t), [3.0, 0, 0, 0, 0, 0, 0])),
        ("velocity", lambda t: home() + np.outer(2.3 * t, [1, 0, 0, 0, 0, 0, 0])),
        ("acceleration", lambda t: home() + np.outer(16 / 2 * t**2, [1, 0, 0, 0, 0, 0, 0])),
        ("jerk", lambda t: home() + np.outer(8000 / 6 * t**3, [1, 0, 0, 0, 0, 0, 0])),
        ("workspace", lambda t: home() + np.outer(np.ones_like(t), [2.5, 0, 0, 0, 0, 0, 0])),  # the hand is behind the arm
    ],
)
def test_the_oracle_sees_each_limit_that_is_passed(kind, motion):
    found = Breaches()
    GateOracle(panda().config).judge(motion(PERIOD_S * np.arange(5)), WIDTH_M, found)
    assert found.kinds.get(kind, 0) > 0


def test_the_oracle_sees_boxes_the_table_and_the_arm_itself():
    oracle = GateOracle(panda().config)
    assert oracle.touches(home(), WIDTH_M) == ""
    oracle.place([Box(np.full(3, 0.1), transform(np.eye(3), panda().fk(home())[:3, 3]))])
    assert "box_0" in oracle.touches(home(), WIDTH_M)
    oracle.place([])
    low = panda().fk(home())
    low[2, 3] = 0.002
    assert "table" in oracle.touches(panda().ik(low, home()), WIDTH_M)
    rng, truth = np.random.default_rng(1), CollisionModel(panda())
    low, high = panda().config.limits.position_min_rad, panda().config.limits.position_max_rad
    folded = next(
        q for q in (rng.uniform(low, high) for _ in range(10_000)) if truth.self_distance(q)[0] < -0.02 and panda().fk(q)[2, 3] > 0.3
    )
    assert "panda" in oracle.touches(folded, WIDTH_M)


def test_no_box_of_an_episode_stands_nearer_to_the_arm_than_is_said():
    bench = GateBench("panda", seed=7)
    posture = np.append(home(), WIDTH_M)
    model, nearest_m = ClearanceModel(panda(), OBSTACLES, own=False), []
    for _ in range(80):
        bench.figures.commands += 1  # it names the boxes
        bench._scatter()
        model.place([Solid(thing.id, "box", thing.size_m, thing.pose.matrix()) for thing in bench._things])
        nearest_m.append(model.distances(posture).min())
    assert min(CLEARS_M) - 0.001 < min(nearest_m) < 0.005
