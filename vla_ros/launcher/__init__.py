"""A small launcher of ROS 2 XML launch files, for machines where the `launch` packages are not installed.

The same files run under `ros2 launch`. Four steps, one file each: `xml_parser` reads a file into the actions of `model`, `evaluation`
turns actions into processes, `processes` runs them. Nothing here knows ROS: a node is a process with arguments.
"""
