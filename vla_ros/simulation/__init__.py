"""A robot, its sensors and what stands on its table, in MuJoCo; stepped by its caller, without ROS."""
