"""The adversary gets nothing through, and the oracle sees what a gate without eyes lets through."""

from __future__ import annotations

import numpy as np
import pytest
from safety_rig import home, panda

from vla_ros.core.geometry import transform
from vla_ros.evaluation.gate_bench import GateBench
from vla_ros.evaluation.gate_oracle import PERIOD_S, Box, Breaches, GateOracle
from vla_ros.robots.collision import CollisionModel
from vla_ros.safety.surroundings import Surroundings

WIDTH_M = 0.08


def test_an_adversary_gets_nothing_through_that_the_oracle_objects_to():
    bench = GateBench("panda", seed=11)
    bench.run(2400)
    found = bench.figures.breaches
    assert found.count == 0, found.first
    assert found.samples > 20_000
    assert bench.figures.moved_rad > 1.0, "an arm that stands breaks nothing"
    assert bench.figures.stops.get("collision", 0) > 3, "it was near things"


def test_the_oracle_sees_what_a_gate_without_eyes_lets_through(monkeypatch: pytest.MonkeyPatch):
    bench = GateBench("panda", seed=11)
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
