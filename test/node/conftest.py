"""Each test has a ROS domain of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from ros_harness import Ros


def own_domain(patch: pytest.MonkeyPatch) -> None:
    """A free domain for this process and for those that it starts, heard on this machine only."""
    from vla_ros.ros.domain import free_domain_id

    patch.setenv("ROS_DOMAIN_ID", str(free_domain_id()))
    patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


def ros_in(folder: Path) -> Iterator[Ros]:
    from ros_harness import Ros

    with pytest.MonkeyPatch.context() as patch:
        own_domain(patch)
        ros = Ros(folder)
        try:
            yield ros
        finally:
            ros.close()


@pytest.fixture
def ros(tmp_path: Path) -> Iterator[Ros]:
    """For one test."""
    yield from ros_in(tmp_path)


@pytest.fixture(scope="module")
def shared_ros(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ros]:
    """For all tests of a file, where starting the processes anew for each would take too long."""
    yield from ros_in(tmp_path_factory.mktemp("ros"))
