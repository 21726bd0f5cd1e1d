"""Where an installed ROS package and its executables are, by the ament index; no ROS import needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vla_ros.core.errors import ConfigError, unknown_choice

INDEX = Path("share/ament_index/resource_index/packages")


def prefixes(environment: Mapping[str, str]) -> list[Path]:
    """The install prefixes in force, the strongest first."""
    return [Path(prefix) for prefix in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]


def package_prefix(package: str, environment: Mapping[str, str]) -> Path:
    """The prefix that a package is installed in; raises ConfigError with the packages that are there."""
    places = prefixes(environment)
    if not places:
        hint = "AMENT_PREFIX_PATH is empty. Run through ./vla, or source setup.bash."
        raise ConfigError(f"No ROS environment, so package '{package}' cannot be found: {hint}")
    for prefix in places:
        if (prefix / INDEX / package).is_file():
            return prefix
    known = {entry.name for prefix in places if (prefix / INDEX).is_dir() for entry in (prefix / INDEX).iterdir()}
    raise ConfigError(unknown_choice("package", package, known))


def package_executable(package: str, executable: str, environment: Mapping[str, str]) -> Path:
    """The path of an executable of a package; raises ConfigError with those that it has."""
    folder = package_prefix(package, environment) / "lib" / package
    path = folder / executable
    if path.is_file() and os.access(path, os.X_OK):
        return path
    found = [entry.name for entry in folder.iterdir() if os.access(entry, os.X_OK) and entry.is_file()] if folder.is_dir() else []
    raise ConfigError(unknown_choice(f"executable of package {package}", executable, found))
