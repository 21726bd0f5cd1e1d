"""A launch file in XML, read into the actions of `model`. Nothing is evaluated here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vla_ros.core.errors import unknown_choice
from vla_ros.launcher.model import (
    Action,
    Argument,
    Condition,
    Executable,
    Group,
    Include,
    LaunchFile,
    Let,
    Node,
    ParameterFile,
    ParameterValue,
    ProcessOptions,
    PushNamespace,
    SetEnvironment,
    SetParameter,
    SetRemap,
)
from vla_ros.launcher.substitutions import Template
from vla_ros.launcher.xml_elements import Element, read_elements

PARAMETER_KINDS = ("str", "int", "float", "bool")


def parse_launch_file(path: Path) -> LaunchFile:
    """Read a launch file. Raises ConfigError naming file, line and what is valid there."""
    root = read_elements(path)
    if root.tag != "launch":
        raise root.error(f"the outermost element is <{root.tag}>; a launch file starts with <launch>")
    root.refuse_unknown(PARSERS)
    return LaunchFile(path, _actions(root))


def _actions(element: Element) -> tuple[Action, ...]:
    return tuple(_action(child) for child in element.children)


def _action(element: Element) -> Action:
    if element.tag not in PARSERS:
        raise element.error(unknown_choice("element", element.tag, PARSERS))
    parse, children = PARSERS[element.tag]
    action = parse(element, _condition(element))
    element.refuse_unknown(children)
    return action


def _condition(element: Element) -> Condition | None:
    wanted, unwanted = element.optional_template("if"), element.optional_template("unless")
    if wanted is not None and unwanted is not None:
        raise element.error(f"<{element.tag}> has both 'if' and 'unless'; use one")
    if wanted is not None:
        return Condition(wanted, True)
    return Condition(unwanted, False) if unwanted is not None else None


def _pairs(element: Element, tag: str, first: str, second: str) -> tuple[tuple[Template, Template], ...]:
    pairs = []
    for child in element.children_named(tag):
        pairs.append((child.template(first), child.template(second)))
        child.refuse_unknown()
    return tuple(pairs)


def _argument(element: Element, condition: Condition | None) -> Argument:
    choices = []
    for child in element.children_named("choice"):
        choices.append(child.required("value"))
        child.refuse_unknown()
    name, default = element.required("name"), element.optional_template("default")
    return Argument(element.place, condition, name, default, element.optional("description") or "", tuple(choices))


def _let(element: Element, condition: Condition | None) -> Let:
    return Let(element.place, condition, element.template("name"), element.template("value"))


def _set_env(element: Element, condition: Condition | None) -> SetEnvironment:
    return SetEnvironment(element.place, condition, element.template("name"), element.template("value"))


def _unset_env(element: Element, condition: Condition | None) -> SetEnvironment:
    return SetEnvironment(element.place, condition, element.template("name"), None)


def _push_namespace(element: Element, condition: Condition | None) -> PushNamespace:
    return PushNamespace(element.place, condition, element.template("namespace"))


def _set_remap(element: Element, condition: Condition | None) -> SetRemap:
    return SetRemap(element.place, condition, element.template("from"), element.template("to"))


def _set_parameter(element: Element, condition: Condition | None) -> SetParameter:
    return SetParameter(element.place, condition, element.template("name"), element.template("value"))


def _include(element: Element, condition: Condition | None) -> Include:
    return Include(element.place, condition, element.template("file"), _pairs(element, "arg", "name", "value"))


def _group(element: Element, condition: Condition | None) -> Group:
    return Group(element.place, condition, element.flag("scoped", default=True), _actions(element))


def _node(element: Element, condition: Condition | None) -> Node:
    return Node(
        element.place,
        condition,
        package=element.template("pkg"),
        executable=element.template("exec"),
        name=element.optional_template("name"),
        namespace=element.optional_template("namespace"),
        arguments=element.template("args", default=""),
        ros_arguments=element.template("ros_args", default=""),
        options=_options(element),
        parameters=tuple(_parameter(child) for child in element.children_named("param")),
        remaps=_pairs(element, "remap", "from", "to"),
    )


def _executable(element: Element, condition: Condition | None) -> Executable:
    return Executable(element.place, condition, element.template("cmd"), element.optional_template("name"), _options(element))


def _options(element: Element) -> ProcessOptions:
    on_exit = element.optional("on_exit")
    if on_exit not in (None, "shutdown"):
        raise element.error(f"on_exit is '{on_exit}'; valid: shutdown")
    return ProcessOptions(
        output=element.template("output", default="log"),
        respawn=element.template("respawn", default="false"),
        respawn_delay=element.template("respawn_delay", default="0"),
        respawn_max_retries=element.template("respawn_max_retries", default="-1"),
        shutdown_on_exit=on_exit is not None,
        cwd=element.optional_template("cwd"),
        prefix=element.optional_template("launch-prefix"),
        environment=_pairs(element, "env", "name", "value"),
    )


def _parameter(element: Element) -> ParameterValue | ParameterFile:
    source, name = element.optional_template("from"), element.optional_template("name")
    if (source is None) == (name is None):
        raise element.error("<param> needs either 'from' (a YAML file) or 'name' and 'value'")
    if source is not None or name is None:
        element.refuse_unknown()
        return ParameterFile(source or Template(), element.place)
    kind = element.optional("type") or ""
    if kind and kind not in PARAMETER_KINDS:
        raise element.error(unknown_choice("type of <param>", kind, PARAMETER_KINDS))
    value = ParameterValue(name, element.template("value"), kind, element.place)
    element.refuse_unknown()
    return value


# tag: the function that reads it, the children it may have
PARSERS: dict[str, tuple[Callable[[Element, Condition | None], Action], frozenset[str]]] = {
    "arg": (_argument, frozenset({"choice"})),
    "let": (_let, frozenset()),
    "set_env": (_set_env, frozenset()),
    "unset_env": (_unset_env, frozenset()),
    "push_ros_namespace": (_push_namespace, frozenset()),
    "push-ros-namespace": (_push_namespace, frozenset()),
    "set_remap": (_set_remap, frozenset()),
    "set_parameter": (_set_parameter, frozenset()),
    "include": (_include, frozenset({"arg"})),
    "node": (_node, frozenset({"param", "remap", "env"})),
    "executable": (_executable, frozenset({"env"})),
}
PARSERS["group"] = (_group, frozenset({*PARSERS, "group"}))
