"""A run that has ended gets its pictures, and its result their names and the measures; a bag that cannot be read costs it nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_samples import FINGERS, JOINTS, BagMaker, S, picture

from vla_ros.core.errors import DataError
from vla_ros.data.run_folder import RunFolder
from vla_ros.evaluation import finish_run as module
from vla_ros.evaluation.finish_run import finish_run

RESULT = {
    "instruction": "stack", "robot": "panda", "outcome": "failed", "reason": "timeout", "message": "It took too long.", "verified": False,
    "duration_s": 1.0, "subtasks": [], "versions": {},
}  # fmt: skip


def run_of(tmp_path: Path, *, bag: bool = True) -> RunFolder:
    folder = RunFolder(tmp_path)
    if bag:
        maker = BagMaker(folder.bag)
        for k in range(100):
            position = np.array([0.005 * k, *np.zeros(6), 0.02, 0.02])
            maker.write("/joint_states", "sensor_msgs/msg/JointState", S + k * S // 100, name=[*JOINTS, *FINGERS], position=position)
        for k in range(3):
            for topic in (module.FRONT_TOPIC, module.WRIST_TOPIC):
                maker.image(topic, S + k * S // 10, picture(90))
        maker.bag.close()
    return folder


def test_the_result_gets_measures_and_files_and_keeps_the_rest(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    folder.write_result(RESULT)
    assert set(folder.read_result()["files"]) == {"bag"}
    assert module.main([str(folder.path)]) == 0
    result = folder.read_result()
    assert set(result["files"]) == {"bag", "video.mp4", "timeline.png"}
    assert result["measures"]["path_length_m"] > 0.0
    assert result["measures"]["duration_s"] == pytest.approx(0.99)
    assert {key: result[key] for key in RESULT} == RESULT
    assert (result["schema"], result["run"]) == (1, tmp_path.name)


def test_without_a_bag_the_result_says_that_nothing_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_of(tmp_path, bag=False)
    folder.write_result(RESULT)
    assert module.main([str(folder.path)]) == 1
    assert str(folder.bag) in capsys.readouterr().err
    assert folder.read_result()["measures"] is None


def test_an_episode_without_a_result_gets_its_pictures_only(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    assert finish_run(folder, "panda") == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag", "timeline.png", "video.mp4"]
    with pytest.raises(DataError, match=r"no result\.json"):
        folder.add_to_result(seed=3)


def test_a_result_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_of(tmp_path)
    folder.write_result(RESULT)
    before = folder.result.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert any("No space left" in problem for problem in finish_run(folder, "panda"))
    assert folder.result.read_bytes() == before
