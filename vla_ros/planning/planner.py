"""Planners: an instruction and what is seen become a plan. The built-in one needs no model server; others are registered by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import ConfigError, NotUnderstood, PlanningError, unknown_choice
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Plan, Relation
from vla_ros.planning.grammar import SUPPORTED, Clear, Command, NounPhrase, Pick, Put, Tower, parse
from vla_ros.planning.grounding import Grounder, NoSuchObject
from vla_ros.planning.language import Vocabulary, default_vocabulary
from vla_ros.planning.plan import Capabilities, GoHome, Hold, Move, Step, build_plan, relation_for, steps_for
from vla_ros.planning.spelling import respelt
from vla_ros.planning.validation import validate_plan

Image = NDArray[np.uint8]
"""[height, width, 3] RGB."""


class Planner(Protocol):
    """Turns an instruction into a validated plan, or raises PlanningError (``grounding.Ambiguous`` carries the question to ask)."""

    name: str

    def plan(self, instruction: str, scene: Scene, image: Image | None, now_ns: int) -> Plan:
        """The plan for ``instruction`` in ``scene``, stamped ``now_ns``."""
        ...

    def replan(self, failed: Plan, report: str, scene: Scene, now_ns: int) -> Plan:
        """Another plan for the same goal; ``report`` says in a sentence what went wrong."""
        ...


def replan_goal(failed: Plan, report: str, scene: Scene, capabilities: Capabilities, now_ns: int) -> Plan:
    """A new plan for what still misses from the goal of ``failed``, from the scene as it is now.

    ``report`` says in a sentence what went wrong. An object that got a new id is recognised by its name when only one carries it.
    """
    ids = {i: _same_object(i, failed, scene).id for p in failed.goal for i in (p.object_id, p.target_id) if i}
    steps: list[Step] = []
    for step in steps_for(failed.goal):
        if isinstance(step, Move):
            steps.append(Move(ids[step.object_id], step.relation, ids[step.target_id]))
        else:
            steps.append(Hold(ids[step.object_id]) if isinstance(step, Hold) else step)
    held = [o.id for o in scene.objects if o.held]
    steps.sort(key=lambda s: not (isinstance(s, Move) and s.object_id in held))  # stable: what the hand holds is put down first
    text = f"Planned again, because {report.rstrip('.')}."
    plan = build_plan(
        failed.instruction,
        steps,
        scene,
        capabilities,
        planner=failed.planner,
        explanation=text,
        now_ns=now_ns,
        revision=failed.revision + 1,
    )
    validate_plan(plan, scene, capabilities)
    return plan


def _same_object(object_id: str, plan: Plan, scene: Scene) -> SceneObject:
    found = scene.get(object_id)
    if found is not None:
        return found
    alike = [o for o in scene.objects if o.name == plan.names.get(object_id)]
    if len(alike) == 1:
        return alike[0]
    name = plan.names.get(object_id, object_id)
    raise PlanningError(f"The {name} is {'no longer seen' if not alike else 'no longer told from others'}. I see: {scene.describe()}.")


class BuiltinPlanner:
    """Understands the sentences of ``grammar``, grounds their nouns by ``grounding``: they mean what is seen when the goal is given."""

    name = "builtin"

    def __init__(self, capabilities: Capabilities, vocabulary: Vocabulary | None = None) -> None:
        self._capabilities = capabilities
        self._vocabulary = vocabulary or default_vocabulary()

    def warm_up(self) -> None:
        """Loads the sentence encoder now, so that the first unlisted word need not wait for it; may be called in a thread of its own."""
        self._vocabulary.colours.examples_encoded()
        self._vocabulary.shapes.examples_encoded()

    def plan(self, instruction: str, scene: Scene, image: Image | None, now_ns: int) -> Plan:
        """See ``Planner``; the image is not looked at."""
        try:
            return self._plan(instruction, scene, now_ns)
        except (NotUnderstood, NoSuchObject) as error:
            meant = respelt(instruction, scene)
            if meant == instruction or not self._can_plan(meant, scene):
                raise
            raise type(error)(f'{str(error).removesuffix(SUPPORTED).rstrip()} Did you mean "{meant}"?') from error

    def _can_plan(self, instruction: str, scene: Scene) -> bool:
        try:
            return bool(self._plan(instruction, scene, 0))
        except PlanningError:
            return False

    def _plan(self, instruction: str, scene: Scene, now_ns: int) -> Plan:
        commands = parse(instruction)
        interpreter = _Interpreter(Grounder(scene, self._vocabulary), scene, self._capabilities)
        steps = [step for command in commands for step in interpreter.steps(command)]
        text = " ".join(interpreter.remarks)
        plan = build_plan(instruction, steps, scene, self._capabilities, planner=self.name, explanation=text, now_ns=now_ns)
        validate_plan(plan, scene, self._capabilities)
        return plan

    def replan(self, failed: Plan, report: str, scene: Scene, now_ns: int) -> Plan:
        """See ``replan_goal``."""
        return replan_goal(failed, report, scene, self._capabilities, now_ns)


class _Interpreter:
    """Commands to steps over object ids; ``remarks`` explain what was decided."""

    def __init__(self, grounder: Grounder, scene: Scene, capabilities: Capabilities) -> None:
        self._grounder = grounder
        self._scene = scene
        self._capabilities = capabilities
        self.remarks: list[str] = []

    def steps(self, command: Command) -> list[Step]:
        if isinstance(command, Put):
            return self._put(command)
        if isinstance(command, Tower):
            return self._tower(command)
        if isinstance(command, Clear):
            return self._clear(command)
        return [Hold(self._grounder.one(command.thing.text).id)] if isinstance(command, Pick) else [GoHome()]

    def _things(self, phrases: tuple[NounPhrase, ...], without: str = "") -> list[SceneObject]:
        """What the phrases mean; of "all ..." the highest first, so that nothing is pulled from under another."""
        found: dict[str, SceneObject] = {}
        for phrase in phrases:
            matches = self._grounder.all(phrase.text) if phrase.every else (self._grounder.one(phrase.text),)
            kept = [o for o in matches if not phrase.every or o.id != without]
            found |= {o.id: o for o in sorted(kept, key=lambda o: -float(o.pose.position_m[2]))}
        return list(found.values())

    def _put(self, command: Put) -> list[Step]:
        self._things(command.things)  # what is not there is told before it is asked which of two targets is meant
        target = self._grounder.one(command.target.text)
        things = self._things(command.things, target.id)
        relation = relation_for(command.relation, target)
        if not things:
            raise PlanningError(
                f"There is nothing but the {target.name} that fits '{command.things[0].text}'. I see: {self._scene.describe()}."
            )
        if command.relation not in (relation, None):
            self.remarks.append(f"'{command.relation} the {target.name}' is taken as '{relation}'.")
        self.remarks.append(
            f"{_listed(things)} {'goes' if len(things) == 1 else 'go'} {relation.value.replace('_', ' ')} the {target.name}."
        )
        return [Move(o.id, relation, target.id) for o in things]

    def _tower(self, command: Tower) -> list[Step]:
        things = self._things(command.things)
        if any(p.every for p in command.things):
            things.sort(key=lambda o: self._capabilities.can_grasp(o))  # what cannot be lifted can only be the bottom
        if len(things) < 2:
            raise PlanningError(f"A tower needs at least two things; only the {things[0].name} fits. I see: {self._scene.describe()}.")
        self.remarks.append(f"The tower from the bottom: {', '.join(o.name for o in things)}; the {things[0].name} stays where it is.")
        return [Move(upper.id, relation_for(Relation.ON, lower), lower.id) for lower, upper in pairwise(things)]

    def _clear(self, command: Clear) -> list[Step]:
        target = self._grounder.one(command.target.text)
        others = sorted((o for o in self._scene.objects if o.id != target.id), key=lambda o: -float(o.pose.position_m[2]))
        things = [o for o in others if self._capabilities.can_grasp(o)]
        if not things:
            raise PlanningError(f"There is nothing that I could pick up to clear the table. I see: {self._scene.describe()}.")
        left = [o for o in others if o not in things]
        self.remarks.append(f"{_listed(things)} {'goes' if len(things) == 1 else 'go'} to the {target.name}.")
        if left:
            self.remarks.append(f"{_listed(left)} stay{'s' if len(left) == 1 else ''}: too wide for the gripper.")
        return [Move(o.id, relation_for(None, target), target.id) for o in things]


def _listed(things: list[SceneObject]) -> str:
    names = [f"the {o.name}" for o in things]
    text = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return text[0].upper() + text[1:]


PlannerFactory = Callable[[Capabilities, Mapping[str, Any]], Planner]
_PLANNERS: dict[str, PlannerFactory] = {}


def register_planner(name: str, factory: PlannerFactory) -> None:
    """Makes a planner known by name; ``factory`` takes the capabilities and the options. Raises ConfigError when the name is taken."""
    if name in _PLANNERS:
        raise ConfigError(f"A planner called '{name}' is registered already.")
    _PLANNERS[name] = factory


def planner_names() -> tuple[str, ...]:
    """The names that ``make_planner`` knows."""
    return tuple(sorted(_PLANNERS))


def make_planner(name: str, capabilities: Capabilities, options: Mapping[str, Any] | None = None) -> Planner:
    """A planner by name. Raises ConfigError, listing the names, when there is none."""
    if name not in _PLANNERS:
        raise ConfigError(unknown_choice("planner", name, _PLANNERS))
    return _PLANNERS[name](capabilities, options or {})


def _builtin(capabilities: Capabilities, options: Mapping[str, Any]) -> Planner:
    if options:
        raise ConfigError(f"The built-in planner has no options, got {', '.join(options)}.")
    return BuiltinPlanner(capabilities)


def _openai(capabilities: Capabilities, options: Mapping[str, Any]) -> Planner:
    from vla_ros.planning.openai_planner import OpenAiPlanner, server_options

    return OpenAiPlanner(capabilities, server_options(options))


register_planner("builtin", _builtin)
register_planner("openai", _openai)
