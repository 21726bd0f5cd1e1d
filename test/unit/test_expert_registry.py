"""Experts by name, from config/experts/."""

from __future__ import annotations

import pytest

from vla_ros.core.errors import ConfigError
from vla_ros.core.resources import share_dir
from vla_ros.experts.registry import build_expert, load_expert_config
from vla_ros.robots import load_robot

GOOD = "kind: scripted\nskills: [pick]\nrobots: [panda]\n"


def test_every_expert_that_ships_can_be_built():
    for name in (path.stem for path in (share_dir() / "config" / "experts").glob("*.yaml")):
        config = load_expert_config(name)
        for robot in config.robots:
            expert = build_expert(name, load_robot(robot))
            assert expert.name == name
            assert expert.skills == config.skills


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ConfigError, match=r"Unknown expert 'skripted'.*valid:.*Did you mean 'scripted'"):
        load_expert_config("skripted")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("scripted", "magic"), "kind of expert 'magic'; valid: scripted"),
        (GOOD.replace("[pick]", "[juggle]"), "skill 'juggle'; valid: home, pick, place"),
        (GOOD + "parameters: {hover: 1}\n", "parameter 'hover'.*hover_m"),
        (GOOD + "parameters: {hover_m: high}\n", "hover_m must be a finite number"),
        (GOOD + "parameters: {grasp_attempts: 2.5}\n", "grasp_attempts must be a whole number"),
        (GOOD + "speed: 1\n", "Unknown key 'speed'"),
        ("kind: scripted\n", "missing skills, robots"),
        (GOOD.replace("panda", "wx250s"), "does not move a 'panda'; it moves: wx250s"),
    ],
)
def test_bad_files_are_explained(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        build_expert(str(path), load_robot("panda"))
