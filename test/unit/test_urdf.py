"""urdf/panda.urdf as bodies: physically possible inertias, the published limits, primitives that enclose the meshes, readable by MuJoCo."""

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

CONFIG = load_robot_config("panda")
ROOT = ElementTree.parse(CONFIG.urdf_path).getroot()
SHAPES = description.collision_shapes(CONFIG)


def inertia_of(link: ElementTree.Element) -> Array:
    found = link.find("inertial/inertia")
    assert found is not None
    xx, xy, xz, yy, yz, zz = (float(found.get(k, "nan")) for k in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz"))
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


@pytest.mark.parametrize("link", [el for el in ROOT.iter("link") if el.find("inertial") is not None], ids=lambda el: el.get("name"))
def test_inertia_is_physically_possible(link: ElementTree.Element) -> None:
    small, middle, large = np.linalg.eigvalsh(inertia_of(link))
    mass = link.find("inertial/mass")
    assert mass is not None
    assert float(mass.get("value", "0")) > 0
    assert small > 0
    assert small + middle >= large, "no body has a principal moment larger than the sum of the others"


def test_every_link_with_a_shape_has_a_mass() -> None:
    for link in ROOT.iter("link"):
        assert (link.find("collision") is None) == (link.find("inertial") is None), link.get("name")


def test_limits_are_those_of_the_configuration() -> None:
    limits = CONFIG.limits
    for i, name in enumerate(CONFIG.arm_joints):
        limit = ROOT.find(f"joint[@name='{name}']/limit")
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


def test_mujoco_reads_it_with_every_link_as_a_body() -> None:
    model = mujoco.MjModel.from_xml_string(resolved_urdf(CONFIG, for_mujoco=True))
    bodies = {model.body(i).name for i in range(model.nbody)}
    assert {link.get("name") for link in ROOT.iter("link")} <= bodies
    assert model.njnt == 9
    assert model.neq == 1, "one finger mimics the other"
    assert 17 < sum(model.body_mass) < 19, "Panda with hand weighs about 18 kg"


def test_mujoco_and_pinocchio_agree_on_the_tcp() -> None:
    model = mujoco.MjModel.from_xml_string(resolved_urdf(CONFIG, for_mujoco=True))
    data = mujoco.MjData(model)
    arm = load_robot("panda")
    q = CONFIG.home_rad + 0.2
    for name, value in zip(CONFIG.arm_joints, q, strict=True):
        data.joint(name).qpos = value
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose(data.body(CONFIG.tcp_frame).xpos, arm.fk(q)[:3, 3], atol=1e-9)


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


@pytest.mark.parametrize("link", [f"panda_link{i}" for i in range(8)] + ["panda_hand"])
def test_primitives_enclose_the_mesh(link: str) -> None:
    pytest.importorskip("rtbdata")
    model = mujoco.MjSpec.from_string(resolved_urdf(CONFIG, for_mujoco=True)).compile()
    body = model.body(link).id
    geom = next(g for g in range(model.ngeom) if model.geom_bodyid[g] == body and model.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH)
    mesh = model.geom_dataid[geom]
    start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    vertices = model.mesh_vert[start : start + count] @ rotation.reshape(3, 3).T + model.geom_pos[geom]
    gaps = np.min([outside_m(shape, vertices) for shape in SHAPES if shape.link == link], axis=0)
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
