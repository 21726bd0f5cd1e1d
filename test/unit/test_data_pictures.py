"""Timeline, video and images: right size, right length, and what has to be seen is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from data_samples import COMPRESSED, FRONT, LIMITS, WRIST, BagMaker, S, empty_joints, picture, signals
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_ros.core.decisions import SafetyMode
from vla_ros.core.errors import DataError
from vla_ros.data.artefacts import make_artefacts
from vla_ros.data.images import colour_decode, jpeg_encode, raw_colour
from vla_ros.data.overlay import CAMERA_HEIGHT_PX, HEIGHT_PX, WIDTH_PX, Overlay, load_font, wrap
from vla_ros.data.run_folder import RunFolder
from vla_ros.data.run_signals import ContactSignal, ModeChange
from vla_ros.data.timeline import HEIGHT_PX as TIMELINE_HEIGHT_PX
from vla_ros.data.timeline import MODE_COLOURS, save_timeline
from vla_ros.data.timeline import WIDTH_PX as TIMELINE_WIDTH_PX
from vla_ros.data.video import save_video


def has_colour(image: np.ndarray, hex_colour: str) -> bool:
    rgb = [int(hex_colour[k : k + 2], 16) for k in (1, 3, 5)]
    return bool((image == rgb).all(axis=-1).sum() > 50)


def test_timeline_shows_modes_in_their_colours(tmp_path: Path) -> None:
    run = signals()
    save_timeline(run, LIMITS, tmp_path / "timeline.png")
    image = colour_decode((tmp_path / "timeline.png").read_bytes())
    assert image.shape == (TIMELINE_HEIGHT_PX, TIMELINE_WIDTH_PX, 3)
    for change in run.modes:
        assert has_colour(image, MODE_COLOURS[change.mode])


def test_the_badge_says_moving_while_a_chunk_is_followed_and_the_panel_done_at_the_end() -> None:
    run = replace(signals(), modes=(ModeChange(0.0, SafetyMode.READY, "no_chunk", ""), ModeChange(1.0, SafetyMode.READY, "ok", "")))
    overlay, black = Overlay(run), np.zeros((CAMERA_HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    badge, panel = (slice(8, 36), slice(8, 120)), (slice(CAMERA_HEIGHT_PX + 30, CAMERA_HEIGHT_PX + 50), slice(None))
    ready, moving = (overlay.compose(black, None, t)[badge] for t in (0.9, 1.1))
    assert (ready != moving).any()
    unverified = Overlay(replace(run, outcome="failed"))
    assert (overlay.compose(black, None, 9.5)[panel] != unverified.compose(black, None, 9.5)[panel]).any()
    assert (overlay.compose(black, None, 8.5)[panel] == unverified.compose(black, None, 8.5)[panel]).all()


def test_timeline_of_a_run_in_which_nothing_happened(tmp_path: Path) -> None:
    none = np.zeros(0)
    contact = ContactSignal((), none, np.zeros((0, 0)))
    bare = replace(signals(), duration_s=0.0, joints=empty_joints(7), command=empty_joints(7), contact=contact)
    bare = replace(bare, gripper_times_s=none, gripper_width_m=none, subtasks=(), decisions=(), modes=(), reasoning=(), events=())
    bare = replace(bare, outcome="", instruction="")
    save_timeline(bare, LIMITS, tmp_path / "timeline.png")
    assert colour_decode((tmp_path / "timeline.png").read_bytes()).shape[0] == TIMELINE_HEIGHT_PX


def camera_bag(folder: Path, front_stamps_s: list[float], wrist_stamps_s: list[float]) -> Path:
    maker = BagMaker(folder)
    shots = [(t, FRONT) for t in front_stamps_s] + [(t, WRIST) for t in wrist_stamps_s]
    for k, (time_s, topic) in enumerate(sorted(shots)):
        maker.image(topic, S + round(time_s * S), picture(40 + 10 * (k % 10)))
    maker.bag.close()
    return folder


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert container.streams.video[0].codec_context.name == "h264"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_video_has_the_length_of_the_run(tmp_path: Path) -> None:
    bag = camera_bag(tmp_path / "bag", [k / 10 for k in range(21)], [k / 10 for k in range(21)])
    info = save_video(bag, signals(), tmp_path / "video.mp4", FRONT, WRIST, rate_hz=10)
    frames = frames_of(tmp_path / "video.mp4")
    assert (info.frames, len(frames), info.duration_s, info.unreadable_images) == (21, 21, 2.1, 0)
    assert frames[0].shape == (HEIGHT_PX, WIDTH_PX, 3)
    content = (tmp_path / "video.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # can be shown while it loads


def test_a_camera_that_pauses_stands_still_in_the_video(tmp_path: Path) -> None:
    bag = camera_bag(tmp_path / "bag", [0.0, 0.1, 1.0], [])
    info = save_video(bag, signals(), tmp_path / "video.mp4", FRONT, rate_hz=10)
    assert info.frames == 11
    levels = [int(frame[10:100, 300:600].mean()) for frame in frames_of(tmp_path / "video.mp4")]
    assert max(levels[1:10]) - min(levels[1:10]) <= 2  # what compression leaves
    assert levels[10] - 5 > levels[9]
    assert levels[1] - 5 > levels[0]


def test_video_goes_on_over_a_broken_image_and_counts_it(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "bag")
    maker.image(FRONT, S, picture(100))
    maker.write(FRONT, COMPRESSED, S + S // 10, format="jpeg", data=np.frombuffer(b"broken", np.uint8))
    maker.image(FRONT, S + 2 * S // 10, picture(100))
    maker.bag.close()
    info = save_video(tmp_path / "bag", signals(), tmp_path / "video.mp4", FRONT, rate_hz=10)
    assert (info.frames, info.unreadable_images) == (3, 1)


def test_video_from_raw_images(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "bag")
    for k in range(3):
        raw = {"height": 48, "width": 64, "step": 64 * 3, "encoding": "rgb8", "data": picture(90, 48, 64).ravel()}
        maker.write("/front", "sensor_msgs/msg/Image", S + k * S // 10, **raw)
    maker.bag.close()
    assert save_video(tmp_path / "bag", signals(), tmp_path / "video.mp4", "/front", rate_hz=10).frames == 3
    frame = frames_of(tmp_path / "video.mp4")[0]
    assert abs(int(frame[300, 600].mean()) - 90) < 6


def test_video_names_the_topics_there_are(tmp_path: Path) -> None:
    bag = camera_bag(tmp_path / "bag", [0.0], [])
    with pytest.raises(DataError, match=f"no images on '/front'; image topics: {FRONT}"):
        save_video(bag, signals(), tmp_path / "video.mp4", "/front")


def test_overlay_shows_the_latched_stop_in_red() -> None:
    overlay = Overlay(signals())
    grey = picture(128)
    stopped, ready = overlay.compose(grey, grey, 6.0), overlay.compose(grey, grey, 2.0)
    assert stopped[12, 12].tolist() == [200, 30, 45]
    assert ready[12, 12].tolist() == [30, 130, 70]
    assert (stopped[CAMERA_HEIGHT_PX:] != ready[CAMERA_HEIGHT_PX:]).any()  # no subtask but the same reasoning


@given(text=st.text(max_size=300), lines=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_wrapped_text_fits(text: str, lines: int) -> None:
    wrapped = wrap(text, 13, False, lines)
    assert 1 <= len(wrapped) <= lines
    assert max(load_font(13, False).getlength(line) for line in wrapped) <= WIDTH_PX


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert wrap("word " * 100, 13, False, 2)[-1].endswith("...")
    assert wrap("two words", 13, False, 2) == ["two words"]


def test_colour_comes_back_nearly() -> None:
    colour = picture(90)
    assert np.abs(colour_decode(jpeg_encode(colour, 95)).astype(int) - colour).mean() < 2
    assert colour_decode(jpeg_encode(colour), half=True).shape == (240, 320, 3)


def test_images_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(DataError, match=r"\[h, w, 3\]"):
        jpeg_encode(np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="neither a whole JPEG"):
        colour_decode(b"nonsense")
    with pytest.raises(DataError, match="valid: rgb8, bgr8"):
        raw_colour(np.zeros(4, np.uint8), 2, 2, 2, "mono8")


def test_raw_rows_may_be_padded_and_bgr() -> None:
    data = np.arange(2 * 8, dtype=np.uint8)
    image = raw_colour(data, 2, 2, 8, "bgr8")
    assert image.tolist() == [[[2, 1, 0], [5, 4, 3]], [[10, 9, 8], [13, 12, 11]]]


def test_a_picture_that_fails_is_reported_and_the_other_one_made(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    camera_bag(folder.bag, [0.0], [])
    assert make_artefacts(folder, signals(), LIMITS, FRONT) == []
    assert folder.timeline.exists()
    assert folder.video.exists()
    assert make_artefacts(folder, signals(), LIMITS, "/nothing")[0].startswith("No video: ")


def test_a_bag_without_a_readable_image_leaves_no_video(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "bag")
    maker.write(FRONT, COMPRESSED, S, format="jpeg", data=np.frombuffer(b"broken", np.uint8))
    maker.bag.close()
    with pytest.raises(DataError, match="none of the 1 images"):
        save_video(tmp_path / "bag", signals(), tmp_path / "video.mp4", FRONT)
    with pytest.raises(DataError, match="Cannot write"):
        save_video(camera_bag(tmp_path / "good", [0.0], []), signals(), tmp_path / "nowhere" / "video.mp4", FRONT)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag", "good"]
