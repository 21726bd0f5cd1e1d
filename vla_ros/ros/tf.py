"""Fixed frames from /tf_static. Moving frames are computed from joint states, so that they are those of an image's own stamp."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_ros.core.errors import PerceptionError
from vla_ros.core.geometry import Array, inverse
from vla_ros.ros.conversions.frames import transforms_from_msg
from vla_ros.ros.interfaces import TF_STATIC
from vla_ros.ros.lifecycle import VlaNode


class StaticFrames:
    """The fixed frames that were announced so far. ``lookup`` answers T_target_source."""

    def __init__(self, node: VlaNode) -> None:
        self._parents: dict[str, tuple[str, Array]] = {}
        node.subscribe_to(TF_STATIC, self._on_message)

    def _on_message(self, message: Any) -> None:
        for parent, child, T_parent_child, _ in transforms_from_msg(message):
            self._parents[child] = (parent, T_parent_child)

    def lookup(self, target: str, source: str) -> Array:
        """T_target_source [4, 4]. Raises PerceptionError naming both frames and what is known."""
        (root_t, T_root_target), (root_s, T_root_source) = self._to_root(target), self._to_root(source)
        if root_t != root_s:
            known = ", ".join(sorted(self._parents)) or "none yet"
            raise PerceptionError(f"No fixed transform from '{source}' to '{target}' on {TF_STATIC.name}; frames known: {known}.")
        return inverse(T_root_target) @ T_root_source

    def _to_root(self, frame: str) -> tuple[str, Array]:
        T = np.eye(4)
        for _ in range(len(self._parents) + 1):  # a loop of frames ends here
            if frame not in self._parents:
                break
            frame, T_parent_child = self._parents[frame]
            T = T_parent_child @ T
        return frame, T
