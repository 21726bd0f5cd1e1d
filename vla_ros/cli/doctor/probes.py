"""Checks that try things out, each in a process of its own: a crash or a hang there is a finding, not an end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Mapping

from vla_ros.cli.doctor.finding import Finding, fail, ok, warn

PROBE_TIMEOUT_S = 30.0

RENDER = """
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><light pos="0 0 2"/><geom size=".3"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 48, 64) as renderer:
    renderer.update_scene(data)
    assert renderer.render().max() > 0, "the picture is black"
"""

CONVERT = """
import numpy
from cv_bridge import CvBridge
image = numpy.arange(12, dtype=numpy.uint8).reshape(2, 2, 3)
assert (CvBridge().imgmsg_to_cv2(CvBridge().cv2_to_imgmsg(image, "rgb8")) == image).all()
"""


REALTIME = "from vla_ros.core.scheduling import make_realtime; assert make_realtime(), 'not permitted'"


def check_realtime() -> Finding:
    """Take a real-time priority, as the safety monitor and the forwarder will."""
    problem = _try_python(REALTIME)
    if problem is None:
        return ok("real-time priority", "allowed")
    remedy = (
        "as root: groupadd -f realtime && usermod -aG realtime YOUR_NAME && "
        "echo '@realtime - rtprio 99' > /etc/security/limits.d/realtime.conf, then log in again; a container: --ulimit rtprio=99"
    )
    return warn("real-time priority", f"{problem}: the monitor's ticks come late when the cores are busy", remedy)


def check_rendering() -> Finding:
    """Draw one picture with MuJoCo, as the simulator will."""
    backend = os.environ.get("MUJOCO_GL", "egl")
    problem = _try_python(RENDER, {"MUJOCO_GL": backend})
    if problem is None:
        return ok("rendering", f"MuJoCo draws through {backend}")
    remedy = "sudo apt-get install -y libegl1 libgl1 libgl1-mesa-dri  (or libosmesa6 and MUJOCO_GL=osmesa)"
    return fail("rendering", f"MuJoCo cannot draw through {backend}: {problem}", remedy)


def check_cv_bridge() -> Finding:
    """Where cv_bridge is installed, convert an image: it must be compiled for the numpy that is there."""
    if _try_python("import cv_bridge") is not None:
        return ok("numpy and cv_bridge", "no cv_bridge here; the package's own converter is used")
    problem = _try_python(CONVERT)
    if problem is None:
        return ok("numpy and cv_bridge", "they fit")
    remedy = "remove numpy from .venv (.venv/bin/pip uninstall numpy), so that the distribution's is used, and run: make setup"
    return fail("numpy and cv_bridge", f"cv_bridge cannot use this numpy: {problem}", remedy)


def check_dds() -> Finding:
    """Send camera images from one process to another, on a domain that nothing else is likely to use."""
    domain = {"ROS_DOMAIN_ID": str(random.randint(60, 100))}  # higher ids collide with Linux's ephemeral ports
    module = [sys.executable, "-m", "vla_ros.ros.dds_probe"]
    own = {**os.environ, **domain}
    with subprocess.Popen([*module, "publish"], env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as publisher:
        try:
            problem, output = _try([*module, "subscribe"], domain)
        finally:
            publisher.kill()
    if problem is None:
        return ok("DDS", output)
    remedy = "is shared memory large enough, is the loopback network up, and does VLA_ROS_IMAGE_PROFILES name config/fastdds_images.xml?"
    return fail("DDS", f"images do not arrive: {problem}", remedy)


def _try_python(code: str, environment: Mapping[str, str] | None = None) -> str | None:
    return _try([sys.executable, "-c", code], environment or {})[0]


def _try(command: list[str], environment: Mapping[str, str]) -> tuple[str | None, str]:
    """The last line of what went wrong (None: nothing did), and of the output."""
    try:
        own = {**os.environ, **environment}
        result = subprocess.run(command, env=own, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_TIMEOUT_S:.0f} s", ""
    output = (result.stdout.strip().splitlines() or [""])[-1]
    if result.returncode == 0:
        return None, output
    return (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1], output
