"""Messages to values and back: the only files that read or build messages field by field.

``x_from_msg`` needs no ROS (it works on anything with the fields, so bag readers share it); ``x_to_msg`` imports its message class when
called.
"""
