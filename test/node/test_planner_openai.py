"""The planner node on an OpenAI-compatible server: what the camera sees goes there, what the server asks comes back."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")
sys.path.append(str(Path(__file__).resolve().parents[1] / "unit"))

from fake_openai_server import picture_in, served
from ros_harness import Peer, Ros

from vla_ros.core.geometry import Pose
from vla_ros.core.outcomes import Outcome
from vla_ros.core.robot_state import JointState
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.nodes.planner_node import PlannerNode
from vla_ros.robots import load_robot_config
from vla_ros.ros.conversions.robot import joint_state_to_msg
from vla_ros.ros.conversions.scene import scene_to_msg
from vla_ros.ros.interfaces import COLOR_COMPRESSED, EXECUTE_GOAL, JOINT_STATES, OBJECTS, PLAN, load_type

pytestmark = pytest.mark.node

ExecuteGoal = load_type(EXECUTE_GOAL.type)
ROBOT = load_robot_config("panda")


def cube(colour: str, y_m: float, stamp_ns: int) -> SceneObject:
    size_m = np.full(3, 0.045)
    return SceneObject(f"{colour}_cube", f"{colour} cube", colour, "cube", Pose(np.array([0.5, y_m, 0.0225])), size_m, 0.9, stamp_ns)


def fake_senses(peer: Peer) -> None:
    """Two cubes, an arm at rest at home, and a red picture, again and again."""
    objects, joints = peer.publisher(OBJECTS), peer.publisher(JOINT_STATES)
    images = peer.publisher(COLOR_COMPRESSED.at(camera="front"))
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), (0, 0, 200), np.uint8))[1].tobytes()
    home = np.array(ROBOT.home_rad)

    def publish() -> None:
        now_ns = time.time_ns()
        joints.publish(joint_state_to_msg(JointState(now_ns, ROBOT.arm_joints, home, np.zeros(7), np.zeros(7))))
        images.publish(load_type(COLOR_COMPRESSED.type)(format="jpeg", data=jpeg))
        objects.publish(scene_to_msg(Scene(now_ns, "panda_link0", (cube("red", 0.1, now_ns), cube("green", -0.1, now_ns)))))

    peer.node.create_timer(0.05, publish)


def test_a_question_of_the_server_ends_the_goal_with_the_question(ros: Ros) -> None:
    with served() as url:
        ros.init(record="false", planner="openai", openai_url=url, openai_model="question:Which cube is meant?")
        ros.spin(PlannerNode)
        peer = ros.peer()
        plans = peer.listen(PLAN, matched=True)
        fake_senses(peer)
        action = peer.action(EXECUTE_GOAL)
        _, answer = action.result(action.send(ExecuteGoal.Goal(instruction="pick up the cube")))
        request: dict[str, Any] = httpx.get(url).json()
    assert (answer.outcome, answer.reason) == (Outcome.REFUSED, "ambiguous")
    assert (answer.question, list(answer.options)) == ("Which cube is meant?", ["the red one", "the green one"])
    assert plans == []
    words = request["messages"][1]["content"][0]["text"]
    assert "id red_cube: red cube" in words
    assert "id green_cube: green cube" in words
    assert words.endswith("The user asks: pick up the cube")
    picture = picture_in(request)
    assert picture.shape == (48, 64, 3)
    assert np.abs(picture.astype(int) - (200, 0, 0)).max() < 20
