"""Detection in rendered scenes: accuracy, stacks, bowls with contents, touching colours, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from perception_rendering import RGB, FrontCamera, Item, render, sampled

from vla_ros.core.errors import PerceptionError
from vla_ros.perception.colours import NAMES, colour_classes, colour_word
from vla_ros.perception.depth import Deprojector
from vla_ros.perception.objects import ColourDetector, Detection, Frame
from vla_ros.perception.table import fit_table

CAMERA = FrontCamera()
DEPROJECTOR = Deprojector(CAMERA, np.array([0.2, -0.45, -0.02]), np.array([0.78, 0.45, 0.45]))
BOWL, PLATE, ROD, BAR = (0.14, 0.14, 0.05), (0.16, 0.16, 0.012), (0.04, 0.04, 0.06), (0.11, 0.03, 0.03)
WORLD = [
    *(Item(colour, "cube", (0, 0, 0)) for colour in ("red", "green", "blue", "yellow")),
    *(Item(colour, "bowl", (0, 0, 0), size_m=BOWL) for colour in ("blue", "green")),
    Item("purple", "cylinder", (0, 0, 0), size_m=ROD),
    Item("orange", "box", (0, 0, 0), size_m=BAR),
]


def frame_of(colour: np.ndarray, depth: np.ndarray) -> Frame:
    cloud = DEPROJECTOR.cloud(depth)
    nothing = np.zeros(cloud.depth_mm.shape, dtype=bool)
    return Frame(colour[DEPROJECTOR.roi], cloud, nothing, fit_table(cloud, 0.0), DEPROJECTOR.centre_m, CAMERA.fx)


def detect(items: list[Item], seed: int = 0, **options: float) -> list[Detection]:
    return ColourDetector().detect(frame_of(*render(items, np.random.default_rng(seed), **options)))


def find(found: list[Detection], item: Item) -> Detection:
    near = [d for d in found if d.colour == item.colour and np.linalg.norm(d.pose.position_m - item.centre_m) < 0.035]
    assert len(near) == 1, f"{item}: {[(d.name, d.pose.position_m.round(3)) for d in found]}"
    return near[0]


def yaw_error_deg(d: Detection, item: Item) -> float:
    return abs(float(np.degrees((d.pose.yaw_rad - item.yaw_rad + np.pi / 4) % (np.pi / 2) - np.pi / 4)))


def check(
    found: list[Detection], item: Item, *, xy_m: float = 0.010, z_m: float = 0.006, size_m: float = 0.008, yaw_deg: float = 5.0
) -> None:
    d = find(found, item)
    off = d.pose.position_m - item.centre_m
    assert d.shape == item.shape
    assert np.linalg.norm(off[:2]) < xy_m
    assert abs(off[2]) < z_m
    assert np.all(np.abs(np.sort(d.size_m[:2]) - np.sort(item.size_m[:2])) < size_m)
    assert abs(d.size_m[2] - item.size_m[2]) < size_m
    if item.shape in ("cube", "box"):
        assert yaw_error_deg(d, item) < yaw_deg


def test_twenty_random_scenes_are_measured_within_the_targets() -> None:
    errors: dict[str, list[float]] = {}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        items = sampled(rng, WORLD)
        found = ColourDetector().detect(frame_of(*render(items, rng)))
        assert len(found) == len(items)
        for item in items:
            check(found, item)
            d = find(found, item)
            errors.setdefault(item.shape, []).append(float(np.linalg.norm((d.pose.position_m - item.centre_m)[:2])))
    assert all(np.median(e) < 0.005 for e in errors.values()), {k: np.median(v) for k, v in errors.items()}


def test_noisy_depth_still_gives_the_right_things() -> None:
    for seed in range(3):
        items = sampled(np.random.default_rng(seed), WORLD)
        found = detect(items, seed, depth_sigma_m=0.002)
        for item in items:
            check(found, item, xy_m=0.012, size_m=0.012, yaw_deg=8)


@pytest.mark.parametrize("lower_yaw", [0.0, 0.35, 0.78])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.01, 0.008), (-0.01, 0.0)])
def test_a_cube_on_a_cube_gives_both(lower_yaw: float, shift: tuple[float, float]) -> None:
    lower = Item("yellow", "cube", (0.5, 0.1, 0.0), lower_yaw)
    upper = Item("green", "cube", (0.5 + shift[0], 0.1 + shift[1], 0.045), 0.2)
    found = detect([lower, upper])
    assert len(found) == 2
    check(found, upper)
    check(found, lower)


def test_a_tower_of_three() -> None:
    tower = [Item(c, "cube", (0.5, -0.1, 0.045 * i), 0.1 + 0.3 * i) for i, c in enumerate(("yellow", "green", "red"))]
    found = detect(tower)
    assert len(found) == 3
    for item in tower:
        check(found, item)


@pytest.mark.parametrize("place", [(0.5, 0.1), (0.6, -0.1), (0.42, 0.2)])
@pytest.mark.parametrize("colour", ["red", "blue"])
def test_a_cube_in_a_bowl_gives_both_even_in_the_same_colour(place: tuple[float, float], colour: str) -> None:
    bowl = Item("blue", "bowl", (*place, 0.0), size_m=BOWL)
    cube = Item(colour, "cube", (place[0] + 0.01, place[1], 0.005), 0.4)
    found = detect([bowl, cube])
    assert sorted(d.shape for d in found) == ["bowl", "cube"]
    by_shape = {d.shape: d for d in found}
    assert by_shape["cube"].colour == colour
    assert np.linalg.norm((by_shape["cube"].pose.position_m - cube.centre_m)[:2]) < 0.01
    assert np.linalg.norm((by_shape["bowl"].pose.position_m - bowl.centre_m)[:2]) < 0.01


def test_two_cubes_of_one_colour_one_behind_the_other_stay_two() -> None:
    items = [Item("red", "cube", (0.5, 0.0, 0.0), 0.2), Item("red", "cube", (0.435, 0.01, 0.0), 0.5)]
    found = detect(items)
    assert [d.name for d in found] == ["red cube", "red cube"]


def test_a_plate_is_a_plate_with_and_without_something_on_it() -> None:
    plate = Item("purple", "plate", (0.5, -0.1, 0.0), size_m=PLATE)
    check(detect([plate]), plate)
    cube = Item("red", "cube", (0.5, -0.1, 0.006), 0.3)
    found = detect([plate, cube])
    check(found, plate)
    check(found, cube)


def test_an_empty_table_is_empty() -> None:
    assert detect([]) == []


def test_the_table_is_measured_and_an_implausible_one_refused() -> None:
    colour, depth = render([], np.random.default_rng(0))
    plane = frame_of(colour, depth).table
    assert plane.measured
    assert abs(plane.height_at(0.5, 0.0)) < 0.001
    assert plane.residual_m < 0.002
    wrong = fit_table(DEPROJECTOR.cloud(depth), 0.015)
    assert not wrong.measured
    assert "configured" in wrong.detail
    assert not fit_table(DEPROJECTOR.cloud(np.zeros_like(depth)), 0.0).measured


@pytest.mark.parametrize("light", [1.0, 0.7, 0.4])
def test_colours_keep_their_names_in_the_shade(light: float) -> None:
    for name in ("red", "green", "blue", "yellow", "orange", "purple"):
        pixels = np.full((10, 10, 3), np.array(RGB[name]) * 255 * light, np.uint8)
        classes = np.unique(colour_classes(pixels, np.arange(pixels[..., 0].size)))
        assert len(classes) == 1
        assert NAMES[classes[0]] == name
    grey = np.full((4, 4, 3), 150 * light, np.uint8)
    assert NAMES[colour_classes(grey, np.array([0]))[0]] == "neutral"


def test_neutral_words_follow_brightness() -> None:
    assert [colour_word(0, np.full((9, 3), v, np.uint8)) for v in (240, 110, 20)] == ["white", "grey", "black"]
    assert colour_word(NAMES.index("orange"), np.tile(np.array([[90, 50, 20]], np.uint8), (9, 1))) == "brown"


@pytest.mark.parametrize(
    "depth",
    [None, np.zeros((480, 640), np.float32), np.zeros((240, 320), np.uint16), np.full((480, 640), np.nan)],
    ids=["none", "metres", "small", "nan"],
)
def test_a_wrong_depth_image_is_refused(depth: np.ndarray) -> None:
    with pytest.raises(PerceptionError, match="expected uint16"):
        DEPROJECTOR.cloud(depth)


def test_a_camera_that_looks_elsewhere_is_refused() -> None:
    with pytest.raises(PerceptionError, match="does not see"):
        Deprojector(CAMERA, np.array([0.2, 3.0, 0.0]), np.array([0.4, 3.2, 0.1]))
