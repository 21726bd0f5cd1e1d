"""state_publisher: the robot's description and its frames, where robot_state_publisher is not installed."""

from __future__ import annotations

from dataclasses import dataclass

from vla_ros.core.geometry import Array, inverse
from vla_ros.core.robot_state import JointState
from vla_ros.core.scheduling import Urgency
from vla_ros.robots import load_robot
from vla_ros.robots.description import resolved_urdf
from vla_ros.robots.frames import link_tree
from vla_ros.robots.values import WORLD_FRAME
from vla_ros.ros.conversions.frames import transforms_to_msg
from vla_ros.ros.conversions.robot import joint_state_from_msg
from vla_ros.ros.inbox import Latest
from vla_ros.ros.interfaces import JOINT_STATES, ROBOT_DESCRIPTION, TF, TF_STATIC
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.spin import run


@dataclass(frozen=True)
class StatePublisherConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    rate: float = parameter(25.0, "of /tf", unit="Hz", low=1.0, high=100.0)


class StatePublisherNode(VlaNode):
    """Fixed frames once, when activated; moving frames from the newest joint states."""

    def __init__(self) -> None:
        super().__init__("state_publisher")
        self.config = declare(self, StatePublisherConfig)

    def setup(self) -> None:
        """Reads the tree of links, and publishes its moving part at the configured rate."""
        self.arm = load_robot(self.config.robot)
        edges = link_tree(self.arm.config)
        self._moving = [(e.parent, e.child) for e in edges if not e.is_fixed]
        self._joints = Latest(self, JOINT_STATES, joint_state_from_msg)
        self._tf = self.publish_on(TF)
        self._description = self.publish_on(ROBOT_DESCRIPTION)
        self._tf_static = self.publish_on(TF_STATIC)
        self._fixed = [(e.parent, e.child) for e in edges if e.is_fixed]
        self.every(1.0 / self.config.rate, self._publish)

    def on_start(self) -> None:
        """Publishes the URDF and the fixed frames: links, cameras, and the base in the world."""
        from std_msgs.msg import String

        self._description.publish(String(data=resolved_urdf(self.arm.config)))
        self._tf_static.publish(transforms_to_msg(self._static_transforms(), self.now_ns()))

    def _static_transforms(self) -> list[tuple[str, str, Array]]:
        config = self.arm.config
        poses = self.arm.link_poses(config.home_rad)
        fixed = [(parent, child, inverse(poses[parent]) @ poses[child]) for parent, child in self._fixed]
        known = set(poses)
        cameras = [(c.parent, c.frame, c.T_parent_camera) for c in config.cameras.values() if c.frame not in known]
        world = [] if WORLD_FRAME in known else [(WORLD_FRAME, config.base_frame, inverse(poses[config.base_frame]))]
        return fixed + world + cameras

    def _publish(self) -> None:
        state = self._joints.get_new()
        if state is None:
            return
        poses = self._poses(state)
        moving = [(parent, child, inverse(poses[parent]) @ poses[child]) for parent, child in self._moving]
        self._tf.publish(transforms_to_msg(moving, state.stamp_ns))

    def _poses(self, state: JointState) -> dict[str, Array]:
        config = self.arm.config
        return self.arm.link_poses(state.select(config.arm_joints).positions, config.gripper_width_m(state))


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(StatePublisherNode, urgency=Urgency.BACKGROUND)
