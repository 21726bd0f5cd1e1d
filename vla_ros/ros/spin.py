"""The one main() of every node: init, start, spin, stop in order."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable
from types import FrameType

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.signals import SignalHandlerOptions

from vla_ros.core.errors import VlaRosError
from vla_ros.core.outcomes import EXIT_CANNOT_START
from vla_ros.core.scheduling import Urgency, make_realtime, make_threads_realtime, prepare_process, settle, unsettle
from vla_ros.ros.lean_executor import LeanExecutor
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.this_machine import require_this_machine

RECEIVERS = "dds.udp"  # Fast DDS's threads that receive, by their names; with other middleware there are none of that name


def run(make_node: Callable[[], VlaNode], arguments: list[str] | None = None, *, urgency: Urgency = Urgency.NORMAL) -> int:
    """Runs a node until SIGINT or SIGTERM. The exit code says whether it could start.

    rclpy's own signal handling ends the context before a last command can be sent, so it is switched off.
    """
    prepare_process(urgency)
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    stop = threading.Event()
    executor = LeanExecutor()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()
        executor.wake()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    code = EXIT_CANNOT_START
    node = None
    try:
        node = make_node()
        require_this_machine()
        executor.add_node(node)
        if not node.autostart or node.start():
            code = 0
            settle()
            if urgency is Urgency.CONTROL:
                if make_realtime():
                    make_threads_realtime(RECEIVERS)
                else:
                    node.get_logger().info("no real-time priority, so ticks may be late when the cores are busy; see vla doctor")
            _spin(executor, stop)
    except VlaRosError as error:
        rclpy.logging.get_logger("vla_ros").error(str(error))
    except Exception:
        if code == 0:  # it had started
            raise
        rclpy.logging.get_logger("vla_ros").error(traceback.format_exc())
    finally:
        unsettle()
        if node is not None:
            node.stop()
            executor.shutdown(timeout_sec=1.0)
            node.destroy_node()
        rclpy.try_shutdown()
        for number in (signal.SIGINT, signal.SIGTERM):  # a launcher may ask twice, and Python lets the second one kill it on its way out
            signal.signal(number, signal.SIG_IGN)
    return code


def _spin(executor: LeanExecutor, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            executor.spin_once(timeout_sec=0.5)
        except ExternalShutdownException:
            return
