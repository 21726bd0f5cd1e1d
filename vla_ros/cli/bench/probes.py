"""Listeners of the benchmark. They ask for best effort, so that no publisher waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import rclpy
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import deserialize_message

from vla_ros.cli.bench.timing import image_figures, rate_hz, tick_figures
from vla_ros.ros.conversions.arrays import ns_from_stamp
from vla_ros.ros.interfaces import CLOCK, GATED_COMMAND, Topic, load_type
from vla_ros.ros.lean_executor import LeanExecutor
from vla_ros.ros.qos import subscription_profile

KEPT = 60  # messages that DDS keeps until they are taken; at 100 Hz these are 0.6 s
TAKE_PERIOD_S = 0.1


class _Tap:
    """One topic with one publisher: when each message was sent, and its number. The messages stay serialized."""

    def __init__(self, node: Any, topic: Topic) -> None:
        qos = subscription_profile(topic.qos, KEPT)
        qos.reliability = ReliabilityPolicy.BEST_EFFORT
        self.type = load_type(topic.type)
        self._subscription = node.create_subscription(self.type, topic.name, lambda _: None, qos, raw=True)
        self.sent_ns: list[int] = []
        self.sequence: list[int] = []
        self.ends: list[bytes] = []  # the first and the newest message

    def take(self) -> None:
        handle, kind = self._subscription.handle, self._subscription.msg_type
        while (taken := handle.take_message(kind, True)) is not None:
            cdr, info = taken
            self.sent_ns.append(int(info["source_timestamp"]))
            self.sequence.append(int(info.get("publication_sequence_number") or 0))
            self.ends = [*self.ends[:1], cdr]


class Taps:
    """Listens to several topics without waking for a message: its node is never spun, DDS keeps what comes until it is taken."""

    def __init__(self, graph_node: Any, topics: Iterable[Topic]) -> None:
        self._graph_node = graph_node
        self._node = rclpy.create_node(f"vla_bench_taps_{time.time_ns() % 1_000_000}")
        self._taps = {topic.name: _Tap(self._node, topic) for topic in {CLOCK, GATED_COMMAND, *topics}}
        self._timer = graph_node.create_timer(TAKE_PERIOD_S, self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._graph_node.destroy_timer(self._timer)
        self._node.destroy_node()

    def _take(self) -> None:
        for tap in self._taps.values():
            tap.take()

    def figures(self) -> dict[str, Any]:
        """The gate's ticks, the simulation's pace, and how often each topic was sent."""
        self._take()
        gate = self._taps[GATED_COMMAND.name]
        return {
            "real_time_factor": self._real_time_factor(),
            "gate": tick_figures(gate.sent_ns, gate.sequence),
            "rates_hz": {name: rate_hz(tap.sent_ns, tap.sequence) for name, tap in sorted(self._taps.items())},
        }

    def _real_time_factor(self) -> float | None:
        clock = self._taps[CLOCK.name]
        if len(clock.sent_ns) < 2:
            return None
        first, last = (ns_from_stamp(deserialize_message(cdr, clock.type).clock) for cdr in clock.ends)
        return (last - first) / (clock.sent_ns[-1] - clock.sent_ns[0])


class ImageProbe:
    """Receives a camera's images as a node would, deserialized and in a callback, in a thread of its own; use as a context manager.

    The latency is from publish to callback: the middleware's time of sending to the clock of this same machine.
    """

    def __init__(self, topic: Topic, nominal_hz: float, steady_after_s: float = 1.0) -> None:
        self._nominal_hz = nominal_hz
        self._node = rclpy.create_node(f"vla_bench_images_{time.time_ns() % 1_000_000}")
        self._node.create_subscription(load_type(topic.type), topic.name, self._on_image, subscription_profile(topic.qos))
        self._executor = LeanExecutor()
        self._executor.add_node(self._node)
        self._steady_ns = time.time_ns() + round(steady_after_s * 1e9)
        self._samples: list[tuple[int, int, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="images", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._executor.shutdown(timeout_sec=0.5)
        self._node.destroy_node()

    def _spin(self) -> None:
        while not self._stop.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _on_image(self, message: Any, info: Any) -> None:
        now_ns = time.time_ns()
        if now_ns >= self._steady_ns:
            sequence = int(info.get("publication_sequence_number") or 0)
            self._samples.append((ns_from_stamp(message.header.stamp), now_ns - int(info["source_timestamp"]), sequence))

    def figures(self) -> dict[str, float]:
        """Loss and latency of what has come in steady time; empty where nothing has."""
        stamps_ns, latencies_ns, sequence = zip(*self._samples, strict=True) if self._samples else ((), (), ())
        return image_figures(stamps_ns, latencies_ns, sequence, self._nominal_hz)
