"""Values of YAML files are what they should be, or an error names place, key and what is valid."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_ros.core.errors import ConfigError
from vla_ros.core.yaml_files import all_positive, number, numbers, positive, section, text, whole_number

NO_NUMBERS = [None, "1", True, [1.0], math.nan, math.inf]


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("read", [number, positive, whole_number])
def test_what_is_no_number_is_refused_with_place_and_key(read: Any, value: object) -> None:
    with pytest.raises(ConfigError, match=r"^a.yaml, arm: speed must be a (finite|whole) number.*, found "):
        read({"speed": value}, "speed", "a.yaml, arm")


@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(-10, 10))
def test_a_number_lies_in_its_range(value: float, low: float, high: float) -> None:
    if low <= value <= high:
        assert number({"k": value}, "k", "f", low, high) == value
    else:
        with pytest.raises(ConfigError, match=f"from {low:g} to {high:g}, found".replace("+", r"\+")):
            number({"k": value}, "k", "f", low, high)


def test_a_bound_may_be_open() -> None:
    assert number({"k": 1e9}, "k", "f", 0.0) == 1e9
    with pytest.raises(ConfigError, match="of at least 0, found -1"):
        number({"k": -1}, "k", "f", 0.0)


def test_numbers_have_their_count_and_sign() -> None:
    assert numbers({"k": [1, -2.5]}, "k", 2, "f") == (1.0, -2.5)
    with pytest.raises(ConfigError, match="k must be a list of 3 finite numbers, found 2"):
        numbers({"k": [1, 2]}, "k", 3, "f")
    with pytest.raises(ConfigError, match="every number of k must be above 0"):
        all_positive({"k": [1, 0]}, "k", 2, "f")


def test_zero_is_not_positive_and_halves_are_not_whole() -> None:
    with pytest.raises(ConfigError, match="k must be above 0, found 0"):
        positive({"k": 0}, "k", "f")
    with pytest.raises(ConfigError, match=r"k must be a whole number from 2 to 20, found 2\.5"):
        whole_number({"k": 2.5}, "k", "f", 2, 20)


def test_sections_and_text() -> None:
    assert section({"k": {"a": 1}}, "k", "f") == {"a": 1}
    with pytest.raises(ConfigError, match="k must hold keys and values, found 3"):
        section({"k": 3}, "k", "f")
    with pytest.raises(ConfigError, match="k must be text, found ''"):
        text({"k": ""}, "k", "f")
