"""When the gate's clock has leapt."""

from __future__ import annotations

import pytest

from vla_ros.safety.clock import Clock

MS = 1_000_000
START_NS = 10_000 * MS


@pytest.mark.parametrize(
    ("step_ms", "steady_step_ms", "said"),
    [
        (10, 10, ""),
        (-20, 10, ""),  # network time
        (-21, 10, "went back by 0.02 s"),
        (110, 10, ""),  # a simulator catches up
        (111, 10, "leapt ahead by 0.10 s"),
        (5000, 5000, ""),  # the process was stopped: both went on
        (0, 5000, ""),  # the simulator was
    ],
)
def test_only_a_leap_is_told(step_ms: int, steady_step_ms: int, said: str) -> None:
    clock = Clock()
    assert clock.tick(START_NS, 0) == ""
    assert clock.tick(START_NS + step_ms * MS, steady_step_ms * MS) == said


def test_it_goes_back_by_a_leap_alone() -> None:
    clock = Clock()
    clock.tick(START_NS, 0)
    clock.tick(START_NS - 10 * MS, 10 * MS)
    assert clock.now_ns == START_NS
    clock.tick(START_NS - 1000 * MS, 20 * MS)
    assert clock.now_ns == START_NS - 1000 * MS
