"""What is measured of a robot's body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.core.geometry import Array


@dataclass(frozen=True)
class JointState:
    """Measured joints, by name; arrays share the order of ``names``."""

    stamp_ns: int
    names: tuple[str, ...]
    positions: Array  # [n] rad (fingers: m)
    velocities: Array  # [n] rad/s (fingers: m/s); NaN where not measured
    efforts: Array  # [n] Nm (fingers: N); NaN where not measured

    def select(self, names: Sequence[str]) -> JointState:
        """The same state for ``names``, in that order. Raises KeyError naming the joints that are missing."""
        index = {name: i for i, name in enumerate(self.names)}
        missing = [name for name in names if name not in index]
        if missing:
            raise KeyError(f"joint_states lacks {', '.join(missing)}; it has {', '.join(self.names)}")
        rows = np.array([index[name] for name in names])
        return JointState(self.stamp_ns, tuple(names), self.positions[rows], self.velocities[rows], self.efforts[rows])


@dataclass(frozen=True)
class FingerContact:
    """What one finger pad feels."""

    finger: str  # "left" or "right"
    force_n: float  # normal force, summed over the taxels
    area_m2: float
    centre_m: tuple[float, float]  # centre of pressure in the pad's frame (x along the finger, y across)
    slip: bool  # the pattern moves under load
    in_contact: bool


@dataclass(frozen=True)
class ContactState:
    """What all finger pads feel at one stamp."""

    stamp_ns: int
    fingers: tuple[FingerContact, ...]

    @property
    def both_in_contact(self) -> bool:
        """Whether two fingers press on something."""
        return len(self.fingers) >= 2 and all(f.in_contact for f in self.fingers)

    @property
    def slipping(self) -> bool:
        """Whether the pattern moves on any pad."""
        return any(f.slip for f in self.fingers)

    @property
    def grasp_force_n(self) -> float:
        """The weaker side's normal force: what actually holds."""
        return min((f.force_n for f in self.fingers), default=0.0)
