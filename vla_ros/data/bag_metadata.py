"""The values of rosbag2's metadata.yaml, and the file itself (format version 9, as Kilted writes it)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vla_ros.core.errors import DataError
from vla_ros.data.files import write_atomically

FORMAT_VERSION = 9  # QoS policies as words; 7 brought type_description_hash, 8 ros_distro
METADATA_FILE = "metadata.yaml"
_FOREVER = {"sec": 9223372036, "nsec": 854775807}  # rmw's RMW_DURATION_INFINITE


@dataclass(frozen=True)
class QosProfile:
    """What a publisher offered; the words are those of rmw."""

    reliability: str = "reliable"  # or "best_effort"
    durability: str = "volatile"  # or "transient_local"
    history: str = "keep_last"  # or "keep_all"
    depth: int = 10

    def __post_init__(self) -> None:
        valid = {
            "reliability": ("reliable", "best_effort", "system_default", "unknown"),
            "durability": ("volatile", "transient_local", "system_default", "unknown"),
            "history": ("keep_last", "keep_all", "system_default", "unknown"),
        }
        for field, words in valid.items():
            if getattr(self, field) not in words:
                raise DataError(f"QoS {field} '{getattr(self, field)}' is unknown; valid: {', '.join(words)}.")

    def as_dict(self) -> dict[str, Any]:
        """The mapping that rosbag2 writes; deadline, lifespan and liveliness do not matter for playing and stay at their defaults."""
        return {
            "history": self.history,
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": dict(_FOREVER),
            "lifespan": dict(_FOREVER),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(_FOREVER),
            "avoid_ros_namespace_conventions": False,
        }


@dataclass(frozen=True)
class TopicInfo:
    """One topic of a bag."""

    name: str
    type: str
    message_count: int
    type_hash: str = ""
    qos_yaml: str = ""  # list of profiles, as stored in the channel's metadata


@dataclass(frozen=True)
class BagInfo:
    """What metadata.yaml says of a bag with one file."""

    file_name: str
    start_ns: int  # log time of the first message; 0 when there is none
    end_ns: int  # log time of the last message
    topics: tuple[TopicInfo, ...]
    ros_distro: str = ""

    @property
    def message_count(self) -> int:
        """Of all topics."""
        return sum(t.message_count for t in self.topics)

    @property
    def duration_ns(self) -> int:
        """From the first message to the last."""
        return max(0, self.end_ns - self.start_ns)


def qos_to_yaml(profiles: Sequence[QosProfile]) -> str:
    """The profiles as rosbag2 writes them into a channel's metadata."""
    return _dump([p.as_dict() for p in profiles]).strip() if profiles else ""


def write_metadata(folder: Path, info: BagInfo) -> None:
    """Writes ``folder``/metadata.yaml in one step. Raises DataError when the disk does not take it."""
    write_atomically(folder / METADATA_FILE, _dump({"rosbag2_bagfile_information": metadata_mapping(info)}).encode())


def embedded_metadata(info: BagInfo) -> dict[str, str]:
    """The content of the MCAP metadata record "rosbag2", by which rosbag2 reads a bag whose metadata.yaml is missing."""
    return {"serialized_metadata": _dump(metadata_mapping(info)).strip()}


def metadata_mapping(info: BagInfo) -> dict[str, Any]:
    """The content of ``rosbag2_bagfile_information``."""
    start = {"nanoseconds_since_epoch": info.start_ns}
    duration = {"nanoseconds": info.duration_ns}
    return {
        "version": FORMAT_VERSION,
        "storage_identifier": "mcap",
        "duration": duration,
        "starting_time": start,
        "message_count": info.message_count,
        "topics_with_message_count": [_topic_mapping(t) for t in info.topics],
        # Chunks are compressed inside the MCAP file; these two are about compression around it.
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [info.file_name],
        "files": [{"path": info.file_name, "starting_time": dict(start), "duration": dict(duration), "message_count": info.message_count}],
        "custom_data": None,
        "ros_distro": info.ros_distro,
    }


def _topic_mapping(topic: TopicInfo) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": topic.name,
            "type": topic.type,
            "serialization_format": "cdr",
            "offered_qos_profiles": yaml.safe_load(topic.qos_yaml) or [] if topic.qos_yaml else [],
            "type_description_hash": topic.type_hash,
        },
        "message_count": topic.message_count,
    }


def _dump(value: object) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, default_flow_style=False))
