"""What is made from a run's bag when the run has ended: timeline.png and video.mp4."""

from __future__ import annotations

from collections.abc import Callable

from vla_ros.core.errors import DataError
from vla_ros.data.run_folder import RunFolder
from vla_ros.data.run_signals import RunSignals
from vla_ros.data.timeline import save_timeline
from vla_ros.data.video import save_video
from vla_ros.robots.values import JointLimits


def make_artefacts(folder: RunFolder, signals: RunSignals, limits: JointLimits, front_topic: str, wrist_topic: str = "") -> list[str]:
    """Makes both and returns a sentence for each that could not be made: a picture that fails never costs the run its result."""
    steps: list[tuple[str, Callable[[], object]]] = [
        ("timeline", lambda: save_timeline(signals, limits, folder.timeline)),
        ("video", lambda: save_video(folder.bag, signals, folder.video, front_topic, wrist_topic)),
    ]
    problems = []
    for name, make in steps:
        try:
            make()
        except (DataError, OSError) as error:
            problems.append(f"No {name}: {error}")
    return problems
