"""Colour and depth in, scene and obstacles out: all of depth perception behind one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import PerceptionError
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import ContactState, JointState
from vla_ros.core.scene import Scene
from vla_ros.perception.body import PlacedShape, covered, robot_shapes
from vla_ros.perception.depth import Deprojector, Image, check_colour
from vla_ros.perception.models import CameraModel, RobotModel, Workspace
from vla_ros.perception.objects import ColourDetector, Detector, DetectorConfig, Frame
from vla_ros.perception.obstacles import ColouredPoints, ObstacleConfig, obstacle_points
from vla_ros.perception.occlusion import VisibilityTest
from vla_ros.perception.table import TablePlane, fit_table
from vla_ros.perception.tracker import Grip, SceneTracker, TrackerConfig
from vla_ros.perception.unexplained import Unexplained, UnexplainedConfig
from vla_ros.perception.volume import STEP_PX, Volume, standing_points


@dataclass(frozen=True)
class DepthPerceptionConfig:
    """Lengths in m, base frame. What is looked at is the TCP's workspace, longer along x, from below to well above the table."""

    nearer_m: float = 0.05  # than the workspace: so much of what stands at its border is seen
    farther_m: float = 0.03
    below_table_m: float = 0.02
    above_table_m: float = 0.45
    table_height_m: float = 0.0
    robot_margin_m: float = 0.012  # grown by this, the robot's primitives also hold the depth's noise and the calibration's error
    held_margin_m: float = 0.012
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    obstacles: ObstacleConfig = field(default_factory=ObstacleConfig)
    beyond_workspace_m: float = 0.3  # how far from it what is unexplained is told of
    unexplained: UnexplainedConfig = field(default_factory=UnexplainedConfig)


def _region(workspace: Workspace, c: DepthPerceptionConfig) -> tuple[Array, Array]:
    """Its corners, [3] each."""
    (x_min, y_min, _), (x_max, y_max, _) = workspace.min_m, workspace.max_m
    low = np.array([x_min - c.nearer_m, y_min, c.table_height_m - c.below_table_m])
    return low, np.array([x_max + c.farther_m, y_max, c.table_height_m + c.above_table_m])


@dataclass(frozen=True)
class PerceptionResult:
    """What one pair of images says."""

    scene: Scene
    table: TablePlane
    robot_pixels: int  # above the table, removed as the robot's
    find_obstacles: Callable[[], ColouredPoints] = field(repr=False, compare=False)

    @cached_property
    def obstacles(self) -> ColouredPoints:
        """Thinned, for people; what of them belongs to no object stands in the scene.

        Made when first asked for, with the colours that the image has then.
        """
        return self.find_obstacles()


class DepthPerception:
    """One depth camera. Not for several threads at once."""

    def __init__(
        self, arm: RobotModel, camera: CameraModel, config: DepthPerceptionConfig | None = None, detector: Detector | None = None
    ) -> None:
        self._arm, self._camera, self._config = arm, camera, config or DepthPerceptionConfig()
        self._deprojector = Deprojector(camera, *_region(arm.config.workspace, self._config))
        self._middle_m = (arm.config.workspace.min_m + arm.config.workspace.max_m) / 2
        lowest_m = min(self._config.detector.min_height_m, self._config.obstacles.min_height_m)
        self._above_table = Volume((lowest_m, np.inf), step_px=STEP_PX)
        box = arm.config.workspace
        reach_m = self._config.beyond_workspace_m
        self._unexplained = Unexplained(self._config.unexplained, self._deprojector, box.min_m - reach_m, box.max_m + reach_m)
        self._detector: Detector = detector or ColourDetector(self._config.detector)
        self._tracker = SceneTracker(replace(self._config.tracker, frame_id=arm.config.base_frame))

    def reset(self) -> None:
        """Forgets all objects."""
        self._tracker.reset()
        self._unexplained.reset()

    def update(
        self, colour: Image, depth_mm: NDArray[np.uint16], stamp_ns: int, joints: JointState, contact: ContactState | None = None
    ) -> PerceptionResult:
        """``colour`` RGB [h, w, 3] and ``depth_mm`` [h, w], registered to it, of the same ``stamp_ns``; ``joints`` measured at that stamp.

        Raises PerceptionError for images or joints that cannot be used.
        """
        c = self._config
        check_colour(colour, self._camera)
        cloud = self._deprojector.cloud(depth_mm)
        poses = self._link_poses(joints)
        grip = Grip(poses[self._arm.config.tcp_frame], contact is not None and contact.both_in_contact)
        table = fit_table(cloud, c.table_height_m)
        standing = standing_points(self._above_table, cloud, table)
        is_robot = covered(robot_shapes(self._arm.collision_shapes, poses), standing, self._deprojector, c.robot_margin_m)
        robot = standing.image(is_robot, cloud.depth_mm.shape)
        image = colour[self._deprojector.roi]
        frame = Frame(image, cloud, robot, table, self._deprojector.centre_m, float(self._camera.fx))
        visibility = VisibilityTest(cloud, robot, self._deprojector)
        middle = table.height_at(float(self._middle_m[0]), float(self._middle_m[1]))
        scene = self._tracker.update(self._detector.detect(frame), stamp_ns, visibility=visibility, grip=grip, table_height_m=middle)
        free = ~is_robot & ~covered(self._held_shapes(), standing, self._deprojector, c.held_margin_m)
        cells_m = self._unexplained.update(standing, free, table, scene.objects, stamp_ns, visibility)
        scene = replace(scene, unexplained_m=cells_m, unexplained_cell_m=c.unexplained.cell_m)

        def obstacles() -> ColouredPoints:
            return obstacle_points(standing, image, free, table, c.obstacles)

        return PerceptionResult(scene, table, cv2.countNonZero(robot.view(np.uint8)), obstacles)

    def _held_shapes(self) -> Sequence[PlacedShape]:
        held = self._tracker.held
        return [PlacedShape("box", held.size_m, held.T_base_object.copy())] if held else []

    def _link_poses(self, joints: JointState) -> dict[str, Array]:
        config = self._arm.config
        try:
            q = joints.select(config.arm_joints).positions
            width_m = config.gripper_width_m(joints)
        except KeyError as error:
            raise PerceptionError(f"The robot cannot be removed from the image: {error.args[0]}") from error
        if not (np.all(np.isfinite(q)) and np.isfinite(width_m)):
            raise PerceptionError("The robot cannot be removed from the image: its joint positions are not finite.")
        return dict(self._arm.link_poses(q, width_m))
