"""Where chunks wait that are not judged when they come, so that no tick takes much longer than the others.

Those of the TCP become joints, some rows in each tick: all at once would take half a tick's time. Another one waits here when the next tick
has the last one's work to do as well.
"""

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
class Ready:
    """A chunk that can be judged, and what its rows have become where they were of the TCP."""

    order: Order
    joints: Array | Unreached | None = None


class ChunkDesk:
    """Turns one chunk at a time; of those that come meanwhile, the newest one waits, and so of those that need no turning."""

    def __init__(self) -> None:
        self._to_be_turned: Order | None = None
        self._in_work: tuple[Order, Turning] | None = None
        self._joints: Order | None = None

    @property
    def has_joints(self) -> bool:
        """Whether an order waits whose rows are joints already."""
        return self._joints is not None

    def newest(self, expert: str) -> tuple[int, int]:
        """The number and the stamp of this expert's newest order that waits; (0, 0): none does."""
        waiting = [order.chunk for order in (self._to_be_turned, self._joints) if order and order.chunk.expert == expert]
        return max(((chunk.seq, chunk.stamp_ns) for chunk in waiting), default=(0, 0))

    def put(self, order: Order) -> Order | None:
        """Takes an order of the TCP; returns the one in whose place it waits."""
        given_up, self._to_be_turned = self._to_be_turned, order
        return given_up

    def put_joints(self, order: Order) -> Order | None:
        """Takes an order whose rows are joints already; returns the one in whose place it waits."""
        given_up, self._joints = self._joints, order
        return given_up

    def take_joints(self, expert: str, seq: int) -> Order | None:
        """The order whose rows are joints already, if it is that one: it is judged now."""
        order = self._joints
        if order is None or (order.chunk.expert, order.chunk.seq) != (expert, seq):
            return None
        self._joints = None
        return order

    def clear(self) -> list[Order]:
        """Gives up all that is there."""
        orders = [self._in_work[0]] if self._in_work else []
        orders += [order for order in (self._to_be_turned, self._joints) if order]
        self._to_be_turned = self._in_work = self._joints = None
        return orders

    def go_on(self, begin: Callable[[Order], Turning | None], *, may_judge: bool = True) -> Ready | None:
        """One tick's work; returns what is to be judged in this tick, where ``may_judge``.

        ``begin`` is asked when it is an order's turn; None: it is given up.
        """
        if self._joints and may_judge:
            order, self._joints = self._joints, None
            return Ready(order)
        if self._in_work is None:
            waiting, self._to_be_turned = self._to_be_turned, None
            turning = begin(waiting) if waiting else None
            self._in_work = (waiting, turning) if waiting and turning else None
            return None
        order, turning = self._in_work
        if turning.result is None:
            turning.go_on(PROGRAMMES_PER_TICK)
            return None
        if not may_judge:
            return None
        self._in_work = None
        return Ready(order, turning.result)
