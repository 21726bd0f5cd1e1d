"""The arguments that a launch file and the files it includes declare, found without evaluating conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from vla_ros.core.errors import ConfigError
from vla_ros.launcher.model import Action, Argument, Group, Include
from vla_ros.launcher.substitutions import Scope, Template
from vla_ros.launcher.xml_parser import parse_launch_file


def declared_arguments(path: Path, environment: Mapping[str, str]) -> list[Argument]:
    """Every argument once, in the order of the files. Arguments that an include fills in are left out.

    An included file whose name depends on an argument without a default is not looked into.
    """
    found: dict[str, Argument] = {}
    scope = Scope(path.resolve(), {}, dict(environment))
    for argument in _walk(parse_launch_file(scope.file).actions, scope, frozenset({scope.file})):
        found.setdefault(argument.name, argument)
    return list(found.values())


def default_text(argument: Argument) -> str | None:
    """The default as it is written, substitutions included; None where there is none."""
    return None if argument.default is None else _written(argument.default)


def _walk(actions: Iterable[Action], scope: Scope, seen: frozenset[Path]) -> Iterator[Argument]:
    for action in actions:
        if isinstance(action, Argument):
            _remember_default(action, scope)
            yield action
        elif isinstance(action, Group):
            yield from _walk(action.actions, scope, seen)
        elif isinstance(action, Include):
            yield from _included(action, scope, seen)


def _included(include: Include, scope: Scope, seen: frozenset[Path]) -> Iterator[Argument]:
    try:
        path = Path(include.file.evaluate(scope))
        filled = {name.evaluate(scope) for name, _ in include.arguments}
    except ConfigError:
        return
    if path in seen:
        return
    inner = Scope(path, dict(scope.variables), scope.environment)
    for argument in _walk(parse_launch_file(path).actions, inner, seen | {path}):
        if argument.name not in filled:
            yield argument


def _remember_default(argument: Argument, scope: Scope) -> None:
    if argument.default is None or argument.name in scope.variables:
        return
    try:
        scope.variables[argument.name] = argument.default.evaluate(scope)
    except ConfigError:
        return


def _written(template: Template) -> str:
    return "".join(
        part if isinstance(part, str) else f"$({' '.join([part.name, *map(_written, part.arguments)])})" for part in template.parts
    )
