"""The errors a user can cause or mend. Each message says what is wrong, where, what is valid and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VlaRosError(Exception):
    """Root of every error that this package raises on purpose."""


class ConfigError(VlaRosError):
    """A configuration file, parameter or argument cannot be used."""


class PerceptionError(VlaRosError):
    """A sensor's data cannot be turned into what was asked for."""


class PlanningError(VlaRosError):
    """An instruction cannot be turned into a valid plan."""


class NotUnderstood(PlanningError):
    """The words of an instruction mean nothing to the planner."""


class MotionError(VlaRosError):
    """A motion cannot be planned or reached."""


class StartBlocked(MotionError):
    """No motion can be planned from where the arm stands: it is too near to something."""


class DataError(VlaRosError):
    """A recording or a run's folder cannot be written or read."""


class SimulationError(VlaRosError):
    """The simulator cannot be built or has diverged."""


def unknown_choice(kind: str, got: object, valid: Iterable[str]) -> str:
    """A sentence for a name that is not among the valid ones, with the nearest match."""
    names = sorted(valid)
    near = difflib.get_close_matches(str(got), names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"Unknown {kind} '{got}'; valid: {', '.join(names) or '(none)'}.{hint}"
