"""Numbers of a command line, with the sentence that argparse prints for one that is out of bounds."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def number(low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """``low`` (or, with ``above``, anything above it) to ``high``."""
    span = f"above {low:g}" if above else f"from {low:g} on" if high == math.inf else f"{low:g} to {high:g}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and math.isfinite(value)) or (above and value == low):
            raise argparse.ArgumentTypeError(f"'{text}' is no number {span}.")
        return value

    return parse


def whole_number(low: int) -> Callable[[str], int]:
    """``low`` or more."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number from {low} on.")
        return value

    return parse
