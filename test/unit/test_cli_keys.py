"""Keys from a pseudo-terminal, as a person presses them, and the signals that a command hears."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Iterator
from typing import Any

import pytest

from vla_ros.cli.interrupts import noted, raise_when_asked_to_end
from vla_ros.cli.keys import Keys


class FakeTerminal:
    """Standard input is its one end; ``press`` types at the other."""

    def __init__(self) -> None:
        self._person, self._fd = os.openpty()
        self.stdin = os.fdopen(self._fd)

    def press(self, keys: str) -> None:
        os.write(self._person, keys.encode())

    def attributes(self) -> list[Any]:
        return termios.tcgetattr(self._fd)

    def close(self) -> None:
        self.stdin.close()
        os.close(self._person)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTerminal]:
    made = FakeTerminal()
    monkeypatch.setattr(sys, "stdin", made.stdin)
    yield made
    made.close()


def test_a_key_is_read_at_once_without_enter(terminal: FakeTerminal) -> None:
    with Keys() as keys:
        assert keys.available
        assert keys.read() == ""
        terminal.press(" ")
        assert keys.read() == " "
        assert keys.read() == ""


def test_no_key_waits_behind_another(terminal: FakeTerminal) -> None:
    """Who presses in a hurry hits the key beside the space bar first."""
    with Keys() as keys:
        terminal.press("nn ")
        assert keys.read() == "nn "


def test_a_key_is_not_shown(terminal: FakeTerminal) -> None:
    with Keys():
        assert not terminal.attributes()[3] & termios.ECHO


def test_the_terminal_is_put_back_however_it_ends(terminal: FakeTerminal) -> None:
    before = terminal.attributes()
    with Keys():
        assert terminal.attributes() != before
    assert terminal.attributes() == before
    with pytest.raises(KeyboardInterrupt), Keys():
        raise KeyboardInterrupt
    assert terminal.attributes() == before


def test_without_a_terminal_no_key_ever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        for stdin in (nothing, None):
            monkeypatch.setattr(sys, "stdin", stdin)
            with Keys() as keys:
                assert not keys.available
                assert keys.read() == ""


@pytest.fixture
def handlers_kept() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers_kept")
def test_signals_are_noted_and_raise_nothing_meanwhile() -> None:
    before = signal.getsignal(signal.SIGINT)
    with noted() as came:
        assert came == []
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert came == [signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("handlers_kept")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_that_asks_for_an_end_is_an_interrupt(number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    raise_when_asked_to_end()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.usefixtures("handlers_kept")
def test_what_was_started_with_nohup_hears_no_hang_up() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise_when_asked_to_end()
    with noted() as came:
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)
    assert came == []
