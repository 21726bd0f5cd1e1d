"""Each fault does what its name says, from its start for its duration, and bad faults are refused."""

from __future__ import annotations

import numpy as np
import pytest
from sim_scenario import grasp, run, sim

from vla_ros.core.errors import SimulationError
from vla_ros.simulation.camera_faults import CameraFaults
from vla_ros.simulation.cameras import CameraImage
from vla_ros.simulation.faults import FaultKind

S = 1_000_000_000


@pytest.fixture(scope="module")
def robot():
    return sim()


@pytest.fixture
def fresh(robot):
    robot.reset(1)
    yield robot
    robot.faults.clear()


def picture(stamp_ns=0, value=100, camera="front"):
    rng = np.random.default_rng(value)
    colour = rng.integers(0, 200, (48, 64, 3)).astype(np.uint8)
    return CameraImage(stamp_ns, camera, colour, np.full((48, 64), 900, np.uint16))


def delivered(robot, kind, image=None, now_ns=0, **how):
    robot.faults.add(kind, "front", **how)
    return CameraFaults(robot.faults).deliver(image or picture(), now_ns)


def test_black(fresh):
    (image,) = delivered(fresh, "camera_black")
    assert not image.colour.any()
    assert not image.depth_mm.any()


def test_blurred(fresh):
    (image,) = delivered(fresh, "camera_blurred")
    assert image.colour.std() < picture().colour.std() / 4


def test_saturated(fresh):
    (image,) = delivered(fresh, "camera_saturated")
    assert (image.colour == 255).mean() > 0.6


def test_dirty(fresh):
    (image,) = delivered(fresh, "camera_dirty", amount=0.5)
    changed = (image.colour != picture().colour).any(axis=2)
    assert 0.45 < changed.mean() < 0.75


def test_frozen_repeats_the_last_good_picture_under_new_stamps(fresh):
    fresh.faults.add("camera_frozen", "front", start_ns=S, duration_s=1.0)
    faults = CameraFaults(fresh.faults)
    (before,) = faults.deliver(picture(0, value=1), 0)
    (during,) = faults.deliver(picture(S, value=2), S)
    (after,) = faults.deliver(picture(2 * S, value=3), 2 * S)
    np.testing.assert_array_equal(during.colour, before.colour)
    assert during.stamp_ns == S
    np.testing.assert_array_equal(after.colour, picture(value=3).colour)


def test_late_images_come_in_order_with_their_own_stamps(fresh):
    fresh.faults.add("camera_late", "front", amount=0.1, duration_s=0.5)
    faults = CameraFaults(fresh.faults)
    got = []
    for i in range(60):
        now = i * S // 100
        got += [(image.stamp_ns, now) for image in faults.deliver(picture(now), now)]
    stamps = [stamp for stamp, _ in got]
    assert stamps == sorted(stamps)
    assert len(stamps) == 60
    delays = [now - stamp for stamp, now in got if now < S // 2]
    assert min(delays) == max(delays) == S // 10


def test_other_cameras_are_not_touched(fresh):
    fresh.faults.add("camera_black", "wrist")
    (image,) = CameraFaults(fresh.faults).deliver(picture(), 0)
    np.testing.assert_array_equal(image.colour, picture().colour)


def test_joint_noise_is_on_the_arm_only_and_only_while_it_lasts(fresh):
    now = fresh.now_ns
    fresh.faults.add("joint_noise", start_ns=now, duration_s=0.05, amount=0.02)
    noisy = fresh.joint_state()
    error = noisy.positions - fresh.world.joint_positions
    assert 0.002 < np.abs(error[:7]).max() < 0.1
    assert not error[7:].any()
    run(fresh, 0.06)
    np.testing.assert_array_equal(fresh.joint_state().positions, fresh.world.joint_positions)


def test_a_dead_pad_feels_nothing(fresh):
    grasp(fresh, "red_cube")
    fresh.faults.add("tactile_dead", "left")
    assert not fresh.tactile("left").normal_n.any()
    assert fresh.tactile("right").normal_n.sum() > 20


def test_a_dropped_object_falls_out_of_the_hand(fresh):
    grasp(fresh, "red_cube")
    fresh.faults.add("object_dropped", "red cube", start_ns=fresh.now_ns)
    run(fresh, 0.5)
    assert fresh.world.object_pose("red_cube").position_m[2] < 0.06


def test_a_slippery_object_slides_in_a_weak_grasp_and_the_fault_ends(fresh):
    fresh.faults.add("object_slippery", "red_cube", amount=0.01)
    before = fresh.world.object_pose("red_cube").position_m[2]
    grasp(fresh, "red_cube", force_n=20.0)
    assert fresh.world.object_pose("red_cube").position_m[2] < before + 0.1
    fresh.reset(1)
    grasp(fresh, "red_cube", force_n=20.0)
    assert fresh.world.object_pose("red_cube").position_m[2] > before + 0.14


def test_a_push_moves_an_object_and_bends_the_arm_and_ends(fresh):
    fresh.faults.add("disturbance", "green_cube", start_ns=fresh.now_ns, amount=2.0, duration_s=0.2)
    fresh.faults.add("disturbance", "panda_hand", start_ns=fresh.now_ns, amount=60.0, duration_s=0.2)
    before = fresh.world.object_pose("green_cube").position_m
    run(fresh, 0.15)
    bent = np.abs(fresh.world.joint_positions[:7] - fresh.config.home_rad).max()
    assert bent > 1e-3
    run(fresh, 1.0)
    assert fresh.world.object_pose("green_cube").position_m[1] > before[1] + 0.02
    np.testing.assert_allclose(fresh.world.joint_positions[:7], fresh.config.home_rad, atol=1e-4)


def test_a_reset_mends_everything(fresh):
    fresh.faults.add("tactile_dead", "left")
    fresh.reset(1)
    assert not fresh.faults.active(fresh.now_ns)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"kind": "camera_blak", "target": "front"}, ["Did you mean 'camera_black'"]),
        ({"kind": "camera_black", "target": "back"}, ["Unknown camera 'back'", "front, wrist"]),
        ({"kind": "tactile_dead", "target": "thumb"}, ["Unknown finger", "left, right"]),
        ({"kind": "object_dropped", "target": "red banana"}, ["Unknown object", "red_cube"]),
        ({"kind": "disturbance", "target": "table"}, ["Unknown body"]),
        ({"kind": "joint_noise", "target": "front"}, ["takes no target"]),
        ({"kind": "joint_noise", "duration_s": 0.0}, ["duration_s must be above 0"]),
        ({"kind": "joint_noise", "amount": -1.0}, ["amount", "from 0 on"]),
    ],
)
def test_a_senseless_fault_is_refused(fresh, how, words):
    with pytest.raises(SimulationError) as error:
        fresh.faults.add(**how)
    for word in words:
        assert word in str(error.value)
    assert not fresh.faults.active(fresh.now_ns)


def test_every_kind_has_a_rule(fresh):
    targets = {"camera": "front", "finger": "left", "object": "red_cube", "body": "panda_hand", "": ""}
    from vla_ros.simulation.faults import RULES

    for kind in FaultKind:
        assert fresh.faults.add(kind.value, targets[RULES[kind].target], start_ns=fresh.now_ns).is_active(fresh.now_ns)
