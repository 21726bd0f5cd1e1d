"""Fits to points in the plane: rectangles, right angles, circles, quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_ros.perception.outlines import filled_rectangle, fit_circle, quantile, right_angle, rotated

angles = st.floats(-0.75, 0.75)


def face(width: float, height: float, yaw: float) -> np.ndarray:
    """A grid of points all over a rectangle about (0.5, -0.2)."""
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(-0.5, 0.5, 25) * width, np.linspace(-0.5, 0.5, 25) * height))
    return rotated(np.stack([x, y], axis=1), -yaw) + (0.5, -0.2)


@given(angles, st.sampled_from([(0.045, 0.045), (0.11, 0.03), (0.03, 0.06)]))
def test_a_rectangle_is_found_from_the_points_on_it(yaw, size) -> None:
    found = filled_rectangle(face(*size, yaw))
    np.testing.assert_allclose(found.centre_m, (0.5, -0.2), atol=1e-5)
    assert (found.yaw_rad - yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4 == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(np.sort(found.extent_m), np.sort(size), atol=5e-4)
    assert found.squareness > 0.55 or size[0] != size[1]


def test_a_disc_is_no_square_and_has_the_variance_of_a_disc() -> None:
    angle = np.linspace(0, 2 * np.pi, 100)
    found = filled_rectangle(0.05 * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    assert found.squareness < 0.05
    np.testing.assert_allclose(found.extent_m * np.sqrt(16 / 12), 0.1, atol=6e-4)


def test_points_on_one_line_have_a_length_and_no_width() -> None:
    line = face(0.1, 0.0, 0.3)
    for found in (filled_rectangle(line), right_angle(line)):
        assert found.extent_m.min() < 0.001
        assert found.extent_m.max() == pytest.approx(0.1, abs=0.005)


@given(angles)
def test_two_sides_that_meet_give_their_right_angle(yaw) -> None:
    side = np.linspace(0, 0.045, 100)
    corner = np.concatenate([np.stack([side, 0 * side], axis=1), np.stack([0 * side, side], axis=1)])
    found = right_angle(rotated(corner, -yaw))
    assert (found.yaw_rad - yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4 == pytest.approx(0.0, abs=0.03)
    np.testing.assert_allclose(found.extent_m, 0.045, atol=0.002)


def test_a_circle_is_found_from_a_part_of_it_despite_strays() -> None:
    angle = np.linspace(0, np.pi * 1.2, 200)
    ring = 0.07 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + (0.4, 0.1)
    found = fit_circle(np.concatenate([ring, ring[:6] * 1.1]))
    np.testing.assert_allclose(found.centre_m, (0.4, 0.1), atol=5e-4)
    assert found.radius_m == pytest.approx(0.07, abs=5e-4)
    assert found.residual_m < 0.001
    assert found.coverage == pytest.approx(0.6, abs=0.08)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50), st.floats(0, 1))
def test_a_quantile_is_numpys(values, part) -> None:
    ordered = np.sort(np.array(values))
    assert quantile(ordered, part) == pytest.approx(np.quantile(ordered, part), abs=1e-9)
