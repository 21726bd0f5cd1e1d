"""Why the arm must not move."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_ros.core.decisions import SafetyReason

FUTURE_S = 0.1  # what is measured may be stamped this far ahead of the monitor's clock


@dataclass(frozen=True)
class Fault:
    """One reason, and what it asks for."""

    reason: SafetyReason
    detail: str  # one sentence
    cut: bool = False  # brake at once instead of after the committed look-ahead
    latch: bool = False  # only a reset resumes
    retreat: bool = False  # once at rest, go back a little the way that the arm has come
    vision: bool = False  # concerns only motion that rests on what cameras see ...
    planned: bool = False  # ... or that belongs to a plan
    limiting: str = ""  # the joint or the pair of bodies
    margin_m: float = math.nan  # of that pair
