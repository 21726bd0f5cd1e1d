"""Numbers and words that messages, services and actions carry for how things stand or ended.

Each enumeration agrees with one interface file; test_core_enums.py compares them. Those of actions and decisions stand beside
their values: ActionSpace, SafetyAction, SafetyMode, CameraFault.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

EXIT_CANNOT_START = 3  # exit code of a node that could not start


class Outcome(IntEnum):
    """How a goal ended. The numbers are those of ExecuteGoal.action."""

    SUCCEEDED = 0
    FAILED = 1
    CANCELED = 2
    REFUSED = 3  # nothing was moved
    DRY_RUN = 4  # planned and judged; nothing was sent to the arm

    @property
    def word(self) -> str:
        """As result.json and Episode.msg write it."""
        return self.name.lower()


class AttemptOutcome(IntEnum):
    """How an expert's attempt at a subtask ended. The numbers are those of ExecuteSubtask.action."""

    DONE = 0
    FAILED = 1
    CANCELED = 2


class FailureKind(StrEnum):
    """Why an attempt at a subtask failed; the words of ``reason`` in ExecuteSubtask.action and SubtaskReport.msg."""

    NONE = "none"
    NOT_FOUND = "not_found"  # the object or target is not in the scene
    UNSUPPORTED = "unsupported"  # this expert cannot do that with this object
    UNREACHABLE = "unreachable"  # no collision-free, reachable pose was found
    GRASP_MISSED = "grasp_missed"  # closed on nothing, or on the wrong thing, as often as allowed
    DROPPED = "dropped"  # held it, and lost it: look again
    NOT_HOLDING = "not_holding"  # asked to place something that is not in the gripper
    BLOCKED = "blocked"  # the arm did not arrive where it was sent
    ABORTED = "aborted"  # told to stop
    TIMEOUT = "timeout"  # not done within the subtask's time limit
    REFUSED = "refused"  # the subtask is none for this expert, or what it must see does not come
    NO_EXPERT = "no_expert"  # nobody took the subtask, or who did has died


class ReportStatus(IntEnum):
    """How a subtask stands in a report. The numbers are those of SubtaskReport.msg."""

    SUCCEEDED = 0
    FAILED = 1
    CANCELED = 2
    RUNNING = 3


class EpisodeEvent(IntEnum):
    """The numbers are those of Episode.msg."""

    STARTED = 0
    FINISHED = 1
    MARK = 2


class MoveKind(IntEnum):
    """Where move_to goes. The numbers are those of MoveTo.action."""

    HOME = 0
    JOINTS = 1
    POSE = 2
    GRIPPER = 3


class NodeState(IntEnum):
    """The primary states of a lifecycle node. The numbers are those of lifecycle_msgs/msg/State."""

    UNCONFIGURED = 1
    INACTIVE = 2
    ACTIVE = 3
    FINALIZED = 4
