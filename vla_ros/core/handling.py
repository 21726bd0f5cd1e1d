"""How gently a kind of thing is handled, from config/handling.yaml: an egg is not a brick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from vla_ros.core.errors import ConfigError
from vla_ros.core.resources import share_dir
from vla_ros.core.yaml_files import check_keys, load_yaml, number, section

DEFAULT = "default"


@dataclass(frozen=True)
class Handling:
    """Limits for one kind of thing."""

    kind: str  # "" for things of no special kind
    grip_n: float  # most that each finger may press with
    slip_s: float  # how long it may slip in the hand


class HandlingTable:
    """Finds the kind of a thing by its name."""

    def __init__(self, mapping: Mapping[str, Any], where: str) -> None:
        """Raises ConfigError naming ``where``, key and valid range."""
        if DEFAULT not in mapping:
            raise ConfigError(f"{where}: missing {DEFAULT}.")
        self._kinds = {tuple(str(kind).split()): _handling(mapping, kind, where) for kind in mapping if kind != DEFAULT}
        self.default = _handling(mapping, DEFAULT, where)

    def of(self, name: str) -> Handling:
        """By the longest run of words in ``name`` that is a kind."""
        words = name.lower().split()
        runs = [tuple(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
        return next((self._kinds[run] for run in sorted(runs, key=len, reverse=True) if run in self._kinds), self.default)


def _handling(mapping: Mapping[str, Any], kind: str, where: str) -> Handling:
    values, place = section(mapping, kind, where), f"{where}, {kind}"
    check_keys(values, ("grip_n", "slip_s"), (), place)
    grip_n, slip_s = number(values, "grip_n", place, 0.1, 1000.0), number(values, "slip_s", place, 0.02, 60.0)
    return Handling("" if kind == DEFAULT else str(kind), grip_n, slip_s)


@cache
def handling_table() -> HandlingTable:
    """That of config/handling.yaml. Raises ConfigError."""
    path = share_dir() / "config" / "handling.yaml"
    return HandlingTable(load_yaml(path), str(path))
