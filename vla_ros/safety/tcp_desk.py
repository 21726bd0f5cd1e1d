"""Where chunks of the TCP become joints, some rows in each tick: all at once would take half a tick's time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vla_ros.core.actions import ActionChunk
from vla_ros.core.geometry import Array
from vla_ros.core.tasks import Subtask
from vla_ros.safety.tcp_rows import Turning, Unreached

PROGRAMMES_PER_TICK = 16  # half a millisecond


@dataclass(frozen=True)
class Order:
    """A chunk, and the subtask that its id meant when it came."""

    chunk: ActionChunk
    subtask: Subtask | None


@dataclass(frozen=True)
class Turned:
    """A chunk, and what its rows have become."""

    order: Order
    joints: Array | Unreached


class TcpDesk:
    """Turns one chunk at a time; of those that come meanwhile, the newest one waits."""

    def __init__(self) -> None:
        self._waiting: Order | None = None
        self._on_desk: tuple[Order, Turning] | None = None

    def put(self, order: Order) -> Order | None:
        """Takes an order; returns the one in whose place it waits."""
        given_up, self._waiting = self._waiting, order
        return given_up

    def clear(self) -> list[Order]:
        """Gives up all that is there."""
        orders = [self._on_desk[0]] if self._on_desk else []
        orders += [self._waiting] if self._waiting else []
        self._on_desk = self._waiting = None
        return orders

    def go_on(self, begin: Callable[[Order], Turning | None]) -> Turned | None:
        """One tick's work. ``begin`` is asked when it is an order's turn; None: it is given up. Returns what became ready a tick ago."""
        if self._on_desk is None:
            order, self._waiting = self._waiting, None
            turning = begin(order) if order else None
            self._on_desk = (order, turning) if order and turning else None
            return None
        order, turning = self._on_desk
        if turning.result is None:
            turning.go_on(PROGRAMMES_PER_TICK)
            return None
        self._on_desk = None
        return Turned(order, turning.result)
