"""Motion that a person guides lasts as long as the person holds the switch."""

from __future__ import annotations

import numpy as np
import pytest
from safety_rig import SWEEP, Rig, safety, smooth

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyMode, SafetyReason

EXPERT = safety().deadman.experts[0]


class GuidedRig(Rig):
    """``pressed`` None: nothing is said about the switch."""

    pressed: bool | None = None

    def step(self, ticks: int = 1, **options):
        for _ in range(ticks):
            if self.pressed is not None:
                self.gate.on_deadman(self.pressed, self.steady_ns)
            super().step(1, **options)
        return self.command


def guided() -> GuidedRig:
    """On its way."""
    rig = GuidedRig()
    rig.ready()
    rig.pressed = True
    rig.step(2)
    assert rig.send(smooth(60, SWEEP), expert=EXPERT).action != SafetyAction.HOLD
    rig.step(60)
    assert np.abs(rig.arm_state()[1]).max() > 0.05
    return rig


@pytest.mark.parametrize("pressed", [None, False])
def test_without_the_switch_nothing_that_is_guided_moves(pressed):
    rig = GuidedRig()
    rig.ready()
    rig.pressed = pressed
    rig.step(2)
    decision = rig.send(smooth(60, SWEEP), expert=EXPERT)
    assert (decision.action, decision.reason) == (SafetyAction.HOLD, SafetyReason.DEADMAN)
    rig.step(30)
    assert not rig.arm_state()[1].any()
    assert rig.send(smooth(60, SWEEP), expert="scripted", seq=2).action != SafetyAction.HOLD, "others need none"


def test_a_switch_that_is_let_go_brakes_from_the_next_tick_on_and_motion_needs_a_fresh_chunk():
    rig = guided()
    rig.pressed = False
    rig.step(1)
    assert rig.gate.state().reason == SafetyReason.DEADMAN
    rig.step(60)
    assert rig.gate.state().mode == SafetyMode.READY, "others may go on"
    rest = rig.arm_state()[0]
    rig.pressed = True
    rig.step(120)
    np.testing.assert_array_equal(rig.arm_state()[0], rest)
    rest_of_it = rest + smooth(40, SWEEP) - smooth(40, SWEEP)[0]
    assert rig.send(rest_of_it, expert=EXPERT, seq=2).action != SafetyAction.HOLD
    rig.step(60)
    assert np.abs(rig.arm_state()[0] - rest).max() > 0.01


def test_a_switch_that_falls_silent_counts_as_let_go():
    rig = guided()
    rig.pressed = None
    ticks = round(safety().deadman.age_s / safety().tick_s)
    rig.step(ticks - 1)  # it was told of before the last tick
    assert rig.gate.state().reason != SafetyReason.DEADMAN
    rig.step(1)
    assert rig.gate.state().reason == SafetyReason.DEADMAN
    rig.step(60)
    assert not rig.arm_state()[1].any()


def test_the_switch_is_nothing_to_what_nobody_guides():
    rig = GuidedRig()
    rig.ready()
    rig.pressed = False
    rig.send(smooth(60, SWEEP))
    rig.step(400)
    np.testing.assert_allclose(rig.arm_state()[0], smooth(60, SWEEP)[-1], atol=1e-3)
