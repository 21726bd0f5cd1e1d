"""The Fast DDS profile of a process that hears raw images: config/fastdds_images.xml, or what the environment says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from vla_ros.core.resources import share_dir

PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"  # read by Fast DDS when the first node of a process is made
IMAGE_PROFILE = "VLA_ROS_IMAGE_PROFILES"  # set by scripts/env.sh and by the launch files


def image_profile() -> str:
    """The file that nodes with raw images use."""
    return os.environ.get(IMAGE_PROFILE) or str(share_dir() / "config" / "fastdds_images.xml")


@contextmanager
def hearing_images() -> Iterator[None]:
    """Nodes first made within hear raw images; processes started afterwards find the environment as it was."""
    before = os.environ.get(PROFILE)
    os.environ[PROFILE] = image_profile()
    try:
        yield
    finally:
        if before is None:
            del os.environ[PROFILE]
        else:
            os.environ[PROFILE] = before
