"""A bag is read back byte for byte by independent readers, survives being cut off, and never hides a failed write."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from vla_ros.core.errors import DataError
from vla_ros.data.bag_metadata import QosProfile
from vla_ros.data.bag_reader import BagReader
from vla_ros.data.bag_recovery import mcap_file, recover
from vla_ros.data.bag_writer import BagWriter

JOINTS = "sensor_msgs/msg/JointState"
STRING = "std_msgs/msg/String"
STORE = get_typestore(Stores.ROS2_KILTED)
S = 1_000_000_000
START = 5 * S


def joint_state(k: int) -> bytes:
    header = STORE.types["std_msgs/msg/Header"](STORE.types["builtin_interfaces/msg/Time"](k, 0), "base")
    values = np.full(7, float(k))
    return bytes(STORE.serialize_cdr(STORE.types[JOINTS](header, [f"j{i}" for i in range(7)], values, values, values), JOINTS))


def string(text: str) -> bytes:
    return bytes(STORE.serialize_cdr(STORE.types[STRING](text), STRING))


def open_bag(folder: Path, **options: object) -> BagWriter:
    bag = BagWriter(folder, **options)  # type: ignore[arg-type]
    definition, _ = STORE.generate_msgdef(JOINTS, ros_version=2)
    bag.add_topic("/joint_states", JOINTS, definition, STORE.hash_rihs01(JOINTS), [QosProfile("best_effort", depth=5)])
    bag.add_topic("/words", STRING, STORE.generate_msgdef(STRING, ros_version=2)[0])
    return bag


def write_seconds(bag: BagWriter, seconds: int) -> list[tuple[str, int, bytes]]:
    """Ten joint states and one word in each second."""
    written = []
    for k in range(seconds * 10):
        written.append(("/joint_states", START + k * S // 10, joint_state(k)))
        if k % 10 == 0:
            written.append(("/words", START + k * S // 10, string(f"second {k // 10}")))
    for topic, time_ns, cdr in written:
        bag.write(topic, cdr, time_ns, time_ns - 7)
    return written


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_rosbags_and_mcap_read_the_same_bytes(tmp_path: Path, compression: str) -> None:
    with open_bag(tmp_path / "bag", compression=compression) as bag:
        written = write_seconds(bag, 5)
    with Reader(tmp_path / "bag") as reader:
        assert [(c.topic, t, bytes(d)) for c, t, d in reader.messages()] == written
        joints = next(c for c in reader.connections if c.topic == "/joint_states")
        assert (joints.msgcount, joints.digest) == (50, STORE.hash_rihs01(JOINTS))
        assert joints.ext.offered_qos_profiles[0].reliability.name == "BEST_EFFORT"
        assert (reader.start_time, reader.message_count) == (START, len(written))
    with mcap_file(tmp_path / "bag").open("rb") as stream:
        rows = list(make_reader(stream, validate_crcs=True, decoder_factories=[DecoderFactory()]).iter_decoded_messages())
    assert [(c.topic, m.log_time, m.data) for _, c, m, _ in rows] == written
    assert {m.log_time - m.publish_time for _, _, m, _ in rows} == {7}
    assert list(rows[-1].decoded_message.position) == [49.0] * 7


def test_metadata_says_what_ros2_bag_info_needs(tmp_path: Path) -> None:
    with open_bag(tmp_path / "bag", ros_distro="kilted") as bag:
        write_seconds(bag, 2)
    info = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    with mcap_file(tmp_path / "bag").open("rb") as stream:
        (record,) = make_reader(stream).iter_metadata()
    assert (record.name, yaml.safe_load(record.metadata["serialized_metadata"])) == ("rosbag2", info)
    assert (info["version"], info["storage_identifier"], info["ros_distro"]) == (9, "mcap", "kilted")
    assert info["relative_file_paths"] == ["bag_0.mcap"]
    assert info["duration"]["nanoseconds"] == 19 * S // 10
    assert info["starting_time"]["nanoseconds_since_epoch"] == START
    counts = {t["topic_metadata"]["name"]: t["message_count"] for t in info["topics_with_message_count"]}
    assert counts == {"/joint_states": 20, "/words": 2}
    offered = info["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"]
    assert (offered[0]["reliability"], offered[0]["deadline"]["sec"]) == ("best_effort", 9223372036)


def test_reader_orders_by_log_time_and_filters(tmp_path: Path) -> None:
    times = [3, 1, 2, 9, 4, 8, 7, 6, 5]  # as after the clock of a simulation is reset
    with open_bag(tmp_path / "bag", chunk_bytes=64) as bag:
        for k in times:
            bag.write("/words", string(str(k)), k * S, k * S)
    with BagReader(tmp_path / "bag") as reader:
        assert [m.data.data for m in reader.messages()] == [str(k) for k in sorted(times)]
        assert [m.data.data for m in reader.messages(["/words"], 3 * S, 6 * S)] == ["3", "4", "5"]
        assert list(reader.messages(["/joint_states"])) == list(reader.messages(["/nowhere"])) == []
        assert reader.damage == ""


@given(cut=st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_a_file_cut_anywhere_gives_a_prefix_and_can_be_recovered(tmp_path_factory: pytest.TempPathFactory, cut: float) -> None:
    folder = tmp_path_factory.mktemp("cut") / "bag"
    with open_bag(folder, chunk_bytes=2000) as bag:
        written = write_seconds(bag, 3)
    path = mcap_file(folder)
    os.truncate(path, 50 + int(cut * (path.stat().st_size - 50)))
    (folder / "metadata.yaml").unlink()
    with BagReader(folder) as reader:
        seen = [(t, m.log_time_ns, m.data) for t, m in reader.raw_messages()]
    assert seen == written[: len(seen)]
    recover(folder)
    if seen:
        with Reader(folder) as whole:
            assert [(c.topic, t, bytes(d)) for c, t, d in whole.messages()] == seen
    with path.open("rb") as stream:
        assert [(c.topic, m.log_time, m.data) for _, c, m in make_reader(stream, validate_crcs=True).iter_messages()] == seen
    assert recover(folder).was_whole


def test_a_killed_recorder_loses_at_most_what_came_after_the_last_flush(tmp_path: Path) -> None:
    bag = open_bag(tmp_path / "bag", flush_interval_ns=S)
    written = write_seconds(bag, 4)
    # Never closed, as when the process is killed.
    with BagReader(tmp_path / "bag") as reader:
        seen = [(t, m.log_time_ns, m.data) for t, m in reader.raw_messages()]
        assert "not completed" in reader.damage
    assert seen == written[: len(seen)]
    assert written[-1][1] - seen[-1][1] < S
    recovery = recover(tmp_path / "bag")
    assert (recovery.info.message_count, recovery.was_whole) == (len(seen), False)


def test_damage_inside_a_chunk_ends_the_readable_part(tmp_path: Path) -> None:
    bag = open_bag(tmp_path / "bag", flush_interval_ns=S)
    write_seconds(bag, 4)
    path = mcap_file(tmp_path / "bag")
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size * 3 // 4)
        stream.write(b"\xff" * 40)
    with BagReader(tmp_path / "bag") as reader:
        count = sum(1 for _ in reader.messages())
    assert 0 < count < 40
    assert recover(tmp_path / "bag").info.message_count == count


@pytest.fixture
def small_disk() -> Iterator[int]:
    """Files may grow to 20 kB only."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield 20_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_and_stays_one(tmp_path: Path, small_disk: int) -> None:
    bag = open_bag(tmp_path / "bag", chunk_bytes=3000)
    with pytest.raises(DataError, match="failed after"):
        write_seconds(bag, 60)
    with pytest.raises(DataError, match="failed after"):
        bag.write("/words", string("more"), START, START)
    with pytest.raises(DataError, match="failed after") as closing:
        bag.close()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    kept = recover(tmp_path / "bag").info.message_count
    assert 0 < kept < 600
    assert "recover the bag" in str(closing.value) or f"{kept} of" in str(closing.value)
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == len(list(reader.messages())) == kept


def test_a_failed_close_is_an_error(tmp_path: Path, small_disk: int) -> None:
    bag = open_bag(tmp_path / "bag")
    for k in range(100):
        bag.write("/joint_states", joint_state(k), START, START)
    with pytest.raises(DataError, match="0 of 100 messages are kept"):
        bag.close()


def test_misuse_is_explained(tmp_path: Path) -> None:
    with open_bag(tmp_path / "bag") as bag:
        with pytest.raises(DataError, match="'/other' was not added"):
            bag.write("/other", b"", 0, 0)
        with pytest.raises(DataError, match="already in the bag"):
            bag.add_topic("/words", STRING, "string data")
        with pytest.raises(DataError, match="exists already"):
            BagWriter(tmp_path / "bag")
    with pytest.raises(DataError, match="is closed"):
        bag.write("/words", string("late"), 0, 0)
    with pytest.raises(DataError, match="valid: zstd, none"):
        BagWriter(tmp_path / "other", "lzma")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="reliability 'yes' is unknown"):
        QosProfile("yes")
    (tmp_path / "text.mcap").write_text("this is no bag")
    with pytest.raises(DataError, match="not an MCAP file"):
        BagReader(tmp_path / "text.mcap")
    with pytest.raises(DataError, match="No bag at"):
        BagReader(tmp_path / "nothing")


def test_a_message_that_does_not_fit_its_definition_is_explained(tmp_path: Path) -> None:
    with open_bag(tmp_path / "bag") as bag:
        bag.write("/joint_states", string("not a joint state"), START, START)
    with BagReader(tmp_path / "bag") as reader, pytest.raises(DataError, match="does not fit its definition"):
        list(reader.messages())
