"""tactile_perception: taxels of both pads in, contact, force and slip out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vla_ros.core.geometry import Array
from vla_ros.perception.tactile import TactileProcessor
from vla_ros.robots import load_robot_config
from vla_ros.ros.conversions.robot import contact_to_msg, taxels_from_msg
from vla_ros.ros.interfaces import CONTACT, TACTILE_RAW
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run


@dataclass(frozen=True)
class TactilePerceptionConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    every: int = parameter(2, "publish contact at every n-th pair of arrays (all are processed)", read_only=True)


class TactilePerceptionNode(VlaNode):
    """Pairs the arrays of both fingers by stamp and publishes what they say together."""

    def __init__(self) -> None:
        super().__init__("tactile_perception")
        self.config = declare(self, TactilePerceptionConfig)

    def setup(self) -> None:
        """Connects the taxels of every finger to one processor."""
        self._fingers = tuple(load_robot_config(self.config.robot).tactile)
        self._processor = TactileProcessor()
        self._waiting: dict[str, tuple[Array, Array | None, int]] = {}
        self._count = 0
        self._contact = self.publish_on(CONTACT)
        for finger in self._fingers:
            self.subscribe_to(TACTILE_RAW.at(finger=finger), self._on_taxels)

    def _on_taxels(self, message: Any) -> None:
        finger, normal, shear, stamp_ns = taxels_from_msg(message)
        self._waiting[finger] = (normal, shear, stamp_ns)
        if len({stamp for _, _, stamp in self._waiting.values()}) == 1 and len(self._waiting) == len(self._fingers):
            self._update(stamp_ns)

    def _update(self, stamp_ns: int) -> None:
        (left, left_shear, _), (right, right_shear, _) = (self._waiting[f] for f in self._fingers)
        contact = self._processor.update(left, right, stamp_ns, left_shear_n=left_shear, right_shear_n=right_shear)
        self._count += 1
        if self._count % self.config.every == 0:
            self._contact.publish(contact_to_msg(contact))


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(TactilePerceptionNode)
