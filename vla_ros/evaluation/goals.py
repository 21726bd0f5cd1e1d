"""Goals of the ROS-free evaluator: one object to be put somewhere, by the names of things."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vla_ros.core.errors import ConfigError, PlanningError, unknown_choice
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Predicate, Relation, Skill, Subtask


@dataclass(frozen=True)
class Goal:
    """``relation(object, target)``, with names such as "red cube"."""

    object_name: str
    relation: Relation
    target_name: str

    def predicate(self) -> Predicate:
        """By name, as the simulator's scorer takes it."""
        return Predicate(self.relation, self.object_name, self.target_name)

    def subtasks(self, scene: Scene) -> list[Subtask]:
        """Pick, place, home, grounded in what is seen. Raises PlanningError when a name is not, or not once, in view."""
        thing, target = self._find(scene, self.object_name), self._find(scene, self.target_name)
        words = f"{self.object_name} {self.relation.value.replace('_', ' ')} the {self.target_name}"
        placed = Predicate(self.relation, thing.id, target.id)
        return [
            Subtask("1", Skill.PICK, f"pick up the {self.object_name}", Predicate(Relation.HELD, thing.id), thing.id),
            Subtask("2", Skill.PLACE, f"put the {words}", placed, thing.id, self.relation, target.id),
            Subtask("3", Skill.HOME, "go home", Predicate(Relation.AT_HOME)),
        ]

    def _find(self, scene: Scene, name: str) -> SceneObject:
        found = [o for o in scene.objects if o.name == name]
        if len(found) != 1:
            raise PlanningError(f"{len(found)} things in view are called '{name}'; I see: {scene.describe()}.")
        return found[0]


GOALS = {
    "put_red_in_blue": Goal("red cube", Relation.IN, "blue bowl"),
    "stack_green_on_yellow": Goal("green cube", Relation.ON, "yellow cube"),
}
_PLACES = (Relation.IN, Relation.ON, Relation.LEFT_OF, Relation.RIGHT_OF, Relation.IN_FRONT_OF, Relation.BEHIND)


def parse_goal(text: str) -> Goal:
    """One of GOALS, or "red cube left_of blue bowl". Raises ConfigError that lists what is valid."""
    if text in GOALS:
        return GOALS[text]
    for relation in _PLACES:
        parts = re.split(rf"\s+{relation.value}\s+", text.strip())
        if len(parts) == 2:
            return Goal(parts[0], relation, parts[1])
    raise ConfigError(f"{unknown_choice('goal', text, GOALS)} Or write OBJECT {'|'.join(r.value for r in _PLACES)} TARGET.")
