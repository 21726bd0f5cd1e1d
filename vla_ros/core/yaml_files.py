"""YAML files read with errors that name file, line and the keys that are valid; ``where`` names file and section, for people."""

from __future__ import annotations

import math
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
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not text in UTF-8 (byte {error.start + 1}); save it as UTF-8.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values, found {'nothing' if value is None else type(value).__name__}.")
    return value


def check_keys(mapping: Mapping[str, Any], required: Collection[str], optional: Collection[str], where: str) -> None:
    """Raises ConfigError for a missing or unknown key of ``mapping``."""
    for key in mapping:
        if key not in required and key not in optional:
            raise ConfigError(f"{where}: {unknown_choice('key', key, [*required, *optional])}")
    missing = [key for key in required if key not in mapping]
    if missing:
        raise ConfigError(f"{where}: missing {', '.join(missing)}.")


def section(mapping: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """The mapping under ``key``. Raises ConfigError for anything else."""
    value = mapping[key]
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: {key} must hold keys and values, found {value!r}.")
    return dict(value)


def text(mapping: Mapping[str, Any], key: str, where: str) -> str:
    """The text under ``key``. Raises ConfigError for an empty one and for anything else."""
    value = mapping[key]
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: {key} must be text, found {value!r}.")
    return value


def truth(mapping: Mapping[str, Any], key: str, where: str) -> bool:
    """The true or false under ``key``. Raises ConfigError for anything else."""
    value = mapping[key]
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: {key} must be true or false, found {value!r}.")
    return value


def number(mapping: Mapping[str, Any], key: str, where: str, low: float = -math.inf, high: float = math.inf) -> float:
    """The finite number from ``low`` to ``high`` under ``key``. Raises ConfigError for anything else, true and false included."""
    value = mapping[key]
    if not _is_number(value) or not low <= value <= high:
        raise ConfigError(f"{where}: {key} must be a finite number{_range(low, high)}, found {value!r}.")
    return float(value)


def positive(mapping: Mapping[str, Any], key: str, where: str) -> float:
    """The finite number above 0 under ``key``. Raises ConfigError for anything else."""
    value = number(mapping, key, where)
    if value <= 0:
        raise ConfigError(f"{where}: {key} must be above 0, found {value:g}.")
    return value


def whole_number(mapping: Mapping[str, Any], key: str, where: str, low: int = 1, high: float = math.inf) -> int:
    """The whole number from ``low`` to ``high`` under ``key``. Raises ConfigError for anything else."""
    value = mapping[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{where}: {key} must be a whole number{_range(low, high)}, found {value!r}.")
    return value


def numbers(mapping: Mapping[str, Any], key: str, count: int, where: str) -> tuple[float, ...]:
    """The list of ``count`` finite numbers under ``key``. Raises ConfigError for anything else."""
    value = mapping[key]
    if not isinstance(value, list) or len(value) != count or not all(map(_is_number, value)):
        found = len(value) if isinstance(value, list) and all(map(_is_number, value)) else repr(value)
        raise ConfigError(f"{where}: {key} must be a list of {count} finite numbers, found {found}.")
    return tuple(float(v) for v in value)


def all_positive(mapping: Mapping[str, Any], key: str, count: int, where: str) -> tuple[float, ...]:
    """As ``numbers``, every one above 0."""
    values = numbers(mapping, key, count, where)
    if min(values) <= 0:
        raise ConfigError(f"{where}: every number of {key} must be above 0, found {list(values)}.")
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _range(low: float, high: float) -> str:
    if high < math.inf:
        return f" from {low:g} to {high:g}"
    return f" of at least {low:g}" if low > -math.inf else ""
