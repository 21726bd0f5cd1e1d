"""The one edge to ROS: conversions, the table of interfaces, QoS, parameters, lifecycle, spinning, transforms."""
