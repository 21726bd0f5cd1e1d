"""docs/explanation/safety-case.md and safety.md name tests and settings; they exist."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from vla_ros.safety.config import load_safety_config

ROOT = Path(__file__).parents[2]
CASE = (ROOT / "docs" / "explanation" / "safety-case.md").read_text(encoding="utf-8")
GUARANTEES = (ROOT / "docs" / "explanation" / "safety.md").read_text(encoding="utf-8")


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", CASE))
    written = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "test").rglob("test_*.py"))
    assert len(named) > 25
    assert [name for name in sorted(named) if f"def {name}(" not in written] == []


def test_every_hazard_has_a_test_and_says_what_is_left() -> None:
    rows = [line.strip("|").split("|") for line in CASE.splitlines() if re.match(r"\| H\d+ ", line)]
    assert [row[0].strip() for row in rows] == [f"H{n}" for n in range(1, len(rows) + 1)]
    for row in rows:
        assert "`test_" in row[3], row[0]
        assert row[4].strip(), row[0]


@pytest.mark.parametrize("text", [CASE, GUARANTEES], ids=["safety case", "guarantees"])
def test_every_setting_that_it_names_exists(text: str) -> None:
    config = load_safety_config("panda")
    sections = "|".join(field.name for field in fields(config))
    named = re.findall(r"`([\w.]+_(?:rad|s|n|nm|m|mps))`", text) + re.findall(rf"`((?:{sections})\.\w+)[:`]", text)
    assert len(set(named)) > 3
    for name in named:
        outer, _, inner = name.rpartition(".")
        holder = getattr(config, outer) if outer else config
        assert hasattr(holder, inner), name
