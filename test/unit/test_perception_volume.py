"""Depth limits of a part of space, points above the table and the robot's among them, against a test of every point's coordinates."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from perception_rendering import FrontCamera

from vla_ros.core.geometry import rotation_from_rpy, transform
from vla_ros.perception.body import PlacedShape, covered, inside
from vla_ros.perception.depth import MAX_DEPTH_MM, Cloud, Deprojector
from vla_ros.perception.table import TablePlane
from vla_ros.perception.volume import STEP_PX, Volume, standing_points

DEPROJECTOR = Deprojector(FrontCamera(), np.array([0.2, -0.45, -0.02]), np.array([0.78, 0.45, 0.45]))
HEIGHTS, LOW, HIGH = (0.006, 0.6), (0.25, -0.42), (0.75, 0.42)
FLAT = TablePlane(0.0, 0.0, 0.0, 0.001, True, "")
SLACK_M = 0.0015  # depth is in whole millimetres


def random_cloud(seed: int) -> Cloud:
    rng = np.random.default_rng(seed)
    depth = rng.integers(300, 1500, (480, 640)).astype(np.uint16)
    depth[rng.random(depth.shape) < 0.05] = 0
    depth[rng.random(depth.shape) < 0.05] = 65535
    return DEPROJECTOR.cloud(depth)


def points_of(cloud: Cloud) -> np.ndarray:
    """[3, h, w] of all pixels."""
    return cloud.points(np.arange(cloud.depth_mm.size)).reshape(3, *cloud.depth_mm.shape)


def depth_inside_m(cloud: Cloud, plane: TablePlane) -> np.ndarray:
    """[h, w] by how much each point lies inside the limits; negative outside."""
    x, y, z = points_of(cloud).astype(float)
    height = z - plane.height_at(0, 0) - plane.slope_x * x - plane.slope_y * y
    sides = [x - LOW[0], HIGH[0] - x, y - LOW[1], HIGH[1] - y, height - HEIGHTS[0], HEIGHTS[1] - height]
    there = (cloud.depth_mm > 0) & (cloud.depth_mm < MAX_DEPTH_MM)
    return np.where(there, np.min(sides, axis=0), -1.0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(-0.01, 0.01), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_a_volume_holds_what_lies_between_its_limits(seed, offset_m, slope_x, slope_y) -> None:
    volume, cloud = Volume(HEIGHTS, LOW, HIGH), random_cloud(seed)
    for plane in (FLAT, TablePlane(offset_m, slope_x, slope_y, 0.001, True, "")):  # the second moves the limits of the first
        held = volume.holds(cloud.depth_mm, cloud.rays, plane) > 0
        depth = depth_inside_m(cloud, plane)
        assert np.all(held[depth > SLACK_M])
        assert not np.any(held[depth < -SLACK_M])
        assert held.any()


def test_a_volume_follows_the_camera() -> None:
    raised = FrontCamera()
    raised.T_parent_camera[2, 3] += 0.05
    other = Deprojector(raised, np.array([0.2, -0.45, -0.02]), np.array([0.78, 0.45, 0.45]))
    volume, depth = Volume(HEIGHTS, LOW, HIGH), np.full((480, 640), 900, np.uint16)
    for deprojector in (DEPROJECTOR, other, DEPROJECTOR):
        cloud = deprojector.cloud(depth)
        held = volume.holds(cloud.depth_mm, cloud.rays, FLAT) > 0
        inside_m = depth_inside_m(cloud, FLAT)
        assert np.all(held[inside_m > SLACK_M])
        assert not np.any(held[inside_m < -SLACK_M])


shapes = st.sampled_from([("sphere", (0.06,)), ("cylinder", (0.04, 0.3)), ("capsule", (0.04, 0.3)), ("box", (0.1, 0.3, 0.2))])
places = st.tuples(st.floats(0.2, 1.3), st.floats(-0.5, 0.5), st.floats(0, 0.9))  # some around or behind the camera


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(shapes, places, st.tuples(*[st.floats(-3, 3)] * 3)), max_size=4))
def test_points_in_a_shape_are_found_in_its_image_rows(placed) -> None:
    cloud = random_cloud(0)
    standing = standing_points(Volume((0.006, np.inf), step_px=STEP_PX), cloud, FLAT)
    bodies = [
        PlacedShape(kind, np.array(size), transform(rotation_from_rpy(np.array(rpy)), np.array(at))) for (kind, size), at, rpy in placed
    ]
    found = covered(bodies, standing, DEPROJECTOR, 0.012)
    expected = np.zeros(len(found), dtype=bool)
    for body in bodies:
        expected |= inside(body, standing.xyz, 0.012)
    np.testing.assert_array_equal(found, expected)


def test_a_point_above_the_table_speaks_for_its_neighbours() -> None:
    cloud = random_cloud(1)
    standing = standing_points(Volume((0.006, np.inf), step_px=STEP_PX), cloud, FLAT)
    chosen = np.zeros(len(standing.pixels), dtype=bool)
    chosen[[0, 500]] = True
    mask = standing.image(chosen, cloud.depth_mm.shape)
    assert mask.shape == cloud.depth_mm.shape
    assert mask.sum() == 2 * STEP_PX**2
    np.testing.assert_allclose(points_of(cloud)[:, mask][:, 0], standing.xyz[:, 0], atol=1e-6)
