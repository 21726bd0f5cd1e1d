"""Where the files that ship with the package lie: config/, urdf/, launch/ of the checkout or of the installed share folder."""

from __future__ import annotations

import os
from pathlib import Path

from vla_ros.core.errors import ConfigError, unknown_choice

PACKAGE = "vla_ros"


def share_dir() -> Path:
    """The folder that holds package.xml, config/, urdf/ and launch/: the checkout, or <prefix>/share/vla_ros."""
    here = Path(os.path.abspath(__file__))
    for parent in here.parents:
        for candidate in (parent, parent / "share" / PACKAGE):
            if (candidate / "package.xml").is_file() and (candidate / "config").is_dir():
                return candidate
    raise ConfigError(f"The files of {PACKAGE} (package.xml, config/) were not found above {here}; install the package again.")


def config_path(kind: str, name: str) -> Path:
    """``config/<kind>/<name>.yaml``, or ``name`` itself when it is the path of a YAML file. Raises ConfigError, listing what there is."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            what = "is no file" if path.exists() else "is not there"
            raise ConfigError(f"'{name}' {what}; name a YAML file, or one of config/{kind}.")
        return path
    folder = share_dir() / "config" / kind
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(unknown_choice(kind.rstrip("s"), name, (p.stem for p in folder.glob("*.yaml"))))
    return path
