"""What perception sees: objects, camera health. Poses are in ``frame_id`` (the robot's base frame unless said otherwise)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from vla_ros.core.geometry import Array, Pose


@dataclass(frozen=True)
class SceneObject:
    """One object as measured; its box is centred on ``pose`` with the box's axes along the pose's axes."""

    id: str  # stable while it is tracked: "cube_1"
    name: str  # "red cube"
    colour: str  # a basic colour word
    shape: str  # "cube", "bowl", "plate", "box", "cylinder", "unknown"
    pose: Pose
    size_m: Array  # [3] full extents along the pose's axes
    confidence: float  # 0-1
    last_seen_ns: int  # stamp of the last image in which it was measured
    covariance: Array = field(default_factory=lambda: np.zeros((6, 6)))  # of x y z [m2] and rotation about x y z [rad2]
    velocity_mps: Array = field(default_factory=lambda: np.zeros(3))  # [3]
    occluded: bool = False  # remembered, not seen in this image
    held: bool = False  # moves with the gripper

    @property
    def top_m(self) -> float:
        """Height of its highest point above the frame's origin."""
        return float(self.pose.position_m[2] + self.size_m[2] / 2)


@dataclass(frozen=True)
class Scene:
    """All objects at one image's stamp."""

    stamp_ns: int
    frame_id: str
    objects: tuple[SceneObject, ...]
    table_height_m: float = 0.0  # in frame_id
    unexplained_m: Array = field(default_factory=lambda: np.zeros((0, 3)))  # [n, 3] middles of cells with something that is no object
    unexplained_cell_m: float = 0.05  # their edge, along the axes of frame_id

    def get(self, object_id: str) -> SceneObject | None:
        """The object of that id, or None."""
        return next((o for o in self.objects if o.id == object_id), None)

    def describe(self) -> str:
        """The names seen, for people: "2 red cubes, a blue bowl"."""
        counts: dict[str, int] = {}
        for o in self.objects:
            counts[o.name] = counts.get(o.name, 0) + 1
        words = [f"{n} {_plural(name)}" if n > 1 else f"{'an' if name[:1] in 'aeiou' else 'a'} {name}" for name, n in counts.items()]
        return ", ".join(words) or "nothing"


def _plural(name: str) -> str:
    return name + ("es" if name.endswith(("x", "s", "sh", "ch")) else "s")


class CameraFault(IntEnum):
    """The numbers are those of CameraHealth.msg."""

    OK = 0
    BLACK = 1
    FROZEN = 2
    BLURRED = 3
    SATURATED = 4
    DIRTY = 5
    LATE = 6


@dataclass(frozen=True)
class CameraHealth:
    """Whether one camera's images may be acted upon."""

    stamp_ns: int
    camera: str
    fault: CameraFault
    usable: bool  # False: nobody may act on this camera's images
    detail: str  # a sentence with the measure and its limit
    age_s: float
    rate_hz: float
