"""Pictures for RViz: objects with names, the proposed path in the colour of the gate's decision, the workspace, the monitor's sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyState
from vla_ros.core.geometry import Array, Pose
from vla_ros.core.scene import Scene
from vla_ros.robots.values import Box
from vla_ros.ros.conversions.arrays import header_to_msg, pose_to_msg, vector_to_msg

COLOURS = {
    "red": (0.85, 0.1, 0.1),
    "green": (0.1, 0.65, 0.2),
    "blue": (0.1, 0.25, 0.85),
    "yellow": (0.95, 0.85, 0.1),
    "orange": (0.95, 0.5, 0.1),
    "purple": (0.5, 0.2, 0.7),
    "white": (0.95, 0.95, 0.95),
    "black": (0.1, 0.1, 0.1),
    "grey": (0.5, 0.5, 0.5),
    "brown": (0.45, 0.3, 0.15),
}
DECISION_COLOURS = {
    SafetyAction.PASS: (0.1, 0.8, 0.2),
    SafetyAction.SLOW: (0.95, 0.8, 0.1),
    SafetyAction.HOLD: (0.95, 0.5, 0.1),
    SafetyAction.STOP: (0.9, 0.1, 0.1),
}
TEXT_HEIGHT_M = 0.03


def _marker(namespace: str, number: int, kind: int, stamp_ns: int, frame: str, rgb: tuple[float, float, float], alpha: float = 1.0) -> Any:
    from std_msgs.msg import ColorRGBA
    from visualization_msgs.msg import Marker

    r, g, b = rgb
    marker = Marker(
        header=header_to_msg(stamp_ns, frame),
        ns=namespace,
        id=number,
        type=kind,
        action=Marker.ADD,
        color=ColorRGBA(r=r, g=g, b=b, a=alpha),
    )
    marker.pose.orientation.w = 1.0
    return marker


def object_markers(scene: Scene) -> Any:
    """A box or disc with its name for each object; remembered ones are pale. Cells with something that is no known object are orange."""
    from geometry_msgs.msg import Point
    from visualization_msgs.msg import Marker, MarkerArray

    clear = Marker(header=header_to_msg(scene.stamp_ns, scene.frame_id), action=Marker.DELETEALL)
    markers = [clear]
    for number, o in enumerate(scene.objects):
        kind = Marker.CUBE if o.shape in ("cube", "box", "unknown") else Marker.CYLINDER
        body = _marker(
            "objects", number, kind, scene.stamp_ns, scene.frame_id, COLOURS.get(o.colour, (0.5, 0.5, 0.5)), 0.3 if o.occluded else 0.8
        )
        body.pose, body.scale = pose_to_msg(o.pose), vector_to_msg(o.size_m)
        above = Pose(o.pose.position_m + np.array([0.0, 0.0, o.size_m[2] / 2 + TEXT_HEIGHT_M]))
        name = _marker("names", number, Marker.TEXT_VIEW_FACING, scene.stamp_ns, scene.frame_id, (1.0, 1.0, 1.0))
        name.pose, name.text, name.scale.z = pose_to_msg(above), f"{o.name} ({o.id})", TEXT_HEIGHT_M
        markers += [body, name]
    if len(scene.unexplained_m):
        cells = _marker("unexplained", 0, Marker.CUBE_LIST, scene.stamp_ns, scene.frame_id, COLOURS["orange"], 0.4)
        cells.scale = vector_to_msg(np.full(3, scene.unexplained_cell_m))
        cells.points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in scene.unexplained_m]
        markers.append(cells)
    return MarkerArray(markers=markers)


@dataclass(frozen=True, eq=False)
class Witness:
    """What there is to see of a decision, in the workspace's frame."""

    action: SafetyAction
    proposed_m: Array  # [n, 3] the TCP along the newest chunk
    committed_m: Array  # [n, 3] the TCP along what is committed, and the stop after it
    nearest_m: Array  # [2, 3] where the two bodies that are nearest to each other are so; NaN: nowhere


def safety_markers(shown: Witness, state: SafetyState, workspace: Box) -> Any:
    """The TCP's proposed and committed paths, the nearest pair, the workspace and the monitor's sentence above it."""
    from visualization_msgs.msg import Marker, MarkerArray

    frame, stamp_ns, colour = workspace.frame, state.stamp_ns, DECISION_COLOURS[shown.action]
    box = _marker("workspace", 0, Marker.CUBE, stamp_ns, frame, (0.2, 0.5, 0.9), 0.08)
    box.pose = pose_to_msg(Pose((workspace.min_m + workspace.max_m) / 2))
    box.scale = vector_to_msg(workspace.max_m - workspace.min_m)
    text = _marker("text", 0, Marker.TEXT_VIEW_FACING, stamp_ns, frame, colour)
    text.pose = pose_to_msg(Pose(np.array([workspace.min_m[0], 0.0, workspace.max_m[2] + 0.1])))
    text.text, text.scale.z = f"{state.mode.name}: {state.detail}", 0.05
    lines = [
        _line("path", shown.proposed_m, stamp_ns, frame, colour, 0.006),
        _line("braking", shown.committed_m, stamp_ns, frame, COLOURS["white"], 0.012),
        _line("nearest", shown.nearest_m, stamp_ns, frame, COLOURS["purple"], 0.008),
    ]
    return MarkerArray(markers=[*lines, box, text])


def _line(namespace: str, points_m: Array, stamp_ns: int, frame: str, rgb: tuple[float, float, float], width_m: float) -> Any:
    """Through ``points_m`` [n, 3]; no line where there is none."""
    from geometry_msgs.msg import Point
    from visualization_msgs.msg import Marker

    line = _marker(namespace, 0, Marker.LINE_STRIP, stamp_ns, frame, rgb)
    line.scale.x = width_m
    if len(points_m) < 2 or not np.all(np.isfinite(points_m)):
        line.action = Marker.DELETE
    else:
        line.points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in points_m]
    return line
