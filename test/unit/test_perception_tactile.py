"""Tactile processing: offsets, contact with hysteresis, force, area, centre of pressure, slip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vla_ros.core.errors import PerceptionError
from vla_ros.core.robot_state import ContactState
from vla_ros.perception.tactile import TactileProcessor, TactileProcessorConfig

STEP_NS = 10_000_000


class Hand:
    """Feeds a processor at 100 Hz with noisy pads."""

    def __init__(self, offset_n: float = 0.05, noise_n: float = 0.002) -> None:
        self.processor = TactileProcessor()
        self.rng = np.random.default_rng(1)
        self.offset_n, self.noise_n, self.stamp_ns = offset_n, noise_n, 0
        self.feel(np.zeros((4, 4)), 25)

    def feel(self, pattern: np.ndarray, samples: int = 1, shear: float | None = None) -> ContactState:
        for _ in range(samples):
            self.stamp_ns += STEP_NS
            pads = [pattern + self.offset_n + self.rng.normal(0, self.noise_n, (4, 4)) for _ in range(2)]
            extra = None if shear is None else np.full((4, 4), shear / 16)
            state = self.processor.update(*pads, self.stamp_ns, left_shear_n=extra, right_shear_n=extra)
        return state


def blob(row: float, col: float, force_n: float) -> np.ndarray:
    rows, cols = np.mgrid[0:4, 0:4]
    weights = np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / 1.5)
    return force_n * weights / weights.sum()


def test_an_offset_is_no_contact() -> None:
    state = Hand(offset_n=0.1).feel(np.zeros((4, 4)), 50)
    assert not any(f.in_contact or f.slip for f in state.fingers)
    assert state.grasp_force_n < 0.05


def test_a_grasp_is_felt_with_its_force_area_and_centre() -> None:
    state = Hand().feel(blob(2.5, 0.5, 20.0), 30)
    assert state.both_in_contact
    assert not state.slipping
    assert state.grasp_force_n == pytest.approx(20.0, abs=0.3)
    left = state.fingers[0]
    assert left.finger == "left"
    assert 0 < left.area_m2 <= 0.018**2 + 1e-12
    assert left.centre_m[0] > 0.002
    assert left.centre_m[1] < -0.002


def test_contact_neither_chatters_nor_begins_with_one_spike() -> None:
    hand = Hand()
    assert not hand.feel(blob(1, 1, 5.0)).both_in_contact
    assert not hand.feel(np.zeros((4, 4))).both_in_contact
    hand.feel(blob(1, 1, 0.5), 5)
    states = [hand.feel(blob(1, 1, 0.3 + 0.08 * (-1) ** i)) for i in range(30)]
    assert all(s.both_in_contact for s in states)
    assert not hand.feel(np.zeros((4, 4)), 4).both_in_contact


def test_a_pattern_that_moves_under_load_is_slip() -> None:
    hand = Hand()
    hand.feel(blob(1.0, 1.5, 15.0), 40)
    slipped = [hand.feel(blob(1.0 + 0.12 * i, 1.5, 15.0)).slipping for i in range(1, 15)]
    assert any(slipped)
    assert not hand.feel(blob(2.7, 1.5, 15.0), 40).slipping


def test_friction_that_lets_go_is_slip() -> None:
    hand = Hand()
    hand.feel(blob(1.5, 1.5, 10.0), 40, shear=5.0)
    assert hand.feel(blob(1.5, 1.5, 10.0), 2, shear=2.0).slipping


def test_closing_harder_is_not_slip() -> None:
    hand = Hand()
    hand.feel(blob(1.5, 1.5, 5.0), 20)
    assert not any(hand.feel(blob(1.5, 1.5, 5.0 + i)).slipping for i in range(25))


def test_a_start_with_something_in_the_gripper_is_not_tared_away() -> None:
    processor = TactileProcessor()
    for i in range(40):
        state = processor.update(blob(1, 1, 12.0), blob(1, 1, 12.0), i * STEP_NS)
    assert processor.tared
    assert state.both_in_contact
    assert state.grasp_force_n > 11


@pytest.mark.parametrize("bad", [np.zeros((3, 4)), np.full((4, 4), np.nan), np.zeros(16)])
def test_what_is_no_pad_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(PerceptionError, match="left finger"):
        TactileProcessor().update(bad, np.zeros((4, 4)), 1)
    with pytest.raises(PerceptionError, match="Shear"):
        TactileProcessor().update(np.zeros((4, 4)), np.zeros((4, 4)), 1, left_shear_n=np.full((4, 4, 2), np.inf))


@given(arrays(float, (4, 4), elements=st.floats(-1, 50)), arrays(float, (4, 4), elements=st.floats(-1, 50)))
def test_the_centre_stays_on_the_pad_and_force_is_never_negative(left: np.ndarray, right: np.ndarray) -> None:
    processor = TactileProcessor(TactileProcessorConfig(tare_samples=1))
    processor.update(np.zeros((4, 4)), np.zeros((4, 4)), 1)
    for i in range(5):
        state = processor.update(left, right, 2 + i * STEP_NS)
    for finger in state.fingers:
        assert finger.force_n >= 0
        assert np.isfinite(finger.force_n)
        assert abs(finger.centre_m[0]) <= 0.009
        assert abs(finger.centre_m[1]) <= 0.009
