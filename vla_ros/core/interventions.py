"""What counts as an intervention of the safety monitor, for results and for measures alike."""

from __future__ import annotations

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import UNDISTURBED


class Interventions:
    """Counts decisions not to let a motion through as it was; one that repeats the decision before it counts once.

    A stop and the chunks that are refused for it are one.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: tuple[int, str] = (SafetyAction.PASS, "")

    def note(self, action: int, reason: str) -> None:
        """Takes the next decision."""
        now = (min(action, SafetyAction.HOLD), reason)
        self.count += action != SafetyAction.PASS and reason not in UNDISTURBED and now != self._before
        self._before = now
