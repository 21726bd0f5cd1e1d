"""The text and the hash of a message type, as rosbag2 stores them, gathered from installed share folders (no ROS needed)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_ros.core.errors import DataError

SEPARATOR = "=" * 80
_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_PRIMITIVES = frozenset({"bool", "byte", "char", "float32", "float64", "string", "wstring", *_INTEGERS})
_FIELD_TYPE = re.compile(r"^\s*([A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]")


@dataclass(frozen=True)
class MessageDefinition:
    """What a bag must hold to be readable anywhere."""

    type: str  # "sensor_msgs/msg/Image"
    text: str  # ros2msg: the .msg file, then every message it uses
    type_hash: str  # "RIHS01_..."; empty when the package was built without type descriptions


class MessageDefinitions:
    """Looks up ``<prefix>/share/<package>/msg/<Name>.msg``; the first prefix that has a package wins, as in ament."""

    def __init__(self, prefixes: Iterable[Path] | None = None) -> None:
        """``prefixes``: install prefixes; by default those of AMENT_PREFIX_PATH."""
        self._prefixes = tuple(ament_prefixes() if prefixes is None else prefixes)
        self._texts: dict[str, str] = {}
        self._definitions: dict[str, MessageDefinition] = {}

    def get(self, message_type: str) -> MessageDefinition:
        """The definition of ``package/msg/Name`` with all it uses. Raises DataError when a file is missing."""
        if message_type not in self._definitions:
            sections = [self._text(message_type)]
            sections += [f"{SEPARATOR}\nMSG: {_short(used)}\n{self._text(used)}" for used in self._used_by(message_type)]
            self._definitions[message_type] = MessageDefinition(message_type, "\n".join(sections), self._hash(message_type))
        return self._definitions[message_type]

    def _used_by(self, message_type: str) -> list[str]:
        """All types that ``message_type`` is made of, nearest first, each once."""
        found: list[str] = []
        queue = [message_type]
        while queue:
            current = queue.pop(0)
            for used in used_types(self._text(current), current.split("/")[0]):
                if used != message_type and used not in found:
                    found.append(used)
                    queue.append(used)
        return found

    def _text(self, message_type: str) -> str:
        if message_type not in self._texts:
            self._texts[message_type] = self._find(message_type, ".msg").read_text(encoding="utf-8")
        return self._texts[message_type]

    def _hash(self, message_type: str) -> str:
        path = self._find(message_type, ".msg").with_suffix(".json")
        if not path.is_file():
            return ""
        hashes = json.loads(path.read_text(encoding="utf-8")).get("type_hashes", [])
        return next((str(entry["hash_string"]) for entry in hashes if entry["type_name"] == message_type), "")

    def _find(self, message_type: str, suffix: str) -> Path:
        parts = message_type.split("/")
        if len(parts) != 3 or parts[1] != "msg":
            raise DataError(f"'{message_type}' is not a message type; expected '<package>/msg/<Name>', such as 'sensor_msgs/msg/Image'.")
        package, _, name = parts
        for prefix in self._prefixes:
            if (prefix / "share" / package).is_dir():
                path = prefix / "share" / package / "msg" / (name + suffix)
                if path.is_file():
                    return path
                raise DataError(f"{message_type}: {path} does not exist; build or install the package '{package}' again.")
        searched = os.pathsep.join(map(str, self._prefixes)) or "(AMENT_PREFIX_PATH is empty)"
        raise DataError(f"{message_type}: no package '{package}' in {searched}; source the workspace that has it.")


def ament_prefixes() -> tuple[Path, ...]:
    """The install prefixes of AMENT_PREFIX_PATH, in order."""
    return tuple(Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p)


def used_types(text: str, package: str) -> Sequence[str]:
    """The message types that the fields of a .msg file name, as ``package/msg/Name``, in order of appearance."""
    used: list[str] = []
    for line in text.splitlines():
        match = _FIELD_TYPE.match(line.partition("#")[0])
        if match is None or match.group(1) in _PRIMITIVES:
            continue
        parts = match.group(1).split("/")
        owner = parts[0] if len(parts) > 1 else package
        full = f"{owner}/msg/{parts[-1]}"
        if full not in used:
            used.append(full)
    return used


def _short(message_type: str) -> str:
    """``package/Name``: how ros2msg separators name a type."""
    package, _, name = message_type.split("/")
    return f"{package}/{name}"
