"""The world model's own error: what is compared with what, and when nothing is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from vla_ros.core.actions import ActionChunk, ActionSpace
from vla_ros.core.geometry import Pose, transform
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.world_model.own_error import OwnError, Prediction, Progress

MS = 1_000_000
DT_S, ROWS, TICK_MS = 0.05, 32, 50
LAG_ROWS = 2.0  # of the arm behind what is committed
NAMES = ("a", "b")


def line_m(rows):
    """[n, 3] a straight way of 1 cm per row."""
    return np.stack([0.01 * np.asarray(rows, dtype=float), np.zeros(len(rows)), np.full(len(rows), 0.3)], axis=1)


def chunk(seq, first=0.0, *, before=0, row=0.0, bent_from=None, width=0.04, expert="scripted", **changes):
    """A piece of one time line, row 0 at its row ``first``; ``bent_from``: row of its own from which it promises something else."""
    data = np.tile((first + np.arange(ROWS))[:, None] * 0.02, (1, 2))
    if bent_from is not None:
        data[bent_from:] += 0.1
    made = ActionChunk(
        seq, expert, "1", f"{expert}-{seq}", seq, ActionSpace.JOINT_POSITION, NAMES, DT_S, data, np.full(ROWS, width), continues_seq=before
    )
    return replace(made, continues_row=row, **changes)


def prediction(**changes):
    origin = chunk(1)
    return replace(Prediction(origin, origin.data, line_m(np.arange(ROWS)), "", ""), **changes)


def cube(x_m=0.5, **changes):
    pose = Pose.from_matrix(transform(np.eye(3), np.array([x_m, 0.0, 0.02])))
    return SceneObject("cube_1", "red cube", "red", "cube", pose, np.full(3, 0.04), 0.9, 0, **changes)


@dataclass
class Play:
    """The monitor follows the time line at ``pace``, the arm after it, ``off_m`` beside the way."""

    off_m: float = 0.0
    pace: float = 1.0
    things: tuple = ()
    own: OwnError = field(default_factory=OwnError)
    now_ns: int = 0
    row: float = 0.0
    found: list = field(default_factory=list)

    def run(self, ticks, seq=1, first=0.0, expert="scripted"):
        """``seq`` is followed, whose row 0 lies at ``first``."""
        for _ in range(ticks):
            self.now_ns += TICK_MS * MS
            self.row = min(self.row + self.pace, ROWS - 1.0)
            tcp_m = line_m([max(self.row - LAG_ROWS * self.pace, -0.5)])[0] + [0.0, self.off_m, 0.0]
            scene = Scene(self.now_ns, "base", self.things)
            made = self.own.observe(Progress(f"{expert}-{seq}", seq, self.row - first), tcp_m, scene, self.now_ns)
            self.found += [made] if made else []
        return self.found


@pytest.mark.parametrize("pace", [1.0, 0.3])
def test_the_way_of_the_tcp_is_compared_at_any_pace_and_its_lag_is_no_error(pace):
    play = Play(off_m=0.004, pace=pace)
    play.own.foresee(prediction(), 0)
    (found,) = play.run(120)
    np.testing.assert_allclose(found.tcp_m, 0.004, atol=1e-12)
    assert found.horizon_s == pytest.approx((ROWS - 1) * DT_S)
    assert (found.held_compared, found.held_wrong) == (True, False)


def test_chunks_that_promise_the_same_keep_a_prediction_alive_and_one_that_does_not_ends_it():
    play = Play()
    play.own.foresee(prediction(), 0)
    play.run(6)
    play.own.on_chunk(chunk(2, 6.5, before=1, row=6.5))
    play.run(6, seq=2, first=6.5)
    play.own.on_chunk(chunk(3, 12.0, before=2, row=5.5, bent_from=8))
    assert play.own.is_comparing
    (found,) = play.run(20, seq=3, first=12.0)
    assert found.horizon_s == pytest.approx(19 * DT_S)  # the last row that was promised by all three
    assert found.tcp_m.max() < 1e-12


ENDS = {
    "another gripper": chunk(2, 12.0, before=1, row=12.0, width=0.0),
    "another expert": chunk(2, 12.0, before=1, row=12.0, expert="move_to"),
    "afresh": chunk(2, 12.0),
    "another dt": chunk(2, 12.0, before=1, row=12.0, dt_s=0.1),
    "not finite": chunk(2, 12.0, before=1, row=12.0, data=np.full((ROWS, 2), np.nan)),
    "no row": chunk(2, 12.0, before=1, row=float("nan")),
    "another arm": chunk(2, 12.0, before=1, row=12.0, data=np.zeros((ROWS, 3))),
}


@pytest.mark.parametrize("later", ENDS.values(), ids=ENDS)
def test_what_is_no_continuation_ends_the_comparison(later):
    play = Play()
    play.own.foresee(prediction(), 0)
    play.run(12)
    play.own.on_chunk(later)
    (found,) = play.run(1, seq=2, first=12.0, expert=later.expert)
    assert found.horizon_s == pytest.approx(12 * DT_S)


def test_a_chunk_that_came_while_the_one_before_it_was_rolled_out_counts():
    play = Play()
    play.own.on_chunk(chunk(2, 1.0, before=1, row=1.0))
    play.own.foresee(prediction(), 0)
    play.run(1)
    (found,) = play.run(40, seq=2, first=1.0)
    assert found.horizon_s == pytest.approx((ROWS - 1) * DT_S)


def test_what_is_not_followed_or_not_for_long_is_not_compared():
    play = Play()
    play.own.foresee(prediction(), 0)
    assert play.run(30, seq=9) == []
    assert not play.own.is_comparing
    play.row = 0.0
    play.own.foresee(prediction(), play.now_ns)
    play.run(5)
    assert play.run(1, seq=9) == []
    assert not play.own.is_comparing
    assert play.own.summary.compared == 0


LANDS = np.array([0.5, 0.0, 0.02])
HELD, SEEN = (cube(held=True),), (cube(x_m=0.512),)
# held before, after, row of the change, where it comes to rest; what is seen -> (compared, wrong, distance of the resting place)
OUTCOMES = {
    "nothing is held": (("", "", None, None), (), (True, False, None)),
    "it stays in the hand": (("cube_1", "cube_1", None, None), HELD, (True, False, None)),
    "it is lost": (("cube_1", "cube_1", None, None), SEEN, (True, True, None)),
    "it is grasped": (("", "cube_1", 10, None), HELD, (True, False, None)),
    "it is missed": (("", "cube_1", 10, None), SEEN, (True, True, None)),
    "it lands": (("cube_1", "", 10, LANDS), SEEN, (True, False, 0.012)),
    "it sticks to the hand": (("cube_1", "", 10, LANDS), HELD, (True, True, None)),
    "it lands unseen": (("cube_1", "", 10, LANDS), (cube(occluded=True),), (True, False, None)),
    "the chunk is left before": (("", "cube_1", 40, None), (), (False, False, None)),
}


@pytest.mark.parametrize(("foreseen", "seen", "expected"), OUTCOMES.values(), ids=OUTCOMES)
def test_what_is_in_the_hand_and_where_it_lands(foreseen, seen, expected):
    play = Play(things=seen)
    play.own.foresee(prediction(**dict(zip(("held_before", "held_after", "change_row", "resting_m"), foreseen, strict=True))), 0)
    (found,) = play.run(60)
    assert (found.held_compared, found.held_wrong) == expected[:2]
    assert found.object_m == pytest.approx(expected[2]) if expected[2] else np.isnan(found.object_m)


def test_after_a_release_perception_is_given_time_to_see_it():
    play = Play(things=HELD)
    play.own.foresee(prediction(held_before="cube_1", change_row=10, resting_m=LANDS), 0)
    play.run(ROWS)
    assert play.found == []
    play.things = SEEN
    (found,) = play.run(25)
    assert not found.held_wrong


def test_the_summary_weighs_samples_and_keeps_the_worst():
    own = OwnError()
    for off_m, things in ((0.002, ()), (0.006, HELD)):
        play = Play(off_m=off_m, things=things, own=own)
        own.foresee(prediction(), 0)
        play.run(60)
    s = own.summary
    assert (s.compared, s.held_compared, s.held_wrong) == (2, 2, 1)
    assert (s.tcp_mean_m, s.tcp_max_m) == (pytest.approx(0.004), pytest.approx(0.006))
    assert np.isnan(s.object_max_m)
    assert "4.0 mm off the foreseen path on average, 6.0 mm at most; what is held was foreseen 1 of 2 times." in s.sentence()
