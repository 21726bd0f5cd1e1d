"""package.xml names the ROS packages that the code imports, that its interfaces are made of, and that start it; and no others."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

CHECKOUT = Path(__file__).resolve().parents[2]
ROS_MODULE = re.compile(r"\w+_(msgs|interfaces|bridge|py|python)|(ament|launch|rcl|ros2|rosidl|tf2)\w*")
INTERFACE = re.compile(r"[\"\s](\w+)/(?:msg|srv|action)/\w+[\"\n]")  # "sensor_msgs/msg/Image", or at the end of a line of YAML
FIELD = re.compile(r"^(\w+)/\w+", re.MULTILINE)  # sensor_msgs/Image image
STARTED_BY = {"ros2launch", "launch_xml"}  # `ros2 launch`, and its reader of launch/*.xml
GENERATED = {"action_msgs", "rosidl_default_runtime"}  # what rosidl makes of msg/, srv/ and action/ needs them


def texts(*patterns: str) -> list[str]:
    return [path.read_text(encoding="utf-8") for pattern in patterns for path in sorted(CHECKOUT.glob(pattern))]


def imported(source: str) -> set[str]:
    """Top-level modules of all imports, also of those within functions."""
    found = set()
    for item in ast.walk(ast.parse(source)):
        if isinstance(item, ast.Import):
            found |= {alias.name.split(".")[0] for alias in item.names}
        if isinstance(item, ast.ImportFrom) and item.module:
            found.add(item.module.split(".")[0])
    return found


@cache
def ros_modules(pattern: str) -> set[str]:
    return {name for text in texts(pattern) for name in imported(text) if ROS_MODULE.fullmatch(name)}


@cache
def used() -> set[str]:
    named = {name for text in texts("vla_ros/**/*.py", "config/**/*.yaml") for name in INTERFACE.findall(text)}
    fields = {name for text in texts("msg/*.msg", "srv/*.srv", "action/*.action") for name in FIELD.findall(text)}
    return (ros_modules("vla_ros/**/*.py") | named | fields) - {"vla_ros"}


def declared(*kinds: str) -> set[str]:
    """Dependencies that are ROS packages: those without the python3- of a Debian package."""
    root = ElementTree.parse(CHECKOUT / "package.xml").getroot()
    names = {str(item.text) for kind in kinds for item in root.iter(kind)}
    return {name for name in names if not name.startswith("python3-")}


def test_what_is_used_is_declared_and_what_is_declared_is_used() -> None:
    assert {"rclpy", "rcl_interfaces", "rosgraph_msgs", "geometry_msgs"} <= used()  # or this test has become blind
    assert declared("depend", "exec_depend") == used() | STARTED_BY | GENERATED


def test_what_only_tests_use_is_declared_for_them() -> None:
    assert declared("test_depend") == ros_modules("test/**/*.py") - used() - GENERATED


def test_what_the_build_looks_for_is_declared() -> None:
    found = set(re.findall(r"find_package\((\w+) REQUIRED", (CHECKOUT / "CMakeLists.txt").read_text(encoding="utf-8")))
    assert found - {"Python3"} == declared("depend", "buildtool_depend")
