"""The table of the graph: every topic, service and action with type, QoS, rate and meaning.

Nodes, tests, the recorder and the reference page (docs/reference/interfaces.md) read this table; it imports no ROS.
Names are relative to the robot's namespace unless they begin with a slash.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from vla_ros.ros.qos import Qos


def load_type(type_name: str) -> Any:
    """The message, service or action class of a name such as sensor_msgs/msg/Image."""
    package, kind, name = type_name.split("/")
    return getattr(import_module(f"{package}.{kind}"), name)


@dataclass(frozen=True)
class Topic:
    """A topic of the graph. ``type`` is written as in sensor_msgs/msg/Image; ``publishers`` and ``subscribers`` name nodes."""

    name: str  # may hold {camera} or {finger}
    type: str
    qos: Qos
    rate: str  # for people
    publishers: str
    subscribers: str
    meaning: str

    def at(self, **parts: str) -> Topic:
        """The topic of one camera or finger."""
        return Topic(self.name.format(**parts), self.type, self.qos, self.rate, self.publishers, self.subscribers, self.meaning)


@dataclass(frozen=True)
class Service:
    """A service of the graph and the node that serves it."""

    name: str
    type: str
    server: str
    meaning: str


@dataclass(frozen=True)
class Action:
    """An action of the graph and the node that serves it."""

    name: str
    type: str
    server: str
    meaning: str


# --- robot: a driver or the simulator
CLOCK = Topic("/clock", "rosgraph_msgs/msg/Clock", Qos.CLOCK, "100 Hz", "sim_robot", "safety_monitor, motion_forwarder", "simulated time")
JOINT_STATES = Topic(
    "joint_states",
    "sensor_msgs/msg/JointState",
    Qos.STATE,
    "100 Hz",
    "sim_robot or driver",
    "safety_monitor, action_expert, planner, camera_perception, depth_perception, motion_forwarder, world_model, state_publisher",
    "measured joints, by name",
)
COLOR_IMAGE = Topic(
    "camera/{camera}/color/image_raw",
    "sensor_msgs/msg/Image",
    Qos.SENSOR,
    "30 Hz",
    "sim_robot or driver",
    "camera_perception, depth_perception",
    "rgb8",
)
COLOR_INFO = Topic(
    "camera/{camera}/color/camera_info",
    "sensor_msgs/msg/CameraInfo",
    Qos.STATE,
    "1 Hz",
    "sim_robot or driver",
    "depth_perception, RViz",
    "intrinsics; a driver sends them with each image",
)
DEPTH_IMAGE = Topic(
    "camera/{camera}/depth/image_rect_raw",
    "sensor_msgs/msg/Image",
    Qos.SENSOR,
    "30 Hz",
    "sim_robot or driver",
    "depth_perception",
    "16UC1, mm, registered to the colour image; 0: no return",
)
TACTILE_RAW = Topic(
    "tactile/{finger}/raw", "vla_ros/msg/TactileArray", Qos.SENSOR, "100 Hz", "sim_robot or driver", "tactile_perception", "taxels"
)
JOINT_TRAJECTORY = Topic(
    "arm_controller/joint_trajectory",
    "trajectory_msgs/msg/JointTrajectory",
    Qos.COMMAND,
    "100 Hz",
    "motion_forwarder",
    "sim_robot or controller",
    "short trajectories that end at rest",
)

# --- perception
POLICY_IMAGE = Topic(
    "perception/image", "sensor_msgs/msg/Image", Qos.SENSOR, "10 Hz", "camera_perception", "people", "policy-ready front image"
)
COLOR_COMPRESSED = Topic(
    "camera/{camera}/color/image_raw/compressed",
    "sensor_msgs/msg/CompressedImage",
    Qos.SENSOR,
    "10 Hz",
    "camera_perception",
    "planner, recorder",
    "JPEG of the raw image, under image_transport's name for it",
)
CAMERA_HEALTH = Topic(
    "perception/camera_health",
    "vla_ros/msg/CameraHealth",
    Qos.EVENT,
    "on change and 5 Hz",
    "camera_perception",
    "planner, safety_monitor",
    "whether images may be acted upon",
)
OBJECTS = Topic(
    "perception/objects",
    "vla_ros/msg/SceneObjects",
    Qos.STATE,
    "10 Hz",
    "depth_perception",
    "planner, action_expert, world_model, motion_forwarder, safety_monitor",
    "what is where",
)
DETECTIONS = Topic(
    "perception/detections",
    "vision_msgs/msg/Detection3DArray",
    Qos.STATE,
    "10 Hz",
    "depth_perception",
    "RViz",
    "the objects, for other tools",
)
POINTS = Topic(
    "perception/points",
    "sensor_msgs/msg/PointCloud2",
    Qos.SENSOR,
    "10 Hz when subscribed",
    "depth_perception",
    "RViz",
    "for people: what stands above the table, thinned, in its colours; robot and held object removed",
)
OBSTACLES = Topic(
    "perception/obstacles",
    "sensor_msgs/msg/PointCloud2",
    Qos.STATE,
    "10 Hz when subscribed",
    "depth_perception",
    "RViz",
    "for planners around obstacles: the same points without colour, none lost on the way",
)
CONTACT = Topic(
    "perception/contact",
    "vla_ros/msg/ContactState",
    Qos.STATE,
    "50 Hz",
    "tactile_perception",
    "action_expert, planner, safety_monitor, depth_perception",
    "force, slip",
)
OBJECT_MARKERS = Topic(
    "perception/markers",
    "visualization_msgs/msg/MarkerArray",
    Qos.STATE,
    "10 Hz when subscribed",
    "depth_perception",
    "RViz",
    "objects with names",
)

# --- thinking and acting
PLAN = Topic(
    "plan", "vla_ros/msg/Plan", Qos.LATCHED, "on change", "planner", "world_model, safety_monitor, recorder, people", "the plan in force"
)
REASONING = Topic(
    "reasoning", "vla_ros/msg/ReasoningTrace", Qos.EVENT, "on change", "planner, action_expert", "recorder", "why, before acting"
)
SUBTASK_REPORT = Topic(
    "subtask_report", "vla_ros/msg/SubtaskReport", Qos.EVENT, "on change", "planner", "recorder", "how each attempt went"
)
EPISODE = Topic(
    "episode", "vla_ros/msg/Episode", Qos.LATCHED_EVENTS, "on change", "planner", "recorder", "begin, end and marks of episodes"
)
ACTION_CHUNK = Topic(
    "action_chunk",
    "vla_ros/msg/ActionChunk",
    Qos.EVENT,
    "10 Hz while acting",
    "action_expert, motion_forwarder",
    "safety_monitor, world_model",
    "what an expert proposes",
)
WORLD_MODEL_ERROR = Topic(
    "world_model/error",
    "vla_ros/msg/WorldModelError",
    Qos.EVENT,
    "about 1 Hz while acting",
    "world_model",
    "recorder",
    "how far off its roll-outs were",
)
HEARTBEAT = Topic(
    "heartbeat",
    "vla_ros/msg/Heartbeat",
    Qos.BEAT,
    "5 Hz for each node, planner 10 Hz",
    "all",
    "safety_monitor, planner, action_expert, recorder",
    "a node lives",
)

# --- the gate
GATED_COMMAND = Topic(
    "gated_command",
    "vla_ros/msg/GatedCommand",
    Qos.STATE,
    "100 Hz",
    "safety_monitor",
    "motion_forwarder, action_expert, world_model",
    "what was let through",
)
SAFETY_DECISION = Topic(
    "safety/decision", "vla_ros/msg/SafetyDecision", Qos.EVENT, "on change", "safety_monitor", "planner, recorder", "each decision and why"
)
SAFETY_STATE = Topic(
    "safety/state",
    "vla_ros/msg/SafetyState",
    Qos.LATCHED,
    "5 Hz and on change",
    "safety_monitor",
    "planner, action_expert, motion_forwarder, people",
    "mode and reason",
)
ESTOP_TOPIC = Topic(
    "safety/estop", "std_msgs/msg/Empty", Qos.EVENT, "never", "any node", "safety_monitor", "the first message latches the stop"
)
DEADMAN = Topic(
    "safety/deadman",
    "std_msgs/msg/Bool",
    Qos.BEAT,
    "10 Hz or more while the arm is guided by hand",
    "people",
    "safety_monitor",
    "true while the switch is pressed",
)
SAFETY_MARKERS = Topic(
    "safety/markers",
    "visualization_msgs/msg/MarkerArray",
    Qos.STATE,
    "5 Hz when subscribed",
    "safety_monitor",
    "RViz",
    "proposed path coloured by the decision, committed path with its stop, nearest pair, workspace, text",
)

DIAGNOSTICS = Topic(
    "/diagnostics",
    "diagnostic_msgs/msg/DiagnosticArray",
    Qos.EVENT,
    "1 Hz and on change",
    "safety_monitor",
    "people",
    "in one sentence, why the arm moves or does not",
)

# --- standard
TF = Topic("/tf", "tf2_msgs/msg/TFMessage", Qos.TF, "25 Hz", "state_publisher", "RViz", "moving frames")
TF_STATIC = Topic(
    "/tf_static", "tf2_msgs/msg/TFMessage", Qos.TF_STATIC, "on start", "state_publisher", "depth_perception, RViz", "fixed frames"
)
ROBOT_DESCRIPTION = Topic("robot_description", "std_msgs/msg/String", Qos.LATCHED, "on start", "state_publisher", "RViz", "URDF")

ESTOP = Service("safety/estop", "std_srvs/srv/Trigger", "safety_monitor", "stops and latches")
HOLD = Service("safety/hold", "std_srvs/srv/Trigger", "safety_monitor", "stops without latching: a fresh chunk resumes")
RESET = Service("safety/reset", "std_srvs/srv/Trigger", "safety_monitor", "ends a latched stop after a healthy self-test")
SET_SPEED = Service("safety/set_speed", "vla_ros/srv/SetSpeed", "safety_monitor", "speed override")
FORGET = Service("perception/forget", "std_srvs/srv/Trigger", "depth_perception", "forgets all objects; the scene is looked at anew")
EVALUATE_CHUNK = Service("evaluate_chunk", "vla_ros/srv/EvaluateChunk", "world_model", "rolls a chunk out in the twin")
LIST_EXPERTS = Service("list_experts", "vla_ros/srv/ListExperts", "action_expert", "registered experts and their skills")
SIM_RESET = Service("sim/reset", "vla_ros/srv/ResetSimulation", "sim_robot", "arm home, scene sampled anew")
SIM_FAULT = Service("sim/fault", "vla_ros/srv/InjectFault", "sim_robot", "starts a fault")
SIM_SCORE = Service("sim/score", "vla_ros/srv/ScoreGoal", "sim_robot", "the simulator's own judgement; for evaluation only")

EXECUTE_GOAL = Action("execute_goal", "vla_ros/action/ExecuteGoal", "planner", "a goal in plain words")
EXECUTE_SUBTASK = Action("execute_subtask", "vla_ros/action/ExecuteSubtask", "action_expert", "one subtask")
MOVE_TO = Action("move_to", "vla_ros/action/MoveTo", "motion_forwarder", "a planned free-space motion, through the gate")
RECORD_EPISODE = Action("record_episode", "vla_ros/action/RecordEpisode", "recorder", "a bag of everything")
FOLLOW_JOINT_TRAJECTORY = Action(
    "arm_controller/follow_joint_trajectory",
    "control_msgs/action/FollowJointTrajectory",
    "sim_robot or controller",
    "of the stock controller; not used by the stack",
)

TOPICS: tuple[Topic, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Topic))
SERVICES: tuple[Service, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Service))
ACTIONS: tuple[Action, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Action))
