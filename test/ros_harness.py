"""What node and launch tests stand on: a ROS domain of their own, plain peers, nodes in threads and nodes as processes.

Everything waits for events with a time limit; nothing counts on having slept long enough.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rclpy
from ament_index_python.packages import get_package_prefix
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from vla_ros.ros.domain import free_domain_id
from vla_ros.ros.interfaces import Action, Service, Topic, load_type
from vla_ros.ros.lean_executor import LeanExecutor
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.qos import Qos, profile, subscription_profile

PATIENCE_S = 15.0  # for anything that must happen; how long it may take is asserted where that matters
STOP_S = 8.0  # for a process to end when asked
KEPT = 2000  # messages that a peer's subscription may hold until it is spun


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """The first true value of ``condition``; fails naming ``what`` did not happen."""
    give_up_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < give_up_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.005)
    return value


@dataclass(frozen=True)
class Heard:
    """A message and when it came."""

    message: Any
    monotonic_s: float  # when the callback ran
    received_ns: int  # system time, of the middleware


class Peer:
    """A plain node beside the one under test, spun by rclpy's own executor in a thread: publishes, collects and calls."""

    def __init__(self, name: str) -> None:
        self.node = rclpy.create_node(name)
        self.failure: Exception | None = None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return
        except Exception as error:
            self.failure = error

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=1.0)
        self._thread.join(timeout=2.0)
        self.node.destroy_node()
        assert self.failure is None, f"the peer was ended by {self.failure!r}"

    def make(self, build: Callable[[], Any]) -> Any:
        """What ``build`` returns, run by the thread that spins: rclpy shows an action's client to it before the client is whole."""
        future = self._executor.create_task(build)
        wait_until(future.done, "the peer's thread to make something")
        return future.result()

    def listen(
        self, topic: Topic, *, depth: int = KEPT, matched: bool = False, on_message: Callable[[Any], None] | None = None
    ) -> list[Heard]:
        """The list that every message of the topic is put on; ``matched``: returns when a publisher has been found."""
        heard: list[Heard] = []

        def note(message: Any, info: Any) -> None:
            heard.append(Heard(message, time.monotonic(), int(info["received_timestamp"])))
            if on_message is not None:
                on_message(message)

        subscription = self.node.create_subscription(load_type(topic.type), topic.name, note, subscription_profile(topic.qos, depth))
        if matched:
            wait_until(lambda: subscription.get_publisher_count() > 0, f"a publisher of {topic.name}")
        return heard

    def publisher(self, topic: Topic, *, matches: int = 1) -> Any:
        """Returns when ``matches`` subscriptions have been found."""
        publisher = self.node.create_publisher(load_type(topic.type), topic.name, profile(topic.qos))
        wait_until(lambda: publisher.get_subscription_count() >= matches, f"{matches} subscription(s) of {topic.name}")
        return publisher

    def call(self, service: Service, **fields: Any) -> Any:
        """The response."""
        kind = load_type(service.type)
        client = self.node.create_client(kind, service.name)
        assert client.wait_for_service(timeout_sec=PATIENCE_S), f"nobody serves {service.name}"
        future = client.call_async(kind.Request(**fields))
        wait_until(future.done, f"an answer of {service.name}")
        self.make(lambda: self.node.destroy_client(client))
        return future.result()

    def action(self, action: Action) -> ActionPeer:
        """A client of the action whose server has been found."""
        return ActionPeer(self, action)


class ActionPeer:
    """Sends goals of one action."""

    def __init__(self, peer: Peer, action: Action) -> None:
        self.type = load_type(action.type)
        self._client = peer.make(lambda: ActionClient(peer.node, self.type, action.name))
        assert self._client.wait_for_server(timeout_sec=PATIENCE_S), f"nobody serves {action.name}"

    def send(self, goal: Any = None, on_feedback: Callable[[Any], None] | None = None) -> Any:
        """The client's goal handle, accepted or not."""
        future = self._client.send_goal_async(goal or self.type.Goal(), feedback_callback=on_feedback)
        wait_until(future.done, "an answer to the goal")
        return future.result()

    @staticmethod
    def result(handle: Any, timeout_s: float = PATIENCE_S) -> tuple[int, Any]:
        """(status, result message) of a goal."""
        future = handle.get_result_async()
        wait_until(future.done, "a result", timeout_s)
        return future.result().status, future.result().result


class SpunNode:
    """A node in this process, spun by the executor that it has in operation; started unless its autostart is false."""

    def __init__(self, node: VlaNode, executor: LeanExecutor) -> None:
        self.node, self.executor = node, executor
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self.executor.add_node(node)
        if node.autostart:
            assert node.start(), node.startup_error
        self._thread = threading.Thread(target=self._spin, name=node.get_name(), daemon=True)
        self._thread.start()

    @property
    def spins(self) -> bool:
        return self._thread.is_alive()

    def _spin(self) -> None:
        try:
            while not self._stop.is_set():
                self.executor.spin_once(timeout_sec=0.5)
        except ExternalShutdownException:
            return
        except BaseException as error:
            self.failure = error

    def close(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        self.executor.wake()
        self._thread.join(timeout=5.0)
        assert not self._thread.is_alive(), f"{self.node.get_name()} does not come back from its callbacks"
        self.node.stop()
        self.executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()
        assert self.failure is None, f"the executor was ended by {self.failure!r}"


class NodeProcess:
    """An installed executable with parameters, in a session of its own; its output goes to a file."""

    def __init__(self, executable: str, folder: Path, **parameters: Any) -> None:
        path = Path(get_package_prefix("vla_ros")) / "lib" / "vla_ros" / executable
        words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        self.name = executable
        self._log = folder / f"{executable}_{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(path), *(["--ros-args", *words] if words else [])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def exit_code(self, timeout_s: float = PATIENCE_S) -> int:
        """Waits for the end."""
        wait_until(lambda: not self.is_running, f"the end of {self.name}; it says:\n{self.output}", timeout_s)
        return self._process.returncode

    def interrupt(self) -> int:
        """Ctrl-C; its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self.exit_code(STOP_S)

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when it is gone."""
        if self.is_running:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        if self.is_running:
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self.kill()


class Ros:
    """One context in one domain, with all that was made in it; ``close`` ends it in the opposite order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Any] = []

    def init(self, **parameters: Any) -> None:
        """Starts the context; ``parameters`` are those of every node made in this process."""
        words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        rclpy.init(args=["--ros-args", *words] if words else None, signal_handler_options=SignalHandlerOptions.NO)

    def _keep(self, made: Any) -> Any:
        self._made.append(made)
        return made

    def peer(self, name: str = "fake_peer") -> Peer:
        if not rclpy.ok():
            self.init()
        return self._keep(Peer(name))

    def spin(self, make: Callable[[], VlaNode], executor: Callable[[], LeanExecutor] = LeanExecutor) -> SpunNode:
        if not rclpy.ok():
            self.init()
        return self._keep(SpunNode(make(), executor()))

    def process(self, executable: str, **parameters: Any) -> NodeProcess:
        return self._keep(NodeProcess(executable, self._folder, **parameters))

    def close(self) -> None:
        """Raises the first of the failures after everything has been ended."""
        failures = []
        for made in reversed(self._made):
            try:
                made.close()
            except Exception as failure:
                failures.append(failure)
        self._made.clear()
        rclpy.try_shutdown()
        if failures:
            raise failures[0]


def ros_in(folder: Path) -> Iterator[Ros]:
    """In a free domain, for this process and those that it starts, heard on this machine only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(free_domain_id()))
        patch.setenv("ROS_HOME", str(folder / "ros_home"))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"))
        ros = Ros(folder)
        try:
            yield ros
        finally:
            ros.close()


def probe_topic(name: str, kind: str = "std_msgs/msg/UInt64", qos: Qos = Qos.EVENT) -> Topic:
    """A topic that is not the graph's."""
    return Topic(name, kind, qos, "", "", "", "")
