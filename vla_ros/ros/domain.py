"""A ROS domain of one's own on this machine, so that runs side by side do not hear one another. Needs no ROS."""

from __future__ import annotations

import random
import socket

PORT_BASE, PORTS_PER_DOMAIN = 7400, 250  # DDSI-RTPS 2.5, 9.6.2: ports of domain d begin at 7400 + 250 d
FIRST, LAST = 1, 101  # ids whose ports lie below Linux's range of short-lived ports
FIRST_PARTICIPANT_OFFSET, PARTICIPANTS = 10, 40  # of the first one's port; each has two, and takes the first that are free


def is_free(domain_id: int) -> bool:
    """Whether no participant on this machine listens at a port of the domain: the first one that came may have gone before the others."""
    first = PORT_BASE + PORTS_PER_DOMAIN * domain_id + FIRST_PARTICIPANT_OFFSET
    return all(_is_free_port(port) for port in range(first, first + 2 * PARTICIPANTS))


def _is_free_port(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_domain_id() -> int:
    """A free id, drawn at random so that two that look at the same time seldom meet. Raises RuntimeError when all are taken."""
    ids = list(range(FIRST, LAST + 1))
    random.shuffle(ids)
    for domain_id in ids:
        if is_free(domain_id):
            return domain_id
    raise RuntimeError(f"All ROS domain ids from {FIRST} to {LAST} are in use on this machine.")
