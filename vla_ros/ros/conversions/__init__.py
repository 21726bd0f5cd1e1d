"""Messages to values and back, for every message that carries a value of the core.

``x_from_msg`` needs no ROS (it works on anything with the fields, so bag readers share it); ``x_to_msg`` imports its message class when
called.
"""
