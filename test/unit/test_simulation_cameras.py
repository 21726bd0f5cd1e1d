"""What the cameras show is where the objects are, in the colours they have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sim_scenario import move, panda, place, sim

from vla_ros.core.errors import SimulationError
from vla_ros.core.geometry import inverse, transform_points
from vla_ros.simulation import cameras
from vla_ros.simulation.cameras import CameraRenderer
from vla_ros.simulation.robot import SimRobot
from vla_ros.simulation.scene_config import COLOURS, load_scene


@pytest.fixture(scope="module")
def robot():
    return sim()


@pytest.fixture(scope="module")
def renderer(robot):
    renderer = CameraRenderer(robot.world)
    yield renderer
    renderer.close()


def T_world_camera(robot, name):
    camera = robot.config.cameras[name]
    parent = np.eye(4) if camera.parent == "world" else robot.world.link_pose(camera.parent)
    return parent @ camera.T_parent_camera


def pixel_of(robot, name, point_world):
    """Column, row and depth [m] at which a pinhole camera sees a point."""
    camera = robot.config.cameras[name]
    x, y, z = transform_points(inverse(T_world_camera(robot, name)), np.asarray(point_world)[None])[0]
    return camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy, z


def deprojected(robot, name, depth_mm):
    """[h, w, 3] points in `world`."""
    camera = robot.config.cameras[name]
    rows, columns = np.mgrid[: camera.height_px, : camera.width_px]
    z = depth_mm / 1000.0
    points = np.stack([(columns - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z, z], axis=-1)
    return transform_points(T_world_camera(robot, name), points.reshape(-1, 3)).reshape(*depth_mm.shape, 3)


@pytest.mark.parametrize("seed", [0, 4, 9])
def test_depth_gives_the_true_places_within_3_mm(robot, renderer, seed):
    robot.reset(seed)
    image = renderer.render("front", robot.now_ns)
    points = deprojected(robot, "front", image.depth_mm)
    for placed in robot.placed:
        if placed.spec.is_container:
            continue
        top = robot.world.object_pose(placed.key).position_m + [0, 0, placed.spec.size_m[2] / 2]
        column, row, depth_m = pixel_of(robot, "front", top)
        assert image.depth_mm[round(row), round(column)] == pytest.approx(depth_m * 1000, abs=3.0)
        np.testing.assert_allclose(points[round(row), round(column)], top, atol=3e-3)


def test_a_coloured_cubes_pixels_surround_its_centre_within_3_mm(robot, renderer):
    """The mean of the top face's points is the face's centre: pixel centres, intrinsics and pose agree to a fraction of a pixel."""
    place(robot, red_cube=(0.45, -0.2, 0.0225, 0.4))
    image = renderer.render("front", 0)
    points = deprojected(robot, "front", image.depth_mm)
    red = (image.colour[..., 0] > 120) & (image.colour[..., 1] < 40) & (image.colour[..., 2] < 40)
    top = red & (np.abs(points[..., 2] - 0.045) < 2e-3)
    np.testing.assert_allclose(points[top].mean(axis=0), [0.45, -0.2, 0.045], atol=3e-3)


def test_the_table_is_flat_at_zero(robot, renderer):
    robot.reset(0)
    points = deprojected(robot, "front", renderer.render("front", 0).depth_mm)
    heights = points[400:470, 50:590, 2]
    assert np.abs(np.median(heights)) < 1e-3
    assert np.abs(heights[np.abs(heights) < 0.02]).max() < 2e-3


def test_images_are_upright_and_left_is_right(robot, renderer):
    """The front camera looks back at the robot: what is far from the robot is low in the picture, what is to its left is right."""
    place(robot, red_cube=(0.60, 0.20, 0.0225), yellow_cube=(0.37, -0.20, 0.0225))
    colour = renderer.render("front", 0).colour
    (red_row, red_column), (yellow_row, yellow_column) = centre_of(colour, "red"), centre_of(colour, "yellow")
    assert red_row > yellow_row + 50
    assert red_column > yellow_column + 100


def centre_of(colour, name):
    """Mean row and column of the pixels whose hue is a colour's, as painted."""
    paint = np.array(COLOURS[name])
    pixels = colour.astype(float) / 255
    direction = pixels / (np.linalg.norm(pixels, axis=2, keepdims=True) + 1e-6)
    rows, columns = np.nonzero(direction @ (paint / np.linalg.norm(paint)) > 0.99)
    return np.median(rows), np.median(columns)


def test_the_wrist_camera_sees_what_the_hand_hovers_over(robot, renderer):
    robot.reset(0)
    target = robot.world.object_pose("red_cube")
    assert move(robot, target.position_m + [-0.05, 0, 0.2], 0.0, 1.5)
    image = renderer.render("wrist", robot.now_ns)
    column, row, _ = pixel_of(robot, "wrist", target.position_m + [0, 0, 0.0225])
    red, green, blue = image.colour[round(row), round(column)].astype(int)
    assert red > 2 * max(green, blue)
    assert image.depth_mm is None
    assert image.stamp_ns == robot.now_ns


def test_painted_colours_stay_apart_under_the_light(robot, renderer):
    robot.reset(3)
    colour = renderer.render("front", 0).colour
    seen = {}
    for placed in robot.placed:
        if placed.spec.shape == "cube":
            column, row, _ = pixel_of(robot, "front", robot.world.object_pose(placed.key).position_m + [0, 0, 0.0225])
            seen[placed.spec.colour] = colour[round(row), round(column)].astype(float)
    for rgb in seen.values():
        assert rgb.max() - rgb.min() > 90  # saturated, not grey
        assert rgb.max() < 255  # not overexposed
    names = list(seen)
    for i, a in enumerate(names):
        for b in names[:i]:
            cosine = seen[a] @ seen[b] / (np.linalg.norm(seen[a]) * np.linalg.norm(seen[b]))
            assert cosine < 0.9, (a, b)


def test_noise_is_a_few_millimetres_and_different_each_time(robot):
    robot.reset(0)
    clean, noisy = CameraRenderer(robot.world), CameraRenderer(robot.world, sensor_noise=True, seed=1)
    truth = clean.render("front", 0).depth_mm.astype(float)
    first, second = (noisy.render("front", 0).depth_mm.astype(float) for _ in range(2))
    error = (first - truth)[300:, :]
    assert 0.4 < error.std() < 2.0
    assert abs(error.mean()) < 0.1
    assert (first != second).any()
    noisy.close()
    clean.close()


def test_an_unknown_camera_lists_the_known_ones(renderer):
    with pytest.raises(SimulationError, match="front, wrist"):
        renderer.render("fornt", 0)


def test_missing_opengl_names_the_debian_packages(robot, monkeypatch):
    def absent(name):
        raise ImportError("libEGL.so.1: cannot open shared object file")

    monkeypatch.setattr(cameras.importlib, "import_module", absent)
    with pytest.raises(SimulationError, match=r"libegl1 libgl1-mesa-dri.*libosmesa6"):
        CameraRenderer(robot.world)


def test_an_unknown_kind_of_opengl_lists_the_known_ones(robot, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "elg")
    with pytest.raises(SimulationError, match="Did you mean 'egl'"):
        CameraRenderer(robot.world)


IMAGES_THEN_LANGUAGE = """
from sim_scenario import sim
from vla_ros.simulation.cameras import CameraRenderer
CameraRenderer(sim().world).render("front", 0)
from transformers import BertModel
"""


def test_the_libraries_of_language_can_be_loaded_after_those_of_images() -> None:
    """Mesa and triton each bring an LLVM; in the wrong order the process dies. Only a CUDA build of torch brings triton."""
    command = [sys.executable, "-c", IMAGES_THEN_LANGUAGE]
    run = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]


def test_without_meshes_the_arm_is_seen_as_its_primitives():
    robot = SimRobot(panda().config, load_scene("stacking"), 0, meshes=False)
    assert robot.world.model.nmesh == 0
    renderer = CameraRenderer(robot.world)
    front_of_base = [-0.041 + 0.228 / 2, 0.0, 0.045]
    column, row, depth_m = pixel_of(robot, "front", front_of_base)
    assert renderer.render("front", 0).depth_mm[round(row), round(column)] == pytest.approx(depth_m * 1000, abs=5)
    renderer.close()
