"""Whatever is sent and whenever it breaks off: the signal that reaches the arm keeps the hard limits and ends at rest."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safety_rig import MS, TICK_NS, Rig, chunk_of, largest_disagreement, panda, safety

from vla_ros.core.actions import ActionSpace
from vla_ros.motion.interpolation import judge_samples

SLOW = settings(max_examples=15, deadline=None)
EVENTS = ("reach", "reach", "continue", "continue", "near_limit", "noise", "absurd", "garbage", "idle", "blind", "speed")
events = st.lists(
    st.tuples(st.sampled_from(EVENTS), st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([0, 0, 3, 12, 39, 70])),
    min_size=1,
    max_size=8,
)


def rows_for(kind: str, rng: np.random.Generator, here: np.ndarray) -> tuple[np.ndarray, float]:
    """Rows and their spacing [s]: sensible or not, as ``kind`` says."""
    rows = int(rng.integers(2, 40))
    s = np.linspace(0, 1, rows)[:, None]
    dt_s = float(rng.choice([0.01, 0.033, 0.05, 0.1]))
    way = rng.normal(size=7) * rng.choice([0.02, 0.2, 0.6])
    if kind == "near_limit":
        limit = np.asarray(panda().config.limits.velocity_radps)
        way = np.sign(rng.normal(size=7)) * limit * dt_s * (rows - 1) * rng.uniform(0.3, 1.02)
        return here + s * way, dt_s
    if kind == "noise":
        return here + s * way + rng.normal(size=(rows, 7)) * 0.003, dt_s
    if kind == "absurd":
        return here + rng.normal(size=(rows, 7)) * rng.choice([0.1, 3.0, 1e6]), dt_s
    if kind == "garbage":
        return rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e300], size=(rows, int(rng.integers(5, 9)))), dt_s
    return here + (3 * s**2 - 2 * s**3) * way, dt_s


class Story:
    """Plays events on a rig."""

    def __init__(self) -> None:
        self.rig = Rig().ready()
        self.seq = 0

    def play(self, event) -> None:
        kind, seed, ticks, jitter_ms = event
        rig, rng = self.rig, np.random.default_rng(seed)
        if kind == "speed":
            rig.gate.set_speed(float(rng.choice([0.0, 0.3, 1.0])))
        elif kind not in ("idle", "blind"):
            self.send(kind, rng)
        rig.step(1, jitter_ns=jitter_ms * MS)
        rig.step(ticks, joints=kind != "blind")

    def send(self, kind: str, rng: np.random.Generator) -> None:
        rig = self.rig
        end = rig.gate._guard.horizon.state.position
        rows, dt_s = rows_for(kind, rng, end + rng.normal(size=7) * rng.choice([0.0, 0.01]))
        self.seq += 1
        chunk = chunk_of(rows, rig.now_ns, seq=self.seq, dt_s=dt_s)
        if kind == "continue" and rig.command.chunk_seq:
            chunk = replace(chunk, continues_seq=rig.command.chunk_seq, continues_row=rig.command.chunk_row - float(rng.uniform(0, 3)))
        if rng.random() < 0.1:
            chunk = replace(chunk, space=ActionSpace(int(rng.integers(0, 4))))
        rig.gate.on_chunk(chunk, rig.now_ns)


def assert_safe(rig: Rig, until: int | None = None) -> None:
    _, p, v, a = rig.signal(until)
    peaks = judge_samples(p, v, a, panda().config.limits)
    assert peaks.worst <= 1.0, peaks
    assert not v[-1].any()
    for _, message in rig.sent:  # exactly at rest: a stock controller refuses anything else
        assert not message.velocities[-1].any()
        assert not message.accelerations[-1].any()
    assert np.abs(np.diff(p, axis=0)).max() <= 0.001 * 2.61 + 1e-9  # no step anywhere, at the changes from message to message neither


@SLOW
@given(events, st.floats(0, 1))
def test_the_signal_keeps_the_hard_limits_wherever_the_messages_break_off(story_events, share):
    story = Story()
    for event in story_events:
        story.play(event)
    assert_safe(story.rig)
    assert_safe(story.rig, until=1 + int(share * (len(story.rig.sent) - 1)))


@SLOW
@given(events)
@example([("near_limit", 132175, 10, 39), ("reach", 0, 1, 70)])  # a tick that comes when the stop has just ended
def test_messages_agree_wherever_they_overlap(story_events):
    """Without a fault that cuts it nothing that was sent is taken back before the end of the look-ahead."""
    story = Story()
    for event in story_events:
        story.play(event)
    lookahead_ns = (safety().lookahead_ticks - 3) * TICK_NS  # two may be owed
    sent = story.rig.sent
    for (t_old, old), (t_new, new) in pairwise(sent):
        assert new.start_ns <= t_new
        until = max(t_old + lookahead_ns, t_new + TICK_NS)
        assert largest_disagreement(old, new, t_new, until) < 1e-9


@SLOW
@given(events, st.integers(0, 30), st.integers(0, 9))
def test_an_emergency_stop_at_any_moment_brakes_inside_the_limits_and_in_time(story_events, ticks, jitter_ms):
    story = Story()
    for event in story_events:
        story.play(event)
    rig = story.rig
    rig.step(ticks)
    pressed_ns = rig.now_ns
    rig.gate.estop("test")
    rig.step(1, jitter_ns=jitter_ms * MS)
    rig.step(45)
    assert_safe(rig)
    times, _, v, _ = rig.signal()
    moving = times[np.abs(v).max(axis=1) > 1e-6]
    longest_ns = int(rig.gate._guard._braking.longest_s * 1e9) + 3 * TICK_NS + jitter_ms * MS
    assert len(moving) == 0 or moving[-1] - pressed_ns <= longest_ns
    is_still = rig.gate._guard.horizon.is_still(rig.now_ns)
    assert is_still or not rig.gate.reset()[0]


@SLOW
@given(events)
def test_the_tcp_stays_in_the_workspace(story_events):
    story = Story()
    for event in story_events:
        story.play(event)
    _, p, _, _ = story.rig.signal()
    box = panda().config.workspace
    for q in p[:: max(len(p) // 60, 1)]:
        tcp = panda().fk(q)[:3, 3]
        assert np.all(tcp >= box.min_m - 2e-3)
        assert np.all(tcp <= box.max_m + 2e-3)
