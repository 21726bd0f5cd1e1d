"""Whether this process is heard on this machine only, where it is meant to be.

The profiles in config/ see to that, not ROS (docs/adr/0014-transport.md); one that the middleware cannot read is left out with no more
than a line in the log.
"""

from __future__ import annotations

import os
from pathlib import Path

from vla_ros.core.errors import ConfigError

WANTED = "VLA_ROS_THIS_MACHINE"  # "true": scripts/env.sh or the launch files have chosen profiles that keep to this machine
SOCKETS = Path("/proc/net/udp")
LOOPBACK = "7F"  # the last byte of 127.x.y.z as Linux writes an address


def require_this_machine() -> None:
    """After the process's node was made. Raises ConfigError where a socket of it is open to a network."""
    if os.environ.get(WANTED) != "true" or not SOCKETS.exists():  # not Linux
        return
    if open_to_networks := [port for address, port in _udp_sockets() if not address.endswith(LOOPBACK)]:
        profile = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE", "")
        ports = ", ".join(str(port) for port in sorted(open_to_networks))
        raise ConfigError(
            f"This node must be heard on this machine only, but listens to every network (UDP {ports}): the middleware did not take the "
            f"profile '{profile}'; its own message says why. Mend it, or set ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET if that is what you want."
        )


def _udp_sockets() -> list[tuple[str, int]]:
    """(address as Linux writes it, port) of this process."""
    own = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            own.add(os.readlink(link))
        except FileNotFoundError:  # closed meanwhile
            continue
    rows = [line.split() for line in SOCKETS.read_text(encoding="ascii").splitlines()[1:]]
    places = [row[1].split(":") for row in rows if f"socket:[{row[9]}]" in own]
    return [(address, int(port, 16)) for address, port in places]
