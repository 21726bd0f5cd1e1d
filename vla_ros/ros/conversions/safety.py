"""Decisions and state of the monitor."""

from __future__ import annotations

from typing import Any

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyDecision, SafetyMode, SafetyReason, SafetyState
from vla_ros.ros.conversions.arrays import header_to_msg, ns_from_stamp


def decision_to_msg(d: SafetyDecision) -> Any:
    """vla_ros/SafetyDecision; margins that are not known stay NaN."""
    from vla_ros.msg import SafetyDecision as SafetyDecisionMsg

    return SafetyDecisionMsg(
        header=header_to_msg(d.stamp_ns),
        id=d.id,
        action=int(d.action),
        reason=d.reason.value,
        detail=d.detail,
        chunk_seq=d.chunk_seq,
        trace_id=d.trace_id,
        speed_scale=float(d.speed_scale),
        limiting_joint=d.limiting_joint,
        margin_position=float(d.margin_position_rad),
        margin_velocity=float(d.margin_velocity),
        margin_workspace=float(d.margin_workspace_m),
        margin_clearance=float(d.margin_clearance_m),
        latency=float(d.latency_s),
    )


def decision_from_msg(m: Any) -> SafetyDecision:
    """Raises ValueError for an unknown action or reason."""
    return SafetyDecision(
        id=int(m.id),
        stamp_ns=ns_from_stamp(m.header.stamp),
        action=SafetyAction(m.action),
        reason=SafetyReason(m.reason),
        detail=m.detail,
        chunk_seq=int(m.chunk_seq),
        trace_id=m.trace_id,
        speed_scale=float(m.speed_scale),
        limiting_joint=m.limiting_joint,
        margin_position_rad=float(m.margin_position),
        margin_velocity=float(m.margin_velocity),
        margin_workspace_m=float(m.margin_workspace),
        margin_clearance_m=float(m.margin_clearance),
        latency_s=float(m.latency),
    )


def safety_state_to_msg(s: SafetyState) -> Any:
    """vla_ros/SafetyState; the ages of inputs go as two parallel arrays."""
    from vla_ros.msg import SafetyState as SafetyStateMsg

    return SafetyStateMsg(
        header=header_to_msg(s.stamp_ns),
        mode=int(s.mode),
        reason=s.reason.value,
        detail=s.detail,
        speed_override=float(s.speed_override),
        input_names=list(s.input_ages_s),
        input_ages=[float(a) for a in s.input_ages_s.values()],
        self_test_passed=bool(s.self_test_passed),
        self_test_detail=s.self_test_detail,
        clearance=float(s.clearance_m),
        nearest=s.nearest,
    )


def diagnostics_to_msg(s: SafetyState, robot: str) -> Any:
    """diagnostic_msgs/DiagnosticArray: OK while motion may pass, WARN while it is held, ERROR while a stop is latched."""
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

    levels = {SafetyMode.STARTING: DiagnosticStatus.WARN, SafetyMode.HOLDING: DiagnosticStatus.WARN}
    levels[SafetyMode.STOPPED_LATCHED] = DiagnosticStatus.ERROR
    values = {"mode": s.mode.name, "reason": s.reason.value, "speed override": f"{s.speed_override:.0%}", "self-test": s.self_test_detail}
    values |= {"nearest": f"{s.nearest}, {s.clearance_m * 1000:.0f} mm beyond what is kept"} if s.nearest else {}
    values |= {f"age of {name} [s]": f"{age_s:.2f}" for name, age_s in s.input_ages_s.items()}
    status = DiagnosticStatus(
        level=levels.get(s.mode, DiagnosticStatus.OK),
        name="safety_monitor: motion",
        message=s.detail,
        hardware_id=robot,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    return DiagnosticArray(header=header_to_msg(s.stamp_ns), status=[status])


def safety_state_from_msg(m: Any) -> SafetyState:
    """Raises ValueError for an unknown mode or reason, and when names and ages of inputs differ in number."""
    return SafetyState(
        stamp_ns=ns_from_stamp(m.header.stamp),
        mode=SafetyMode(m.mode),
        reason=SafetyReason(m.reason),
        detail=m.detail,
        speed_override=float(m.speed_override),
        input_ages_s=dict(zip(m.input_names, (float(a) for a in m.input_ages), strict=True)),
        self_test_passed=bool(m.self_test_passed),
        self_test_detail=m.self_test_detail,
        clearance_m=float(m.clearance),
        nearest=m.nearest,
    )
