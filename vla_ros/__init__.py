"""Vision-language-action robots on ROS 2.

The generated messages (vla_ros.msg, .srv, .action) lie in the installed tree; run from a checkout, both are one package.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
