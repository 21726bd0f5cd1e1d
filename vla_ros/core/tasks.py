"""What is to be done: predicates, subtasks, plans, and the reasoning that is written before acting."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Skill(StrEnum):
    """What an expert can be asked for."""

    PICK = "pick"  # arguments: object
    PLACE = "place"  # arguments: object, relation, target (object to put there; the object is held)
    HOME = "home"  # no arguments


class Relation(StrEnum):
    """Where an object lies with respect to a target. Sides are seen from the robot: left is +y, in front of is towards the robot (-x)."""

    HELD = "held"  # by the gripper; no target
    IN = "in"
    ON = "on"
    LEFT_OF = "left_of"
    RIGHT_OF = "right_of"
    IN_FRONT_OF = "in_front_of"
    BEHIND = "behind"
    AT_HOME = "at_home"  # the arm, not an object


@dataclass(frozen=True)
class Predicate:
    """A fact that perception can check: relation(object, target)."""

    relation: Relation
    object_id: str = ""
    target_id: str = ""

    def __str__(self) -> str:
        return f"{self.relation.value}({', '.join(x for x in (self.object_id, self.target_id) if x)})"


@dataclass(frozen=True)
class Subtask:
    """One step of a plan, done by one expert."""

    id: str  # "1", "2", ...
    skill: Skill
    description: str  # for people and for language-conditioned experts: "pick up the red cube"
    success: Predicate
    object_id: str = ""
    relation: Relation | None = None
    target_id: str = ""
    robot: str = ""
    expert: str = ""
    depends_on: tuple[str, ...] = ()
    time_limit_s: float = 45.0


@dataclass(frozen=True)
class Plan:
    """What is going to be done for a goal; a higher revision replaces a lower one."""

    instruction: str
    subtasks: tuple[Subtask, ...]
    goal: tuple[Predicate, ...]  # all must hold at the end
    planner: str
    explanation: str = ""  # why this plan, in one or two sentences
    revision: int = 0
    names: dict[str, str] = field(default_factory=dict)  # object id -> name, as seen when it was planned
    stamp_ns: int = 0


@dataclass(frozen=True)
class ReasoningTrace:
    """Written before acting: what is where, what is going to be done, and why."""

    stamp_ns: int
    source: str  # node that wrote it
    subtask_id: str
    phase: str  # "plan", "approach", "grasp", ...
    text: str
