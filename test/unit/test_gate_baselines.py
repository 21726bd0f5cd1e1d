"""Each baseline has the flaw that it is known for, lets a benign motion pass, and is judged by the same oracle as the gate."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from safety_rig import SWEEP, chunk_of, home, panda, poses_along, safety, smooth, tcp_chunk

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import transform
from vla_ros.evaluation.box_clamp import BoxClamp
from vla_ros.evaluation.gate_bench import GateBench
from vla_ros.evaluation.gate_comparison import GATE, WAYS, has_breach, table
from vla_ros.evaluation.gate_goals import GoalRun, Outcome, Planner, Reach, scene_of, summary
from vla_ros.evaluation.gate_oracle import Box
from vla_ros.evaluation.gate_rig import MS, FilterRig, GateRig, rig_without_gate
from vla_ros.evaluation.pose_check import PoseCheck
from vla_ros.evaluation.reject_only import RejectOnly
from vla_ros.motion.timing import time_path

GOAL = panda().ik(transform(np.diag([1.0, -1.0, -1.0]), np.array([0.45, 0.4, 0.3])), home())
BASELINES = [make for make in WAYS.values() if make]


@cache
def planner() -> Planner:
    return Planner(panda())


def rig_of(name: str) -> FilterRig:
    make = WAYS[name]
    return rig_without_gate("panda", make) if make else GateRig("panda")


def on_the_way(share: float) -> Box:
    """A box where the TCP comes by."""
    return Box(np.full(3, 0.06), transform(np.eye(3), panda().fk(home() + share * (GOAL - home()))[:3, 3]))


def reach(hidden: Box | None = None, from_s: float = 0.0) -> Reach:
    plan = time_path(np.stack([home(), GOAL]), panda().config.limits)
    return Reach(0, "clear" if hidden is None else "in_the_way" if from_s == 0 else "put_there", (), hidden, from_s, plan, GOAL)


def run(name: str, task: Reach) -> Outcome:
    return GoalRun(rig_of(name), planner(), task).run()


@pytest.mark.parametrize("name", WAYS)
def test_a_benign_reach_passes_through_each_way_without_a_stop_or_a_breach(name: str):
    outcome = run(name, reach())
    assert outcome.reached
    assert outcome.stops == 0
    assert outcome.breaches.count == 0, outcome.breaches.first
    assert outcome.time_s < 1.3 * reach().plan.duration_s


def test_the_gate_goes_around_what_is_in_the_way_and_the_clamp_goes_through():
    ours, clamp = run(GATE, reach(on_the_way(0.5))), run("box clamp", reach(on_the_way(0.5)))
    assert (ours.reached, ours.breaches.kinds) == (True, {})
    assert ours.stops >= 1
    assert clamp.breaches.kinds.get("collision", 0) > 0
    assert clamp.stops == 0


def test_reject_only_refuses_what_is_in_the_way_and_runs_into_what_is_put_there():
    known, late = run("reject only", reach(on_the_way(0.5))), run("reject only", reach(on_the_way(0.75), 0.3))
    assert (known.reached, known.breaches.kinds) == (True, {})
    assert known.stops >= 1
    assert late.breaches.kinds.get("collision", 0) > 0
    assert "collision" not in run(GATE, reach(on_the_way(0.75), 0.3)).breaches.kinds


def test_the_pose_check_stops_too_late_for_what_is_in_the_way():
    outcome = run("pose check 10 Hz", reach(on_the_way(0.5)))
    assert outcome.stops >= 1
    assert outcome.breaches.kinds.get("collision", 0) > 0


@pytest.mark.parametrize("make", [BoxClamp, PoseCheck])
def test_an_adversary_gets_something_through_a_clamp(make):
    bench = GateBench("panda", seed=11, instead=make)
    bench.run(300)
    assert bench.figures.moved_rad > 1.0
    assert bench.figures.breaches.count > 0


def started(make):
    """Anchored at home, without a chunk."""
    rig = rig_without_gate("panda", make)
    for _ in range(3):
        step(rig)
    return rig


def step(rig: FilterRig, ticks: int = 1):
    for _ in range(ticks):
        rig.now_ns += safety().tick_ns
        rig.tell_joints(*rig.motion(rig.now_ns))
        command = rig.filter.tick(rig.now_ns, rig.now_ns)
        rig.play(command)
    return command


@pytest.mark.parametrize("make", BASELINES)
def test_an_emergency_stop_brakes_within_the_limits_and_latches(make):
    rig = started(make)
    assert rig.filter.on_chunk(chunk_of(smooth(40, SWEEP), rig.now_ns), rig.now_ns).action is SafetyAction.PASS
    step(rig, 90)
    assert np.abs(rig.motion(rig.now_ns)[1]).max() > 0.1
    rig.filter.estop("the test")
    assert step(rig).action is SafetyAction.STOP
    assert not rig.filter.reset()[0], "it moves yet"
    step(rig, 60)
    assert np.abs(rig.motion(rig.now_ns)[1]).max() == 0.0
    late = rig.filter.on_chunk(chunk_of(smooth(40, SWEEP), rig.now_ns, seq=2), rig.now_ns)
    assert late.action is SafetyAction.HOLD, "latched"
    assert rig.filter.reset()[0]
    rig.judge()
    assert rig.breaches.count == 0, rig.breaches.first


@pytest.mark.parametrize("make", [BoxClamp, PoseCheck])
def test_a_stop_amid_clamped_setpoints_does_not_run_away(make):
    rig = started(make)
    leap = home() + np.array([0, 0, 0, 0, 0, 0, 1.0])
    rig.filter.on_chunk(chunk_of(np.tile(leap, (20, 1)), rig.now_ns), rig.now_ns)
    step(rig)
    here = rig.motion(rig.now_ns)[0]
    rig.now_ns -= 7 * MS  # the next tick falls between two setpoints, where the arm is asked for more acceleration than it has
    rig.filter.estop("the test")
    step(rig, 100)
    q, v = rig.motion(rig.now_ns)
    assert np.abs(v).max() == 0.0
    assert np.abs(q - here).max() < 0.4


@pytest.mark.parametrize("make", [BoxClamp, PoseCheck])
def test_rows_of_the_tcp_are_refused_by_those_that_know_joints_only(make):
    rig = started(make)
    chunk = tcp_chunk(panda(), poses_along(panda(), smooth(20, SWEEP)), stamp_ns=rig.now_ns)
    assert rig.filter.on_chunk(chunk, rig.now_ns).reason is SafetyReason.CHUNK_SPACE


@pytest.mark.parametrize("make", BASELINES)
def test_what_is_no_chunk_is_refused_by_each(make):
    rig = started(make)
    bad = smooth(40, SWEEP)
    bad[3, 2] = np.nan
    assert rig.filter.on_chunk(chunk_of(bad, rig.now_ns), rig.now_ns).reason is SafetyReason.CHUNK_NOT_FINITE
    step(rig, 5)
    assert rig.moved_rad == 0.0


def test_the_clamp_keeps_position_velocity_and_workspace_where_a_chunk_does_not():
    rig = started(BoxClamp)
    rows = smooth(20, [3.5, 0, 0, 0, 0, 0, 0])  # past the limit, in a fifth of the time that it takes
    assert rig.filter.on_chunk(chunk_of(rows, rig.now_ns, dt_s=0.01), rig.now_ns).action is SafetyAction.PASS
    step(rig, 400)
    q = rig.motion(rig.now_ns)[0]
    assert 0.5 < q[0] < panda().config.limits.position_max_rad[0]
    rig.judge()
    assert not {"position", "velocity"} & set(rig.breaches.kinds), rig.breaches.first
    tcp = panda().fk(q)[:3, 3]
    box = panda().config.workspace
    assert np.all(tcp > np.asarray(box.min_m))
    assert np.all(tcp < np.asarray(box.max_m))


def test_reject_only_drops_the_whole_chunk_for_one_bad_row_and_stops():
    rig = started(RejectOnly)
    rig.filter.on_chunk(chunk_of(smooth(40, SWEEP), rig.now_ns), rig.now_ns)
    step(rig, 90)
    rows = np.tile(rig.motion(rig.now_ns)[0], (20, 1))
    rows[-1, 0] = 4.0
    assert rig.filter.on_chunk(chunk_of(rows, rig.now_ns, seq=2), rig.now_ns).reason is SafetyReason.POSITION_LIMIT
    assert step(rig, 60).action is SafetyAction.HOLD
    assert np.abs(rig.motion(rig.now_ns)[1]).max() == 0.0


def test_the_pose_check_lets_an_arm_leave_what_it_is_near_to():
    rig = started(PoseCheck)
    low = panda().fk(home())[:3, 3] - np.array([0.0, 0.0, 0.02 + 0.011])
    rig.ears.on_scene(scene_of([Box(np.array([0.1, 0.1, 0.02]), transform(np.eye(3), low))], rig.now_ns, "panda_link0"))
    step(rig, 12)  # it is near to that, and was not moving
    up = panda().fk(home())
    up[2, 3] += 0.1
    way = time_path(np.stack([home(), panda().ik(up, home())]), panda().config.limits).positions
    rig.filter.on_chunk(chunk_of(way, rig.now_ns), rig.now_ns)
    assert step(rig, 300).action is SafetyAction.PASS
    np.testing.assert_allclose(rig.motion(rig.now_ns)[0], way[-1], atol=1e-3)


def test_the_table_shows_each_way_and_only_the_gates_breaches_count():
    good, bad = Outcome("clear", reached=True, time_s=2.5), Outcome("put_there", stops=3)
    bad.breaches.note("collision", 7, "hand and box")
    bench = GateBench("panda", seed=1)
    bench.run(1)
    adversary = bench.figures.summary("panda")
    found = {GATE: {"adversary": adversary, "goals": summary([good])}, "other": {"adversary": adversary, "goals": summary([good, bad])}}
    assert not has_breach(found[GATE])
    assert has_breach(found["other"])
    shown = table(found)
    assert "| goals, put there: goals with a collision | 0 | 1 |" in shown
    assert "| goals, clear: median time of those reached, s | 2.50 | 2.50 |" in shown
