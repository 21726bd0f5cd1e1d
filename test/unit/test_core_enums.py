"""The enumerations of the code have the names, numbers and words of the interface files."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest

from vla_ros.core.actions import ActionSpace, SafetyAction
from vla_ros.core.decisions import SafetyMode, SafetyReason, Verdict
from vla_ros.core.outcomes import AttemptOutcome, EpisodeEvent, FailureKind, MoveKind, Outcome, ReportStatus
from vla_ros.core.scene import CameraFault
from vla_ros.planning.goal_result import Reason

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


def reasons(name: str) -> set[str]:
    """The words, between commas, that the comment above the field ``reason`` lists after its colon."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    end = lines.index("string reason")
    start = next(i for i in range(end, 0, -1) if not lines[i - 1].startswith("#"))
    listed = " ".join(line.removeprefix("# ") for line in lines[start:end]).partition(": ")[2]
    return set(listed.removesuffix(".").split(", "))


def test_the_reasons_of_an_attempt_are_those_of_the_code() -> None:
    of_the_planner = {FailureKind.NO_EXPERT.value}
    assert reasons("action/ExecuteSubtask.action") == {"done", *FailureKind} - {FailureKind.NONE} - of_the_planner
    assert reasons("msg/SubtaskReport.msg") == {"done", *FailureKind} - {FailureKind.NONE}


def test_the_reasons_of_a_goal_are_those_of_the_code() -> None:
    assert reasons("action/ExecuteGoal.action") == set(Reason)


def test_the_reasons_of_the_monitor_are_explained() -> None:
    page = (ROOT / "docs" / "reference" / "safety.md").read_text(encoding="utf-8")
    table = page.partition("## Reasons")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(SafetyReason)
