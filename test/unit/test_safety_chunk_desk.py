"""Chunks of the TCP are judged over several ticks; meanwhile the gate does all that it does else."""

from __future__ import annotations

from dataclasses import replace

import daqp
import numpy as np
import pytest
from safety_rig import SWEEP, Rig, chunk_of, decided, home, panda, poses_along, safety, smooth, tcp_chunk

from vla_ros.core.actions import ActionChunk, ActionSpace, SafetyAction
from vla_ros.core.decisions import SafetyReason
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.safety import tcp_rows
from vla_ros.safety.chunk_desk import PROGRAMMES_PER_TICK, ChunkDesk, Order

FOLLOWED = (SafetyAction.PASS, SafetyAction.SLOW)
ROWS = 60


def long_way(rig: Rig, **changes) -> ActionChunk:
    """Of 60 rows, along which the TCP goes from home to ``SWEEP``."""
    chunk = tcp_chunk(panda(), poses_along(panda(), smooth(ROWS, SWEEP)), stamp_ns=rig.now_ns)
    return replace(chunk, **{"trace_id": "slow", **changes})


def test_the_decision_comes_some_ticks_later_and_no_tick_solves_much_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    solved = [0]

    def counting(*problem):
        solved[0] += 1
        return daqp.solve(*problem)

    monkeypatch.setattr(tcp_rows, "daqp", type("Counting", (), {"solve": staticmethod(counting)}))
    rig = Rig().ready()
    chunk = long_way(rig)
    assert rig.gate.on_chunk(chunk, rig.now_ns) is None
    most, since_ns = 0, rig.now_ns
    while rig.gate.followed_chunk is None:
        before = solved[0]
        rig.step()
        most = max(most, solved[0] - before)
        assert rig.now_ns - since_ns < 400_000_000
    assert solved[0] >= ROWS
    assert most <= PROGRAMMES_PER_TICK + tcp_rows.ITERATIONS
    assert rig.now_ns - since_ns >= 10_000_000 * ROWS / PROGRAMMES_PER_TICK
    assert decided(rig, chunk).action in FOLLOWED
    rig.step(500)
    np.testing.assert_allclose(panda().fk(rig.sent[-1][1].positions[-1])[:3, 3], panda().fk(home() + SWEEP)[:3, 3], atol=2e-3)


def test_what_was_followed_before_is_followed_meanwhile_and_a_continuation_goes_on_from_there() -> None:
    rig = Rig().ready()
    rows = smooth(120, SWEEP)
    assert rig.send(rows, seq=4).action in FOLLOWED
    rig.step(50)
    poses = poses_along(panda(), rows[10:90])
    second = tcp_chunk(panda(), poses, stamp_ns=rig.now_ns, continues_seq=4, continues_row=10.0)
    assert rig.gate.on_chunk(second, rig.now_ns) is None
    before = rig.command.chunk_row
    rig.step(3)
    assert (rig.command.chunk_seq, rig.command.action) == (4, SafetyAction.PASS)
    assert rig.command.chunk_row > before
    assert decided(rig, second).action in FOLLOWED
    rig.step()
    assert rig.command.chunk_seq == 5
    assert rig.command.chunk_row < 40
    rig.step(100)
    assert rig.command.action in FOLLOWED


def test_a_bad_one_that_comes_meanwhile_is_refused_at_once() -> None:
    rig = Rig().ready()
    good = long_way(rig)
    rig.gate.on_chunk(good, rig.now_ns)
    bad = long_way(rig, seq=6, trace_id="bad")
    bad.data[3, 1] = np.nan
    decision = rig.gate.on_chunk(bad, rig.now_ns)
    assert decision is not None
    assert decision.reason is SafetyReason.CHUNK_NOT_FINITE
    assert decided(rig, good).reason is SafetyReason.CHUNK_STALE  # a hold gives up what was to be followed too


def test_of_those_that_come_meanwhile_the_newest_one_waits() -> None:
    rig = Rig().ready()
    first, second, third = (long_way(rig, seq=seq, trace_id=str(seq)) for seq in (5, 6, 7))
    for chunk in (first, second, third):
        assert rig.gate.on_chunk(chunk, rig.now_ns) is None
        rig.step()
    given_up = decided(rig, second)
    assert (given_up.action, given_up.reason) == (SafetyAction.HOLD, SafetyReason.CHUNK_SEQUENCE)
    assert "newer" in given_up.detail
    assert decided(rig, first).action in FOLLOWED  # what is given up stops nothing
    assert decided(rig, third).action in FOLLOWED


@pytest.mark.parametrize("ahead_ns", [0, 45_000_000])
def test_an_emergency_stop_meanwhile_gives_it_up_for_good(ahead_ns: int) -> None:
    """However soon it is reset, and however late its stamp."""
    rig = Rig().ready()
    chunk = long_way(rig, stamp_ns=rig.now_ns + ahead_ns)
    rig.gate.on_chunk(chunk, rig.now_ns)
    rig.step()
    rig.gate.estop("a test")
    decision = decided(rig, chunk)
    assert (decision.action, decision.reason) == (SafetyAction.HOLD, SafetyReason.CHUNK_STALE)
    assert "Emergency stop by a test" in decision.detail
    assert rig.gate.latched is not None
    assert rig.gate.reset()[0]
    rig.step(50)
    assert rig.gate.followed_chunk is None
    np.testing.assert_allclose(rig.sent[-1][1].positions, home()[None].repeat(2, 0), atol=1e-9)


def test_a_hold_meanwhile_gives_it_up() -> None:
    rig = Rig().ready()
    chunk = long_way(rig)
    rig.gate.on_chunk(chunk, rig.now_ns)
    rig.step()
    rig.gate.hold("a test")
    assert decided(rig, chunk).reason is SafetyReason.CHUNK_STALE
    rig.step(100)
    assert rig.gate.followed_chunk is None


def test_a_later_plan_does_not_change_what_it_may_touch() -> None:
    """Two plans give the same id to different subtasks."""
    rig = Rig().ready()
    meant = []
    for cube in ("cube_1", "cube_7"):
        held = Predicate(Relation.HELD, cube)
        subtask = Subtask(id="1", skill=Skill.PICK, description=f"take {cube}", success=held, object_id=cube)
        meant.append(Plan(instruction="take it", subtasks=(subtask,), goal=(held,), planner="test", stamp_ns=rig.now_ns))
    rig.gate.on_plan(meant[0])
    chunk = long_way(rig, subtask_id="1")
    rig.gate.on_chunk(chunk, rig.now_ns)
    rig.step()
    rig.gate.on_plan(meant[1])
    assert decided(rig, chunk).action in FOLLOWED
    assert rig.gate._surroundings._subtask.object_id == "cube_1"


def test_another_chunk_of_its_expert_that_is_taken_meanwhile_comes_before_it() -> None:
    rig = Rig().ready()
    slow = long_way(rig)
    rig.gate.on_chunk(slow, rig.now_ns)
    rig.step()
    assert rig.send(smooth(40, SWEEP), seq=9).action in FOLLOWED
    assert decided(rig, slow).reason is SafetyReason.CHUNK_SEQUENCE
    rig.step(5)
    assert rig.command.chunk_seq == 9
    assert rig.command.action in FOLLOWED


def test_a_leap_of_the_clock_meanwhile_does_not_let_it_through() -> None:
    rig = Rig().ready()
    chunk = long_way(rig)
    rig.gate.on_chunk(chunk, rig.now_ns)
    rig.step()
    rig.now_ns += 5_000_000_000
    decision = decided(rig, chunk)
    assert decision.action is SafetyAction.HOLD
    assert rig.gate.followed_chunk is None


def test_one_that_is_too_late_by_the_time_of_its_turn_takes_no_time() -> None:
    rig = Rig().ready()
    first, late = long_way(rig), long_way(rig, trace_id="late")  # of the same number
    for chunk in (first, late):
        assert rig.gate.on_chunk(chunk, rig.now_ns) is None
        rig.step()
    assert decided(rig, first).action in FOLLOWED
    rig.step()
    assert decided(rig, late, ticks=1).reason is SafetyReason.CHUNK_SEQUENCE


def test_the_desk_begins_nothing_that_it_is_told_not_to() -> None:
    desk, rig = ChunkDesk(), Rig()
    order = Order(long_way(rig), None)
    assert desk.put(order) is None
    assert desk.put(order) is order
    assert desk.go_on(lambda _: None) is None
    assert desk.go_on(lambda _: pytest.fail("it was given up")) is None


def test_a_tick_with_a_chunk_or_a_scene_leaves_its_rows_to_the_next_one_and_no_other_tick_does() -> None:
    rig = Rig().ready()
    rig.step(scene=False)
    rig.send(smooth(120, SWEEP), seq=4)
    rig.step()
    assert rig.gate.state().reason is SafetyReason.OK
    rig.step(40)
    rig.step(scene=False)
    rows = [rig.command.chunk_row]
    for scene in (False, True, False, False, True, True, True):
        rig.step(scene=scene)
        rows.append(rig.command.chunk_row)
    assert [bool(step) for step in np.diff(rows)] == [True, False, True, True, False, True, False]
    rig.step(600)
    assert rig.command.chunk_row == 119.0


def test_what_is_left_to_the_next_tick_changes_nothing_of_the_way() -> None:
    quiet, busy = Rig().ready(), Rig().ready()
    quiet.step(scene=False)
    busy.step(scene=False)
    for rig, scene in ((quiet, False), (busy, True)):
        rig.send(smooth(60, SWEEP), seq=4)
        for tick in range(300):
            rig.step(scene=scene or tick % 10 == 9)
    np.testing.assert_allclose(quiet.signal()[1], busy.signal()[1], atol=1e-6)  # how near to its end it comes to rest


def owing() -> Rig:
    """It follows chunk 4, and the last tick, with a scene, has left its rows to the next one."""
    rig = Rig().ready()
    rig.step(scene=False)
    assert rig.send(smooth(120, SWEEP), seq=4).action in FOLLOWED
    rig.step(40)
    rig.step(scene=False)
    rig.step(scene=True)
    return rig


def test_one_of_joints_that_comes_when_ticks_are_owed_is_judged_a_tick_later_and_the_newest_of_several() -> None:
    rig = owing()
    chunks = [chunk_of(smooth(120, SWEEP), rig.now_ns, seq=seq, continues_seq=4, continues_row=0.0) for seq in (5, 6)]  # both of chunk 4
    assert [rig.gate.on_chunk(chunk, rig.now_ns) for chunk in chunks] == [None, None]
    for followed in (4, 6):
        rig.step(scene=False)
        assert rig.command.chunk_seq == followed
    assert "newer" in decided(rig, chunks[0], ticks=1).detail
    assert decided(rig, chunks[1], ticks=1).action in FOLLOWED


def test_an_older_number_does_not_take_the_place_of_a_newer_one_that_waits() -> None:
    """Messages may be reordered, and two experts may bear one name."""
    rig = owing()
    newer = chunk_of(smooth(120, SWEEP), rig.now_ns, seq=6, continues_seq=4, continues_row=0.0)
    older = chunk_of(smooth(120, SWEEP), rig.now_ns, seq=5, continues_seq=4, continues_row=0.0)
    assert rig.gate.on_chunk(newer, rig.now_ns) is None
    refused = rig.gate.on_chunk(older, rig.now_ns)
    assert refused is not None
    assert (refused.reason, "after chunk 6" in refused.detail) == (SafetyReason.CHUNK_SEQUENCE, True)
    rig.step(2, scene=False)
    assert (rig.command.chunk_seq, rig.command.action) == (6, SafetyAction.PASS)


def test_an_older_number_of_the_tcp_does_not_take_the_place_of_a_newer_one_that_waits() -> None:
    rig = Rig().ready()
    first, newer, older = (long_way(rig, seq=seq, trace_id=str(seq)) for seq in (5, 7, 6))
    assert rig.gate.on_chunk(first, rig.now_ns) is None
    rig.step()
    assert rig.gate.on_chunk(newer, rig.now_ns) is None
    refused = rig.gate.on_chunk(older, rig.now_ns)
    assert refused is not None
    assert refused.reason is SafetyReason.CHUNK_SEQUENCE
    assert decided(rig, newer).action in FOLLOWED


def test_one_of_joints_that_waits_is_given_up_by_an_emergency_stop() -> None:
    rig = Rig().ready()
    rig.step(scene=False)
    rig.send(smooth(120, SWEEP), seq=4)
    rig.step()
    waiting = chunk_of(smooth(120, SWEEP), rig.now_ns, seq=5, continues_seq=4, continues_row=0.0)
    assert rig.gate.on_chunk(waiting, rig.now_ns) is None
    rig.gate.estop("a person")
    rig.step()
    assert decided(rig, waiting).reason is SafetyReason.CHUNK_STALE
    rig.step(60)
    assert rig.command.action is SafetyAction.STOP


@pytest.mark.parametrize(("lookahead", "may_owe"), [(2, False), (5, False), (6, True), (8, True), (20, True)])
def test_no_tick_is_put_off_where_little_is_committed_ahead(lookahead: int, may_owe: bool) -> None:
    rig = Rig(replace(safety(), lookahead_ticks=lookahead)).ready()
    rig.send(smooth(120, SWEEP), seq=4)
    least = lookahead
    for late in range(60):
        rig.step(scene=True, jitter_ns=(late % 3) * 4_000_000)
        horizon = rig.gate._guard.horizon
        least = min(least, horizon.end - horizon.tick_at(rig.now_ns))
    assert (least < lookahead) is may_owe
    assert least >= min(lookahead, 5)
    rig.step(600)
    assert rig.command.chunk_row == 119.0


@pytest.mark.parametrize("space", [ActionSpace.JOINT_POSITION, ActionSpace.JOINT_DELTA])
def test_a_chunk_that_continues_the_one_that_waits_has_that_one_judged_first(space: ActionSpace) -> None:
    """Else it would continue what was never followed: refused as a jump, or entered at a wrong row."""
    ends = []
    for burst in (False, True):
        rig, way = Rig().ready(), smooth(120, SWEEP)
        data = way if space is ActionSpace.JOINT_POSITION else np.vstack([np.zeros(7), np.diff(way, axis=0)])
        rig.step(scene=False)
        assert rig.send(data, seq=4, space=space).action in FOLLOWED
        rig.step(100)
        rig.step(scene=False)
        rig.step(scene=burst)
        row = int(rig.command.chunk_row)
        first = rig.send(data[row:], seq=5, space=space, continues_seq=4, continues_row=float(row))
        assert (first is None) is burst
        second = rig.send(data[row + 2 :], seq=6, space=space, continues_seq=5, continues_row=2.0)
        assert second is None or second.action in FOLLOWED
        rig.step(600)
        assert all(d.action in FOLLOWED for d in rig.decisions), [d.detail for d in rig.decisions]
        assert rig.command.chunk_seq == 6
        ends.append(rig.sent[-1][1].positions[-1])
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-6)
