"""What a launch file says: the actions it may hold, before anything is substituted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vla_ros.launcher.substitutions import Template


@dataclass(frozen=True)
class Place:
    """Where in which file something stands, for messages."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Condition:
    """`if` or `unless` of an action."""

    text: Template
    wanted: bool


@dataclass(frozen=True)
class Action:
    """One element of a launch file."""

    place: Place
    condition: Condition | None


@dataclass(frozen=True)
class Argument(Action):
    """`<arg>`: an argument of the launch file; without a default it must be given."""

    name: str
    default: Template | None
    description: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Let(Action):
    """`<let>`: a variable of the file."""

    name: Template
    value: Template


@dataclass(frozen=True)
class SetEnvironment(Action):
    """`<set_env>` and, without a value, `<unset_env>`: the environment of the processes that follow."""

    name: Template
    value: Template | None


@dataclass(frozen=True)
class PushNamespace(Action):
    """`<push_ros_namespace>`: a namespace for the nodes that follow, inside the one in force."""

    namespace: Template


@dataclass(frozen=True)
class SetRemap(Action):
    """`<set_remap>`: a name mapped to another in the nodes that follow."""

    source: Template
    target: Template


@dataclass(frozen=True)
class SetParameter(Action):
    """`<set_parameter>`: a parameter of every node that follows."""

    name: Template
    value: Template


@dataclass(frozen=True)
class Include(Action):
    """`<include>`: another launch file, with values for its arguments."""

    file: Template
    arguments: tuple[tuple[Template, Template], ...]


@dataclass(frozen=True)
class Group(Action):
    """`<group>`: actions whose settings end with the group when it is scoped."""

    scoped: bool
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class ParameterValue:
    """`<param name value>`; `kind` is "", "str", "int", "float" or "bool", where "" reads the value as YAML does."""

    name: Template
    value: Template
    kind: str
    place: Place


@dataclass(frozen=True)
class ParameterFile:
    """`<param from>`: parameters from a YAML file."""

    path: Template
    place: Place


@dataclass(frozen=True)
class ProcessOptions:
    """What nodes and executables have in common."""

    output: Template
    respawn: Template
    respawn_delay: Template
    respawn_max_retries: Template
    shutdown_on_exit: bool
    cwd: Template | None
    prefix: Template | None
    environment: tuple[tuple[Template, Template], ...] = ()


@dataclass(frozen=True)
class Node(Action):
    """`<node>`: an executable of a package that understands ROS arguments."""

    package: Template
    executable: Template
    name: Template | None
    namespace: Template | None
    arguments: Template
    ros_arguments: Template
    options: ProcessOptions
    parameters: tuple[ParameterValue | ParameterFile, ...] = ()
    remaps: tuple[tuple[Template, Template], ...] = ()


@dataclass(frozen=True)
class Executable(Action):
    """`<executable>`: any command."""

    command: Template
    name: Template | None
    options: ProcessOptions


@dataclass(frozen=True)
class LaunchFile:
    """A launch file as parsed."""

    path: Path
    actions: tuple[Action, ...] = field(default=())
