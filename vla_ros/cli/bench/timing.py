"""Figures from stamps and sequence numbers of messages. Times are int64 ns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_ros.core.geometry import Array

LATE_TICK_MS = 15.0


def count_lost(sequence: Sequence[int]) -> int:
    """Messages of one publisher that did not arrive, by the gaps in its sequence numbers; 0 where it does not number them."""
    numbers = np.asarray(sequence, np.int64)
    return int(np.maximum(np.diff(numbers) - 1, 0).sum()) if len(numbers) > 1 and numbers.all() else 0


def rate_hz(sent_ns: Sequence[int], sequence: Sequence[int]) -> float:
    """How often a publisher sent, lost messages included; NaN for fewer than two."""
    if len(sent_ns) < 2:
        return float("nan")
    return (len(sent_ns) - 1 + count_lost(sequence)) * 1e9 / (sent_ns[-1] - sent_ns[0])


def intervals_ms(sent_ns: Sequence[int], sequence: Sequence[int]) -> Array:
    """Times between successive messages; those beside a lost message are left out, since they say nothing of the sender."""
    sent, numbers = np.asarray(sent_ns, np.int64), np.asarray(sequence, np.int64)
    successive = np.diff(numbers) == 1 if numbers.all() else np.ones(max(len(sent) - 1, 0), bool)
    intervals: Array = np.diff(sent)[successive] / 1e6
    return intervals


def tick_figures(sent_ns: Sequence[int], sequence: Sequence[int]) -> dict[str, float]:
    """How evenly a periodic publisher ticks; empty for fewer than two messages."""
    intervals = intervals_ms(sent_ns, sequence)
    if not len(intervals):
        return {}
    return {
        "ticks": len(intervals) + 1,
        "not_seen": count_lost(sequence),
        "over_15_ms_percent": 100.0 * float(np.mean(intervals > LATE_TICK_MS)),
        "median_ms": float(np.median(intervals)),
        "p99_ms": float(np.percentile(intervals, 99)),
        "max_ms": float(intervals.max()),
    }


def image_figures(stamps_ns: Sequence[int], latencies_ns: Sequence[int], sequence: Sequence[int], nominal_hz: float) -> dict[str, float]:
    """What arrived of a camera's images: those expected by the span of their stamps at the nominal rate; empty for fewer than two.

    An image is lost where the camera skipped it or the transport dropped it; ``lost_in_transport`` counts the latter alone.
    """
    if len(stamps_ns) < 2:
        return {}
    expected = round((stamps_ns[-1] - stamps_ns[0]) * nominal_hz / 1e9) + 1
    latencies_ms = np.asarray(latencies_ns, np.float64) / 1e6
    return {
        "expected": expected,
        "received": len(set(stamps_ns)),
        "lost_percent": 100.0 * max(0.0, 1.0 - len(set(stamps_ns)) / expected),
        "lost_in_transport": count_lost(sequence),
        "latency_median_ms": float(np.median(latencies_ms)),
        "latency_p95_ms": float(np.percentile(latencies_ms, 95)),
        "latency_max_ms": float(latencies_ms.max()),
    }
