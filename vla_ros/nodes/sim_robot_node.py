"""sim_robot: a Panda (or another arm) in MuJoCo that offers what drivers and ros2_control offer on a real one."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vla_ros.core.errors import MotionError, SimulationError
from vla_ros.core.stamps import s_from_ns
from vla_ros.core.tasks import Predicate, Relation
from vla_ros.robots import load_robot_config
from vla_ros.ros.conversions.arrays import stamp_to_msg
from vla_ros.ros.conversions.images import camera_info_to_msg, image_to_cdr
from vla_ros.ros.conversions.robot import joint_state_to_msg, taxels_to_msg, trajectory_from_msg
from vla_ros.ros.inbox import Inbox
from vla_ros.ros.interfaces import (
    CLOCK,
    COLOR_IMAGE,
    COLOR_INFO,
    DEPTH_IMAGE,
    FOLLOW_JOINT_TRAJECTORY,
    JOINT_STATES,
    JOINT_TRAJECTORY,
    SIM_FAULT,
    SIM_RESET,
    SIM_SCORE,
    TACTILE_RAW,
    load_type,
)
from vla_ros.ros.lifecycle import VlaNode
from vla_ros.ros.parameters import declare, parameter
from vla_ros.ros.sim_controllers import serve_gripper
from vla_ros.ros.sim_trajectory_server import FollowJointTrajectoryServer, Progress
from vla_ros.ros.spin import run
from vla_ros.simulation.camera_faults import CameraFaults
from vla_ros.simulation.camera_thread import CameraThread
from vla_ros.simulation.cameras import CameraImage
from vla_ros.simulation.joint_trajectory_controller import TrajectoryRequest
from vla_ros.simulation.measures import EpisodeMeter
from vla_ros.simulation.pacing import Pacer
from vla_ros.simulation.robot import SimRobot
from vla_ros.simulation.scene_config import load_scene
from vla_ros.simulation.scorer import Scorer

TICK_S = 0.01
INFO_PERIOD_NS = 1_000_000_000  # between two camera_info of a camera
TRAJECTORIES_KEPT = 10  # between two ticks, were they late
RESET_STEP_RAD = 0.1  # a trajectory that begins farther from an arm that was just reset is meant for where it stood before
CLEAR = "clear"


@dataclass(frozen=True)
class SimRobotNodeConfig:
    """Parameters of the node."""

    robot: str = parameter("panda", "name in config/robots, or a YAML file")
    scene: str = parameter("tabletop", "name in config/scenes, or a YAML file")
    seed: int = parameter(0, "of the scene's sampler")
    sensor_noise: bool = parameter(True, "images carry the noise of real cameras")


class SimRobotNode(VlaNode):
    """One thread steps the physics in real time, one renders copies of its state; callbacks only hand things over under the lock."""

    def __init__(self) -> None:
        super().__init__("sim_robot")
        self.config = declare(self, SimRobotNodeConfig)

    def setup(self) -> None:
        """Builds the simulated scene with its sensors, and serves the controllers, sim/reset, sim/fault and sim/score."""
        robot = load_robot_config(self.config.robot)
        self.lock = threading.Lock()
        self._was_reset = False  # and no trajectory has begun since where the arm stands
        self.sim = SimRobot(robot, load_scene(self.config.scene), self.config.seed)
        self.scorer, self.meter = Scorer(self.sim), EpisodeMeter(self.sim)
        self.camera_faults = CameraFaults(self.sim.faults)
        self._clock_out, self._joint_states = self.publish_on(CLOCK), self.publish_on(JOINT_STATES)
        self._tactile = {finger: self.publish_on(TACTILE_RAW.at(finger=finger)) for finger in robot.tactile}
        self._color = {c: self.publish_on(COLOR_IMAGE.at(camera=c)) for c in robot.cameras}
        self._info = {c: self.publish_on(COLOR_INFO.at(camera=c)) for c in robot.cameras}
        self._depth = {c.name: self.publish_on(DEPTH_IMAGE.at(camera=c.name)) for c in robot.cameras.values() if c.has_depth}
        self._trajectories = Inbox(self, replace(JOINT_TRAJECTORY, name=robot.controllers.joint_trajectory), depth=TRAJECTORIES_KEPT)
        self.serve(SIM_RESET, self._reset)
        self.serve(SIM_FAULT, self._fault)
        self.serve(SIM_SCORE, self._score)
        follow = replace(FOLLOW_JOINT_TRAJECTORY, name=robot.controllers.follow_joint_trajectory)
        FollowJointTrajectoryServer(self, follow, robot.arm_joints, self.accept, self._progress, self._hold)
        serve_gripper(self, robot.gripper, self._command_gripper, lambda: self.sim.gripper)

    def on_start(self) -> None:
        """Starts physics and cameras. Raises SimulationError when nothing can be rendered."""
        self._cameras = CameraThread(self.sim.world, self._publish_image, sensor_noise=self.config.sensor_noise)
        self._pacer = Pacer(TICK_S, self._guarded(self._tick))
        self._told_ns: dict[str, int] = {}  # of each camera's intrinsics
        self._cameras.start()
        self._pacer.start()

    def on_stop(self) -> None:
        """Ends both threads; the scene stays as it is."""
        self._pacer.stop()
        self._cameras.stop()

    # --- every 10 ms of simulated time, in the physics thread
    def _tick(self) -> None:
        for trajectory in self._trajectories.take_messages():
            self._on_trajectory(trajectory)
        with self.lock:
            self.sim.step()
            self.meter.observe()
            stamp_ns = self.sim.now_ns
            joints = self.sim.joint_state()
            taxels = {finger: self.sim.tactile(finger) for finger in self._tactile}
            self._cameras.offer(self.sim.world.data, stamp_ns)
        self._clock_out.publish(load_type(CLOCK.type)(clock=stamp_to_msg(stamp_ns)))
        self._joint_states.publish(joint_state_to_msg(joints))
        for finger, reading in taxels.items():
            frame = self.sim.config.tactile[finger].frame
            self._tactile[finger].publish(taxels_to_msg(finger, frame, reading.normal_n, stamp_ns, reading.shear_n))

    # --- in the camera thread
    def _publish_image(self, image: CameraImage) -> None:
        for shown in self.camera_faults.deliver(image, image.stamp_ns):
            camera = self.sim.config.cameras[shown.camera]
            frame = camera.frame
            if shown.stamp_ns - self._told_ns.get(camera.name, -INFO_PERIOD_NS) >= INFO_PERIOD_NS:
                self._told_ns[camera.name] = shown.stamp_ns
                self._info[camera.name].publish(camera_info_to_msg(camera, shown.stamp_ns))
            self._color[shown.camera].publish(image_to_cdr(shown.colour, "rgb8", shown.stamp_ns, frame))
            if shown.depth_mm is not None:
                self._depth[shown.camera].publish(image_to_cdr(shown.depth_mm, "16UC1", shown.stamp_ns, frame))

    # --- commands
    def _on_trajectory(self, message: Any) -> None:
        try:
            self.accept(message)
        except (MotionError, ValueError) as error:
            self.get_logger().error(f"trajectory refused: {error}", throttle_duration_sec=1.0)

    def accept(self, message: Any) -> None:
        """A trajectory_msgs/JointTrajectory. Raises MotionError or ValueError with the reason when the controller refuses it."""
        request = TrajectoryRequest(*trajectory_from_msg(message))
        with self.lock:
            now_ns = self.sim.now_ns
            before = self.sim.controller.sample(now_ns).positions
            if self._was_reset and np.abs(request.positions_of(self.sim.controller.names)[0] - before).max() > RESET_STEP_RAD:
                raise MotionError("it begins where the arm stood before it was reset")
            self.sim.controller.accept(request, now_ns)
            self._was_reset = False

    def _progress(self) -> Progress | None:
        with self.lock:
            now_ns, end_ns, desired = self.sim.now_ns, self.sim.controller.end_ns, self.sim.controller.sample(self.sim.now_ns)
            actual = np.stack([self.sim.world.joint_positions, self.sim.world.joint_velocities])[:, : self.sim.world.n_arm]
        if end_ns == 0:
            return None
        return Progress(now_ns, np.stack([desired.positions, desired.velocities]), actual, s_from_ns(now_ns - end_ns))

    def _hold(self) -> None:
        """Where the arm is, as the stock controller does: where it should be, it might press on something."""
        with self.lock:
            self.sim.controller.hold(self.sim.world.joint_positions[: self.sim.world.n_arm])

    def _command_gripper(self, width_m: float, force_n: float) -> None:
        with self.lock:
            self.sim.gripper.command(width_m, force_n)

    # --- services
    def _reset(self, request: Any, response: Any) -> Any:
        if request.scene and request.scene != self.config.scene:
            response.message = (
                f"The scene is '{self.config.scene}' for as long as the simulator runs; start it with scene:={request.scene}."
            )
            return response
        with self.lock:
            self.sim.reset(int(request.seed))
            self.meter.reset()
            self._was_reset = True
        self._pacer.restart_measure()
        response.success, response.message = True, f"scene sampled with seed {request.seed}"
        return response

    def _fault(self, request: Any, response: Any) -> Any:
        try:
            with self.lock:
                if request.fault == CLEAR:
                    self.sim.faults.clear()
                else:
                    self.sim.faults.add(
                        request.fault, request.target, self.sim.now_ns, request.duration or math.inf, request.magnitude or math.nan
                    )
            response.success, response.message = True, f"{request.fault} {request.target}".strip()
        except SimulationError as error:
            response.message = str(error)
        return response

    def _score(self, request: Any, response: Any) -> Any:
        try:
            rows = zip(request.relations, request.object_names, request.target_names, strict=True)
            predicates = tuple(Predicate(Relation(relation), name, target) for relation, name, target in rows)
            with self.lock:
                verdicts, measures = [self.scorer.judge(p) for p in predicates], self.meter.measures()
        except (SimulationError, ValueError) as error:
            response.message = str(error)
            return response
        response.success, response.holds = all(verdicts), [bool(v) for v in verdicts]
        response.message = " ".join(f"{p}: {v.detail}." for p, v in zip(predicates, verdicts, strict=True))
        response.peak_contact_force, response.collisions = measures.peak_link_force_n, len(measures.collisions)
        response.dropped = [*measures.dropped, *measures.off_table]
        response.real_time_factor = self._pacer.real_time_factor
        return response


def main() -> int:
    """Runs the node until it is told to end; the process's exit code."""
    return run(SimRobotNode)
