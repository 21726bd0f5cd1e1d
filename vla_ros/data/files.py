"""Writing files so that they are either whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

from vla_ros.core.errors import DataError


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces ``path`` by ``content`` in one step and waits until the disk has it. Raises DataError; the old file then stays."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"Cannot write {path}: {error.strerror}; free some space or choose another folder.") from error
