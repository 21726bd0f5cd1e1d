"""Every value survives the way to its message and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from vla_ros.core.actions import ActionChunk, ActionSpace, GatedCommand, SafetyAction, ShortTrajectory
from vla_ros.core.decisions import SafetyDecision, SafetyMode, SafetyReason, SafetyState
from vla_ros.core.errors import PerceptionError
from vla_ros.core.geometry import Pose
from vla_ros.core.robot_state import ContactState, FingerContact, JointState
from vla_ros.core.scene import CameraFault, CameraHealth, Scene, SceneObject
from vla_ros.core.tasks import Plan, Predicate, ReasoningTrace, Relation, Skill, Subtask
from vla_ros.ros import conversions
from vla_ros.ros.conversions import actions, images, robot, safety, scene, tasks
from vla_ros.ros.interfaces import ACTIONS, SERVICES, TOPICS, load_type

RNG = np.random.default_rng(0)
STAMP_NS = 12_345_678_901


def _object() -> SceneObject:
    return SceneObject(
        "cube_1",
        "red cube",
        "red",
        "cube",
        Pose(RNG.normal(size=3), np.array([0.0, 0.0, 0.6, 0.8])),
        np.array([0.04, 0.05, 0.06]),
        0.9,
        STAMP_NS,
        RNG.normal(size=(6, 6)),
        RNG.normal(size=3),
        True,
        False,
    )


def _chunk() -> ActionChunk:
    return ActionChunk(
        7,
        "scripted",
        "2",
        "trace",
        STAMP_NS,
        ActionSpace.JOINT_DELTA,
        ("a", "b"),
        0.05,
        RNG.normal(size=(5, 2)),
        RNG.uniform(size=5),
        12.0,
        6,
        1.5,
        "base",
        {"scene": STAMP_NS - 5, "joints": STAMP_NS},
        0.25,
    )


def _gated() -> GatedCommand:
    shape = (4, 2)
    t = ShortTrajectory(
        STAMP_NS, ("a", "b"), np.array([0.0, 0.1, 0.2, 0.3]), RNG.normal(size=shape), RNG.normal(size=shape), RNG.normal(size=shape)
    )
    return GatedCommand(3, STAMP_NS, SafetyAction.SLOW, t, 0.5, 7, 2.25, "trace", 9, 0.04, 11.0)


SUBTASK = Subtask(
    "1",
    Skill.PLACE,
    "put it",
    Predicate(Relation.IN, "cube_1", "bowl_1"),
    "cube_1",
    Relation.IN,
    "bowl_1",
    "panda",
    "scripted",
    ("0",),
    30.0,
)
PLAN = Plan("put", (SUBTASK,), (Predicate(Relation.IN, "cube_1", "bowl_1"),), "builtin", "because", 2, {}, STAMP_NS)
DECISION = SafetyDecision(
    4, STAMP_NS, SafetyAction.HOLD, SafetyReason.CHUNK_JUMP, "why", 7, "trace", 0.5, "joint", 0.1, 0.2, 0.3, 0.4, 0.001
)
STATE = SafetyState(
    STAMP_NS, SafetyMode.HOLDING, SafetyReason.HEARTBEAT, "why", 0.5, {"joint_states": 0.1}, True, "fine", 0.02, "one and another"
)
CONTACT = ContactState(
    STAMP_NS, (FingerContact("left", 1.0, 2.0, (0.1, 0.2), True, False), FingerContact("right", 3.0, 4.0, (0.3, 0.4), False, True))
)
HEALTH = CameraHealth(STAMP_NS, "front", CameraFault.BLURRED, False, "why", 0.1, 29.0)
JOINTS = JointState(STAMP_NS, ("a", "b"), np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0]))
SCENE = Scene(STAMP_NS, "panda_link0", (_object(), _object()), 0.01, np.array([[0.025, -0.075, 0.125], [0.4, 0.0, 0.2]]), 0.05)
TRACE = ReasoningTrace(STAMP_NS, "planner", "1", "plan", "text")

ROUND_TRIPS = {
    "chunk": (_chunk(), actions.chunk_to_msg, actions.chunk_from_msg),
    "gated": (_gated(), actions.gated_to_msg, actions.gated_from_msg),
    "plan": (PLAN, tasks.plan_to_msg, tasks.plan_from_msg),
    "subtask": (SUBTASK, tasks.subtask_to_msg, tasks.subtask_from_msg),
    "predicate": (SUBTASK.success, tasks.predicate_to_msg, tasks.predicate_from_msg),
    "reasoning": (TRACE, tasks.reasoning_to_msg, tasks.reasoning_from_msg),
    "decision": (DECISION, safety.decision_to_msg, safety.decision_from_msg),
    "safety_state": (STATE, safety.safety_state_to_msg, safety.safety_state_from_msg),
    "contact": (CONTACT, robot.contact_to_msg, robot.contact_from_msg),
    "joint_state": (JOINTS, robot.joint_state_to_msg, robot.joint_state_from_msg),
    "health": (HEALTH, scene.health_to_msg, scene.health_from_msg),
    "scene": (SCENE, scene.scene_to_msg, scene.scene_from_msg),
}


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b, equal_nan=True))
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(_same(getattr(a, f), getattr(b, f)) for f in a.__dataclass_fields__)
    return a == b or a != a


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_round_trip(name: str) -> None:
    value, to_msg, from_msg = ROUND_TRIPS[name]
    assert _same(value, from_msg(to_msg(value)))


def test_every_pair_has_a_sample() -> None:
    tested = {pair[1] for pair in ROUND_TRIPS.values()}
    for module in (actions, safety, scene, tasks):
        for name in vars(module):
            pair = name.removesuffix("_to_msg") + "_from_msg"
            if (
                name.endswith("_to_msg")
                and not name.startswith("_")
                and hasattr(module, pair)
                and getattr(module, name).__module__ == module.__name__
            ):
                assert getattr(module, name) in tested, f"{module.__name__}.{name} has no round trip"
    assert conversions.__doc__


def test_trajectory_round_trip() -> None:
    t = _gated().trajectory
    start, names, times, p, v, a = robot.trajectory_from_msg(robot.trajectory_to_msg(t))
    assert (start, names) == (t.start_ns, t.names)
    assert np.allclose(times, t.times_s, atol=1e-9)
    assert np.array_equal(p, t.positions)
    assert v is not None
    assert np.array_equal(v, t.velocities)
    assert a is not None
    assert np.array_equal(a, t.accelerations)


def _image_message(image: np.ndarray, encoding: str, frame_id: str) -> Any:
    height, width = image.shape[:2]
    message = Image(height=height, width=width, encoding=encoding, step=image.nbytes // height, data=image.tobytes())
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(STAMP_NS, 10**9)
    return message


@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "abcd"])  # each leaves other gaps between the values
@pytest.mark.parametrize(("dtype", "encoding", "shape"), [(np.uint8, "rgb8", (4, 6, 3)), (np.uint16, "16UC1", (3, 5))])
def test_an_image_is_serialized_as_rosidl_does_it(dtype: type, encoding: str, shape: tuple[int, ...], frame_id: str) -> None:
    image = RNG.integers(0, 255, size=shape).astype(dtype)
    cdr = images.image_to_cdr(image, encoding, STAMP_NS, frame_id)
    message = _image_message(image, encoding, frame_id)
    assert deserialize_message(cdr, Image) == message
    assert len(cdr) == len(serialize_message(message))  # not the bytes: rosidl leaves anything in the gaps
    view = images.ImageView.of(cdr)
    assert (view.stamp_ns, view.frame_id, view.encoding) == (STAMP_NS, frame_id, encoding)
    assert np.array_equal(view.colour() if encoding == "rgb8" else view.depth_mm(), image)


def test_padded_rows_are_honoured() -> None:
    image = RNG.integers(0, 255, size=(4, 6, 3)).astype(np.uint8)
    message = _image_message(np.concatenate([image.reshape(4, 18), np.zeros((4, 2), np.uint8)], axis=1), "rgb8", "camera")
    message.width = 6
    assert np.array_equal(images.ImageView.of(serialize_message(message)).colour(), image)


def test_big_endian_depth_is_honoured() -> None:
    depth_mm = RNG.integers(0, 5000, size=(4, 6)).astype(np.uint16)
    message = _image_message(depth_mm.astype(">u2"), "16UC1", "camera")
    message.is_bigendian = 1
    assert np.array_equal(images.ImageView.of(serialize_message(message)).depth_mm(), depth_mm)


def test_short_image_is_named() -> None:
    message = _image_message(np.zeros((4, 6, 3), np.uint8), "rgb8", "camera_front")
    message.height = 5
    with pytest.raises(PerceptionError, match="camera_front"):
        images.ImageView.of(serialize_message(message)).colour()


def test_a_torn_image_is_named() -> None:
    cdr = images.image_to_cdr(np.zeros((4, 6, 3), np.uint8), "rgb8", STAMP_NS, "camera_front")
    for length in range(12, len(cdr)):
        with pytest.raises(PerceptionError, match="not whole"):
            images.ImageView.of(cdr[:length])


def test_points_round_trip() -> None:
    points = RNG.normal(size=(10, 3)).astype(np.float32)
    colours = RNG.integers(0, 255, size=(10, 3)).astype(np.uint8)
    assert np.array_equal(images.points_from_msg(images.points_to_msg(points, STAMP_NS, "base", colours)), points)


def test_wrong_sizes_are_refused() -> None:
    message = actions.chunk_to_msg(_chunk())
    message.horizon = 6
    with pytest.raises(ValueError, match="scripted"):
        actions.chunk_from_msg(message)
    joints = robot.joint_state_to_msg(JOINTS)
    joints.name = ["a"]
    with pytest.raises(ValueError, match="joint_states"):
        robot.joint_state_from_msg(joints)


def test_every_type_of_the_table_exists() -> None:
    for entry in (*TOPICS, *SERVICES, *ACTIONS):
        assert load_type(entry.type) is not None
