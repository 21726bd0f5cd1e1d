"""Rendered table scenes for the perception tests: the camera of the real stack, painted primitives, noisy depth, and the truth."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
import pytest

from vla_ros.core.robot_state import JointState
from vla_ros.robots import Box

os.environ.setdefault("MUJOCO_GL", "egl")
mujoco = pytest.importorskip("mujoco")

RGB = {
    "red": (0.85, 0.04, 0.04),
    "green": (0.04, 0.62, 0.10),
    "blue": (0.04, 0.16, 0.85),
    "yellow": (0.95, 0.82, 0.02),
    "orange": (0.97, 0.42, 0.01),
    "purple": (0.48, 0.06, 0.68),
    "white": (0.95, 0.95, 0.95),
    "skin": (0.80, 0.60, 0.48),
    "grey": (0.42, 0.42, 0.42),
}
WIDTH, HEIGHT, FOVY_DEG = 640, 480, 50.0


@dataclass(frozen=True)
class Item:
    colour: str
    shape: str
    position_m: tuple[float, float, float]  # of the middle of its bottom
    yaw_rad: float = 0.0
    size_m: tuple[float, float, float] = (0.045, 0.045, 0.045)

    @property
    def centre_m(self) -> np.ndarray:
        return np.array([self.position_m[0], self.position_m[1], self.position_m[2] + self.size_m[2] / 2])


@dataclass(frozen=True)
class FrontCamera:
    """The fixed camera, looking from beyond the table at its middle."""

    name: str = "front"
    width_px: int = WIDTH
    height_px: int = HEIGHT
    fx: float = HEIGHT / 2 / np.tan(np.radians(FOVY_DEG / 2))
    fy: float = HEIGHT / 2 / np.tan(np.radians(FOVY_DEG / 2))
    cx: float = (WIDTH - 1) / 2
    cy: float = (HEIGHT - 1) / 2
    T_parent_camera: np.ndarray = field(default_factory=lambda: look_at((1.15, 0.0, 0.80), (0.45, 0.0, 0.0)))


def look_at(eye: tuple[float, float, float], target: tuple[float, float, float]) -> np.ndarray:
    """Optical frame (z forward, x right, y down) of a camera that stands upright."""
    forward = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    T[:3, 3] = eye
    return T


def _walls(item: Item) -> str:
    radius, height, wall, n = item.size_m[0] / 2, item.size_m[2], 0.01, 20
    middle = radius - wall / 2
    half = middle * np.tan(np.pi / n) + 0.002
    boxes = ""
    for k in range(n):
        a = 2 * np.pi * k / n
        boxes += (
            f'<geom type="box" size="{wall / 2} {half} {height / 2}" pos="{middle * np.cos(a)} {middle * np.sin(a)} {height / 2}" '
            f'euler="0 0 {a}" rgba="{_rgba(item)}"/>'
        )
    return boxes + f'<geom type="cylinder" size="{radius - wall} {wall / 4}" pos="0 0 {wall / 4}" rgba="{_rgba(item)}"/>'


def _rgba(item: Item) -> str:
    return " ".join(f"{c}" for c in RGB[item.colour]) + " 1"


def _geoms(item: Item) -> str:
    x, y, z = (s / 2 for s in item.size_m)
    if item.shape in ("bowl", "plate"):
        return _walls(item)
    kind, size = ("cylinder", f"{x} {z}") if item.shape == "cylinder" else ("box", f"{x} {y} {z}")
    return f'<geom type="{kind}" size="{size}" pos="0 0 {z}" rgba="{_rgba(item)}"/>'


def _xml(items: list[Item], extra: str) -> str:
    T = FrontCamera().T_parent_camera
    axes = " ".join(f"{v:.9f}" for v in (*T[:3, 0], *-T[:3, 1]))
    eye = " ".join(f"{v}" for v in T[:3, 3])
    bodies = "".join(
        f'<body pos="{i.position_m[0]} {i.position_m[1]} {i.position_m[2]}" euler="0 0 {i.yaw_rad}">{_geoms(i)}</body>' for i in items
    )
    return f"""<mujoco><compiler angle="radian"/><visual><global offwidth="{WIDTH}" offheight="{HEIGHT}"/>
    <headlight ambient="0.4 0.4 0.4" diffuse="0.1 0.1 0.1" specular="0 0 0"/><map znear="0.01" zfar="10"/></visual><worldbody>
    <light directional="true" dir="-0.35 0.25 -0.9" diffuse="0.45 0.45 0.45" castshadow="true"/>
    <geom type="box" size="0.65 0.65 0.025" pos="0.35 0 -0.025" rgba="0.62 0.60 0.57 1"/>
    <camera name="front" pos="{eye}" xyaxes="{axes}" fovy="{FOVY_DEG}"/>{bodies}{extra}</worldbody></mujoco>"""


def render(items: list[Item], rng: np.random.Generator, *, extra: str = "", depth_sigma_m: float = 0.001) -> tuple[np.ndarray, np.ndarray]:
    """Colour uint8 [480, 640, 3] with sensor noise, depth uint16 [480, 640] in mm with noise. Skips the test where there is no GL."""
    try:
        model = mujoco.MjModel.from_xml_string(_xml(items, extra))
        renderer = mujoco.Renderer(model, HEIGHT, WIDTH)
    except (RuntimeError, ImportError, AttributeError) as error:
        pytest.skip(f"no OpenGL for rendering ({error}); install libegl1 and libgl1")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer.update_scene(data, camera="front")
    colour = renderer.render().copy()
    renderer.enable_depth_rendering()
    depth = renderer.render().copy()
    renderer.close()
    noisy = colour + rng.normal(0, 2.0, colour.shape)
    depth = depth + rng.normal(0, depth_sigma_m, depth.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), np.round(depth * 1000).astype(np.uint16)


def sampled(rng: np.random.Generator, items: list[Item], spacing_m: float = 0.035) -> list[Item]:
    """The items at random places of the work area, free of one another; the bulky ones choose first."""
    placed: list[tuple[np.ndarray, float]] = []
    result = []
    for item in sorted(items, key=lambda i: -i.size_m[0]):
        round_one = item.shape in ("bowl", "plate", "cylinder")
        radius = item.size_m[0] / 2 if round_one else float(np.hypot(*item.size_m[:2])) / 2
        for _ in range(1000):
            xy = rng.uniform((0.37, -0.27), (0.63, 0.27))
            if all(np.linalg.norm(xy - other) > radius + r + spacing_m for other, r in placed):
                break
        else:
            continue
        placed.append((xy, radius))
        result.append(Item(item.colour, item.shape, (xy[0], xy[1], 0.0), rng.uniform(-np.pi, np.pi), item.size_m))
    return result


@dataclass(frozen=True)
class Post:
    """A collision shape of the one-link robot below."""

    link: str = "post"
    kind: str = "cylinder"
    size_m: tuple[float, ...] = (0.02, 0.30)
    T_link_shape: np.ndarray = field(default_factory=lambda: np.eye(4))


@dataclass(frozen=True)
class PostConfig:
    arm_joints: tuple[str, ...] = ("x", "y", "z")
    base_frame: str = "base"
    tcp_frame: str = "tcp"
    workspace: Box = field(default_factory=lambda: Box("base", np.array([0.25, -0.45, 0.01]), np.array([0.75, 0.45, 0.75])))

    def gripper_width_m(self, joints: JointState) -> float:
        return float(joints.select(("finger",)).positions[0])


class PostRobot:
    """A gantry: an upright post whose lower end is the TCP; its joints are the TCP's x, y, z."""

    config = PostConfig()
    collision_shapes = (Post(),)

    def link_poses(self, q: np.ndarray, gripper_width_m: float = 0.0) -> dict[str, np.ndarray]:
        tcp, post = np.eye(4), np.eye(4)
        tcp[:3, 3] = q
        post[:3, 3] = np.asarray(q) + np.array([0, 0, 0.02 + 0.15])
        return {"tcp": tcp, "post": post}

    @staticmethod
    def drawn(q: tuple[float, float, float]) -> str:
        """The same post for the renderer."""
        x, y, z = q
        return f'<geom type="cylinder" size="0.02 0.15" pos="{x} {y} {z + 0.17}" rgba="0.9 0.9 0.9 1"/>'
