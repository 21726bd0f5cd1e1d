"""Start the processes of a ROS 2 XML launch file and end them together.

FILE is a path, or the name of one of this package's launch files ("demo"). Arguments are given as NAME:=VALUE, as to `ros2 launch`.
Ctrl-C ends every process, and so does a node of this package that cannot start. The exit code is that of the first process that failed.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.core.outcomes import EXIT_CANNOT_START
from vla_ros.core.resources import share_dir
from vla_ros.launcher.arguments import declared_arguments, default_text
from vla_ros.launcher.evaluation import load_processes
from vla_ros.launcher.parameters import parameter_text
from vla_ros.launcher.processes import Supervisor

SUFFIX = ".launch.xml"
NUMBERS = {"speed": ("float", 0.0, 1.0), "seed": ("int", 0.0, math.inf)}  # kind and range of what this package's launch files take
SWITCHES = frozenset({"dry_run", "record", "pictures", "autostart", "sim", "state_publisher"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE, its arguments and --show-args."""
    parser.add_argument("file", metavar="FILE", help="a launch file, or the name of one of this package")
    parser.add_argument("arguments", nargs="*", metavar="NAME:=VALUE", help="launch arguments")
    parser.add_argument("-s", "--show-args", action="store_true", help="show the arguments of the launch file and end")


def run(options: argparse.Namespace) -> int:
    """Launch, or show the arguments."""
    path = find_launch_file(options.file, share_dir() / "launch")
    if options.show_args:
        print(describe_arguments(path))
        return 0
    arguments = parse_arguments(options.arguments)
    processes = load_processes(path, arguments, os.environ)
    is_own = path.resolve() in {own.resolve() for own in (share_dir() / "launch").glob(f"*{SUFFIX}")}
    if is_own:
        defaults = {a.name: text for a in declared_arguments(path, os.environ) if (text := default_text(a)) is not None}
        check_choices(defaults | arguments)
    folder = log_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "launch.log").open("w", encoding="utf-8", buffering=1) as log:
        cannot_start = EXIT_CANNOT_START if is_own else None  # other files' programs may mean anything by it
        return Supervisor(processes, report=lambda line: print(line, flush=True), log=log, cannot_start=cannot_start).run()


def find_launch_file(name: str, folder: Path) -> Path:
    """The file meant by a path or by a bare name; raises ConfigError listing the names that there are."""
    if Path(name).is_file():
        return Path(name)
    candidate = folder / (name if name.endswith(".xml") else name + SUFFIX)
    if "/" not in name and candidate.is_file():
        return candidate
    raise ConfigError(unknown_choice("launch file", name, (path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))))


def parse_arguments(words: Iterable[str]) -> dict[str, str]:
    """NAME:=VALUE words as a mapping; raises ConfigError for any other word and for a name given twice."""
    values: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not separator or not name:
            raise ConfigError(f"'{word}' is not of the form NAME:=VALUE (as in speed:=0.25).")
        if name in values:
            raise ConfigError(f"The launch argument '{name}' is given twice.")
        values[name] = value
    return values


def check_choices(arguments: Mapping[str, str]) -> None:
    """Raises ConfigError, listing the valid ones, for a value that this package's launch files cannot use: before anything is started."""
    robot = ""
    if "robot" in arguments:
        from vla_ros.robots.config import load_robot_config

        robot = load_robot_config(arguments["robot"]).name
    if arguments.get("scene"):  # empty: nothing is simulated
        from vla_ros.simulation.scene_config import load_scene

        load_scene(arguments["scene"])
    if "expert" in arguments:
        from vla_ros.experts.registry import load_expert_config, require_robot

        require_robot(arguments["expert"], robot) if robot else load_expert_config(arguments["expert"])
    if "planner" in arguments:
        from vla_ros.planning.planner import planner_names

        if arguments["planner"] not in planner_names():
            raise ConfigError(unknown_choice("planner", arguments["planner"], planner_names()))
        missing = [f"{name}:=..." for name in ("openai_url", "openai_model") if not arguments.get(name)]
        if arguments["planner"] == "openai" and missing:
            raise ConfigError(f"planner:=openai needs {' and '.join(missing)} (docs/how-to/use-a-vlm-server.md).")

    for name in arguments.keys() & NUMBERS.keys():
        kind, low, high = NUMBERS[name]
        _check_number(name, arguments[name], kind, low, high)
    for name in arguments.keys() & SWITCHES:
        if arguments[name].lower() not in ("true", "false"):
            raise ConfigError(f"The launch argument '{name}' is '{arguments[name]}'; valid: true or false.")


def _check_number(name: str, text: str, kind: str, low: float, high: float) -> None:
    try:
        value = float(parameter_text(text, kind))
    except ConfigError:
        value = math.nan
    if not low <= value <= high:
        span = f"{low:g} to {high:g}" if high < math.inf else f"from {low:g} on"
        raise ConfigError(f"The launch argument '{name}' is '{text}'; valid: {'a whole number' if kind == 'int' else 'a number'} {span}.")


def describe_arguments(path: Path) -> str:
    """The arguments of a launch file, one paragraph each."""
    lines = []
    for argument in declared_arguments(path, os.environ):
        default = default_text(argument)
        lines.append(f"{argument.name}:  {'(required)' if default is None else f'default {default!r}'}")
        lines += [f"    {argument.description}"] if argument.description else []
        lines += [f"    one of: {', '.join(argument.choices)}"] if argument.choices else []
    return "\n".join(lines) if lines else f"{path} has no arguments."


def log_folder() -> Path:
    """A new folder for this launch's log, where ROS keeps logs."""
    home = Path(os.environ.get("ROS_HOME", "~/.ros")).expanduser()
    base = Path(os.environ.get("ROS_LOG_DIR", home / "log")).expanduser()
    return base / f"{time.strftime('%Y-%m-%d-%H-%M-%S')}-vla-launch-{os.getpid()}"
