"""Verdicts of `vla doctor` on given facts."""

from pathlib import Path

import numpy as np
import pytest

from vla_ros.cli.commands import doctor
from vla_ros.cli.doctor import machine, probes
from vla_ros.cli.doctor.finding import Finding, Level, fail, ok, warn

MIB = machine.MIB
CHECKOUT = Path("/home/lab/vla_ros")


@pytest.mark.parametrize(
    ("finding", "level", "text"),
    [
        (machine.check_python((3, 12), wheels=True), Level.OK, "3.12"),
        (machine.check_python((3, 14), wheels=True), Level.FAIL, "3.11 to 3.13"),
        (machine.check_python((3, 14), wheels=False), Level.OK, "3.14"),
        (machine.check_architecture("aarch64", wheels=True), Level.FAIL, "x86_64 only"),
        (machine.check_architecture("aarch64", wheels=False), Level.OK, "aarch64"),
        (machine.check_cores(1), Level.WARN, "real time"),
        (
            machine.check_debian_packages(["g++", "cmake"], {"g++"}.__contains__),
            Level.FAIL,
            "apt-get install -y --no-install-recommends cmake",
        ),
        (machine.check_debian_packages(["g++"], {"g++"}.__contains__), Level.OK, "all 1"),
        (machine.check_shared_memory(1024 * MIB, 1000 * MIB), Level.OK, "1024 MiB"),
        (machine.check_shared_memory(256 * MIB, 200 * MIB), Level.WARN, "--shm-size"),
        (machine.check_shared_memory(64 * MIB, 60 * MIB), Level.FAIL, "--shm-size"),
        (machine.check_receive_buffer(4 * MIB), Level.OK, "4.0 MiB"),
        (machine.check_receive_buffer(212992), Level.WARN, "rmem_max=4194304"),
    ],
)
def test_verdicts(finding: Finding, level: Level, text: str) -> None:
    assert finding.level is level
    assert text in finding.lines()
    assert bool(finding.remedy) == (level is not Level.OK)


@pytest.mark.parametrize(
    ("environment", "wheels", "level", "text"),
    [
        ({"AMENT_PREFIX_PATH": f"{CHECKOUT}/install/vla_ros:{CHECKOUT}/.venv"}, True, Level.OK, "from wheels"),
        ({}, True, Level.FAIL, "env.sh"),
        ({"AMENT_PREFIX_PATH": f"{CHECKOUT}/.venv:/opt/ros/jazzy"}, True, Level.FAIL, "mixed with /opt/ros/jazzy"),
        ({"AMENT_PREFIX_PATH": f"{CHECKOUT}/.venv", "ROS_DISTRO": "humble"}, True, Level.FAIL, "mixed with humble"),
        (
            {"AMENT_PREFIX_PATH": f"{CHECKOUT}/install/vla_ros:/opt/ros/jazzy", "ROS_DISTRO": "jazzy"},
            False,
            Level.OK,
            "jazzy of the system",
        ),
        ({"AMENT_PREFIX_PATH": "/opt/ros/jazzy:/opt/ros/kilted", "ROS_DISTRO": "jazzy"}, False, Level.FAIL, "several distributions"),
        ({"AMENT_PREFIX_PATH": "/opt/ros/humble", "ROS_DISTRO": "humble"}, False, Level.FAIL, "too old"),
    ],
)
def test_a_mix_of_ros_distributions_is_seen(environment: dict[str, str], wheels: bool, level: Level, text: str) -> None:
    finding = machine.check_ros_mix(environment, CHECKOUT, wheels)
    assert finding.level is level
    assert text in finding.lines()


def test_a_package_with_another_version_than_pinned_is_named(tmp_path: Path) -> None:
    file = tmp_path / "base.txt"
    file.write_text(f"# comment\nnumpy=={np.__version__}  # import numpy\n")
    assert machine.check_pins([file]).level is Level.OK
    file.write_text("numpy==0.0.1\nno-such-package[extra]==1.0\n")
    found = machine.check_pins([file]).found
    assert f"numpy {np.__version__} (pinned: 0.0.1)" in found
    assert "no-such-package missing" in found


def test_the_exit_code_follows_the_worst_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    options = doctor.argparse.Namespace(quick=True)
    findings = [ok("a", "b"), warn("c", "d", "e")]
    monkeypatch.setattr(doctor, "checks", lambda quick: [(lambda f=f: f) for f in findings])
    assert doctor.run(options) == 0
    findings.insert(0, fail("f", "g", "h"))
    assert doctor.run(options) == 1
    assert "FAIL f: g\n     -> h" in capsys.readouterr().out


def test_a_probe_that_crashes_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "RENDER", "raise SystemExit('no display')")
    finding = probes.check_rendering()
    assert finding.level is Level.FAIL
    assert "no display" in finding.found
    assert "libegl1" in finding.remedy


def test_a_probe_that_hangs_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "RENDER", "import time; time.sleep(60)")
    monkeypatch.setattr(probes, "PROBE_TIMEOUT_S", 0.3)
    assert "no answer" in probes.check_rendering().found


CV_BRIDGE = """
class CvBridge:
    def cv2_to_imgmsg(self, image, encoding):
        return image
    def imgmsg_to_cv2(self, message):
        """


@pytest.mark.parametrize(
    ("module", "level", "text"),
    [
        ("raise ModuleNotFoundError('cv_bridge')", Level.OK, "no cv_bridge here"),
        (f"{CV_BRIDGE}return message", Level.OK, "they fit"),
        (f"{CV_BRIDGE}return message + 1", Level.FAIL, "cannot use this numpy: AssertionError"),
        (f"{CV_BRIDGE}raise ImportError('made for numpy 1')", Level.FAIL, "cannot use this numpy: ImportError: made for numpy 1"),
    ],
)
def test_a_cv_bridge_must_fit_to_this_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, level: Level, text: str) -> None:
    (tmp_path / "cv_bridge.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # before one that is installed
    finding = probes.check_cv_bridge()
    assert finding.level is level
    assert text in finding.lines()
    assert bool(finding.remedy) == (level is Level.FAIL)
