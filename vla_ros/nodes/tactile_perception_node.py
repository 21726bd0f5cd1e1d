"""tactile_perception: taxels of both pads in, contact, force and slip out."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.serialization import deserialize_message

from vla_ros.core.errors import ConfigError
from vla_ros.core.geometry import Array
from vla_ros.core.yaml_files import check_keys
from vla_ros.perception.tactile import TactileProcessor, TactileProcessorConfig
from vla_ros.robots import load_robot_config
from vla_ros.ros.conversions.robot import contact_to_msg, taxels_from_msg
from vla_ros.ros.inbox import Inbox
from vla_ros.ros.interfaces import CONTACT, TACTILE_RAW, load_type
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run

FINGERS = ("left", "right")
ARRAYS_KEPT = 20  # per finger, until they are looked at


@dataclass(frozen=True)
class TactilePerceptionConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    rate: float = parameter(50.0, "of contact; every array is processed, whatever their rate", unit="Hz", low=5.0, high=200.0)


class TactilePerceptionNode(VlaNode):
    """Pairs the arrays of both fingers by stamp and publishes what they say together."""

    def __init__(self) -> None:
        super().__init__("tactile_perception")
        self.config = declare(self, TactilePerceptionConfig)

    def setup(self) -> None:
        """Connects the taxels of both fingers to one processor. Raises ConfigError for other pads than one left and one right, alike."""
        pads = load_robot_config(self.config.robot).tactile
        check_keys(pads, FINGERS, (), f"{self.config.robot}, tactile")
        left, right = (pads[finger] for finger in FINGERS)
        if (left.rows, left.cols, left.pad_size_m) != (right.rows, right.cols, right.pad_size_m):
            raise ConfigError(f"{self.config.robot}: the pads of both fingers must have as many taxels and the same size.")
        self._processor = TactileProcessor(TactileProcessorConfig(left.rows, left.cols, left.pad_size_m))
        self._pads = [Inbox(self, TACTILE_RAW.at(finger=finger), depth=ARRAYS_KEPT) for finger in FINGERS]
        self._waiting: dict[int, dict[str, tuple[Array, Array | None]]] = {}  # stamp -> finger -> what it felt then
        self._type = load_type(TACTILE_RAW.type)
        self._contact = self.publish_on(CONTACT)
        self.every(1.0 / self.config.rate, self._look)

    def _look(self) -> None:
        """Processes all arrays that have come, and publishes the newest state of contact."""
        for pad in self._pads:
            for letter in pad.take():
                finger, normal, shear, stamp_ns = taxels_from_msg(deserialize_message(letter.cdr, self._type))
                self._waiting.setdefault(stamp_ns, {})[finger] = (normal, shear)
        complete = sorted(stamp_ns for stamp_ns, felt in self._waiting.items() if len(felt) == len(self._pads))
        contact = None
        for stamp_ns in complete:
            felt = self._waiting.pop(stamp_ns)
            (left, left_shear), (right, right_shear) = (felt[finger] for finger in FINGERS)
            contact = self._processor.update(left, right, stamp_ns, left_shear_n=left_shear, right_shear_n=right_shear)
        if contact is not None:
            self._waiting = {stamp_ns: felt for stamp_ns, felt in self._waiting.items() if stamp_ns > complete[-1]}
            self._contact.publish(contact_to_msg(contact))


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(TactilePerceptionNode)
