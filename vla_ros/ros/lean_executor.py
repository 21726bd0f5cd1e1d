"""A single-threaded executor that costs little for each message.

rclpy's own one builds its wait set anew for every wake-up, asks every entity of the node in Python whether it may run, and wakes up a
second time after each callback; a node that moves a few hundred messages a second spends most of its core on that. Here the list of
entities is kept until the node's entities change, and plain callbacks of subscriptions and timers are called directly. Everything else
(services, actions, tasks) runs as rclpy runs it; events of QoS (incompatible peers and the like) are looked at once a second.
"""

from __future__ import annotations

import inspect
import threading
import time
from contextlib import ExitStack
from typing import Any

from rclpy.event_handler import EventHandler
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.subscription import Subscription

FULL_ROUND_S = 1.0  # between rounds of rclpy's own loop, which serves what is left out here


class _Entities:
    """All that is waited for, held alive, until the node's entities change."""

    def __init__(self, executor: LeanExecutor) -> None:
        self._held = ExitStack()
        self.guard: Any = executor._guard
        try:
            self._held.enter_context(self.guard.handle)  # None once the executor has been shut down, perhaps just now
        except (AttributeError, InvalidHandle) as error:
            raise ShutdownException from error
        nodes = executor.get_nodes()
        self.subscriptions = self._hold([s for node in nodes for s in node.subscriptions if s not in _polled(node)])
        self.timers = self._hold([t for node in nodes for t in node.timers])
        self.clients = self._hold([c for node in nodes for c in node.clients])
        self.services = self._hold([s for node in nodes for s in node.services])
        self.owner = {id(entity): node for node in nodes for entity in (*node.clients, *node.services, *node.waitables)}
        self.waitables: list[Any] = []
        for waitable in (w for node in nodes for w in node.waitables if not isinstance(w, EventHandler)):
            try:
                self._held.enter_context(waitable)
            except InvalidHandle:
                continue
            self.waitables.append(waitable)
        self.is_plain = {s.handle.pointer: not inspect.iscoroutinefunction(s.callback) for s in self.subscriptions.values()}

    def _hold(self, entities: list[Any]) -> dict[int, Any]:
        """Handle pointer -> entity, of those that were not destroyed meanwhile."""
        held = {}
        for entity in entities:
            try:
                self._held.enter_context(entity.handle)
            except InvalidHandle:
                continue
            held[entity.handle.pointer] = entity
        return held

    def release(self) -> None:
        """Lets destroyed entities go."""
        self._held.close()


def _polled(node: Any) -> set[Any]:
    """Subscriptions whose owner takes the messages itself."""
    polled: set[Any] = getattr(node, "polled", set())
    return polled


class LeanExecutor(SingleThreadedExecutor):
    """For nodes whose callbacks are spun by one thread."""

    def __init__(self) -> None:
        super().__init__()
        self._entities: _Entities | None = None
        self._wait_set: Any = None
        self._full_round_s = 0.0
        self._spinning = threading.RLock()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """As in rclpy, from any thread. False when a callback still runs after ``timeout_sec``."""
        super().shutdown(timeout_sec)  # wakes the thread that spins, but does not wait for it
        if not self._spinning.acquire(timeout=-1 if timeout_sec is None else timeout_sec):
            return False
        self._forget()
        self._spinning.release()
        return True

    def can_execute(self, entity: Any) -> bool:
        """As in rclpy, but for what is polled."""
        return super().can_execute(entity) and not any(entity in _polled(node) for node in self.get_nodes())

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Serves everything that is ready, or waits for ``timeout_sec`` at most.

        Raises ExternalShutdownException when ROS has been shut down.
        """
        with self._spinning:
            try:
                self._spin_round(timeout_sec)
            except InvalidHandle as error:  # another thread destroyed what was just looked at: a single entity, or everything
                self._forget()
                if not self._context.ok():
                    raise ExternalShutdownException from error

    def _spin_round(self, timeout_sec: float | None) -> None:
        now_s = time.monotonic()
        if self._tasks or now_s - self._full_round_s > FULL_ROUND_S:
            self._full_round_s = now_s
            self._forget()
            super().spin_once(timeout_sec=0.0)
            return
        if not self._context.ok():
            raise ExternalShutdownException
        try:
            entities = self._entities or self._gather()
        except ShutdownException:  # of the executor alone: spin() ends by itself
            return
        wait_set = self._filled(entities)
        wait_set.wait(-1 if timeout_sec is None else round(timeout_sec * 1e9))
        self._serve(entities, wait_set)

    def _gather(self) -> _Entities:
        entities = self._entities = _Entities(self)
        counts = [len(entities.subscriptions), 1, len(entities.timers), len(entities.clients), len(entities.services), 0]
        for waitable in entities.waitables:
            n = waitable.get_num_entities()
            more = (n.num_subscriptions, n.num_guard_conditions, n.num_timers, n.num_clients, n.num_services, n.num_events)
            counts = [a + b for a, b in zip(counts, more, strict=True)]
        subscriptions, guards, timers, clients, services, events = counts
        self._wait_set = _rclpy.WaitSet(subscriptions, guards, timers, clients, services, events, self._context.handle)
        return entities

    def _forget(self) -> None:
        if self._entities is not None:
            self._entities.release()
            self._entities = self._wait_set = None

    def _filled(self, entities: _Entities) -> Any:
        wait_set = self._wait_set
        wait_set.clear_entities()
        for subscription in entities.subscriptions.values():
            wait_set.add_subscription(subscription.handle)
        for timer in entities.timers.values():
            wait_set.add_timer(timer.handle)
        for client in entities.clients.values():
            wait_set.add_client(client.handle)
        for service in entities.services.values():
            wait_set.add_service(service.handle)
        for waitable in entities.waitables:
            waitable.add_to_wait_set(wait_set)
        wait_set.add_guard_condition(entities.guard.handle)
        return wait_set

    def _serve(self, entities: _Entities, wait_set: Any) -> None:
        changed = entities.guard.handle.pointer in wait_set.get_ready_entities("guard_condition")
        timers, subscriptions = wait_set.get_ready_entities("timer"), wait_set.get_ready_entities("subscription")
        slow = [entities.clients[p] for p in wait_set.get_ready_entities("client") if p in entities.clients]
        services = [entities.services[p] for p in wait_set.get_ready_entities("service") if p in entities.services]
        waitables = [w for w in entities.waitables if w.is_ready(wait_set)]
        for pointer in timers:
            if pointer in entities.timers:
                self._call_timer(entities.timers[pointer])
        for pointer in subscriptions:
            if pointer in entities.subscriptions:
                self._call_subscription(entities.subscriptions[pointer], entities.is_plain[pointer])
        for take, ready in ((self._take_client, slow), (self._take_service, services), (self._take_waitable, waitables)):
            for entity in ready:
                self._run(entity, entities.owner[id(entity)], take)
        if changed:
            self._forget()

    def _call_timer(self, timer: Any) -> None:
        if timer.handle.is_timer_ready():
            timer.handle.call_timer()
            timer.callback()

    def _call_subscription(self, subscription: Any, is_plain: bool) -> None:
        if not is_plain or subscription._callback_type is not Subscription.CallbackType.MessageOnly:
            node = next(iter(self.get_nodes()))
            self._run(subscription, node, self._take_subscription)
            return
        taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        if taken is not None:
            subscription.callback(taken[0])

    def _run(self, entity: Any, node: Any, take: Any) -> None:
        """As rclpy does it: as a task, which may await."""
        handler = self._make_handler(entity, node, take)
        handler()
        exception = handler.exception() if handler.done() else None
        if exception is not None:
            raise exception
