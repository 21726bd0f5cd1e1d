"""Plans, subtasks, predicates, reasoning."""

from __future__ import annotations

from typing import Any

from vla_ros.core.tasks import Plan, Predicate, ReasoningTrace, Relation, Skill, Subtask
from vla_ros.ros.conversions.arrays import header_to_msg, ns_from_stamp


def predicate_to_msg(predicate: Predicate) -> Any:
    """vla_ros/Predicate."""
    from vla_ros.msg import Predicate as PredicateMsg

    return PredicateMsg(relation=predicate.relation.value, object_id=predicate.object_id, target_id=predicate.target_id)


def predicate_from_msg(message: Any) -> Predicate:
    """Raises ValueError for an unknown relation."""
    return Predicate(Relation(message.relation), message.object_id, message.target_id)


def subtask_to_msg(subtask: Subtask) -> Any:
    """vla_ros/Subtask; no relation is an empty string."""
    from vla_ros.msg import Subtask as SubtaskMsg

    return SubtaskMsg(
        id=subtask.id,
        skill=subtask.skill.value,
        description=subtask.description,
        object_id=subtask.object_id,
        relation=subtask.relation.value if subtask.relation else "",
        target_id=subtask.target_id,
        robot=subtask.robot,
        expert=subtask.expert,
        depends_on=list(subtask.depends_on),
        success=predicate_to_msg(subtask.success),
        time_limit=float(subtask.time_limit_s),
    )


def subtask_from_msg(message: Any) -> Subtask:
    """Raises ValueError for an unknown skill or relation."""
    return Subtask(
        id=message.id,
        skill=Skill(message.skill),
        description=message.description,
        success=predicate_from_msg(message.success),
        object_id=message.object_id,
        relation=Relation(message.relation) if message.relation else None,
        target_id=message.target_id,
        robot=message.robot,
        expert=message.expert,
        depends_on=tuple(message.depends_on),
        time_limit_s=float(message.time_limit),
    )


def plan_to_msg(plan: Plan) -> Any:
    """vla_ros/Plan with its subtasks and its goal."""
    from vla_ros.msg import Plan as PlanMsg

    return PlanMsg(
        header=header_to_msg(plan.stamp_ns),
        instruction=plan.instruction,
        planner=plan.planner,
        revision=plan.revision,
        subtasks=[subtask_to_msg(s) for s in plan.subtasks],
        goal=[predicate_to_msg(p) for p in plan.goal],
        explanation=plan.explanation,
    )


def plan_from_msg(message: Any) -> Plan:
    """Raises ValueError for an unknown skill or relation."""
    return Plan(
        instruction=message.instruction,
        subtasks=tuple(subtask_from_msg(s) for s in message.subtasks),
        goal=tuple(predicate_from_msg(p) for p in message.goal),
        planner=message.planner,
        explanation=message.explanation,
        revision=int(message.revision),
        stamp_ns=ns_from_stamp(message.header.stamp),
    )


def reasoning_to_msg(trace: ReasoningTrace) -> Any:
    """vla_ros/ReasoningTrace."""
    from vla_ros.msg import ReasoningTrace as ReasoningTraceMsg

    return ReasoningTraceMsg(
        header=header_to_msg(trace.stamp_ns), source=trace.source, subtask_id=trace.subtask_id, phase=trace.phase, text=trace.text
    )


def reasoning_from_msg(message: Any) -> ReasoningTrace:
    """The trace of a vla_ros/ReasoningTrace."""
    return ReasoningTrace(ns_from_stamp(message.header.stamp), message.source, message.subtask_id, message.phase, message.text)
