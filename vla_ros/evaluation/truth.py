"""What a sentence means for the scorer: predicates by the names of things, read without looking at any scene.

The stack grounds the same sentence in what it sees; the scorer must not share its mistakes, so only names that are exact are taken.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from vla_ros.core.errors import ConfigError
from vla_ros.core.tasks import Predicate, Relation
from vla_ros.core.things import CONTAINERS
from vla_ros.planning.grammar import Clear, Home, NounPhrase, Pick, Put, Tower, parse
from vla_ros.planning.plan import Capabilities
from vla_ros.simulation.scene_config import ObjectSpec


def truth_of(instruction: str, objects: Collection[ObjectSpec], gripper_open_m: float) -> tuple[Predicate, ...]:
    """Predicates for the scorer; ``objects``: of the scene. Raises ConfigError for what cannot be scored by name."""
    names = {o.name for o in objects}
    predicates: list[Predicate] = []
    for command in parse(instruction):
        if isinstance(command, Put):
            target = _name(command.target, names)
            things = [thing for phrase in command.things for thing in _names(phrase, names) if not phrase.every or thing != target]
            predicates += [Predicate(_relation(command.relation, target), thing, target) for thing in things]
        elif isinstance(command, Tower):
            tower = [_name(phrase, names) for phrase in command.things]
            predicates += [Predicate(_relation(Relation.ON, lower), upper, lower) for lower, upper in pairwise(tower)]
        elif isinstance(command, Pick):
            predicates.append(Predicate(Relation.HELD, _name(command.thing, names)))
        elif isinstance(command, Home):
            predicates.append(Predicate(Relation.AT_HOME))
        elif isinstance(command, Clear):
            target = _name(command.target, names)
            things = sorted(_graspable(objects, gripper_open_m) - {target})
            predicates += [Predicate(_relation(None, target), thing, target) for thing in things]
    return tuple(predicates)


def _relation(said: Relation | None, target: str) -> Relation:
    """People say "on the bowl", "in the plate", "to the bowl": things go in containers and on everything else."""
    if said not in (None, Relation.IN, Relation.ON):
        return said
    return Relation.IN if target.split()[-1] in CONTAINERS else Relation.ON


def _graspable(objects: Collection[ObjectSpec], gripper_open_m: float) -> set[str]:
    """Names of what the fingers go around, as the planner tells it: what clearing the table means."""
    return {o.name for o in objects if min(o.size_m[:2]) <= gripper_open_m - Capabilities.grasp_clearance_m}


def _name(phrase: NounPhrase, names: Collection[str]) -> str:
    found = _names(phrase, names)
    if phrase.every or len(found) != 1:
        raise ConfigError(_cannot(phrase, names))
    return found[0]


def _names(phrase: NounPhrase, names: Collection[str]) -> list[str]:
    if phrase.text in names:
        return [phrase.text]
    kind = phrase.text.removesuffix("s")
    found = sorted({name for name in names if name == kind or name.endswith(f" {kind}")}) if phrase.every else []
    if not found:
        raise ConfigError(_cannot(phrase, names))
    return found


def _cannot(phrase: NounPhrase, names: Collection[str]) -> str:
    return f"The scorer takes things by their exact names, not '{phrase.text}'; this scene has: {', '.join(sorted(set(names)))}."
