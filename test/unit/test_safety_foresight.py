"""Motion that the world model does not stand behind is slowed or held; only an approval in time lets it go on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safety_rig import SWEEP, TICK_NS, Rig, home, panda, poses_along, safety, smooth, tcp_chunk

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyMode, SafetyReason, Verdict
from vla_ros.safety.chunk_checks import ChunkId
from vla_ros.safety.config import WorldModelConfig
from vla_ros.safety.foresight import CHAIN_KEPT, Foresight

DEADLINE_TICKS = 30
SLOW = 0.3
RENEWAL_TICKS = 10
ANSWER_TICKS = 8


def config(unknown_speed=SLOW, required=True):
    return replace(safety(), world_model=WorldModelConfig(required, DEADLINE_TICKS * TICK_NS * 1e-9, unknown_speed))


class Expert:
    """Renews its chunk ten times a second, each one continuing the one before it; answers come some ticks after the question."""

    def __init__(self, rig, rows=160):
        self.rig, self._rows, self._first, self._seq = rig, smooth(rows, 3 * SWEEP), 0, 0
        self.asked = []  # (tick of the answer, chunk)

    def renew(self, tick):
        row = int(self.rig.command.chunk_row) if self._seq else 0
        self._first, self._seq = self._first + row, self._seq + 1
        going_on = {"continues_seq": self._seq - 1, "continues_row": float(row)} if self._seq > 1 else {}
        decision = self.rig.send(self._rows[self._first :][:60], seq=self._seq, **going_on)
        assert decision.action in (SafetyAction.PASS, SafetyAction.SLOW), decision
        self.asked.append((tick + ANSWER_TICKS, ChunkId("scripted", self._seq, self.rig.now_ns)))

    def play(self, ticks, verdict=None, detail="because"):
        """The reasons of each tick's state; ``verdict`` None: no answer comes."""
        reasons = []
        for tick in range(ticks):
            if tick % RENEWAL_TICKS == 0:
                self.renew(tick)
            while self.asked and self.asked[0][0] <= tick:
                chunk = self.asked.pop(0)[1]
                if verdict is not None:
                    self.rig.gate.on_world_model(chunk, verdict, detail)
            self.rig.step()
            reasons.append(self.rig.gate.state().reason)
        self.asked.clear()
        return reasons


def rig(**changes):
    return Rig(config(**changes)).ready()


def pace(rig):
    return rig.command.speed_scale


def test_chunks_that_are_approved_in_time_are_played_at_their_full_pace():
    there = rig()
    assert set(Expert(there).play(150, Verdict.APPROVE)) == {SafetyReason.OK}
    assert pace(there) == pytest.approx(1.0)
    assert there.gate.state().mode == SafetyMode.READY


@pytest.mark.parametrize("verdict", [None, Verdict.UNKNOWN], ids=["no answer", "unknown"])
def test_what_is_not_approved_is_slowed_however_often_the_chunk_is_renewed(verdict):
    there = rig()
    reasons = Expert(there).play(200, verdict)
    first = reasons.index(SafetyReason.UNFORESEEN)
    assert first == (DEADLINE_TICKS if verdict is None else ANSWER_TICKS)
    assert set(reasons[first:]) == {SafetyReason.UNFORESEEN}
    assert pace(there) == pytest.approx(SLOW, abs=1e-3)
    state = there.gate.state()
    assert (state.mode, there.command.action) == (SafetyMode.SLOWED, SafetyAction.SLOW)
    assert f"at {SLOW:.0%} of its speed" in state.detail
    assert ("because" if verdict else "0.3 s") in state.detail


def test_the_pace_changes_within_the_limits_and_an_approval_gives_it_back():
    there = rig()
    expert = Expert(there)
    expert.play(150, Verdict.APPROVE)
    expert.play(100)
    assert pace(there) == pytest.approx(SLOW, abs=1e-3)
    assert expert.play(60, Verdict.APPROVE)[-1] == SafetyReason.OK
    assert pace(there) > 0.9
    _, _, velocity, acceleration = there.signal(tail_s=0.0)
    limits = there.gate._arm.config.limits
    assert np.all(np.abs(velocity).max(axis=0) <= 0.5 * np.asarray(limits.velocity_radps) + 1e-9)
    assert np.all(np.abs(acceleration).max(axis=0) <= 0.4 * np.asarray(limits.acceleration_radps2) + 1e-9)


def test_at_speed_0_what_is_not_approved_is_held_and_an_approval_lets_the_next_chunk_go():
    there = rig(unknown_speed=0.0)
    there.send(smooth(60, SWEEP))
    there.step(DEADLINE_TICKS + 1)
    state = there.gate.state()
    assert (state.mode, state.reason) == (SafetyMode.HOLDING, SafetyReason.UNFORESEEN)
    assert "approved nothing" in state.detail
    there.step(100)
    rest = there.command.trajectory.positions[-1]
    second = np.tile(rest, (40, 1))
    second[:, 0] += np.linspace(0, 0.2, 40) ** 2
    there.send(second, seq=2)
    asked_ns = there.now_ns
    there.step(60)
    np.testing.assert_allclose(there.command.trajectory.positions[-1], rest, atol=1e-9)
    there.gate.on_world_model(ChunkId("scripted", 2, asked_ns), Verdict.APPROVE, "")
    there.step(60)
    assert there.send(second, seq=3).action == SafetyAction.PASS
    there.step(20)
    assert there.command.action == SafetyAction.PASS
    assert np.abs(there.command.trajectory.positions[-1] - rest).max() > 1e-4


def test_at_speed_0_one_of_the_tcp_that_was_not_approved_is_followed_for_a_tick_so_that_it_can_be_asked_about():
    """Else none could ever be approved: it is judged in a tick, and what is not followed is not asked about."""
    there = rig(unknown_speed=0.0)
    poses = poses_along(panda(), smooth(60, SWEEP))

    def taken(seq):
        there.gate.on_chunk(tcp_chunk(panda(), poses, stamp_ns=there.now_ns, seq=seq), there.now_ns)
        for _ in range(20):
            there.step()
            if there.gate.followed_chunk is not None:
                return there.gate.followed_chunk
        return None

    assert taken(1) is not None
    there.step(DEADLINE_TICKS + 1)
    assert there.gate.state().reason is SafetyReason.UNFORESEEN
    there.step(100)
    rest = there.command.trajectory.positions[-1]
    poses = poses_along(panda(), np.vstack([np.tile(rest, (10, 1)), rest + smooth(50, SWEEP) - smooth(50, SWEEP)[0]]))
    followed = taken(2)
    assert followed is not None
    assert there.gate.state().reason is SafetyReason.UNFORESEEN
    there.step()
    assert there.gate.followed_chunk is None
    there.step(20)
    np.testing.assert_allclose(there.command.trajectory.positions[-1], rest, atol=1e-9)
    there.gate.on_world_model(ChunkId(followed.expert, 2, followed.stamp_ns), Verdict.APPROVE, "")
    there.step(60)
    assert taken(3) is not None
    there.step(20)
    assert there.command.action is SafetyAction.PASS


def test_after_a_rejection_the_next_motion_is_slow_until_it_is_approved():
    there = rig()
    expert = Expert(there)
    expert.play(ANSWER_TICKS, Verdict.APPROVE)
    there.gate.on_world_model(ChunkId("scripted", 1, there.now_ns - ANSWER_TICKS * TICK_NS), Verdict.REJECT, "the arm would hit the bowl.")
    there.step()
    assert (there.gate.state().mode, there.gate.state().reason) == (SafetyMode.HOLDING, SafetyReason.WORLD_MODEL)
    there.step(100)
    start = there.command.trajectory.positions[-1]
    decision = there.send(smooth(40, 0.2 * SWEEP) - home() + start, seq=2)
    assert (decision.action, decision.reason) == (SafetyAction.SLOW, SafetyReason.UNFORESEEN)
    there.gate.on_world_model(ChunkId("scripted", 2, there.now_ns), Verdict.APPROVE, "")
    there.step()
    assert there.gate.state().reason == SafetyReason.OK


def test_a_graph_without_a_world_model_is_not_slowed_but_a_rejection_still_holds():
    there = rig(required=False)
    expert = Expert(there)
    assert set(expert.play(100)) == {SafetyReason.OK}
    assert set(expert.play(20, Verdict.UNKNOWN)) == {SafetyReason.OK}
    expert.renew(0)
    there.gate.on_world_model(expert.asked[-1][1], Verdict.REJECT, "the arm would hit the bowl")
    there.step()
    assert there.gate.state().reason == SafetyReason.WORLD_MODEL


def test_an_override_below_the_speed_of_the_unknown_is_kept_and_named():
    there = rig()
    there.gate.set_speed(0.2)
    reasons = Expert(there).play(150)
    assert set(reasons) == {SafetyReason.SPEED_OVERRIDE}
    assert pace(there) == pytest.approx(0.2, abs=1e-3)


def chunk(seq):
    return ChunkId("scripted", seq, seq)


MS = 1_000_000
# What happens in order, each (ms, what, chunk); then since when [ms] the motion is in doubt, if nothing else happens.
CASES = {
    "nothing was followed": ([], None),
    "one chunk, no answer": ([(0, "follow", 1)], 301),
    "renewed, no answer": ([(0, "follow", 1), (100, "follow", 2), (200, "follow", 3)], 301),
    "fresh ones instead of continued ones": ([(0, "follow", 1), (150, "afresh", 2), (290, "afresh", 3)], 301),
    "the newest is approved": ([(0, "follow", 1), (100, "follow", 2), (150, "approve", 2)], None),
    "one before the newest is approved": ([(0, "follow", 1), (100, "follow", 2), (200, "follow", 3), (250, "approve", 2)], 501),
    "an approval of what was never followed": ([(0, "follow", 1), (100, "approve", 9)], 301),
    "approved, then followed by others": ([(0, "follow", 1), (50, "approve", 1), (100, "follow", 2)], 401),
    "unknown": ([(0, "follow", 1), (50, "unknown", 1)], 50),
    "unknown, then a newer one is approved": ([(0, "follow", 1), (50, "unknown", 1), (100, "follow", 2), (150, "approve", 2)], None),
    "unknown after a newer one was approved": ([(0, "follow", 1), (100, "follow", 2), (150, "approve", 2), (160, "unknown", 1)], None),
    "approved after a newer one was unknown": ([(0, "follow", 1), (100, "follow", 2), (150, "unknown", 2), (160, "approve", 1)], 160),
    "more chunks than are kept": ([(10 * i, "follow", i + 1) for i in range(CHAIN_KEPT + 8)], 301),
    "more than are kept, and an old approval": ([*((10 * i, "follow", i + 1) for i in range(CHAIN_KEPT + 8)), (240, "approve", 2)], 301),
    "more than are kept, and a new approval": ([*((10 * i, "follow", i + 1) for i in range(CHAIN_KEPT + 8)), (240, "approve", 20)], 501),
    "the clock jumped": ([(0, "follow", 1), (10, "unknown", 1), (20, "jump", 0)], None),
}
VERDICTS = {"approve": Verdict.APPROVE, "unknown": Verdict.UNKNOWN}


@pytest.mark.parametrize(("events", "doubt_ms"), CASES.values(), ids=CASES)
def test_when_the_motion_comes_into_doubt(events, doubt_ms):
    foresight = Foresight(WorldModelConfig(True, 0.3, SLOW))
    for at_ms, what, seq in events:
        if what in ("follow", "afresh"):
            foresight.follow(chunk(seq), at_ms * MS, continued=what == "follow")
        elif what == "jump":
            foresight.forget()
        else:
            foresight.answer(chunk(seq), VERDICTS[what], "dark")
    last_ms = events[-1][0] if events else 0
    doubts = [ms for ms in range(last_ms, 2000) if foresight.doubt(ms * MS)]
    assert doubts == ([] if doubt_ms is None else list(range(doubt_ms, 2000))), "and it does not pass by itself"
