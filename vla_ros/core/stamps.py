"""Time as integer nanoseconds. A stamp says when a thing was measured; 0 means unset."""

from __future__ import annotations

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


def ns_from_s(seconds: float) -> int:
    """Nanoseconds, rounded to the nearest."""
    return round(seconds * NS_PER_S)


def s_from_ns(nanoseconds: int) -> float:
    """Seconds as a float; for durations, not for absolute stamps that must stay exact."""
    return nanoseconds / NS_PER_S
