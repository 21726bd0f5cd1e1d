"""video.mp4 of a run, made from its bag: what the front camera saw, and what the stack was doing.

Frames come at a constant rate; each shows the newest image at its time, so a camera that stood still stands still in the video.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from vla_ros.core.errors import DataError
from vla_ros.core.stamps import NS_PER_S, ns_from_s, s_from_ns
from vla_ros.data.bag_reader import BagReader
from vla_ros.data.images import Image8, colour_decode, raw_colour
from vla_ros.data.overlay import HEIGHT_PX, WIDTH_PX, Overlay
from vla_ros.data.run_signals import RunSignals

_COMPRESSED, _RAW = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"
_QUALITY = "26"  # x264's constant rate factor: small text stays legible


@dataclass(frozen=True)
class VideoInfo:
    """What was written."""

    frames: int
    duration_s: float
    unreadable_images: int  # images in the bag that could not be decoded


def save_video(bag: Path, signals: RunSignals, path: Path, front_topic: str, wrist_topic: str = "", rate_hz: int = 30) -> VideoInfo:
    """Writes the video (H.264, yuv420p, index at the front). Topics may hold compressed or raw images.

    Raises DataError when the bag has no readable image on ``front_topic``, naming the image topics that it has, or when the file cannot be
    written; ``path`` then stays as it was.
    """
    partial = path.with_name(f".{path.stem}.part.mp4")
    try:
        with BagReader(bag) as reader:
            _check_topics(reader, front_topic, wrist_topic)
            images = _Images(reader, front_topic, wrist_topic, signals)
            frames = _encode(images, Overlay(signals), partial, rate_hz)
        if not frames:
            raise DataError(f"{bag}: none of the {images.unreadable} images on '{front_topic}' can be decoded.")
        partial.replace(path)
    except (OSError, av.FFmpegError) as error:
        raise DataError(f"Cannot write {path}: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return VideoInfo(frames, frames / rate_hz, images.unreadable)


def _encode(images: _Images, overlay: Overlay, path: Path, rate_hz: int) -> int:
    """Number of frames written."""
    frames = 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = _video_stream(container, rate_hz)
        for front, wrist, time_s in images.frames(rate_hz):
            # OpenCV converts faster than the encoder does itself: 1.7 ms less for each frame.
            planes = np.asarray(cv2.cvtColor(overlay.compose(front, wrist, time_s), cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = frames
            container.mux(stream.encode(frame))
            frames += 1
        if frames:
            container.mux(stream.encode(None))
    return frames


class _Images:
    """The cameras' images of a bag, resampled to a constant rate."""

    def __init__(self, reader: BagReader, front_topic: str, wrist_topic: str, signals: RunSignals) -> None:
        self._reader = reader
        self._topics = [front_topic, wrist_topic] if wrist_topic else [front_topic]
        self._start_ns = signals.start_ns
        self._end_ns = signals.start_ns + ns_from_s(signals.duration_s)
        self.unreadable = 0

    def frames(self, rate_hz: int) -> Iterator[tuple[Image8, Image8 | None, float]]:
        """(front, wrist, seconds after the run's start), from the first front image to the last one."""
        newest: dict[str, Any] = {}  # undecoded: an image that no frame shows need not be decoded
        decoded: dict[str, tuple[Any, Image8 | None]] = {}
        first_ns = -1
        count = 0
        for message in self._reader.messages(self._topics):
            stamp_ns = message.data.header.stamp.sec * NS_PER_S + message.data.header.stamp.nanosec
            while first_ns >= 0 and first_ns + (count * NS_PER_S) // rate_hz < stamp_ns:
                yield from self._frame(newest, decoded, first_ns + (count * NS_PER_S) // rate_hz)
                count += 1
            newest[message.topic] = message
            if first_ns < 0 and message.topic == self._topics[0]:
                first_ns = stamp_ns
        if first_ns >= 0:  # the last one, at which a player stays, tells how the run ended
            yield from self._frame(newest, decoded, max(first_ns + (count * NS_PER_S) // rate_hz, self._end_ns))

    def _frame(
        self, newest: dict[str, Any], decoded: dict[str, tuple[Any, Image8 | None]], time_ns: int
    ) -> Iterator[tuple[Image8, Image8 | None, float]]:
        for topic, message in newest.items():
            if topic not in decoded or decoded[topic][0] is not message:
                image = self._decode(message, half=topic != self._topics[0])
                # An unreadable image leaves the one before it standing.
                decoded[topic] = (message, image if image is not None else decoded.get(topic, (None, None))[1])
        front = decoded[self._topics[0]][1]
        wrist = decoded.get(self._topics[-1], (None, None))[1] if len(self._topics) > 1 else None
        if front is not None:
            yield front, wrist, s_from_ns(time_ns - self._start_ns)

    def _decode(self, message: Any, half: bool) -> Image8 | None:
        try:
            return _decode(message.data, message.type, half)
        except DataError:
            self.unreadable += 1
            return None


def _decode(image: Any, message_type: str, half: bool) -> Image8:
    if message_type == _COMPRESSED:
        return colour_decode(image.data, half)
    return raw_colour(image.data, image.height, image.width, image.step, image.encoding)


def _video_stream(container: av.container.OutputContainer, rate_hz: int) -> VideoStream:
    stream = container.add_stream("libx264", rate=rate_hz, options={"preset": "ultrafast", "crf": _QUALITY})
    stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
    stream.time_base = Fraction(1, rate_hz)
    stream.thread_count = 1  # a run is followed by the next one: leave the other core alone
    return stream


def _check_topics(reader: BagReader, front_topic: str, wrist_topic: str) -> None:
    cameras = {t.name for t in reader.info.topics if t.type in (_COMPRESSED, _RAW) and t.message_count}
    for topic in (front_topic, wrist_topic):
        if topic and topic not in cameras:
            raise DataError(f"{reader.path} has no images on '{topic}'; image topics: {', '.join(sorted(cameras)) or 'none'}.")
