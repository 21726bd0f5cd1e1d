"""`pip install .` of the part that needs no ROS, for notebooks and model servers. A robot's machine builds the package with colcon."""

from setuptools import find_packages, setup

setup(
    name="vla_ros",
    version="0.1.0",
    description="Vision-language-action robots on ROS 2",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["vla_ros", "vla_ros.*"]),
    install_requires=["numpy", "scipy", "PyYAML"],
    extras_require={"robots": ["pin", "coal"], "motion": ["ompl", "ruckig"], "simulation": ["mujoco", "rtb-data"]},
    entry_points={"console_scripts": ["vla = vla_ros.cli.main:main"]},
)
