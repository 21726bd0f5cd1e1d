"""Where the hand is slower, because nobody would be seen coming there: where no camera with depth is turned to.

The cameras are those of the safety file, and what they are turned to is known from their calibration (config/robots). What stands in
their way is not looked at here; what was seen and is hidden is remembered by perception.
"""

from __future__ import annotations

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Array, inverse
from vla_ros.robots import Arm
from vla_ros.robots.values import WORLD_FRAME, CameraConfig
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.pace import Pace


class BlindZones:
    """Of one arm's hand."""

    def __init__(self, arm: Arm, config: SafetyConfig) -> None:
        fixed = (WORLD_FRAME, arm.config.base_frame)
        cameras = [arm.config.cameras[name] for name in config.cameras if name in arm.config.cameras]
        self._views = [(camera, inverse(camera.T_parent_camera)) for camera in cameras if camera.has_depth and camera.parent in fixed]
        self._speed = config.clearance.blind_speed

    def is_blind(self, position_m: Array) -> bool:
        """Whether no camera's image shows a place [3] in the base frame."""
        return not any(_shows(camera, T_camera_base, position_m) for camera, T_camera_base in self._views)

    def pace(self, tcp_m: Array) -> Pace | None:
        """How fast the arm may go with its TCP [3] there; None where it is seen."""
        if self._speed >= 1.0 or not self.is_blind(tcp_m):
            return None
        return Pace(self._speed, SafetyReason.BLIND_ZONE, "No camera is turned to where the hand is.")


def _shows(camera: CameraConfig, T_camera_base: Array, position_m: Array) -> bool:
    x, y, z = (T_camera_base[:3, :3] @ position_m + T_camera_base[:3, 3]).tolist()
    if not z > 0.0:
        return False
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    return -0.5 <= u <= camera.width_px - 0.5 and -0.5 <= v <= camera.height_px - 0.5
