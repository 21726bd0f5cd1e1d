"""Judges a plan before anything moves, whoever made it: its form, then each subtask against the scene as it will be by then."""

from __future__ import annotations

from dataclasses import replace

from vla_ros.core.errors import PlanningError, unknown_choice
from vla_ros.core.geometry import Pose
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.core.things import CONTAINERS, SIDES, SURFACES
from vla_ros.planning.plan import Capabilities, describe_predicate
from vla_ros.planning.relations import carried_by, inner_radius_m, measure, place_position_m

MAX_TIME_LIMIT_S = 600.0
_PLACE_RELATIONS = frozenset({Relation.IN, Relation.ON, *SIDES})


def validate_plan(plan: Plan, scene: Scene, capabilities: Capabilities) -> None:
    """Raises PlanningError with what is wrong and why; returns when the plan may be carried out.

    A plan without subtasks is valid when its goal holds already.
    """
    _check_form(plan, capabilities)
    _check_objects(plan, scene)
    rehearsal = _Rehearsal(scene, capabilities)
    for subtask in plan.subtasks:
        rehearsal.run(subtask)
    for predicate in plan.goal:
        rehearsal.check_goal(predicate)


def _check_form(plan: Plan, capabilities: Capabilities) -> None:
    if not plan.goal:
        raise PlanningError("The plan has no goal: nothing could be verified at its end.")
    if len(plan.subtasks) > capabilities.max_subtasks:
        raise PlanningError(
            f"The plan has {len(plan.subtasks)} subtasks; at most {capabilities.max_subtasks} are allowed. Give the goal in parts."
        )
    before: set[str] = set()
    for subtask in plan.subtasks:
        _check_subtask_form(subtask, capabilities)
        if subtask.id in before:
            raise PlanningError(f"Two subtasks are called '{subtask.id}'.")
        missing = [d for d in subtask.depends_on if d not in before]
        if missing:
            raise PlanningError(
                f"Subtask {subtask.id} waits for {', '.join(missing)}, which does not come before it: a cycle, or the wrong order."
            )
        before.add(subtask.id)


def _check_subtask_form(subtask: Subtask, capabilities: Capabilities) -> None:
    where = f"Subtask {subtask.id} ({subtask.description})"
    if not subtask.id:
        raise PlanningError(f"A subtask has no id ({subtask.description}).")
    if subtask.skill not in capabilities.skills:
        raise PlanningError(f"{where}: {unknown_choice('skill', subtask.skill, capabilities.skills)}")
    if not 0 < subtask.time_limit_s <= MAX_TIME_LIMIT_S:
        raise PlanningError(f"{where}: time limit {subtask.time_limit_s} s is not between 0 and {MAX_TIME_LIMIT_S:.0f} s.")
    if subtask.skill is Skill.PLACE and subtask.relation not in _PLACE_RELATIONS:
        raise PlanningError(f"{where}: {unknown_choice('relation', subtask.relation, _PLACE_RELATIONS)}")
    expected = {
        Skill.PICK: Predicate(Relation.HELD, subtask.object_id),
        Skill.PLACE: Predicate(subtask.relation or Relation.ON, subtask.object_id, subtask.target_id),
        Skill.HOME: Predicate(Relation.AT_HOME),
    }[subtask.skill]
    if subtask.success != expected:
        raise PlanningError(f"{where}: its success is {subtask.success}, but a {subtask.skill} must end with {expected}.")


def _check_objects(plan: Plan, scene: Scene) -> None:
    named = [(s.object_id, s.target_id) for s in plan.subtasks] + [(p.object_id, p.target_id) for p in plan.goal]
    for object_id in (i for pair in named for i in pair if i):
        if scene.get(object_id) is None:
            name = plan.names.get(object_id, object_id)
            raise PlanningError(f"The plan names '{name}', which is not there. I see: {scene.describe()}.")


class _Rehearsal:
    """Plays a plan through on the boxes of the scene."""

    def __init__(self, scene: Scene, capabilities: Capabilities) -> None:
        self._scene = scene
        self._capabilities = capabilities
        self._held = next((o.id for o in scene.objects if o.held), "")
        self._home = False  # known to be at home after the last subtask
        self._placed: dict[str, Predicate | None] = {}

    def run(self, subtask: Subtask) -> None:
        self._home = subtask.skill is Skill.HOME
        if subtask.skill is Skill.PICK:
            self._pick(self._object(subtask.object_id))
        elif subtask.skill is Skill.PLACE:
            self._place(subtask, self._object(subtask.object_id), self._object(subtask.target_id))

    def check_goal(self, p: Predicate) -> None:
        """The goal must be what the last subtasks lead to, or hold already of things that are not moved."""
        if p.relation is Relation.AT_HOME:
            met = self._home
        elif p.relation is Relation.HELD:
            met = self._held == p.object_id
        elif p.object_id in self._placed:
            met = self._placed[p.object_id] == p and self._placed.get(p.target_id, p) is not None
        else:
            met = measure(p.relation, self._object(p.object_id), self._object(p.target_id), self._scene).holds
        if not met:
            names = {o.id: o.name for o in self._scene.objects}
            raise PlanningError(f"The plan does not lead to its goal: at its end it is not so that {describe_predicate(p, names)}.")

    def _object(self, object_id: str) -> SceneObject:
        found = self._scene.get(object_id)
        if found is None:
            raise PlanningError(f"A subtask names no object ('{object_id}'). I see: {self._scene.describe()}.")
        return found

    def _pick(self, thing: SceneObject) -> None:
        if self._held:
            raise PlanningError(f"The {thing.name} cannot be picked up while the hand holds the {self._object(self._held).name}.")
        if not self._capabilities.can_grasp(thing):
            width_mm, open_mm = min(thing.size_m[:2]) * 1e3, self._capabilities.gripper_open_m * 1e3
            raise PlanningError(f"The {thing.name} is {width_mm:.0f} mm wide, too wide for the gripper, which opens to {open_mm:.0f} mm.")
        carried = carried_by(thing, self._scene)
        if carried:
            raise PlanningError(f"The {thing.name} carries the {carried[0].name}; move the {carried[0].name} away first.")
        self._check_reach(thing, thing.pose, "")
        self._held = thing.id
        self._placed[thing.id] = None
        self._update(replace(thing, held=True))

    def _place(self, subtask: Subtask, thing: SceneObject, target: SceneObject) -> None:
        if thing.id == target.id:
            raise PlanningError(f"The {thing.name} cannot be put {subtask.success.relation.value.replace('_', ' ')} itself.")
        if self._held != thing.id:
            raise PlanningError(f"The {thing.name} must be picked up before it can be put down.")
        relation = subtask.success.relation
        self._check_room(relation, thing, target)
        pose = Pose(place_position_m(relation, thing, target), thing.pose.quat_xyzw)
        self._check_reach(thing, pose, f" {relation.value.replace('_', ' ')} the {target.name}")
        self._held = ""
        self._placed[thing.id] = subtask.success
        self._update(replace(thing, held=False, pose=pose))

    def _check_room(self, relation: Relation, thing: SceneObject, target: SceneObject) -> None:
        if relation is Relation.IN and target.shape not in CONTAINERS:
            raise PlanningError(f"The {target.name} cannot hold anything inside.")
        half_diagonal = float((thing.size_m[0] ** 2 + thing.size_m[1] ** 2) ** 0.5) / 2
        if relation is Relation.IN and half_diagonal > inner_radius_m(target):
            raise PlanningError(
                f"The {thing.name} does not fit into the {target.name}, whose opening is {inner_radius_m(target) * 2e3:.0f} mm wide."
            )
        if relation is Relation.ON and target.shape in CONTAINERS:
            raise PlanningError(f"Nothing can stand on the {target.name}, which is open at the top; say 'in the {target.name}'.")
        carried = carried_by(target, self._scene) if relation is Relation.ON and target.shape not in SURFACES else ()
        if carried:
            raise PlanningError(f"There is no room on the {target.name}: it carries the {carried[0].name}.")

    def _check_reach(self, thing: SceneObject, pose: Pose, where: str) -> None:
        if not self._capabilities.reachable(pose.position_m):
            x, y, z = pose.position_m
            raise PlanningError(
                f"The arm cannot reach ({x:.2f}, {y:.2f}, {z:.2f}) m, to {'put' if where else 'pick up'} the {thing.name}{where}."
            )

    def _update(self, changed: SceneObject) -> None:
        self._scene = replace(self._scene, objects=tuple(changed if o.id == changed.id else o for o in self._scene.objects))
