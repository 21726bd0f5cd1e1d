"""A fake graph for `vla eval`: a simulator, a monitor and a planner that answer at once, and time that passes when somebody waits."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from vla_ros.core.decisions import SafetyMode
from vla_ros.core.outcomes import Outcome
from vla_ros.ros.interfaces import EXECUTE_GOAL, FORGET, JOINT_STATES, RESET, SAFETY_STATE, SIM_RESET, SIM_SCORE, Topic, load_type

Result = load_type(EXECUTE_GOAL.type).Result


def verified(**fields: Any) -> Any:
    usual = {"outcome": Outcome.SUCCEEDED, "reason": "verified", "message": "Done.", "verified": True, "duration": 12.5}
    return Result(**{**usual, **fields})


def scored(*holds: bool, message: str = "") -> Any:
    return load_type(SIM_SCORE.type).Response(success=all(holds), message=message, holds=list(holds), peak_contact_force=3.0)


class FakeGraph:
    """In the place of Graph. ``done`` names what was asked of it, in order; the answers can be set."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.asked: dict[str, Any] = {}  # the newest request of each service, and the goal
        self.result, self.score = verified(), scored(True)
        self.refusal = ""  # of a reset
        self.speed_radps = 0.0
        self.mode = SafetyMode.READY
        self.recovers = True  # a latched stop can be ended
        self._listeners: list[tuple[Topic, Callable[[Any], None]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is to be ended."""

    def listen(self, topic: Topic, callback: Callable[[Any], None]) -> None:
        self._listeners.append((topic, callback))

    def spin_until(self, done: Callable[[], bool], timeout_s: float, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Every topic brings one message."""
        messages = {
            SAFETY_STATE: load_type(SAFETY_STATE.type)(mode=self.mode, detail="It is as it is."),
            JOINT_STATES: load_type(JOINT_STATES.type)(velocity=[self.speed_radps] * 7),
        }
        for topic, callback in self._listeners:
            callback(messages[topic])
        meanwhile()
        return done()

    def call(self, service: Any, timeout_s: float = 10.0, **fields: Any) -> Any:
        self.done.append(service.name)
        self.asked[service.name] = fields
        if service is SIM_RESET:
            self.mode = SafetyMode.STOPPED_LATCHED  # it has seen the arm leap
            return load_type(SIM_RESET.type).Response(success=not self.refusal, message=self.refusal)
        if service is RESET and self.recovers:
            self.mode = SafetyMode.READY
        if service is SIM_SCORE:
            return self.score
        assert service in (FORGET, RESET), service.name
        return load_type(service.type).Response(success=True)

    def send(self, action: Any, goal: Any) -> Self:
        """Itself, to be waited for."""
        self.done.append(action.name)
        self.asked[action.name] = goal
        return self

    def wait(self, timeout_s: float, meanwhile: Callable[[], None]) -> Any:
        meanwhile()
        return self.result


class FakeRunning:
    """In the place of RunningGraph; ``failure``: what its check raises."""

    def __init__(self, *_: Any) -> None:
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is to be ended."""

    def wait_until_ready(self, graph: FakeGraph) -> float:
        return 0.0

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure
