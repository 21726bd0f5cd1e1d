"""Small statistics of an evaluation: intervals of success rates, summaries of measures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

Z_95 = 1.959963984540054  # normal quantile of 0.975


def wilson_interval(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a success rate (Wilson 1927): unlike the usual one, it is sound near 0 and 1 and for few trials.

    Raises ValueError unless 0 <= successes <= trials. Without trials nothing is known: (0, 1).
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials is not possible")
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    scale = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return low, high


@dataclass(frozen=True)
class Summary:
    """Of the finite values of a measure; NaN throughout when there are none."""

    count: int
    mean: float
    median: float
    p95: float
    smallest: float
    largest: float


def summarise(values: Iterable[float | None]) -> Summary:
    """Values that are missing (None), NaN or infinite are left out and not counted."""
    array = np.array([v for v in values if v is not None and math.isfinite(v)], dtype=float)
    if array.size == 0:
        return Summary(0, *(math.nan,) * 5)
    return Summary(
        count=int(array.size),
        mean=float(array.mean()),
        median=float(np.median(array)),
        p95=float(np.percentile(array, 95)),
        smallest=float(array.min()),
        largest=float(array.max()),
    )
