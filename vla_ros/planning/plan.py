"""Plans from steps: what has to be moved where becomes pick and place subtasks, with what must hold after each and at the end.

Every planner, built in or a model, describes what it wants as steps over object ids; ``build_plan`` makes the subtasks and
``validation`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vla_ros.core.errors import PlanningError
from vla_ros.core.geometry import Array
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.core.things import CONTAINERS
from vla_ros.planning.relations import measure


@dataclass(frozen=True)
class Capabilities:
    """What the robot can do, as far as a plan must know."""

    gripper_open_m: float  # widest opening between the fingers
    reachable: Callable[[Array], bool]  # [3] m in the scene's frame: can the TCP get there with a grasp from above
    skills: frozenset[Skill] = frozenset(Skill)
    robot: str = ""
    experts: Mapping[Skill, str] = field(default_factory=dict)  # skill -> expert; of the others the action_expert node chooses
    grasp_clearance_m: float = 0.008  # the fingers need this much beyond the object's width
    max_subtasks: int = 40

    def can_grasp(self, thing: SceneObject) -> bool:
        """Whether the fingers go around its narrow side."""
        return float(min(thing.size_m[:2])) <= self.gripper_open_m - self.grasp_clearance_m


@dataclass(frozen=True)
class Move:
    """Pick ``object_id`` up and put it down so that ``relation`` to ``target_id`` holds."""

    object_id: str
    relation: Relation
    target_id: str

    def predicate(self) -> Predicate:
        """What holds afterwards."""
        return Predicate(self.relation, self.object_id, self.target_id)


@dataclass(frozen=True)
class Hold:
    """Pick ``object_id`` up and keep it."""

    object_id: str

    def predicate(self) -> Predicate:
        """What holds afterwards."""
        return Predicate(Relation.HELD, self.object_id)


@dataclass(frozen=True)
class GoHome:
    """Move the arm to its home pose."""

    def predicate(self) -> Predicate:
        """What holds afterwards."""
        return Predicate(Relation.AT_HOME)


Step = Move | Hold | GoHome

_WORDS = {Relation.IN: "in", Relation.ON: "on", Relation.LEFT_OF: "left of", Relation.RIGHT_OF: "right of"}
_WORDS |= {Relation.IN_FRONT_OF: "in front of", Relation.BEHIND: "behind"}


def relation_for(relation: Relation | None, target: SceneObject) -> Relation:
    """People say "on the bowl", "in the plate", "to the bowl": IN for containers, else ON. Raises PlanningError for "in the cube"."""
    if relation in (None, Relation.IN, Relation.ON) and target.shape in CONTAINERS:
        return Relation.IN
    if relation is Relation.IN and target.shape in ("cube", "cylinder", "box"):
        raise PlanningError(f"The {target.name} cannot hold anything inside; say 'on the {target.name}'.")
    return Relation.ON if relation in (None, Relation.IN) else relation


class _Builder:
    """Subtasks and goal predicates of one plan, step by step."""

    def __init__(self, scene: Scene, capabilities: Capabilities) -> None:
        self._scene = scene
        self._capabilities = capabilities
        self._touched: set[str] = set()
        self._held = next((o.id for o in scene.objects if o.held), "")
        self.subtasks: list[Subtask] = []
        self.goal: list[Predicate] = []
        self.already: list[Predicate] = []

    def add(self, step: Step) -> None:
        predicate = step.predicate()
        if isinstance(step, GoHome):
            self._undo(lambda p: p.relation is Relation.AT_HOME)
            self._append(Skill.HOME, "go home", predicate)
        elif isinstance(step, Hold):
            self._pick(step.object_id)
        elif self._holds_already(step):
            self.already.append(predicate)
        else:
            self._pick(step.object_id)
            where = f"{_WORDS[step.relation]} the {self._name(step.target_id)}"
            self._append(
                Skill.PLACE, f"place the {self._name(step.object_id)} {where}", predicate, step.object_id, step.relation, step.target_id
            )
            self._undo(lambda p: p.relation is Relation.HELD)
            self._held = ""
        if predicate not in self.goal:
            self.goal.append(predicate)

    def _pick(self, object_id: str) -> None:
        """Moving a thing undoes what held of it."""
        self._undo(lambda p: object_id in (p.object_id, p.target_id) or p.relation is Relation.AT_HOME)
        self._touched.add(object_id)
        if self._held != object_id:
            self._append(Skill.PICK, f"pick up the {self._name(object_id)}", Predicate(Relation.HELD, object_id), object_id)
            self._held = object_id

    def _holds_already(self, step: Move) -> bool:
        thing, target = self._scene.get(step.object_id), self._scene.get(step.target_id)
        if thing is None or target is None or thing.held or {thing.id, target.id} & self._touched or thing.id == target.id:
            return False
        return measure(step.relation, thing, target, self._scene).holds

    def _undo(self, test: Callable[[Predicate], bool]) -> None:
        self.goal = [p for p in self.goal if not test(p)]

    def _name(self, object_id: str) -> str:
        thing = self._scene.get(object_id)
        return thing.name if thing else object_id

    def _append(
        self, skill: Skill, text: str, success: Predicate, object_id: str = "", relation: Relation | None = None, target_id: str = ""
    ) -> None:
        before = (self.subtasks[-1].id,) if self.subtasks else ()  # one hand: each step needs the one before it
        subtask = Subtask(str(len(self.subtasks) + 1), skill, text, success, object_id, relation, target_id, depends_on=before)
        expert = self._capabilities.experts.get(skill, "")
        self.subtasks.append(replace(subtask, robot=self._capabilities.robot, expert=expert))


def build_plan(
    instruction: str,
    steps: Sequence[Step],
    scene: Scene,
    capabilities: Capabilities,
    *,
    planner: str,
    explanation: str,
    now_ns: int,
    revision: int = 0,
) -> Plan:
    """The subtasks for ``steps`` in that order, not yet validated.

    A step whose predicate is measured to hold already needs no subtask. The goal keeps what must still hold at the end: putting a thing
    somewhere else later takes back what was said of it before.
    """
    builder = _Builder(scene, capabilities)
    for step in steps:
        builder.add(step)
    names = {o.id: o.name for o in scene.objects}
    text = explanation
    if builder.already:
        text += f" Already so: {', '.join(describe_predicate(p, names) for p in builder.already)}."
    if not builder.subtasks:
        text += " Nothing has to be moved."
    return Plan(instruction, tuple(builder.subtasks), tuple(builder.goal), planner, text.strip(), revision, names, now_ns)


def describe_predicate(predicate: Predicate, names: Mapping[str, str]) -> str:
    """ "the red cube is in the blue bowl"."""
    thing = f"the {names.get(predicate.object_id, predicate.object_id)}"
    if predicate.relation is Relation.AT_HOME:
        return "the arm is at home"
    if predicate.relation is Relation.HELD:
        return f"{thing} is held"
    return f"{thing} is {_WORDS[predicate.relation]} the {names.get(predicate.target_id, predicate.target_id)}"


def steps_for(goal: Sequence[Predicate]) -> tuple[Step, ...]:
    """The steps that bring a goal about, in its order."""
    steps: list[Step] = []
    for p in goal:
        if p.relation is Relation.AT_HOME:
            steps.append(GoHome())
        elif p.relation is Relation.HELD:
            steps.append(Hold(p.object_id))
        else:
            steps.append(Move(p.object_id, p.relation, p.target_id))
    return tuple(steps)
