"""One line of a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How a check went. FAIL: the demo cannot run. WARN: it may, with a limit."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found and, unless it is well, what to do."""

    level: Level
    subject: str
    found: str
    remedy: str = ""

    def lines(self) -> str:
        """For the screen: one line, and a second with the remedy."""
        first = f"{self.level.value:<5}{self.subject}: {self.found}"
        return f"{first}\n     -> {self.remedy}" if self.remedy else first


def ok(subject: str, found: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, subject, found)


def warn(subject: str, found: str, remedy: str) -> Finding:
    """It works, with a limit."""
    return Finding(Level.WARN, subject, found, remedy)


def fail(subject: str, found: str, remedy: str) -> Finding:
    """It cannot work."""
    return Finding(Level.FAIL, subject, found, remedy)
