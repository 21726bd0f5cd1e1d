"""Actions turned into the processes to start. Pure: the environment is passed in and nothing is run.

Scoping is that of `ros2 launch`: variables set by an included file stay set for what follows, and a scoped group puts back variables,
environment, namespace, remaps and parameters when it ends.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.launcher.arguments import declared_arguments
from vla_ros.launcher.command_lines import command_words
from vla_ros.launcher.model import (
    Action,
    Argument,
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
from vla_ros.launcher.packages import package_executable
from vla_ros.launcher.parameters import parameter_text
from vla_ros.launcher.substitutions import Scope, Template, is_true
from vla_ros.launcher.xml_parser import parse_launch_file

OUTPUTS = ("screen", "both", "log")
DEEPEST_INCLUDE = 20


@dataclass(frozen=True)
class ProcessSpec:
    """A process to run. `name` is unique within a launch and stands before its output."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path | None = None
    on_screen: bool = True
    respawn: bool = False
    respawn_delay_s: float = 0.0
    respawn_max_retries: int = -1
    shutdown_on_exit: bool = False


@dataclass
class Context(Scope):
    """Everything that actions change for those after them."""

    namespace: str | None = None
    remaps: list[tuple[str, str]] = field(default_factory=list)
    parameters: list[tuple[str, str]] = field(default_factory=list)


def load_processes(path: Path, arguments: Mapping[str, str], environment: Mapping[str, str]) -> list[ProcessSpec]:
    """The processes of a launch file with the given arguments. Raises ConfigError naming file and line."""
    evaluator = _Evaluator(Context(path.resolve(), dict(arguments), dict(environment)))
    evaluator.run_file(parse_launch_file(path.resolve()))
    known = evaluator.declared | {argument.name for argument in declared_arguments(path, environment)}
    for name in arguments:
        if name not in known:
            raise ConfigError(f"{path}: {unknown_choice('launch argument', name, known)}")
    return evaluator.processes


def combined_namespace(base: str | None, namespace: str | None) -> str | None:
    """A namespace inside another: an absolute one stands for itself; the result is absolute, None where both are empty."""
    if not base and not namespace:
        return None
    if namespace and (namespace.startswith("/") or not base):
        joined = namespace
    else:
        joined = f"{base or ''}/{namespace}" if namespace else (base or "")
    return "/" + "/".join(part for part in joined.split("/") if part)


class _Evaluator:
    """Runs through actions in order, keeping the context and collecting processes."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.processes: list[ProcessSpec] = []
        self.declared: set[str] = set()
        self.depth = 0

    def run_file(self, launch_file: LaunchFile) -> None:
        """Everything in a file; `$(dirname)` means this file meanwhile."""
        outer, self.context.file = self.context.file, launch_file.path
        self.depth += 1
        for action in launch_file.actions:
            self.run(action)
        self.depth -= 1
        self.context.file = outer

    def run(self, action: Action) -> None:
        """One action, unless its condition says no."""
        try:
            if action.condition is None or is_true(self.text(action.condition.text)) == action.condition.wanted:
                self.perform(action)
        except _Placed:
            raise
        except ConfigError as error:
            raise _Placed(f"{action.place}: {error}") from error

    def text(self, template: Template) -> str:
        """A template with everything put in."""
        return template.evaluate(self.context)

    def words(self, template: Template) -> list[str]:
        """A command line as words."""
        return command_words(template, self.context)

    def perform(self, action: Action) -> None:
        """What an action does to the context or adds to the processes."""
        match action:
            case Argument():
                self.declare(action)
            case Let():
                self.context.variables[self.text(action.name)] = self.text(action.value)
            case SetEnvironment():
                self.set_environment(action)
            case PushNamespace():
                self.context.namespace = combined_namespace(self.context.namespace, self.text(action.namespace))
            case SetRemap():
                self.context.remaps.append((self.text(action.source), self.text(action.target)))
            case SetParameter():
                self.context.parameters.append((self.text(action.name), parameter_text(self.text(action.value))))
            case Include():
                self.include(action)
            case Group():
                self.group(action)
            case Node():
                self.add_node(action)
            case Executable():
                self.add_executable(action)

    def declare(self, argument: Argument) -> None:
        """Give an argument its default, and hold its value against its choices."""
        self.declared.add(argument.name)
        if argument.name not in self.context.variables:
            if argument.default is None:
                described = f" ({argument.description})" if argument.description else ""
                raise ConfigError(f"The launch argument '{argument.name}'{described} has no default; give it as {argument.name}:=VALUE.")
            self.context.variables[argument.name] = self.text(argument.default)
        value = self.context.variables[argument.name]
        if argument.choices and value not in argument.choices:
            raise ConfigError(unknown_choice(f"value of launch argument {argument.name}", value, argument.choices))

    def set_environment(self, action: SetEnvironment) -> None:
        """Set or remove an environment variable for what follows."""
        if action.value is None:
            self.context.environment.pop(self.text(action.name), None)
        else:
            self.context.environment[self.text(action.name)] = self.text(action.value)

    def include(self, include: Include) -> None:
        """Another file, with its arguments set first."""
        if self.depth >= DEEPEST_INCLUDE:
            raise ConfigError(f"launch files include one another {self.depth} deep; is one of them including itself?")
        path = Path(self.text(include.file))
        for name, value in include.arguments:
            self.context.variables[self.text(name)] = self.text(value)
        if not path.is_absolute():
            raise ConfigError(f"'{path}' is a relative path; write $(dirname)/{path} or $(find-pkg-share PACKAGE)/launch/{path}")
        self.run_file(parse_launch_file(path))

    def group(self, group: Group) -> None:
        """Actions whose changes end with them, when scoped."""
        outer = copy.deepcopy(self.context) if group.scoped else self.context
        for action in group.actions:
            self.run(action)
        self.context = outer

    def add_node(self, node: Node) -> None:
        """The command line of a node: its own arguments, then those that ROS reads."""
        package, executable = self.text(node.package), self.text(node.executable)
        name = self.text(node.name) if node.name else None
        namespace = combined_namespace(self.context.namespace, self.text(node.namespace) if node.namespace else None)
        command = [str(package_executable(package, executable, self.context.environment)), *self.words(node.arguments)]
        command += ["--ros-args", *self.words(node.ros_arguments)]
        command += ["-r", f"__node:={name}"] if name else []
        command += ["-r", f"__ns:={namespace}"] if namespace else []
        for parameter, value in self.context.parameters:
            command += ["-p", f"{parameter}:={value}"]
        for given in node.parameters:
            command += self.parameter(given)
        for source, target in [*self.context.remaps, *((self.text(a), self.text(b)) for a, b in node.remaps)]:
            command += ["-r", f"{source}:={target}"]
        self.add(f"{(namespace or '').strip('/')}/{name or executable}".lstrip("/"), command, node.options)

    def parameter(self, given: ParameterValue | ParameterFile) -> Sequence[str]:
        """The command line's words for one `<param>`."""
        if isinstance(given, ParameterValue):
            return ["-p", f"{self.text(given.name)}:={parameter_text(self.text(given.value), given.kind)}"]
        path = Path(self.text(given.path))
        if not path.is_file():
            raise ConfigError(f"There is no parameter file {path}.")
        return ["--params-file", str(path)]

    def add_executable(self, executable: Executable) -> None:
        """Any command as a process."""
        command = self.words(executable.command)
        if not command:
            raise ConfigError("the command is empty")
        self.add(self.text(executable.name) if executable.name else Path(command[0]).name, command, executable.options)

    def add(self, name: str, command: list[str], options: ProcessOptions) -> None:
        """Add a process under a name that no other has."""
        taken = {process.name for process in self.processes}
        unique = next(n for n in (name if i == 1 else f"{name}-{i}" for i in range(1, len(taken) + 2)) if n not in taken)
        output = self.text(options.output)
        if output not in OUTPUTS:
            raise ConfigError(unknown_choice("output", output, OUTPUTS))
        own = {self.text(variable): self.text(value) for variable, value in options.environment}
        prefix = self.words(options.prefix) if options.prefix else []
        self.processes.append(
            ProcessSpec(
                name=unique,
                command=(*prefix, *command),
                environment={**self.context.environment, **own},
                cwd=Path(self.text(options.cwd)) if options.cwd else None,
                on_screen=output != "log",
                respawn=is_true(self.text(options.respawn)),
                respawn_delay_s=_number("respawn_delay", self.text(options.respawn_delay)),
                respawn_max_retries=int(_number("respawn_max_retries", self.text(options.respawn_max_retries))),
                shutdown_on_exit=options.shutdown_on_exit,
            )
        )


class _Placed(ConfigError):
    """An error that already names its place."""


def _number(what: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{what} is '{text}', which is not a number") from error
