"""Processes of the graph in a ROS domain of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from ros_harness import Ros


@pytest.fixture(scope="module")
def shared_ros(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ros]:
    """For all tests of a file: starting the simulator for each of them would take too long."""
    from ros_harness import ros_in

    yield from ros_in(tmp_path_factory.mktemp("ros"))
