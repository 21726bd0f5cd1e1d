"""Numbers of a command line."""

from __future__ import annotations

import argparse

import pytest

from vla_ros.cli.numbers import number, whole_number


@pytest.mark.parametrize(
    ("parse", "text", "value"), [(number(0.0, 1.0), "0", 0.0), (number(0.0, above=True), "0.1", 0.1), (whole_number(0), "7", 7)]
)
def test_what_is_valid_is_taken(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (number(0.0, 1.0), "1.5", "'1.5' is no number 0 to 1."),
        (number(0.0, 1.0), "nan", "0 to 1"),
        (number(0.0, above=True), "0", "above 0"),
        (number(0.0, above=True), "inf", "above 0"),
        (number(0.0), "-3", "from 0 on"),
        (whole_number(1), "0", "'0' is no whole number from 1 on."),
        (whole_number(0), "1.5", "from 0 on"),
    ],
)
def test_what_is_not_is_refused_with_what_is(parse, text, said):
    with pytest.raises(argparse.ArgumentTypeError, match=said):
        parse(text)
