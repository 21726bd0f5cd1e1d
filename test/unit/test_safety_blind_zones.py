"""The hand is slower where no camera with depth is turned to."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from safety_rig import Rig, home, panda, safety

from vla_ros.core.decisions import SafetyReason
from vla_ros.robots import Arm, load_robot
from vla_ros.safety.blind_zones import BlindZones
from vla_ros.safety.config import load_safety_config

SEEING = load_safety_config("panda").without_world_model()


@pytest.mark.parametrize("robot", ["panda", "wx250s"])
def test_what_is_blind_is_what_no_image_shows(robot):
    """Against MuJoCo's own camera: a ray through each pixel of a coarse grid hits a small ball at the place, or none does."""
    arm = load_robot(robot)
    zones, camera = BlindZones(arm, load_safety_config(robot)), arm.config.cameras["front"]
    spec = mujoco.MjSpec()
    rotation = np.zeros(4)
    mujoco.mju_mat2Quat(rotation, (camera.T_parent_camera[:3, :3] @ np.diag([1.0, -1.0, -1.0])).ravel())
    fovy = float(np.degrees(2 * np.arctan(camera.height_px / 2 / camera.fy)))
    spec.worldbody.add_camera(name="front", pos=camera.T_parent_camera[:3, 3], quat=rotation, fovy=fovy)
    ball = spec.worldbody.add_body(name="ball", mocap=True)
    ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.02, 0, 0])
    model = spec.compile()
    data = mujoco.MjData(model)
    rng, box = np.random.default_rng(1), arm.config.workspace
    image = mujoco.Renderer(model, 48, 64)
    image.enable_segmentation_rendering()
    found = []
    for place in rng.uniform(box.min_m, box.max_m, (60, 3)):
        if _is_at_the_border(zones, place):
            continue
        data.mocap_pos[0] = place
        mujoco.mj_forward(model, data)
        image.update_scene(data, "front")
        is_shown = bool((image.render()[..., 0] >= 0).any())
        assert zones.is_blind(place) is not is_shown, place
        found.append(is_shown)
    image.close()
    assert any(found)
    assert not all(found)


def _is_at_the_border(zones: BlindZones, place: np.ndarray) -> bool:
    around = place + 0.05 * np.vstack([np.eye(3), -np.eye(3)])
    return len({zones.is_blind(near) for near in around}) > 1


def test_what_sees_no_depth_and_what_moves_with_the_hand_counts_for_nothing():
    config, seen = panda().config, panda().fk(home())[:3, 3] - [0.0, 0.0, 0.2]
    front = config.cameras["front"]

    def zones(**changes) -> BlindZones:
        return BlindZones(Arm(replace(config, cameras={"front": replace(front, **changes)})), SEEING)

    assert not zones().is_blind(seen)
    assert zones(has_depth=False).is_blind(seen)
    assert zones(parent="panda_hand").is_blind(seen)
    assert BlindZones(panda(), replace(SEEING, cameras={})).is_blind(seen)


def test_a_chunk_is_slower_where_the_hand_is_not_seen_and_says_why():
    """At home the front camera does not see the Panda's hand; 12 cm below it does."""
    low = panda().fk(home())
    low[2, 3] -= 0.12
    s = np.linspace(0, 1, 60)[:, None]
    rows = home() + (10 * s**3 - 15 * s**4 + 6 * s**5) * (panda().ik(low, home()) - home())
    zones = BlindZones(panda(), SEEING)
    assert zones.is_blind(panda().fk(rows[0])[:3, 3])
    assert not zones.is_blind(panda().fk(rows[-1])[:3, 3])
    took = {}
    for config in (SEEING, safety()):
        rig = Rig(config).ready()
        rig.send(rows)
        arrived = (n for n in range(800) if rig.step(1) and np.abs(rig.arm_state()[0] - rows[-1]).max() < 1e-3)
        took[config.clearance.blind_speed] = next(arrived)
        slowed = [d for d in rig.decisions if d.reason == SafetyReason.BLIND_ZONE]
        assert bool(slowed) is (config is SEEING)
        assert all("No camera is turned to where the hand is" in d.detail and d.speed_scale <= SEEING.clearance.blind_speed for d in slowed)
    assert took[SEEING.clearance.blind_speed] > took[1.0] + 10
