"""The gripper seen from above, and tool orientations for work from above."""

from __future__ import annotations

import numpy as np

from vla_ros.core.geometry import Array, rotation_about, transform
from vla_ros.core.scene import SceneObject
from vla_ros.experts.scripted.footprints import Rectangle, outline_of, smallest_gap_m
from vla_ros.experts.scripted.parameters import ScriptedParameters

_POINTING_DOWN = np.diag([1.0, -1.0, -1.0])


def pointing_down(position_m: Array, yaw_rad: float) -> Array:
    """T_base_tcp with the fingers pointing down and the tool's x axis at ``yaw_rad``; the fingers close at right angles to it."""
    return transform(rotation_about(np.array([0.0, 0.0, 1.0]), yaw_rad) @ _POINTING_DOWN, position_m)


def fingers_and_hand(centre_m: Array, yaw_rad: float, width_m: float, p: ScriptedParameters) -> tuple[list[Rectangle], Rectangle]:
    """Outlines of both fingers at opening ``width_m`` (on their whole way to closed) and of the hand above them."""
    closing = np.array([-np.sin(yaw_rad), np.cos(yaw_rad)])
    half = np.array([p.finger_breadth_m / 2, p.finger_thickness_m / 2])
    reach = width_m / 2 + p.finger_thickness_m / 2
    fingers = [Rectangle(centre_m + side * reach * closing, half, yaw_rad) for side in (1.0, -1.0)]
    return fingers, Rectangle(centre_m, np.array([p.hand_breadth_m / 2, p.hand_length_m / 2]), yaw_rad)


def room_m(tcp_m: Array, yaw_rad: float, width_m: float, neighbours: list[SceneObject], p: ScriptedParameters) -> float:
    """The smallest gap between the open hand at ``tcp_m`` [3] and the neighbours that reach up to it, or so near that it is not passed."""
    fingers, hand = fingers_and_hand(tcp_m[:2], yaw_rad, width_m, p)
    at_fingers = [outline_of(o) for o in neighbours if o.top_m > tcp_m[2] - p.finger_tip_below_tcp_m - p.neighbour_gap_m]
    at_hand = [outline_of(o) for o in neighbours if o.top_m > tcp_m[2] + p.hand_above_tcp_m - p.neighbour_gap_m]
    return min(*(smallest_gap_m(f, at_fingers) for f in fingers), smallest_gap_m(hand, at_hand))
