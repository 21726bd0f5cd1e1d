"""Which requirements a machine gets, and the mending of the ROS wheels' CMake files. Run by setup.sh with the environment's Python.

select: writes NAME.requirements.txt and NAME.constraints.txt for groups of requirements/. With ROS from wheels these are the pins as
they stand. With a ROS of the system, a library that its Python already imports is left as it is (the distribution's cv_bridge was
built with the distribution's numpy), and numpy is held to the version that is there.
mend-cmake: the wheels' exported CMake files name the Python of the machine that built them; they are pointed to this one.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "requirements"
BUILDER_PATHS = re.compile(r"/opt/python/cp3\d+-cp3\d+/(?P<what>include/python3\.\d+|lib/python3\.\d+/site-packages/numpy/_core/include)")


def read_pins(path: Path) -> list[str]:
    """The lines of a requirements file that name a package."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def module_of(pin: str) -> str:
    """The module named by the comment `# import NAME` of a pin."""
    return pin.partition("# import ")[2].strip()


def is_importable(module: str) -> bool:
    """Whether this Python has a module, without importing it."""
    return bool(module) and importlib.util.find_spec(module) is not None


def missing_here(pins: Iterable[str], importable: Callable[[str], bool] = is_importable) -> list[str]:
    """The pins whose module this Python does not have yet."""
    return [pin for pin in pins if not importable(module_of(pin))]


def name_of(pin: str) -> str:
    """The package that a pin is for."""
    return re.split(r"[\[=]", pin, maxsplit=1)[0]


def held_constraints(constraints: Iterable[str], held: Iterable[str], installed: Callable[[str], str | None]) -> list[str]:
    """The constraints, but for the packages of `held` that are installed: these stay at the version that is there."""
    versions = {name: installed(name) for name in map(name_of, held)}
    return [f"{name_of(pin)}=={version}" if (version := versions.get(name_of(pin))) else pin for pin in constraints]


def installed_version(name: str) -> str | None:
    """The version of a distribution that this Python has, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def select(groups: list[str], ros: str, into: Path) -> None:
    """Write the requirements of some groups and the constraints for them to `into`.*.txt."""
    pins: list[str] = []
    for group in groups:
        found = read_pins(FOLDER / f"{group}.txt")
        pins += missing_here(found) if ros == "system" and group == "base" else found
    constraints = read_pins(FOLDER / "constraints.txt")
    if ros == "system":
        constraints = held_constraints(constraints, read_pins(FOLDER / "base.txt"), installed_version)
    into.with_suffix(".requirements.txt").write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    into.with_suffix(".constraints.txt").write_text("".join(f"{pin}\n" for pin in constraints), encoding="utf-8")


def mended(text: str, include: str, numpy_include: str) -> str:
    """CMake text with the builder's Python and numpy folders replaced by this machine's."""
    return BUILDER_PATHS.sub(lambda match: include if match["what"].startswith("include") else numpy_include, text)


def mend_cmake(prefix: Path) -> int:
    """Point the wheels' CMake files under `prefix`/share to this Python; returns how many changed."""
    import numpy as np

    changed = 0
    for path in prefix.glob("share/**/*.cmake"):
        text = path.read_text(encoding="utf-8")
        better = mended(text, sysconfig.get_path("include"), np.get_include())
        if better != text:
            path.write_text(better, encoding="utf-8")
            changed += 1
    return changed


def main(arguments: list[str] | None = None) -> int:
    """The command line of setup.sh."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    selecting = commands.add_parser("select", help="write the requirements for groups")
    selecting.add_argument("groups", nargs="+")
    selecting.add_argument("--ros", choices=["wheels", "system"], required=True)
    selecting.add_argument("--into", type=Path, required=True)
    commands.add_parser("mend-cmake", help="point the wheels' CMake files to this Python")
    options = parser.parse_args(arguments)
    if options.command == "select":
        select(options.groups, options.ros, options.into)
    else:
        print(f"{mend_cmake(Path(sys.prefix))} CMake files pointed to {sys.prefix}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
