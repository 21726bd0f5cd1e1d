"""Which topics of the graph a run's bag holds."""

from __future__ import annotations

from vla_ros.robots.values import RobotConfig
from vla_ros.ros import interfaces
from vla_ros.ros.interfaces import Topic

# Raw images come as JPEG; what can be derived from the rest (markers, detections) and what is for watching only is left out.
_LEFT_OUT = {
    interfaces.CLOCK,
    interfaces.COLOR_IMAGE,
    interfaces.DEPTH_IMAGE,
    interfaces.POLICY_IMAGE,
    interfaces.DETECTIONS,
    interfaces.POINTS,
    interfaces.OBJECT_MARKERS,
    interfaces.SAFETY_MARKERS,
    interfaces.DIAGNOSTICS,
    interfaces.HEARTBEAT,
    interfaces.OBSTACLES,
}


def recorded_topics(robot: RobotConfig) -> tuple[Topic, ...]:
    """What a bag holds, for the robot's cameras and fingers."""
    topics = []
    for topic in interfaces.TOPICS:
        if topic in _LEFT_OUT:
            continue
        if "{camera}" in topic.name:
            topics += [topic.at(camera=camera) for camera in robot.cameras]
        elif "{finger}" in topic.name:
            topics += [topic.at(finger=finger) for finger in robot.tactile]
        else:
            topics.append(topic)
    return tuple(topics)
