"""What holds for all tests."""

from __future__ import annotations

from vla_ros.core.scheduling import settle, unsettle


def pytest_collection_finish() -> None:
    """Thousands of tests that wait for their turn are no garbage: looking through them holds the fake peers up by a third of a second."""
    settle()


def pytest_unconfigure() -> None:
    """At the end they are."""
    unsettle()
