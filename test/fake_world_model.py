"""A world model that answers every chunk as it is told to."""

from __future__ import annotations

from typing import Any

from ros_harness import Peer

from vla_ros.core.decisions import Verdict
from vla_ros.ros.interfaces import EVALUATE_CHUNK, load_type


class FakeWorldModel:
    """``verdict`` and ``detail`` are what it answers; ``leave`` and ``come`` take its service away and bring it back."""

    def __init__(self, peer: Peer) -> None:
        self.verdict, self.detail = Verdict.APPROVE, "as it was told."
        self._peer, self._service = peer, None
        self.come()

    def come(self) -> None:
        if self._service is None:
            node, kind = self._peer.node, load_type(EVALUATE_CHUNK.type)
            self._service = self._peer.make(lambda: node.create_service(kind, EVALUATE_CHUNK.name, self._answer))

    def leave(self) -> None:
        service, self._service = self._service, None
        self._peer.make(lambda: self._peer.node.destroy_service(service))

    def _answer(self, _: Any, response: Any) -> Any:
        response.verdict, response.detail = int(self.verdict), self.detail
        return response
