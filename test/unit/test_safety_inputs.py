"""What the gate listens to: each input is good up to its allowed age and not beyond, from either side, and the fault names it."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from safety_rig import felt, home, panda, safety, standing

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import CameraFault, CameraHealth
from vla_ros.safety.faults import FUTURE_S
from vla_ros.safety.inputs import Inputs

NOW_NS = 5_000_000_000
STEP_NS = 1000  # more than what rounds away
SENTENCE = re.compile(r"(joint|'\w|[A-Z][a-z']).*[a-z].*\w[.?']?")  # a name of ours may begin it
VISION, PLAN, GUIDED = {"vision": True}, {"planned": True}, {"guided": True}


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


def joints(stamp_ns: int, **changes) -> JointState:
    return replace(standing(stamp_ns, home()), **changes)


def health(stamp_ns: int, *, usable: bool = True) -> CameraHealth:
    return CameraHealth(stamp_ns, "front", CameraFault.OK, usable, "" if usable else "black", 0.0, 30.0)


def heard(**ages_ns: int) -> Inputs:
    """Everything is new but what ``ages_ns`` makes older: joints, contact, camera, scene, or a node."""
    inputs = Inputs(panda(), safety())

    def stamp(name):
        return NOW_NS - ages_ns.get(name, 0)

    inputs.on_joint_state(joints(stamp("joints")))
    inputs.contact.on_contact(felt(stamp("contact")))
    inputs.on_camera_health(health(stamp("camera")))
    inputs.on_scene(stamp("scene"))
    inputs.on_deadman(True, stamp("switch"))
    for node in safety().nodes:
        inputs.on_heartbeat(node, stamp(node))
    return inputs


def faults(inputs: Inputs) -> list[SafetyReason]:
    """The reasons, each of which comes with a sentence."""
    found = (inputs.fault(NOW_NS, NOW_NS), *(inputs.partial_fault(NOW_NS, NOW_NS, **for_what) for for_what in (VISION, PLAN, GUIDED)))
    for fault in filter(None, found):
        assert SENTENCE.fullmatch(fault.detail), fault.detail
    return [fault.reason for fault in found if fault]


def test_with_everything_new_there_is_no_fault():
    assert faults(heard()) == []


AGES = [
    ("joints", safety().joint_states_age_s, SafetyReason.JOINT_STATES_STALE),
    ("contact", safety().contact.age_s, SafetyReason.CONTACT_STALE),
    ("camera", safety().cameras["front"], SafetyReason.CAMERA),
    ("scene", safety().scene_age_s, SafetyReason.OBJECTS_STALE),
    ("motion_forwarder", safety().heartbeats["motion_forwarder"], SafetyReason.HEARTBEAT),
    ("camera_perception", safety().vision_heartbeats["camera_perception"], SafetyReason.HEARTBEAT),
    ("depth_perception", safety().vision_heartbeats["depth_perception"], SafetyReason.HEARTBEAT),
    ("planner", safety().plan_heartbeats["planner"], SafetyReason.HEARTBEAT),
    ("action_expert", safety().plan_heartbeats["action_expert"], SafetyReason.HEARTBEAT),
    ("switch", safety().deadman.age_s, SafetyReason.DEADMAN),
]


@pytest.mark.parametrize(("name", "limit_s", "reason"), AGES, ids=[row[0] for row in AGES])
def test_what_is_as_old_as_allowed_is_good_and_what_is_older_is_not(name, limit_s, reason):
    assert faults(heard(**{name: ns(limit_s) - STEP_NS})) == []
    assert faults(heard(**{name: ns(limit_s) + STEP_NS})) == [reason]


@pytest.mark.parametrize(("name", "reason"), [(row[0], row[2]) for row in AGES[:4]], ids=[row[0] for row in AGES[:4]])
def test_what_is_stamped_ahead_is_good_up_to_the_difference_of_clocks_and_no_farther(name, reason):
    assert faults(heard(**{name: -ns(FUTURE_S) + STEP_NS})) == []
    assert faults(heard(**{name: -ns(FUTURE_S) - STEP_NS})) == [reason]


def without(name: str) -> Inputs:
    """Everything has been heard of but that."""
    inputs, tell = (
        Inputs(panda(), safety()),
        {
            "joints": lambda i: i.on_joint_state(joints(NOW_NS)),
            "contact": lambda i: i.contact.on_contact(felt(NOW_NS)),
            "camera": lambda i: i.on_camera_health(health(NOW_NS)),
            "scene": lambda i: i.on_scene(NOW_NS),
            "switch": lambda i: i.on_deadman(True, NOW_NS),
            **{node: (lambda i, node=node: i.on_heartbeat(node, NOW_NS)) for node in safety().nodes},
        },
    )
    for key, say in tell.items():
        if key != name:
            say(inputs)
    return inputs


@pytest.mark.parametrize(("name", "reason"), [(row[0], row[2]) for row in AGES], ids=[row[0] for row in AGES])
def test_what_was_never_heard_of_is_missed(name, reason):
    assert faults(without(name)) == [reason]
    key = {"joints": "joint_states", "camera": "camera/front", "scene": "objects"}.get(name, name)
    ages = without(name).ages_s(NOW_NS + ns(0.25), NOW_NS + ns(0.25))
    if name != "switch":  # of which there is no age when nobody guides
        assert ages.pop(key) == math.inf
    assert set(ages.values()) == {0.25}


def test_a_fault_of_what_only_some_motion_needs_says_so_and_a_planner_is_cut_short_for():
    planner, camera = heard(planner=ns(9)), heard(camera=ns(9))
    fault = planner.partial_fault(NOW_NS, NOW_NS, **PLAN)
    assert fault is not None
    assert (fault.planned, fault.cut, fault.vision, fault.latch) == (True, True, False, False)
    assert planner.partial_fault(NOW_NS, NOW_NS, **VISION) is None
    fault = camera.partial_fault(NOW_NS, NOW_NS, **VISION)
    assert fault is not None
    assert (fault.planned, fault.cut, fault.vision, fault.latch) == (False, False, True, False)
    assert camera.partial_fault(NOW_NS, NOW_NS, **PLAN) is None


def test_a_switch_that_is_let_go_counts_at_once_and_only_for_who_is_guided():
    inputs = heard()
    inputs.on_deadman(False, NOW_NS)
    assert faults(inputs) == [SafetyReason.DEADMAN]
    fault = inputs.partial_fault(NOW_NS, NOW_NS, **GUIDED)
    assert fault is not None
    assert (fault.cut, fault.latch) == (True, False)
    assert inputs.partial_fault(NOW_NS, NOW_NS, **VISION, **PLAN) is None


def test_a_camera_that_says_it_cannot_see_is_believed_and_strangers_are_not_kept():
    inputs = heard()
    inputs.on_camera_health(replace(health(NOW_NS, usable=False), camera="stranger"))
    inputs.on_heartbeat("stranger", NOW_NS)
    assert faults(inputs) == []
    assert "stranger" not in " ".join(inputs.ages_s(NOW_NS, NOW_NS))
    inputs.on_camera_health(health(NOW_NS, usable=False))
    assert faults(inputs) == [SafetyReason.CAMERA]


@pytest.mark.parametrize(
    ("force_n", "reasons"),
    [
        (0.0, []),
        (safety().contact.pad_n, []),
        (safety().contact.pad_n + 0.1, [SafetyReason.CONTACT]),
        (math.nan, [SafetyReason.CONTACT]),
    ],
)
def test_a_finger_may_be_pressed_as_hard_as_allowed_and_no_harder(force_n, reasons):
    inputs = heard()
    inputs.contact.on_contact(felt(NOW_NS, force_n, force_n))
    assert faults(inputs) == reasons
    fault = inputs.fault(NOW_NS, NOW_NS)
    assert fault is None or fault.cut


def test_a_finger_that_is_not_reported_is_missed():
    inputs, contact = heard(), felt(NOW_NS)
    inputs.contact.on_contact(replace(contact, fingers=contact.fingers[:1]))
    assert faults(inputs) == [SafetyReason.CONTACT_STALE]


def test_joint_states_that_come_late_or_twice_change_nothing():
    inputs = heard()
    for stamp_ns in (NOW_NS - STEP_NS, NOW_NS):
        inputs.on_joint_state(joints(stamp_ns, positions=home() + 1.0))
    assert inputs.measured.positions == pytest.approx(home())
    inputs.on_joint_state(joints(NOW_NS + STEP_NS, positions=home() + 0.1))
    assert inputs.measured.positions == pytest.approx(home() + 0.1)


@pytest.mark.parametrize(
    "broken", [{"names": panda().config.arm_joints[:-1]}, {"positions": np.full(7, np.inf)}, {"positions": np.eye(7)[3] * np.nan}]
)
def test_joint_states_that_cannot_be_used_are_a_fault_until_good_ones_come(broken):
    inputs = heard()
    inputs.on_joint_state(joints(NOW_NS + 1, **broken))
    assert faults(inputs) == [SafetyReason.JOINT_STATES_STALE]
    assert ("names" in broken) == ("panda_joint7" in inputs.joint_fault(NOW_NS).detail)
    inputs.on_joint_state(joints(NOW_NS + 2))
    assert faults(inputs) == []


def test_the_speed_is_that_of_the_fastest_joint_and_comes_from_steps_where_it_is_not_measured():
    inputs = Inputs(panda(), safety())
    inputs.on_joint_state(joints(NOW_NS, velocities=np.array([0.0, 0.1, -0.4, 0, 0, 0, 0])))
    assert inputs.measured.speed_radps == pytest.approx(0.4)
    unknown = np.full(7, np.nan)
    inputs.on_joint_state(joints(NOW_NS + ns(0.02), positions=home() - 0.01, velocities=unknown))
    assert inputs.measured.speed_radps == pytest.approx(0.5)
    first = Inputs(panda(), safety())
    first.on_joint_state(joints(NOW_NS, velocities=unknown))
    assert first.measured.speed_radps == math.inf, "not at rest"


def test_joint_states_ahead_of_the_clock_are_dropped_only_beyond_the_difference_of_clocks():
    inputs = heard(joints=-ns(FUTURE_S) + STEP_NS)
    inputs.drop_future(NOW_NS)
    assert inputs.measured is not None
    inputs = heard(joints=-ns(FUTURE_S) - STEP_NS)
    inputs.drop_future(NOW_NS)
    assert inputs.measured is None
    assert faults(inputs) == [SafetyReason.JOINT_STATES_STALE]


def test_after_a_leap_of_the_clock_all_stamps_are_forgotten_and_heartbeats_are_not():
    inputs = heard()
    inputs.forget_stamps()
    assert inputs.measured is None
    assert inputs.scene_ns == 0
    ages = inputs.ages_s(NOW_NS, NOW_NS)
    assert {ages[name] for name in ("joint_states", "contact", "objects", "camera/front")} == {math.inf}
    assert {ages[node] for node in safety().nodes} == {0.0}


# --- is the arm where it was told to be? -------------------------------------------------------------------------------------------------

HOLD_RAD, LATCH_RAD = safety().tracking_hold_rad, safety().tracking_latch_rad


def tracking(off_rad: float, *, dry_run: bool = False, finished: bool = False):
    inputs = heard()
    inputs.on_heartbeat("motion_forwarder", NOW_NS, dry_run=dry_run)
    return inputs.tracking_fault(lambda stamp_ns: home() + off_rad * np.eye(7)[4] if stamp_ns == NOW_NS else home() + 9.0, finished)


@pytest.mark.parametrize("sign", [-1, 1])
def test_an_arm_off_its_command_is_held_and_far_off_it_latches(sign):
    assert tracking(sign * (HOLD_RAD - 1e-6)) is None
    held, latched = tracking(sign * (HOLD_RAD + 1e-6)), tracking(sign * (LATCH_RAD + 1e-6))
    assert (held.reason, held.cut, held.latch) == (SafetyReason.TRACKING_ERROR, True, False)
    assert (latched.reason, latched.cut, latched.latch) == (SafetyReason.TRACKING_ERROR, True, True)
    assert not tracking(sign * (LATCH_RAD - 1e-6)).latch
    assert "panda_joint5" in held.detail
    assert "Reset" in latched.detail


def test_a_dry_run_is_told_as_one_sooner_at_its_end_and_never_far_off():
    assert tracking(HOLD_RAD - 1e-6, dry_run=True) is None
    told = tracking(HOLD_RAD + 1e-6, dry_run=True)
    assert (told.reason, told.cut, told.latch) == (SafetyReason.DRY_RUN, True, False)
    assert "nothing is sent to the arm" in told.detail
    assert tracking(0.009, dry_run=True, finished=True) is None
    assert tracking(0.011, dry_run=True, finished=True).reason == SafetyReason.DRY_RUN
    assert tracking(0.011, finished=True) is None
    assert tracking(LATCH_RAD + 1e-6, dry_run=True).latch


def test_only_a_node_on_the_way_to_the_arm_that_says_so_makes_a_dry_run():
    assert not heard().dry_run
    inputs = heard()
    inputs.on_heartbeat("planner", NOW_NS, dry_run=True)
    assert not inputs.dry_run
    inputs.on_heartbeat("motion_forwarder", NOW_NS, dry_run=True)
    assert inputs.dry_run
    inputs.on_heartbeat("motion_forwarder", NOW_NS)
    assert not inputs.dry_run


def test_without_a_measurement_nothing_is_said_of_tracking():
    assert Inputs(panda(), safety()).tracking_fault(lambda _: home(), False) is None
