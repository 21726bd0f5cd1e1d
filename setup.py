"""`pip install .` of the part that needs no ROS, for notebooks and model servers. A robot's machine builds the package with colcon."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def shared_files():
    """(folder under the prefix, files): what CMake installs to share/vla_ros too, where vla_ros/core/resources.py looks for it."""
    folders = [folder for name in ("config", "launch", "urdf") for folder in sorted((HERE / name).glob("**/"))]
    kept = {folder: [str(f.relative_to(HERE)) for f in sorted(folder.iterdir()) if f.is_file()] for folder in folders}
    return [("share/vla_ros", ["package.xml"]), *((f"share/vla_ros/{folder.relative_to(HERE)}", files) for folder, files in kept.items())]


setup(
    name="vla_ros",
    version="0.1.0",
    description="Vision-language-action robots on ROS 2",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["vla_ros", "vla_ros.*"]),
    data_files=shared_files(),
    install_requires=["numpy", "scipy", "PyYAML"],
    extras_require={"robots": ["pin", "coal"], "motion": ["ompl", "ruckig"], "safety": ["daqp"], "simulation": ["mujoco", "rtb-data"]},
    entry_points={"console_scripts": ["vla = vla_ros.cli.main:main"]},
)
