"""The enumerations of the code have the names and numbers of the interface files."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest

from vla_ros.core.actions import ActionSpace, SafetyAction
from vla_ros.core.decisions import SafetyMode
from vla_ros.core.outcomes import AttemptOutcome, EpisodeEvent, MoveKind, Outcome, ReportStatus
from vla_ros.core.scene import CameraFault
from vla_ros.world_model.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
CONSTANT = re.compile(r"^u?int\d+\s+([A-Z][A-Z0-9_]*)\s*=\s*(\d+)", re.MULTILINE)
ENUMS: dict[str, type[IntEnum]] = {
    "msg/ActionChunk.msg": ActionSpace,
    "msg/CameraHealth.msg": CameraFault,
    "msg/Episode.msg": EpisodeEvent,
    "msg/GatedCommand.msg": SafetyAction,
    "msg/SafetyDecision.msg": SafetyAction,
    "msg/SafetyState.msg": SafetyMode,
    "msg/SubtaskReport.msg": ReportStatus,
    "action/ExecuteGoal.action": Outcome,
    "action/ExecuteSubtask.action": AttemptOutcome,
    "action/MoveTo.action": MoveKind,
    "srv/EvaluateChunk.srv": Verdict,
}


def constants(path: Path) -> dict[str, int]:
    return {name: int(number) for name, number in CONSTANT.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", ENUMS)
def test_an_enumeration_agrees_with_its_interface(name: str) -> None:
    assert {member.name: member.value for member in ENUMS[name]} == constants(ROOT / name)


def test_every_interface_with_constants_has_an_enumeration() -> None:
    files = [path for kind in ("msg", "srv", "action") for path in (ROOT / kind).glob(f"*.{kind}")]
    assert {str(path.relative_to(ROOT)) for path in files if constants(path)} == set(ENUMS)
