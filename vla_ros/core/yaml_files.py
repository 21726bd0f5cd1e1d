"""YAML files read with errors that name file, line and the keys that are valid."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from vla_ros.core.errors import ConfigError, unknown_choice


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError naming file and line."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values, found {type(value).__name__}.")
    return value


def check_keys(mapping: Mapping[str, Any], required: Collection[str], optional: Collection[str], where: str) -> None:
    """Raises ConfigError for a missing or unknown key of ``mapping``; ``where`` names file and section."""
    for key in mapping:
        if key not in required and key not in optional:
            raise ConfigError(f"{where}: {unknown_choice('key', key, [*required, *optional])}")
    missing = [key for key in required if key not in mapping]
    if missing:
        raise ConfigError(f"{where}: missing {', '.join(missing)}.")
