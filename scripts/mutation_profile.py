"""How pytest runs for mutation testing (a plugin, `-p mutation_profile`): quick to fail, and the same for each mutant.

The tests that are nearest to the mutated modules come first, so that most mutants die within milliseconds; hypothesis draws the same
examples each time and does not make a failing one smaller.
"""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, settings

ORDER = ("inputs", "horizon", "chunk_checks", "motion")

settings.register_profile("mutation", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
settings.load_profile("mutation")


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Sorts by ORDER."""
    items.sort(key=lambda item: next((n for n, name in enumerate(ORDER) if item.path.stem == f"test_safety_{name}"), len(ORDER)))
