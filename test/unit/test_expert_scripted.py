"""The scripted expert against a kinematic bench: what it does, how smoothly, and what it does when things go wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from expert_bench import HOME, TICK_S, Bench, pick, place, scene, thing

from vla_ros.core.decisions import SafetyMode, SafetyReason, SafetyState
from vla_ros.core.errors import PlanningError
from vla_ros.core.outcomes import FailureKind
from vla_ros.core.tasks import Relation, Skill
from vla_ros.experts.policy import ExpertStatus, holds_expert
from vla_ros.experts.registry import build_expert
from vla_ros.experts.scripted.expert import ScriptedExpert
from vla_ros.experts.scripted.parameters import ScriptedParameters
from vla_ros.robots import load_robot


@pytest.fixture(scope="module")
def arm():
    return load_robot("panda")


@pytest.fixture
def bench(arm):
    return Bench(arm, build_expert("scripted", arm), scene(thing("cube_1", 0.5, 0.1, 0.4), thing("bowl_1", 0.45, -0.2)))


def test_pick_and_place_in_a_bowl(bench):
    assert bench.run(pick()).status is ExpertStatus.DONE
    assert bench.held is not None
    assert bench.held.pose.position_m[2] > 0.1
    done = bench.run(place(Relation.IN, "bowl_1"))
    assert done.status is ExpertStatus.DONE
    assert bench.held is None
    where = bench.world.get("cube_1").pose.position_m
    assert np.linalg.norm(where[:2] - [0.45, -0.2]) < 0.005
    assert 0.0225 < where[2] < 0.05  # let go just above the floor
    assert bench.run(HOME).status is ExpertStatus.DONE
    np.testing.assert_allclose(bench.q, bench.arm.config.home_rad, atol=1e-6)


def test_a_pick_takes_under_nine_seconds_and_a_place_too(bench):
    for subtask in (pick(), place(Relation.IN, "bowl_1")):
        begin = bench.now_ns
        bench.run(subtask)
        assert (bench.now_ns - begin) * 1e-9 < 9.0


@pytest.mark.parametrize("pace", [1.0, 0.3])
def test_chunks_continue_one_another_behind_what_is_consumed(arm, pace):
    bench = Bench(arm, build_expert("scripted", arm), scene(thing("cube_1", 0.6, -0.2, 1.0), thing("bowl_1", 0.4, 0.2)), pace=pace)
    bench.run(pick(), 60.0)
    bench.run(place(Relation.IN, "bowl_1"), 60.0)
    assert min(bench.entries) >= -1e-9
    assert max(bench.jumps) < 0.004  # linear interpolation of the rows alone makes about 2 mrad
    chunks = [s.chunk for s in bench.steps if s.chunk is not None]
    assert [c.seq for c in chunks] == list(range(1, len(chunks) + 1))
    assert all(c.horizon == 32 and c.dt_s == 0.05 and np.all(np.isfinite(c.data)) for c in chunks)


def test_motion_keeps_to_the_fractions_of_the_limits_and_to_the_tcp_speed(bench):
    bench.run(pick())
    bench.run(place(Relation.IN, "bowl_1"))
    q = np.array(bench.history)
    p, limits = ScriptedParameters(), bench.arm.config.limits
    coarse = q[::5]  # at the rows' spacing
    assert np.all(np.abs(np.diff(coarse, axis=0)) / 0.05 <= 1.02 * p.velocity_fraction * limits.velocity_radps)
    assert np.all(np.abs(np.diff(coarse, 2, axis=0)) / 0.05**2 <= 1.1 * p.acceleration_fraction * limits.acceleration_radps2)
    tcp = np.array([bench.arm.fk(row)[:3, 3] for row in coarse])
    assert np.max(np.linalg.norm(np.diff(tcp, axis=0), axis=1)) / (5 * TICK_S) < 1.05 * p.free_speed_mps


def test_what_is_held_is_carried_over_everything_on_the_way(arm):
    wall = replace(thing("box_1", 0.5, 0.0), size_m=np.array([0.03, 0.3, 0.12]))
    wall = replace(wall, pose=replace(wall.pose, position_m=np.array([0.5, 0.0, 0.06])))
    bench = Bench(arm, build_expert("scripted", arm), scene(thing("cube_1", 0.4, 0.05), thing("cube_2", 0.62, 0.05), wall))
    bench.run(pick())
    bench.history.clear()
    bench.run(place(Relation.ON, "cube_2"))
    tcp = np.array([arm.fk(q)[:3, 3] for q in bench.history[::5]])
    over = tcp[np.abs(tcp[:, 0] - 0.5) < 0.04]
    assert len(over)
    assert over[:, 2].min() > 0.12 + 0.0225


@pytest.mark.parametrize(
    ("relation", "direction"),
    [(Relation.LEFT_OF, (0, 1)), (Relation.RIGHT_OF, (0, -1)), (Relation.IN_FRONT_OF, (-1, 0)), (Relation.BEHIND, (1, 0))],
)
def test_place_beside(arm, relation, direction):
    bench = Bench(arm, build_expert("scripted", arm), scene(thing("cube_1", 0.4, 0.25), thing("cube_2", 0.5, -0.05, 0.3)))
    bench.run(pick())
    bench.run(place(relation, "cube_2"))
    offset = bench.world.get("cube_1").pose.position_m[:2] - [0.5, -0.05]
    assert offset @ direction > 0.045
    assert np.linalg.norm(offset - (offset @ direction) * np.array(direction)) < 0.031


def test_stack_turns_the_cube_along_the_targets_faces(arm):
    bench = Bench(arm, build_expert("scripted", arm), scene(thing("cube_1", 0.4, 0.2, 0.2), thing("cube_2", 0.5, -0.1, 0.7)))
    bench.run(pick())
    bench.run(place(Relation.ON, "cube_2"))
    top = bench.world.get("cube_1").pose
    assert np.linalg.norm(top.position_m[:2] - [0.5, -0.1]) < 0.004
    assert 0.0675 <= top.position_m[2] < 0.0725
    quarter = (top.yaw_rad - 0.7) % (np.pi / 2)
    assert min(quarter, np.pi / 2 - quarter) < 0.02


def test_a_missed_grasp_is_felt_and_tried_again(bench):
    bench.misses = 1
    assert bench.run(pick()).status is ExpertStatus.DONE
    phases = [s.reasoning.phase for s in bench.steps if s.reasoning]
    assert phases.count("approach") == 2
    assert "regrasp" in phases


def test_it_gives_up_after_three_missed_grasps(bench):
    bench.misses = 99
    failed = bench.run(pick(), 60.0)
    assert failed.failure is FailureKind.GRASP_MISSED
    assert "3 attempts" in failed.detail
    assert "0 mm apart where 45 mm" in failed.detail


def test_a_lost_object_stops_the_arm_and_is_reported_as_dropped(bench):
    bench.run(pick())
    bench.lose_at_s = (bench.now_ns - 1_000_000_000) * 1e-9 + 1.0
    failed = bench.run(place(Relation.IN, "bowl_1"))
    assert failed.failure is FailureKind.DROPPED
    assert failed.chunk is not None
    np.testing.assert_allclose(failed.chunk.data[-1], failed.chunk.data[-8], atol=1e-9)  # it ends at rest
    assert max(bench.jumps) < 0.004


def test_abort_brings_the_arm_to_rest_smoothly(bench):
    bench.expert.begin(pick(), bench.observe())
    for _ in range(12):
        bench.step()
    bench.expert.abort()
    ended = bench.step()
    assert (ended.status, ended.failure) == (ExpertStatus.FAILED, FailureKind.ABORTED)
    for _ in range(100):
        bench.tick()
    np.testing.assert_allclose(bench.history[-1], bench.history[-30], atol=1e-9)
    jerky = np.abs(np.diff(np.array(bench.history[::5]), 2, axis=0)) / 0.05**2
    assert np.all(jerky < 0.8 * bench.arm.config.limits.acceleration_radps2)


def test_it_waits_while_the_monitor_holds_and_resumes_from_where_the_arm_stands(bench):
    bench.expert.begin(pick(), bench.observe())
    for _ in range(12):
        bench.step()
    bench.hold = "Camera 'front' is not usable: black."
    waiting = [bench.step() for _ in range(10)]
    assert all(s.chunk is None and "black" in s.detail for s in waiting)
    stood = bench.q.copy()
    bench.hold = ""
    fresh = next(s.chunk for s in (bench.step() for _ in range(5)) if s.chunk is not None)
    assert fresh.continues_seq == 0
    np.testing.assert_allclose(fresh.data[0], stood, atol=1e-9)
    while (step := bench.step()).status is ExpertStatus.RUNNING:
        pass
    assert step.status is ExpertStatus.DONE


def test_it_gives_up_when_the_monitor_never_follows(arm):
    expert = ScriptedExpert("scripted", arm, ScriptedParameters())
    bench = Bench(arm, expert, scene(thing("cube_1", 0.5, 0.0)))
    bench._take = lambda chunk: None
    failed = bench.run(pick())
    assert failed.failure is FailureKind.BLOCKED


def test_what_it_cannot_do_is_said(bench):
    assert bench.run(pick("bowl_1")).failure is FailureKind.UNSUPPORTED
    gone = bench.run(pick("cube_9"))
    assert gone.failure is FailureKind.NOT_FOUND
    assert "I see: a red cube, a red bowl" in gone.detail
    empty = bench.run(place(Relation.IN, "bowl_1"))
    assert empty.failure is FailureKind.NOT_HOLDING
    with pytest.raises(PlanningError, match="home"):
        ScriptedExpert("only_home", bench.arm, ScriptedParameters(), frozenset({Skill.HOME})).begin(pick(), bench.observe())


def test_reasoning_names_the_numbers_before_each_phase(bench):
    bench.expert.begin(pick(), bench.observe(), hint="it slipped last time")
    first = bench.step()
    assert first.reasoning.phase == "approach"
    assert "(0.500, 0.100, 0.022) m" in first.reasoning.text
    assert "it slipped last time" in first.reasoning.text
    assert first.chunk.trace_id == "1/approach/1"


def test_a_hold_that_a_chunk_would_end_is_no_reason_to_wait():
    def state(mode, reason):
        return SafetyState(0, mode, reason, "", 1.0)

    assert holds_expert(state(SafetyMode.HOLDING, SafetyReason.CAMERA))
    assert holds_expert(state(SafetyMode.STOPPED_LATCHED, SafetyReason.ESTOP))
    assert not holds_expert(state(SafetyMode.HOLDING, SafetyReason.CHUNK_JUMP))
    assert not holds_expert(state(SafetyMode.READY, SafetyReason.NO_CHUNK))
