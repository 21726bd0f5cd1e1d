"""Which experts there are: one YAML file each in config/experts/, and the function that builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.core.resources import config_path
from vla_ros.core.tasks import Skill
from vla_ros.core.yaml_files import check_keys, load_yaml
from vla_ros.experts.policy import Expert
from vla_ros.robots import Arm


@dataclass(frozen=True)
class ExpertConfig:
    """One file of config/experts/."""

    name: str
    kind: str  # which builder
    description: str
    skills: frozenset[Skill]
    robots: frozenset[str]
    parameters: Mapping[str, Any]


Builder = Callable[[ExpertConfig, Arm], Expert]


def _scripted(config: ExpertConfig, arm: Arm) -> Expert:
    from vla_ros.experts.scripted.expert import ScriptedExpert  # late: an unused kind costs no import

    return ScriptedExpert.from_config(config, arm)


BUILDERS: Mapping[str, Builder] = {"scripted": _scripted}


def load_expert_config(name: str) -> ExpertConfig:
    """Reads config/experts/<name>.yaml (or a path). Raises ConfigError that lists what is valid."""
    path = config_path("experts", name)
    data = load_yaml(path)
    check_keys(data, ("kind", "skills", "robots"), ("description", "parameters"), str(path))
    if data["kind"] not in BUILDERS:
        raise ConfigError(f"{path}: {unknown_choice('kind of expert', data['kind'], BUILDERS)}")
    valid = [s.value for s in Skill]
    for skill in data["skills"]:
        if skill not in valid:
            raise ConfigError(f"{path}: {unknown_choice('skill', skill, valid)}")
    return ExpertConfig(
        name=path.stem,
        kind=data["kind"],
        description=data.get("description", ""),
        skills=frozenset(Skill(s) for s in data["skills"]),
        robots=frozenset(data["robots"]),
        parameters=data.get("parameters") or {},
    )


def require_robot(name: str, robot: str) -> ExpertConfig:
    """The configuration of the expert ``name``. Raises ConfigError when it does not know the arm ``robot``."""
    config = load_expert_config(name)
    if robot not in config.robots:
        raise ConfigError(f"The expert '{name}' does not move a '{robot}'; it moves: {', '.join(sorted(config.robots))}.")
    return config


def build_expert(name: str, arm: Arm) -> Expert:
    """The expert ``name`` for ``arm``. Raises ConfigError when it does not know that robot."""
    config = require_robot(name, arm.config.name)
    return BUILDERS[config.kind](config, arm)
