"""A latched stop on disk, so that a monitor that is started again during the same run comes up stopped."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.errors import ConfigError
from vla_ros.safety.faults import Fault

RUN_VARIABLE = "VLA_ROS_RUN"  # set by the launch files: another value for each launch, the same for what is started again within it


class StopFile:
    """It is there from the latch to the reset. What cannot be read counts as a stop."""

    def __init__(self, path: Path) -> None:
        """Makes the folder. Raises ConfigError when no file can be written there."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The folder for latched stops {path.parent} cannot be made ({error.strerror}); {_ADVICE}") from error
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise ConfigError(f"Latched stops cannot be kept: {path.parent} cannot be written; {_ADVICE}")

    def load(self) -> Fault | None:
        """The stop that was latched before the process was started, or None."""
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            reason, detail = SafetyReason(kept["reason"]), str(kept["detail"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason, detail = SafetyReason.ESTOP, f"A stop was latched; why cannot be read ({error}). Reset to go on."
        return Fault(reason, f"Latched before the monitor was started again: {detail}", cut=True, latch=True)

    def save(self, stop: Fault) -> None:
        """Returns when it is on the disk. Raises OSError. Killed half-way it leaves a file that cannot be read, which counts as a stop."""
        with self._path.open("w", encoding="utf-8") as out:
            json.dump({"reason": stop.reason.value, "detail": stop.detail}, out)
            out.flush()
            os.fsync(out.fileno())
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def clear(self) -> None:
        """The stop was reset. Raises OSError."""
        self._path.unlink(missing_ok=True)


_ADVICE = "set ROS_HOME to a folder that can be written."


def stop_path(environment: Mapping[str, str], namespace: str) -> Path:
    """Where the monitor of this run, ROS domain and namespace keeps its stop: under ROS_HOME, as ROS does with its logs."""
    home = Path(environment.get("ROS_HOME") or "~/.ros").expanduser()
    words = (environment.get(RUN_VARIABLE) or "no_run", environment.get("ROS_DOMAIN_ID") or "0", namespace.strip("/"))
    return home / "vla_ros" / "stops" / (".".join(re.sub(r"\W", "_", word) for word in words if word) + ".json")
