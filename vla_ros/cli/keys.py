"""Single keys from the terminal, without waiting for them; where there is no terminal, none ever come."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Self

KEPT_BYTES = 1024  # of the keys that are read at once
LOCAL_FLAGS = 3  # where termios keeps them


class Keys:
    """Use as a context manager: the terminal is put back however it ends."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._before = termios.tcgetattr(self._fd) if self._fd is not None else None

    @property
    def available(self) -> bool:
        """Whether there is a terminal to read from."""
        return self._fd is not None

    def __enter__(self) -> Self:
        if self._fd is not None:
            tty.setcbreak(self._fd)
            attributes = termios.tcgetattr(self._fd)
            attributes[LOCAL_FLAGS] |= termios.NOFLSH  # else Ctrl-C takes away the keys pressed just before it
            termios.tcsetattr(self._fd, termios.TCSADRAIN, attributes)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._fd is not None and self._before is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def read(self) -> str:
        """All keys pressed since the last call, or ""."""
        if self._fd is None or not select.select([self._fd], [], [], 0)[0]:
            return ""
        return os.read(self._fd, KEPT_BYTES).decode(errors="replace")  # sys.stdin would keep those behind the first to itself
