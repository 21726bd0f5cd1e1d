"""How a skill's script ends early."""

from __future__ import annotations

from vla_ros.core.errors import VlaRosError
from vla_ros.core.outcomes import FailureKind


class SkillFailure(VlaRosError):
    """The skill cannot be done; caught by the expert, which answers a FAILED step."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
