"""Parameter values for a node's command line (`-p name:=value`), which ROS reads as YAML."""

from __future__ import annotations

import json
import math
from typing import Any

import yaml

from vla_ros.core.errors import ConfigError


def parameter_text(text: str, kind: str = "") -> str:
    """A value so that ROS reads it with the type meant: `kind`, or by YAML's rules where that is "".

    Raises ConfigError when the value does not fit the kind, or is no scalar and no list of scalars.
    """
    if kind == "str":
        return _written(text)
    try:
        value = yaml.safe_load(text) if text else ""
    except yaml.YAMLError:
        value = text
    if kind:
        value = _converted(value, text, kind)
    return _written(value)


def _converted(value: Any, text: str, kind: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "float" and is_number:
        return float(value)
    if (kind == "int" and is_number and isinstance(value, int)) or (kind == "bool" and isinstance(value, bool)):
        return value
    raise ConfigError(f"'{text}' is not of type {kind}")


def _written(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list() if all(isinstance(item, bool | int | float | str) for item in value):
            return f"[{', '.join(_written(item) for item in value)}]"
    raise ConfigError(f"a parameter is a number, a text, true or false, or a list of these, not '{value}'")
