"""How fast chunks may be followed now."""

from __future__ import annotations

from dataclasses import dataclass

from vla_ros.core.decisions import SafetyReason


@dataclass(frozen=True)
class Pace:
    """How fast any chunk may be followed now (0-1), and why no faster."""

    share: float
    reason: SafetyReason = SafetyReason.SPEED_OVERRIDE
    why: str = ""  # a sentence, where the reason does not say it all
