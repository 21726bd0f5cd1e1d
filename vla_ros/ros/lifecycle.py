"""The base of every node: a lifecycle node that starts itself, beats, and never lets one bad message end it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription

from vla_ros.core.errors import VlaRosError
from vla_ros.core.outcomes import NodeState
from vla_ros.ros.interfaces import CLOCK, HEARTBEAT, Service, Topic, load_type
from vla_ros.ros.qos import profile, subscription_profile

HEARTBEAT_PERIOD_S = 0.2
REPEAT_WARNING_S = 5.0
WORK_S = 4.0  # that work has to end in when the process is told to; the launcher insists after 5 s
RESULT_S = 0.3  # for results to be sent


class VlaNode(LifecycleNode):
    """Subclasses fill ``setup`` and ``teardown`` (and, where they move things, ``on_start`` and ``on_stop``).

    ``setup`` makes publishers, subscriptions and the rest; what they deliver is dropped until the node is active.
    """

    heartbeat_period_s = HEARTBEAT_PERIOD_S

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.is_active = False
        self.dry_run = False  # told with every heartbeat: what the node is told to do ends there
        self.startup_error = ""
        self.autostart = bool(self.declare_parameter("autostart", True).value)
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._beats = 0
        self.polled: set[Subscription[Any]] = set()  # not waited for by LeanExecutor
        self._clocks: list[Subscription[Any]] = []  # of them, what tells the time
        self._made: list[tuple[Callable[[Any], bool], Any]] = []
        self.is_stopping = False  # no new work is taken
        self._ends_of_work: list[tuple[Callable[[], None], Callable[[], bool]]] = []  # how to end it, and whether it has ended
        self._heartbeat: Publisher | None = None

    # --- to be filled
    def setup(self) -> None:
        """Makes publishers, subscriptions, timers and the rest. A VlaRosError that it raises is logged as why the node cannot start."""
        raise TypeError(f"{type(self).__name__} must define setup()")

    def teardown(self) -> None:
        """Frees what ``setup`` made beside ROS entities."""

    def on_start(self) -> None:
        """The node has just become active."""

    def on_stop(self) -> None:
        """The node is about to become inactive: end work, leave things safe. Publishers still work."""

    # --- making entities
    def publish_on(self, topic: Topic) -> Publisher:
        """A publisher with the topic's type and QoS; it lives until cleanup."""
        publisher = self.create_publisher(load_type(topic.type), topic.name, profile(topic.qos))
        self._made.append((self.destroy_publisher, publisher))
        return publisher

    def subscribe_to(self, topic: Topic, callback: Callable[[Any], None], *, always: bool = False, raw: bool = False) -> Subscription[Any]:
        """Calls back with each message (``raw``: its bytes) while active (``always``: in any state)."""
        guarded = self._guarded(callback, always=always)
        subscription = self.create_subscription(load_type(topic.type), topic.name, guarded, subscription_profile(topic.qos), raw=raw)
        self._made.append((self.destroy_subscription, subscription))
        return subscription

    def subscribe_polled(self, topic: Topic, callback: Callable[[bytes], None], depth: int) -> Subscription[Any]:
        """A subscription whose owner takes the messages itself (see Inbox); ``callback`` serves executors that do not know of that."""
        qos = subscription_profile(topic.qos, depth)
        subscription = self.create_subscription(load_type(topic.type), topic.name, callback, qos, raw=True)
        self.polled.add(subscription)
        self._made.append((self.destroy_subscription, subscription))
        return subscription

    def serve(self, service: Service, callback: Callable[[Any, Any], Any]) -> None:
        """Serves in any state; ``callback(request, response)`` fills and returns the response.

        One that fails is logged and answered by an empty response, whose ``message`` (where it has one) says why.
        """

        def answer(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:
                self.get_logger().error(traceback.format_exc())
                response = type(response)()
                if hasattr(response, "message"):
                    response.message = f"{self.get_name()} failed: {error}"
                return response

        made = self.create_service(load_type(service.type), service.name, answer)
        self._made.append((self.destroy_service, made))

    def client_of(self, service: Service) -> Any:
        """An rclpy client of another node's service."""
        client = self.create_client(load_type(service.type), service.name)
        self._made.append((self.destroy_client, client))
        return client

    def every(self, period_s: float, callback: Callable[[], None], *, steady: bool = True, always: bool = False) -> None:
        """Calls back while active (``always``: in any state), by the steady clock or by ROS time."""
        timer = self.create_timer(
            period_s, self._guarded(callback, always=always), MutuallyExclusiveCallbackGroup(), clock=self.steady_clock if steady else None
        )
        self._made.append((self.destroy_timer, timer))

    def keep(self, entity: Any, destroy: Callable[[Any], Any]) -> Any:
        """Registers anything else that must go with the node's other entities."""
        self._made.append((destroy, entity))
        return entity

    def end_work_with(self, end: Callable[[], None], has_ended: Callable[[], bool] = lambda: True) -> None:
        """Has ``end`` called whenever the node becomes inactive; it must not wait. A process ends when its work ``has_ended``."""
        self._ends_of_work.append((end, has_ended))

    # --- time
    def poll_clock(self) -> None:
        """From now on ``/clock`` is read when somebody asks for the time, instead of waking the process for every message.

        Not for nodes with timers by ROS time.
        """
        self._clocks = [s for s in self.subscriptions if s.topic_name == CLOCK.name]
        self.polled.update(self._clocks)

    def now_ns(self) -> int:
        """ROS time: the simulator's where use_sim_time is set."""
        for subscription in self._clocks:
            while (taken := subscription.handle.take_message(subscription.msg_type, False)) is not None:
                subscription.callback(taken[0])
        return int(self.get_clock().now().nanoseconds)

    def steady_ns(self) -> int:
        """A clock that never jumps, for ages and deadlines."""
        return int(self.steady_clock.now().nanoseconds)

    # --- starting and stopping
    def start(self) -> bool:
        """Configures and activates. False when that failed; ``startup_error`` says why."""
        transitions = (self.trigger_configure, self.trigger_activate)
        return all(transition() == TransitionCallbackReturn.SUCCESS for transition in transitions)

    def stop(self) -> None:
        """Deactivates and cleans up, from whatever state; work that runs has some time to end. Not from a callback."""
        if self.is_active:
            self._wind_down()
            self.trigger_deactivate()
        self._free()

    def _wind_down(self) -> None:
        """Ends running work while messages still come and go: whoever waits for its result is to get it."""
        self.is_stopping = True
        executor = self.executor
        busy = [has_ended for _, has_ended in self._ends_of_work if not has_ended()]
        for end, _ in self._ends_of_work:
            end()
        if not busy or executor is None:
            return
        give_up_s = time.monotonic() + WORK_S
        try:
            while not all(has_ended() for has_ended in busy) and time.monotonic() < give_up_s:
                executor.spin_once(timeout_sec=0.05)
            sent_s = time.monotonic() + RESULT_S
            while time.monotonic() < sent_s:
                executor.spin_once(timeout_sec=0.02)
        except ExternalShutdownException:
            return

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Makes everything; frees what was made when a part of it fails."""
        if self._succeeds(self._configure):
            return TransitionCallbackReturn.SUCCESS
        self._free()
        return TransitionCallbackReturn.FAILURE

    def _configure(self) -> None:
        self._heartbeat = self.publish_on(HEARTBEAT)
        self.every(self.heartbeat_period_s, self._beat, always=True)
        self.setup()

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lets publishers and callbacks work, then calls ``on_start``."""
        result = super().on_activate(state)
        self.is_active, self.is_stopping = True, False
        if self._succeeds(self.on_start):
            return result
        self.is_active = False
        return TransitionCallbackReturn.FAILURE

    def _succeeds(self, step: Callable[[], None]) -> bool:
        """Runs a part of a transition; logs why it failed, which rclpy would not."""
        self.startup_error = ""
        try:
            step()
        except VlaRosError as error:
            self.startup_error = str(error)
        except Exception:
            self.startup_error = traceback.format_exc()
        if self.startup_error:
            self.get_logger().error(f"cannot start: {self.startup_error}")
        return not self.startup_error

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends running work and calls ``on_stop`` while publishers still work, then silences them."""
        for end, _ in self._ends_of_work:
            end()
        self.on_stop()
        self.is_active = False
        return super().on_deactivate(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As deactivating and cleaning up, from whatever state."""
        if self.is_active:
            self.on_deactivate(state)
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees everything that ``setup`` made."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def _free(self) -> None:
        self.teardown()
        for destroy, entity in reversed(self._made):
            destroy(entity)
        self._made.clear()
        self._ends_of_work.clear()
        self.polled = set(self._clocks)
        self._heartbeat = None

    def _beat(self) -> None:
        if self._heartbeat is None:
            return
        self._beats += 1
        state = NodeState.ACTIVE if self.is_active else NodeState.INACTIVE
        message = load_type(HEARTBEAT.type)(node=self.get_name(), seq=self._beats, lifecycle_state=state, dry_run=self.dry_run)
        self._heartbeat.publish(message)

    def _guarded(self, callback: Callable[..., None], *, always: bool = False) -> Callable[..., None]:
        """Drops calls while inactive; a failing call is logged (at most every few seconds), never raised into the executor."""

        def call(*arguments: Any) -> None:
            if not (self.is_active or always):
                return
            try:
                callback(*arguments)
            except VlaRosError as error:
                self.get_logger().warning(str(error), throttle_duration_sec=REPEAT_WARNING_S)
            except Exception:
                self.get_logger().error(traceback.format_exc(), throttle_duration_sec=REPEAT_WARNING_S)

        return call
