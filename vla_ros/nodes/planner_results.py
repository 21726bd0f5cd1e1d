"""The result of a goal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vla_ros.core.outcomes import Outcome, ReportStatus
from vla_ros.planning.goal_result import GoalResult, SubtaskRecord, SubtaskStatus
from vla_ros.ros.conversions.arrays import header_to_msg
from vla_ros.ros.conversions.tasks import plan_to_msg

_STATUSES = {
    SubtaskStatus.DONE: ReportStatus.SUCCEEDED,
    SubtaskStatus.FAILED: ReportStatus.FAILED,
    SubtaskStatus.UNSAFE: ReportStatus.FAILED,
    SubtaskStatus.CANCELED: ReportStatus.CANCELED,
}


def record_to_msg(record: SubtaskRecord, stamp_ns: int) -> Any:
    """SubtaskReport of a subtask and its last attempt."""
    from vla_ros.msg import SubtaskReport

    last = record.attempts[-1] if record.attempts else None
    return SubtaskReport(
        header=header_to_msg(stamp_ns),
        subtask_id=record.subtask.id,
        description=record.subtask.description,
        status=_STATUSES[record.status],
        attempts=len(record.attempts),
        reason=last.outcome.reason if last else "",
        detail=last.outcome.message if last else "",
        score=float(record.score),
        verification=last.verification if last else "",
        duration=float(record.duration_s),
    )


def goal_result_to_msg(result: GoalResult, images: Mapping[str, Any], run_folder: str, stamp_ns: int) -> Any:
    """ExecuteGoal.Result; ``images``: references of the result -> CompressedImage."""
    from vla_ros.action import ExecuteGoal

    message = ExecuteGoal.Result(
        outcome=result.outcome,
        reason=result.reason.value,
        message=result.message,
        question=result.question,
        options=list(result.options),
        subtasks=[record_to_msg(r, stamp_ns) for r in result.subtasks],
        verified=result.outcome is Outcome.SUCCEEDED,
        score=float(result.goal.score) if result.goal else 0.0,
        verification=result.goal.detail if result.goal else "",
        replans=result.replans,
        recoveries=result.recoveries,
        safety_interventions=result.safety_interventions,
        duration=float(result.duration_s),
        run_folder=run_folder,
    )
    if result.plan is not None:
        message.plan = plan_to_msg(result.plan)
    if result.image_before in images:
        message.image_before = images[result.image_before]
    if result.image_after in images:
        message.image_after = images[result.image_after]
    return message
