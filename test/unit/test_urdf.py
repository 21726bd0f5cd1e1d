"""urdf/*.urdf as bodies: physically possible inertias, the published limits, primitives that enclose the meshes, readable by MuJoCo."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest

from vla_ros.core.errors import ConfigError
from vla_ros.core.geometry import Array, inverse, transform_points
from vla_ros.robots import LinkShape, description, load_robot, load_robot_config, missing_meshes, resolved_urdf

ROBOTS = ("panda", "fr3", "wx250s")
CONFIGS = {name: load_robot_config(name) for name in ROBOTS}
ROOTS = {name: ElementTree.parse(config.urdf_path).getroot() for name, config in CONFIGS.items()}
CONFIG = CONFIGS["panda"]
SHAPES = description.collision_shapes(CONFIG)
LINKS = [(robot, link) for robot in ROBOTS for link in ROOTS[robot].iter("link")]
FIELDS = ("position_min_rad", "position_max_rad", "velocity_radps", "acceleration_radps2", "jerk_radps3", "effort_nm")
# The Franka Hand's fingers carry pads of our own in place of the mesh's tips.
MESHES = [
    (robot, link.get("name", ""))
    for robot, link in LINKS
    if link.find("visual/geometry/mesh") is not None and (robot == "wx250s" or not link.get("name", "").endswith("finger"))
]
each_robot = pytest.mark.parametrize("robot", ROBOTS)


def inertia_of(link: ElementTree.Element) -> Array:
    found = link.find("inertial/inertia")
    assert found is not None
    xx, xy, xz, yy, yz, zz = (float(found.get(k, "nan")) for k in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz"))
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


@pytest.mark.parametrize("link", [el for _, el in LINKS if el.find("inertial") is not None], ids=lambda el: el.get("name"))
def test_inertia_is_physically_possible(link: ElementTree.Element) -> None:
    small, middle, large = np.linalg.eigvalsh(inertia_of(link))
    mass = link.find("inertial/mass")
    assert mass is not None
    assert float(mass.get("value", "0")) > 0
    assert small > 0
    assert small + middle >= large, "no body has a principal moment larger than the sum of the others"


def test_every_link_with_a_shape_has_a_mass() -> None:
    for _, link in LINKS:
        assert (link.find("collision") is None) == (link.find("inertial") is None), link.get("name")


@each_robot
def test_limits_are_those_of_the_configuration(robot: str) -> None:
    limits = CONFIGS[robot].limits
    for i, name in enumerate(CONFIGS[robot].arm_joints):
        limit = ROOTS[robot].find(f"joint[@name='{name}']/limit")
        assert limit is not None
        urdf = [float(limit.get(k, "nan")) for k in ("lower", "upper", "velocity", "effort")]
        assert urdf == [limits.position_min_rad[i], limits.position_max_rad[i], limits.velocity_radps[i], limits.effort_nm[i]]


def test_limits_are_the_published_ones() -> None:
    """Franka's documentation, "Limits for Panda"."""
    limits = CONFIG.limits
    assert limits.position_max_rad.tolist() == [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]
    assert limits.position_min_rad.tolist() == [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]
    assert limits.velocity_radps.tolist() == [2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61]
    assert limits.acceleration_radps2.tolist() == [15, 7.5, 10, 12.5, 15, 20, 20]
    assert limits.jerk_radps3.tolist() == [7500, 3750, 5000, 6250, 7500, 10000, 10000]
    assert limits.effort_nm.tolist() == [87, 87, 87, 87, 12, 12, 12]


# What each source publishes for the FR3: see config/robots/fr3.yaml.
DOCUMENTATION = {
    "position_max_rad": [2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508],
    "position_min_rad": [-2.9007, -1.8361, -2.9007, -3.0770, -2.8763, 0.4398, -3.0508],
    "velocity_radps": [2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26],
    "acceleration_radps2": [10.0] * 7,
    "jerk_radps3": [5000.0] * 7,
    "effort_nm": [87, 87, 87, 87, 12, 12, 12],
}
DESCRIPTION = {
    "position_max_rad": [2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159],
    "position_min_rad": [-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159],
    "velocity_radps": [2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26],
    "effort_nm": [87, 87, 87, 87, 12, 12, 12],
}
LIBFRANKA = {"velocity_radps": [2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26], "acceleration_radps2": [10.0] * 7, "jerk_radps3": [5000.0] * 7}


def test_the_limits_of_the_fr3_are_the_narrowest_of_all_sources() -> None:
    limits = CONFIGS["fr3"].limits
    for name in FIELDS:
        published = np.array([source[name] for source in (DOCUMENTATION, DESCRIPTION, LIBFRANKA) if name in source])
        narrowest = published.max(axis=0) if name == "position_min_rad" else published.min(axis=0)
        np.testing.assert_array_equal(getattr(limits, name), narrowest, err_msg=name)


def documented(left_rad: Array) -> Array:
    """Highest speed towards an end by Franka's documentation, "Position-Based Velocity Limits"; ``left_rad`` [.., 7]: the way to it."""
    offset = np.array([0.6599, 0.2517, 0.2000, 0.3533, 0.5757, 0.4878, 0.4628])
    deceleration = np.array([6.0, 2.585, 3.5, 4.0, 17.0, 5.5, 17.0])
    return np.clip(np.sqrt(np.clip(2 * deceleration * left_rad, 0, None)) - offset, 0, DOCUMENTATION["velocity_radps"])


def in_libfranka(left_rad: Array) -> Array:
    """The same by libfranka's rate_limiting.h, without its tolerance of 0.001 rad/s."""
    offset = np.array([0.30, 0.20, 0.20, 0.30, 0.35, 0.35, 0.35])
    twice = np.array([12.0, 5.17, 7.00, 8.00, 34.0, 11.0, 34.0])
    return np.clip(np.sqrt(np.clip(twice * left_rad, 0, None)) - offset, 0, LIBFRANKA["velocity_radps"])


def test_the_velocity_of_the_fr3_is_limited_by_all_sources_at_every_position() -> None:
    limits = CONFIGS["fr3"].limits
    q = np.random.default_rng(0).uniform(limits.position_min_rad - 0.1, limits.position_max_rad + 0.1, (2000, 7))
    low, high = limits.velocity_range(q)
    up, down = np.array(DOCUMENTATION["position_max_rad"]) - q, q - np.array(DOCUMENTATION["position_min_rad"])
    up_there = np.array([2.75010, 1.79180, 2.90650, -0.1458, 2.81010, 4.52050, 3.01960]) - q
    down_there = q + np.array([2.750100, 1.791800, 2.906500, 3.048100, 2.810100, -0.54092, 3.019600])
    np.testing.assert_allclose(high, np.minimum(documented(up), in_libfranka(up_there)), atol=1e-12)
    np.testing.assert_allclose(-low, np.minimum(documented(down), in_libfranka(down_there)), atol=1e-12)
    assert (high == 0).any()
    middle = np.array([0.0, 0.0, 0.0, -1.6, 0.0, 2.5, 0.0])
    assert limits.velocity_range(middle)[1].tolist() == limits.velocity_radps.tolist()


@pytest.mark.parametrize(("robot", "mass_kg"), [("panda", 18.0), ("fr3", 18.7), ("wx250s", 2.1)])
def test_mujoco_reads_it_with_every_link_as_a_body(robot: str, mass_kg: float) -> None:
    model = mujoco.MjModel.from_xml_string(resolved_urdf(CONFIGS[robot], for_mujoco=True))
    bodies = {model.body(i).name for i in range(model.nbody)}
    assert {link.get("name") for link in ROOTS[robot].iter("link")} <= bodies
    assert model.njnt == CONFIGS[robot].dof + 2
    assert model.neq == 1, "one finger mimics the other"
    assert sum(model.body_mass) == pytest.approx(mass_kg, rel=0.03)


@each_robot
def test_mujoco_and_pinocchio_agree_on_the_tcp(robot: str) -> None:
    config = CONFIGS[robot]
    model = mujoco.MjModel.from_xml_string(resolved_urdf(config, for_mujoco=True))
    data = mujoco.MjData(model)
    q = config.home_rad + 0.2
    for name, value in zip(config.arm_joints, q, strict=True):
        data.joint(name).qpos = value
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose(data.body(config.tcp_frame).xpos, load_robot(robot).fk(q)[:3, 3], atol=1e-9)


@each_robot
def test_the_gripper_points_down_at_home_and_the_fingers_open_to_both_sides_of_the_tcp(robot: str) -> None:
    """All robots have the TCP's axes alike, so that a grasp means the same for each: z out of the gripper, the fingers along y."""
    config, arm = CONFIGS[robot], load_robot(robot)
    T = arm.fk(config.home_rad)
    assert T[2, 2] < -0.99
    assert config.workspace.contains(T[:3, 3])
    poses = arm.link_poses(config.home_rad, config.gripper.width_open_m)
    closed = arm.link_poses(config.home_rad, config.gripper.width_closed_m)
    fingers = [link for link, joint in arm.moving_joint.items() if joint in config.finger_joints]
    opened_m = [abs(float((poses[link][:3, 3] - closed[link][:3, 3]) @ T[:3, 1])) for link in fingers]
    assert set(np.round(opened_m, 9)) == {round((config.gripper.width_open_m - config.gripper.width_closed_m) / 2, 9)}


def test_meshes_become_uris_for_ros_and_paths_for_mujoco() -> None:
    pytest.importorskip("rtbdata")
    assert missing_meshes(CONFIG) == ""
    for text, prefix in ((resolved_urdf(CONFIG), "file:///"), (resolved_urdf(CONFIG, for_mujoco=True), "/")):
        names = [m.get("filename", "") for m in ElementTree.fromstring(text).iter("mesh")]
        assert len(names) == 11
        assert all(name.startswith(prefix) for name in names)
        assert all(Path(name.removeprefix("file://")).is_file() for name in names)


def test_without_rtb_data_it_says_so_and_still_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description, "mesh_folder", lambda: None)
    assert "rtb-data is not installed" in missing_meshes(CONFIG)
    text = resolved_urdf(CONFIG, for_mujoco=True)
    assert "<mesh" not in text
    assert description.MESH_SCHEME not in text
    assert mujoco.MjModel.from_xml_string(text).nmesh == 0


def test_an_incomplete_rtb_data_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(description, "mesh_folder", lambda: tmp_path)
    assert "lacks meshes/FRANKA-EMIKA/Panda/finger.stl" in missing_meshes(CONFIG)


def outside_m(shape: LinkShape, points: Array) -> Array:
    """How far each of ``points`` [n, 3] (of the link) lies outside the shape."""
    p = transform_points(inverse(shape.T_link_shape), points)
    if shape.kind == "sphere":
        return np.maximum(np.linalg.norm(p, axis=1) - shape.size_m[0], 0)
    if shape.kind == "cylinder":
        radius, length = shape.size_m
        return np.asarray(np.hypot(np.maximum(np.hypot(p[:, 0], p[:, 1]) - radius, 0), np.maximum(np.abs(p[:, 2]) - length / 2, 0)))
    return np.asarray(np.linalg.norm(np.maximum(np.abs(p) - np.array(shape.size_m) / 2, 0), axis=1), dtype=float)


@pytest.mark.parametrize(("robot", "link"), MESHES)
def test_primitives_enclose_the_mesh(robot: str, link: str) -> None:
    pytest.importorskip("rtbdata")
    model = mujoco.MjSpec.from_string(resolved_urdf(CONFIGS[robot], for_mujoco=True)).compile()
    body = model.body(link).id
    geom = next(g for g in range(model.ngeom) if model.geom_bodyid[g] == body and model.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH)
    mesh = model.geom_dataid[geom]
    start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    vertices = model.mesh_vert[start : start + count] @ rotation.reshape(3, 3).T + model.geom_pos[geom]
    shapes = description.collision_shapes(CONFIGS[robot])
    gaps = np.min([outside_m(shape, vertices) for shape in shapes if shape.link == link], axis=0)
    assert gaps.max() < 0.0035


def test_pads_touch_when_the_gripper_is_closed() -> None:
    pads = {s.link: s for s in SHAPES if s.name.endswith("_pad")}
    left, right = pads["panda_leftfinger"], pads["panda_rightfinger"]
    assert left.T_link_shape[1, 3] - left.size_m[1] / 2 == pytest.approx(0, abs=1e-9)
    assert right.T_link_shape[1, 3] + right.size_m[1] / 2 == pytest.approx(0, abs=1e-9)
    innermost = [abs(s.T_link_shape[1, 3]) - s.size_m[1] / 2 for s in SHAPES if s.link == left.link and s is not left]
    assert min(innermost) > 0.002, "only the pad touches what is held"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "<robot name='x'><link name='a'><collision><geometry><mesh filename='a.stl'/></geometry></collision></link></robot>",
            "found mesh",
        ),
        ("<robot name='x'><link name='a'><collision/></link></robot>", "found nothing"),
        ("<robot", "not valid XML"),
    ],
)
def test_a_urdf_that_cannot_be_used_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.urdf"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        description.collision_shapes(dataclasses.replace(CONFIG, urdf_path=path))
