"""What pushes the arm or a finger, and what slips, holds the arm; after a push it goes back the way that it came."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safety_rig import SWEEP, TICK_NS, Rig, home, panda, safety, smooth, standing

from vla_ros.core.actions import SafetyAction
from vla_ros.core.decisions import SafetyMode, SafetyReason, Verdict
from vla_ros.core.errors import ConfigError
from vla_ros.core.geometry import Pose
from vla_ros.core.handling import HandlingTable, handling_table
from vla_ros.core.resources import config_path
from vla_ros.core.robot_state import ContactState, FingerContact
from vla_ros.core.scene import SceneObject
from vla_ros.core.tasks import Plan, Predicate, Relation, Skill, Subtask
from vla_ros.core.yaml_files import load_yaml
from vla_ros.robots import load_robot
from vla_ros.safety.chunk_checks import ChunkId
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.contact import ContactWatch
from vla_ros.safety.residuals import GAP_S, ContactObserver
from vla_ros.safety.retreat import STEP_RAD, Trail
from vla_ros.simulation.robot import SimRobot
from vla_ros.simulation.scene_config import load_scene

DT_S = 0.01


def swing(t: float, amplitude: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position, velocity, acceleration of a motion that begins and ends at home, at 2 rad/s."""
    w = 2.0
    return home() + amplitude * (1 - np.cos(w * t)), amplitude * w * np.sin(w * t), amplitude * w * w * np.cos(w * t)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-0.4, 0.4), min_size=7, max_size=7))
def test_no_motion_of_its_own_looks_like_a_push(amplitude):
    observer = ContactObserver(panda())
    for k in range(150):
        q, v, a = swing(k * DT_S, np.array(amplitude))
        observer.measure(1 + round(k * DT_S * 1e9), q, v, panda().torques(q, v, a))
    assert np.abs(observer.torque_nm).max() < 0.05


@pytest.mark.parametrize("force_n", [[0, 0, 30.0], [25.0, 0, 0], [0, -25.0, 0]])
def test_a_push_at_the_hand_is_seen_in_a_tenth_of_a_second_while_the_arm_moves(force_n):
    observer, amplitude = ContactObserver(panda()), np.array([0.3, 0.2, -0.2, 0.2, 0.3, 0.2, 0.3])
    for k in range(110):
        q, v, a = swing(k * DT_S, amplitude)
        push_nm = panda().jacobian(q).T @ np.array([*force_n, 0, 0, 0]) * (k >= 100)
        observer.measure(1 + round(k * DT_S * 1e9), q, v, panda().torques(q, v, a) - push_nm)
    assert observer.torque_nm == pytest.approx(push_nm, abs=0.2 * np.abs(push_nm).max())


def test_after_a_gap_the_observer_begins_anew():
    observer, still = ContactObserver(panda()), np.zeros(7)
    torques = panda().torques(home(), still, still) + 5.0
    for k in range(20):
        observer.measure(1 + k * 10**7, home(), still, torques)
    assert np.abs(observer.torque_nm).min() > 4.0
    observer.measure(10**9 + round(GAP_S * 1e9), home(), still, torques)
    assert not observer.torque_nm.any()


def moving(rig: Rig, ticks: int = 60) -> Rig:
    rig.send(smooth(60, SWEEP))
    rig.step(ticks)
    assert rig.command.action == SafetyAction.PASS
    return rig


def test_an_arm_that_is_pushed_stops_goes_back_a_little_and_is_ready_again():
    rig = moving(Rig().ready(), 90)
    rig.push_nm = np.array([-20.0, 0, 0, 0, 0, 0, 0])
    assert SafetyAction.HOLD in [rig.step().action for _ in range(10)], "within a tenth of a second"
    state = rig.gate.state()
    assert (state.mode, state.reason) == (SafetyMode.HOLDING, SafetyReason.CONTACT)
    assert "panda_joint1" in state.detail
    step_until_going_back(rig)
    deepest = rig.arm_state()[0]
    rig.step(10)
    assert rig.send(smooth(60, SWEEP), seq=2).action == SafetyAction.HOLD
    rig.step(40)
    rig.push_nm = np.zeros(7)  # it has let go
    rig.step(250)
    rested = rig.arm_state()[0]
    back = deepest - rested
    assert np.sign(back[0]) == np.sign(deepest[0] - home()[0])
    assert 0.5 * safety().contact.retreat_rad < np.abs(back).max() < 2 * safety().contact.retreat_rad
    assert rig.gate.state().mode == SafetyMode.READY
    assert rig.send(np.linspace(rested, rested + 0.02, 20), seq=3).action == SafetyAction.PASS


def test_going_back_ends_where_the_push_grows():
    rig = moving(Rig().ready(), 90)
    rig.push_nm = np.array([-15.0, 0, 0, 0, 0, 0, 0])
    rig.step(60)
    assert rig.gate._is_going_back
    rig.push_nm = np.array([-60.0, 0, 0, 0, 0, 0, 0])
    rig.step(10)
    assert not rig.gate._is_going_back
    rig.step(60)
    still = rig.arm_state()[0]
    rig.step(60)
    assert rig.arm_state()[0] == pytest.approx(still)
    assert rig.gate.state().reason == SafetyReason.CONTACT


@pytest.mark.parametrize("held_before", [False, True])
def test_an_arm_that_rests_does_not_move_when_it_is_touched(held_before):
    rig = going_back()
    rig.push_nm = np.zeros(7)
    rig.step(250)
    rested = rig.arm_state()[0]
    assert rig.send(np.linspace(rested, rested + 0.1, 60), seq=2).action == SafetyAction.PASS
    rig.step(400)
    rested = rig.arm_state()[0]
    if held_before:
        rig.gate.hold("test")
        rig.step(3)
    rig.push_nm = np.array([-15.0, 0, 0, 0, 0, 0, 0])
    rig.step(100)
    assert rig.gate.state().reason == SafetyReason.CONTACT
    assert rig.arm_state()[0] == pytest.approx(rested, abs=1e-6)


def test_nothing_goes_back_against_the_push():
    rig = moving(Rig().ready(), 90)
    rig.push_nm = np.array([20.0, 0, 0, 0, 0, 0, 0])  # from behind: the way back leads into it
    rig.step(60)
    still = rig.arm_state()[0]
    rig.step(60)
    assert rig.arm_state()[0] == pytest.approx(still, abs=1e-9)


def test_an_emergency_stop_cuts_the_way_back_short():
    rig = going_back()
    rig.gate.estop("test")
    rig.step(8)
    assert np.abs(rig.arm_state()[1]).max() < 1e-3


def test_a_verdict_about_the_chunk_that_met_something_does_not_end_the_way_back():
    rig = moving(Rig().ready(), 90)
    stamp_ns = rig.gate._following.accepted.chunk.stamp_ns
    rig.push_nm = np.array([-20.0, 0, 0, 0, 0, 0, 0])
    step_until_going_back(rig)
    rig.gate.on_world_model(ChunkId("scripted", 1, stamp_ns), Verdict.REJECT, "The hand hits the box.")
    assert rig.gate._is_going_back


def test_a_push_that_lasts_is_given_way_to_once_more_when_it_is_asked_for():
    rig = going_back()
    rig.step(300)
    first = rig.arm_state()[0]
    rig.step(60)
    assert rig.arm_state()[0] == pytest.approx(first, abs=1e-9)
    assert rig.gate.reset() == (True, "The arm is still pushed; it goes back once more.")
    rig.step(300)
    assert first[0] - rig.arm_state()[0][0] > 0.02


def test_a_second_way_back_does_not_lead_to_where_the_first_began():
    trail = Trail()
    for x in np.arange(0, 1.0, STEP_RAD):
        trail.note(np.array([x, 0.0]))
    first = trail.back(np.array([1.0, 0.0]), 0.1)
    assert first[-1] == pytest.approx([0.9, 0.0])
    for y in np.arange(0, 0.03, STEP_RAD):
        trail.note(np.array([0.9, y]))
    assert trail.back(np.array([0.9, 0.03]), 0.1)[:, 0].max() <= 0.9 + 1e-9


@pytest.mark.parametrize("nonsense", [{"stamp_ns": 86_400 * 10**9}, {"velocities": np.full(7, 1e200)}, {"efforts": np.full(7, np.nan)}])
def test_a_joint_state_that_makes_no_sense_does_not_end_the_sense_of_touch(nonsense):
    rig = moving(Rig().ready())
    rig.gate.on_joint_state(replace(standing(rig.now_ns + 1, rig.arm_state()[0]), **nonsense))
    rig.step(100)
    rig.send(np.linspace(rig.arm_state()[0], rig.arm_state()[0] + 0.3, 60), seq=2)
    rig.step(30)
    assert rig.gate.state().mode == SafetyMode.READY
    rig.push_nm = np.array([-30.0, 0, 0, 0, 0, 0, 0])
    rig.step(10)
    assert rig.gate.state().reason == SafetyReason.CONTACT


def test_a_push_is_not_hidden_by_a_slip():
    rig = moving(Rig().ready(), 90)
    rig.push_nm = np.array([-20.0, 0, 0, 0, 0, 0, 0])
    rig.touched = pads(20.0, 20.0, slip=True)
    rig.step(120)
    assert rig.gate.state().reason == SafetyReason.CONTACT
    assert rig.gate._retreat._pushed_by


def step_until_going_back(rig: Rig) -> None:
    for _ in range(60):
        if rig.gate._is_going_back:
            return
        rig.step()
    pytest.fail(f"it does not go back: {rig.gate.state().detail}")


def going_back() -> Rig:
    rig = moving(Rig().ready(), 150)
    rig.push_nm = np.array([-20.0, 0, 0, 0, 0, 0, 0])
    step_until_going_back(rig)
    rig.step(30)
    assert np.abs(rig.arm_state()[1]).max() > 0.05
    return rig


@pytest.mark.parametrize("stop", ["estop", "speed"])
def test_nothing_goes_back_when_it_must_stand(stop):
    rig = moving(Rig().ready(), 90)
    rig.push_nm = np.array([-20.0, 0, 0, 0, 0, 0, 0])
    rig.step(10)
    if stop == "estop":
        rig.gate.estop("test")
    else:
        rig.gate.set_speed(0.0)
    rig.step(60)
    still = rig.arm_state()[0]
    rig.step(100)
    rig.gate.set_speed(1.0)
    rig.step(100)
    assert rig.arm_state()[0] == pytest.approx(still, abs=1e-9)


def test_without_torques_the_arm_is_held_where_its_configuration_promises_them():
    rig = moving(Rig().ready())
    rig.push_nm = np.full(7, np.nan)
    rig.step(2)
    assert rig.gate.state().reason == SafetyReason.CONTACT_STALE
    assert "torque_nm" in rig.gate.state().detail


def test_an_arm_that_measures_no_torque_is_not_asked_for_any():
    config = replace(safety(), contact=replace(safety().contact, torque_nm=()))
    rig = Rig(config)
    rig.push_nm = np.full(7, np.nan)
    moving(rig.ready())
    assert rig.gate.state().mode == SafetyMode.READY


def test_torque_limits_for_another_arm_are_refused():
    with pytest.raises(ConfigError, match="a number for each joint, or none"):
        ContactWatch(load_robot("wx250s"), safety().contact)


def pads(left_n: float, right_n: float, slip: bool = False) -> ContactState:
    forces = (("left", left_n), ("right", right_n))
    return ContactState(0, tuple(FingerContact(name, n, 1e-4, (0.0, 0.0), slip, n > 0) for name, n in forces))


@pytest.mark.parametrize(
    ("touched", "reason"),
    [
        (pads(20.0, 0.0), SafetyReason.CONTACT),
        (pads(20.0, 20.0), None),
        (pads(10.0, 0.0), None),
        (pads(100.0, 100.0), SafetyReason.CONTACT),
        (pads(float("nan"), 1.0), SafetyReason.CONTACT),
    ],
)
def test_a_finger_that_is_pushed_alone_or_too_hard_holds(touched, reason):
    rig = moving(Rig().ready())
    rig.touched = touched
    rig.step(3)
    assert (rig.gate.state().reason == SafetyReason.CONTACT) == (reason is not None)


def test_what_slips_for_too_long_holds_until_it_is_still():
    rig = moving(Rig().ready())
    rig.touched = pads(20.0, 20.0, slip=True)
    rig.step(round(handling_table().default.slip_s / DT_S) - 5)
    assert rig.command.action == SafetyAction.PASS
    rig.step(20)
    assert rig.gate.state().reason == SafetyReason.SLIP
    rig.touched = pads(20.0, 20.0)
    rig.step(80)
    assert rig.gate.state().mode == SafetyMode.READY


def egg_rig() -> Rig:
    rig = Rig()
    pose = Pose(np.array([0.5, 0.3, 0.02]), np.array([0, 0, 0, 1.0]))
    rig.things = (SceneObject("egg_1", "white egg", "white", "egg", pose, np.array([0.04, 0.04, 0.05]), 1.0, 0),)
    rig.ready()
    grasp = Subtask("1", Skill.PICK, "pick up the egg", Predicate(Relation.HELD, "egg_1"), object_id="egg_1")
    rig.gate.on_plan(Plan("pick up the egg", (grasp,), (grasp.success,), "test"))
    return rig


def test_an_egg_is_not_gripped_like_a_brick():
    rig = egg_rig()
    hard = rig.send(smooth(60, SWEEP), gripper_force_n=30.0)
    assert hard.action == SafetyAction.HOLD
    assert "on the egg; allowed above 0 to 6 N" in hard.detail
    rig.step(60)
    assert rig.send(smooth(60, SWEEP), seq=2, gripper_force_n=5.0).action == SafetyAction.PASS
    rig.touched = pads(12.0, 12.0)
    rig.step(3)
    assert rig.gate.state().reason == SafetyReason.CONTACT
    assert "on the egg; allowed 9 N" in rig.gate.state().detail


def test_the_most_words_of_a_name_decide_its_kind():
    table = HandlingTable(
        {"default": {"grip_n": 70, "slip_s": 1}, "egg": {"grip_n": 6, "slip_s": 1}, "egg cup": {"grip_n": 20, "slip_s": 1}}, "x.yaml"
    )
    assert [table.of(name).grip_n for name in ("red cube", "Brown Egg", "blue egg cup", "eggs", "")] == [70, 6, 20, 70, 70]


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({}, "missing default"),
        ({"default": {"grip_n": 0, "slip_s": 1}}, "x.yaml, default: grip_n must be a finite number from 0.1"),
        ({"default": {"grip_n": 1}}, "missing slip_s"),
        ({"default": {"grip_n": 1, "slip_s": 1}, "egg": 3}, "egg must hold keys and values"),
    ],
)
def test_a_wrong_table_is_refused(mapping, says):
    with pytest.raises(ConfigError, match=says):
        HandlingTable(mapping, "x.yaml")


class Arm:
    """MuJoCo's arm behind the rig's gate. Among the things is a heavy box that no scene tells of."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        raw = load_yaml(config_path("scenes", "clear_table"))
        box = {"colour": "orange", "shape": "box", "size_m": [0.1, 0.1, 0.8], "mass_kg": 300.0, "position_m": [0.45, 0.25], "yaw_rad": 0.0}
        scene = folder / "scene.yaml"
        scene.write_text(yaml.safe_dump({**raw, "objects": [box]}))
        self.rig, self.robot = rig, SimRobot(panda().config, load_scene(str(scene)))
        self.turned: list[float] = []  # rad of the first joint, for each tick
        self.pressed_n: list[float] = []  # by the box

    def run(self, ticks: int) -> None:
        rig = self.rig
        for _ in range(ticks):
            self.robot.step()
            contacts = [c for c in self.robot.world.contacts() if "orange_box" in (c.body1, c.body2) and "table" not in (c.body1, c.body2)]
            self.pressed_n.append(sum(float(np.linalg.norm(c.force_n)) for c in contacts))
            self.turned.append(float(self.robot.world.joint_positions[0]))
            rig.now_ns = self.robot.now_ns - TICK_NS  # one step of the rig before
            rig.gate.on_joint_state(self.robot.joint_state())
            command = rig.step(joints=False)
            if command is not None:
                self.robot.controller.accept(command.trajectory, rig.now_ns)


def met(folder: Path, config: SafetyConfig) -> Arm:
    """The arm swings against the box, and two seconds go by."""
    arm = Arm(Rig(config), folder)
    arm.run(30)
    assert arm.rig.send(smooth(60, np.array([0.9, 0.4, 0, 0.4, 0, 0, 0]))).action == SafetyAction.PASS
    arm.run(400)
    return arm


def test_an_arm_that_meets_what_nobody_saw_stops_at_once_and_draws_back(tmp_path):
    arm = met(tmp_path, safety())
    numb = met(tmp_path, replace(safety(), contact=replace(safety().contact, torque_nm=())))
    reasons = [decision.reason for decision in arm.rig.decisions]
    assert SafetyReason.CONTACT in reasons
    assert arm.pressed_n[-1] == 0.0
    assert 0 < sum(force > 20.0 for force in arm.pressed_n) < 40, "let go within 0.4 s"
    assert max(arm.pressed_n) < max(numb.pressed_n)
    assert sum(arm.pressed_n) < 0.5 * sum(numb.pressed_n), "the impulse, against an arm that only notices that it lags"
    drawn_back = max(arm.turned) - arm.turned[-1]
    assert 0.03 < drawn_back < 0.15
    assert arm.rig.gate.state().mode == SafetyMode.READY
