"""A node's parameters are the fields of one frozen dataclass: type, default, description, unit and range in one place."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from vla_ros.core.errors import ConfigError, unknown_choice

if TYPE_CHECKING:
    from rclpy.node import Node

Config = TypeVar("Config")

_PRIVATE_PREFIXES = ("qos_overrides.", "start_type_description_service")


def parameter(
    default: Any, doc: str, *, unit: str = "", low: float | None = None, high: float | None = None, read_only: bool = True
) -> Any:
    """A dataclass field that becomes a ROS parameter."""
    return dataclasses.field(default=default, metadata={"doc": doc, "unit": unit, "low": low, "high": high, "read_only": read_only})


def describe(config_class: type[Any]) -> list[tuple[str, Any, str]]:
    """(name, default, description with unit and range) for each parameter; for the reference page."""
    return [(f.name, f.default, _description(f)) for f in dataclasses.fields(config_class)]


def _description(field: dataclasses.Field[Any]) -> str:
    meta = field.metadata
    unit = f" [{meta['unit']}]" if meta.get("unit") else ""
    span = f", {meta['low']} to {meta['high']}" if meta.get("low") is not None else ""
    return f"{meta['doc']}{unit}{span}"


def _descriptor(field: dataclasses.Field[Any]) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor

    descriptor = ParameterDescriptor(description=_description(field), read_only=field.metadata["read_only"])
    if field.metadata["low"] is not None and isinstance(field.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(field.metadata["low"]), to_value=float(field.metadata["high"]))
        ]
    return descriptor


def declare(node: Node, config_class: type[Config]) -> Config:
    """Declares every field as a parameter and returns the values. Raises ConfigError for a wrong type, range or an unknown name.

    A whole number is taken for a float: whoever writes ``speed:=1`` means 1.0.
    """
    values = {}
    for field in dataclasses.fields(config_class):  # type: ignore[arg-type]
        if isinstance(field.default, float):
            _take_whole_number(node, field.name)
        try:
            values[field.name] = node.declare_parameter(field.name, field.default, _descriptor(field)).value
        except Exception as error:  # rclpy raises one class for each way to be wrong
            raise ConfigError(f"Parameter '{field.name}' of {node.get_name()}: {error} ({_description(field)})") from error
    _refuse_unknown(node)
    return config_class(**values)


def _take_whole_number(node: Node, name: str) -> None:
    from rclpy.parameter import Parameter

    given = node._parameter_overrides.get(name)
    if given is not None and given.type_ is Parameter.Type.INTEGER:
        node._parameter_overrides[name] = Parameter(name, Parameter.Type.DOUBLE, float(given.value))


def _refuse_unknown(node: Node) -> None:
    for name in node._parameter_overrides:
        if not node.has_parameter(name) and not name.startswith(_PRIVATE_PREFIXES):
            raise ConfigError(f"{node.get_name()}: {unknown_choice('parameter', name, node._parameters)}")
