"""Entry of the `vla` command: finds the subcommand, runs it, and turns our own errors into one sentence and exit code 2."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from vla_ros.cli import commands
from vla_ros.cli.interrupts import raise_when_asked_to_end
from vla_ros.core.errors import VlaRosError, unknown_choice

USAGE_ERROR = 2
INTERRUPTED = 130  # as a shell says it


class Command(Protocol):
    """What a module of `commands` provides."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the subcommand's arguments."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it; returns the exit code."""


def command_names() -> list[str]:
    """The subcommands there are, as typed."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__) if not module.name.startswith("_"))


def load_command(name: str) -> Command:
    """The module of a subcommand."""
    return cast(Command, importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}"))


def build_parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """A parser for the given subcommands."""
    parser = argparse.ArgumentParser(prog="vla", description="Vision-language-action robots on ROS 2.")
    choices = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        command = load_command(name)
        summary, _, details = (command.__doc__ or "").partition("\n")
        subparser = choices.add_parser(
            name, help=summary, description=f"{summary}\n{details}".strip(), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vla` with the given words (default: those of the process) and return the exit code."""
    if arguments is None:
        raise_when_asked_to_end()
    words = list(sys.argv[1:] if arguments is None else arguments)
    names = command_names()
    if words and not words[0].startswith("-"):
        if words[0] not in names:
            print(f"vla: {unknown_choice('command', words[0], names)}", file=sys.stderr)
            return USAGE_ERROR
        names = [words[0]]  # the other commands' modules need not be loaded
    if not words:
        build_parser(names).print_help(sys.stderr)
        return USAGE_ERROR
    options = build_parser(names).parse_args(words)
    try:
        return int(options.run(options))
    except VlaRosError as error:
        print(f"vla {options.command}: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone, as in `| head`; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
