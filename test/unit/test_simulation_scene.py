"""Scenes are data: what is placed depends on the seed alone, keeps its distance, and bad files are named."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_ros.core.errors import ConfigError
from vla_ros.core.resources import config_path
from vla_ros.simulation.scene_config import WALL_M, load_scene
from vla_ros.simulation.scene_sampler import sample_scene
from vla_ros.simulation.shapes import inner_radius_m, parts_of

SCENES = ["tabletop", "stacking", "clear_table"]


@pytest.mark.parametrize("name", SCENES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_every_seed_keeps_the_spacing_and_the_region(name, seed):
    config = load_scene(name)
    placed = sample_scene(config, np.random.default_rng(seed))
    region = config.sampler
    for i, a in enumerate(placed):
        xy = a.pose.position_m[:2]
        assert a.pose.position_m[2] == pytest.approx(a.spec.size_m[2] / 2)
        if a.spec.position_m is None:
            assert np.all(xy >= region.region_min_m)
            assert np.all(xy <= region.region_max_m)
        for b in placed[:i]:
            gap = np.linalg.norm(xy - b.pose.position_m[:2]) - a.spec.footprint_radius_m - b.spec.footprint_radius_m
            assert gap >= region.spacing_m - 1e-9


def test_the_seed_decides():
    config = load_scene("tabletop")
    first, again, other = (sample_scene(config, np.random.default_rng(s)) for s in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.pose.position_m, b.pose.position_m)
        np.testing.assert_array_equal(a.pose.quat_xyzw, b.pose.quat_xyzw)
    assert any(not np.allclose(a.pose.position_m, b.pose.position_m) for a, b in zip(first, other, strict=True))


def test_the_demo_scene_has_what_the_demo_speaks_of():
    names = {spec.name for spec in load_scene("tabletop").objects}
    assert {"red cube", "green cube", "blue cube", "yellow cube", "blue bowl"} <= names
    assert len([name for name in names if "bowl" in name or "plate" in name]) >= 2


def test_objects_of_one_name_get_keys_of_their_own(tmp_path):
    config = edited(tmp_path, lambda d: d["objects"].append({"colour": "red", "shape": "cube"}))
    assert config.object_keys[0] == "red_cube"
    assert config.object_keys[-1] == "red_cube_2"


def edited(tmp_path, change):
    data = yaml.safe_load(config_path("scenes", "tabletop").read_text())
    change(data)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    return load_scene(str(path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["objects"][0].update(colour="crimson"), ["objects[0]", "colour 'crimson'", "red"]),
        (lambda d: d["objects"][1].update(shape="cub"), ["objects[1]", "shape 'cub'", "Did you mean 'cube'?"]),
        (lambda d: d["objects"][0].update(size_m=[0.1, 0.1]), ["objects[0]: size_m", "3 finite numbers"]),
        (lambda d: d["objects"][0].update(size_m=[0.1, 0.1, 0.0]), ["objects[0]", "size_m must be above 0"]),
        (lambda d: d["objects"][0].update(weight=1), ["objects[0]", "'weight'", "mass_kg"]),
        (lambda d: d["objects"][0].update(mass_kg=float("nan")), ["objects[0]: mass_kg"]),
        (lambda d: d["objects"].clear(), ["objects", "at least one"]),
        (lambda d: d.pop("table"), ["missing table"]),
        (lambda d: d.update(table=3), ["table", "must hold keys and values"]),
        (lambda d: d["sampler"].update(region_min_m=[1.0, 0.0]), ["sampler", "region_min_m"]),
        (lambda d: d["sampler"].update(spacing_m=-1), ["sampler: spacing_m", "at least 0"]),
        (lambda d: d["lighting"].update(direction=[0, 0, 0]), ["lighting: direction"]),
    ],
)
def test_a_bad_file_is_named_with_the_key(tmp_path, change, words):
    with pytest.raises(ConfigError) as error:
        edited(tmp_path, change)
    for word in ["mine.yaml", *words]:
        assert word in str(error.value)


def test_too_many_objects_for_the_region(tmp_path):
    config = edited(tmp_path, lambda d: d["sampler"].update(spacing_m=0.3))
    with pytest.raises(ConfigError, match="do not fit"):
        sample_scene(config, np.random.default_rng(0))


def test_an_unknown_scene_lists_the_known_ones():
    with pytest.raises(ConfigError, match="tabletop"):
        load_scene("table_top")


def test_a_bowl_is_hollow_and_fits_its_extents():
    bowl = next(spec for spec in load_scene("tabletop").objects if spec.shape == "bowl")
    assert inner_radius_m(bowl) == pytest.approx(0.06)
    for part in parts_of(bowl):
        top, bottom = part.centre_m[2] + part.half_size_m[2 if part.kind == "box" else 1], part.centre_m[2]
        if np.hypot(*part.centre_m[:2]) < 0.05:
            top = part.centre_m[2] + part.half_size_m[1]
            assert top == pytest.approx(WALL_M["bowl"] / 2 - bowl.size_m[2] / 2)
        assert top <= bowl.size_m[2] / 2 + 1e-9
        assert bottom >= -bowl.size_m[2] / 2
