"""The QoS classes of the graph, by name. No node makes a profile of its own."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rclpy.qos import QoSProfile


class Qos(Enum):
    """What kind of traffic a topic carries."""

    SENSOR = "best effort, keep last 2"  # newest counts; a lost one is never sent again
    STATE = "reliable, keep last 1"  # the newest counts, and the next one comes soon; what drivers and other tools expect
    COMMAND = "reliable, keep last 1 (commands)"  # only the newest may ever be executed, and it may be the last for long
    EVENT = "reliable, keep last 50"  # each one counts
    BEAT = "best effort, keep last 50"  # said again and again, by many on one topic: a lost one must not hold up those after it
    LATCHED = "reliable, transient local, keep last 1"  # late joiners get the newest
    LATCHED_EVENTS = "reliable, transient local, keep last 20"
    TF = "reliable, keep last 100"
    TF_STATIC = "reliable, transient local, keep last 10"
    CLOCK = "best effort, keep last 1"


_RELIABLE = {Qos.STATE, Qos.COMMAND, Qos.EVENT, Qos.LATCHED, Qos.LATCHED_EVENTS, Qos.TF, Qos.TF_STATIC}
_TRANSIENT_LOCAL = {Qos.LATCHED, Qos.LATCHED_EVENTS, Qos.TF_STATIC}
_DEPTH = {Qos.SENSOR: 2, Qos.EVENT: 50, Qos.BEAT: 50, Qos.LATCHED_EVENTS: 20, Qos.TF: 100, Qos.TF_STATIC: 10}


def profile(qos: Qos) -> QoSProfile:
    """The rclpy profile of a class."""
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=_DEPTH.get(qos, 1),
        reliability=ReliabilityPolicy.RELIABLE if qos in _RELIABLE else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if qos in _TRANSIENT_LOCAL else DurabilityPolicy.VOLATILE,
    )


def subscription_profile(qos: Qos, depth: int | None = None) -> QoSProfile:
    """The profile with which a topic of this class is listened to; ``depth`` overrides how many messages are kept.

    A state is published reliably, because other tools ask for that, but heard best effort: its next message is as good, and acknowledging
    each one to each of many listeners is what costs most. Nor does a lost one hold up what follows, as it does where it must first be sent
    again.
    """
    from rclpy.qos import ReliabilityPolicy

    result = profile(qos)
    if qos is Qos.STATE:
        result.reliability = ReliabilityPolicy.BEST_EFFORT
    if depth is not None:
        result.depth = depth
    return result


def reliability_word(qos: Qos) -> str:
    """As rosbag2's metadata spells it."""
    return "reliable" if qos in _RELIABLE else "best_effort"


def durability_word(qos: Qos) -> str:
    """As rosbag2's metadata spells it."""
    return "transient_local" if qos in _TRANSIENT_LOCAL else "volatile"
