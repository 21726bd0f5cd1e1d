"""Signals that ask a command to end: Ctrl-C, `kill`, and the closing of its terminal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raise_when_asked_to_end() -> None:
    """Each becomes a KeyboardInterrupt, so that every `with` ends what it began: a graph of one's own above all."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in _heard():
        signal.signal(number, interrupt)


def _heard() -> list[signal.Signals]:
    """What was started with nohup stays when its terminal goes."""
    return [number for number in ASKING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]


@contextmanager
def noted() -> Iterator[list[int]]:
    """The signals that have come meanwhile: who follows a motion lets it come to rest first."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _heard()}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
