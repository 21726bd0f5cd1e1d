"""The order of tests for mutation testing (a plugin, `-p mutation_order`): the quickest first, so that most mutants die at once."""

from __future__ import annotations

from typing import Any

ORDER = ("clock", "floors", "inputs", "horizon", "chunk_checks", "motion", "chunk_desk", "contact", "sweep_proof")  # test_safety_*.py


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Sorts by ORDER."""
    items.sort(key=lambda item: ORDER.index(item.path.stem.removeprefix("test_safety_")))
