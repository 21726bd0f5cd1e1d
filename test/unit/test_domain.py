"""A domain is free only where nobody is in it at all."""

from __future__ import annotations

import socket

import pytest

from vla_ros.ros.domain import FIRST_PARTICIPANT_OFFSET, PORT_BASE, PORTS_PER_DOMAIN, free_domain_id, is_free


@pytest.mark.parametrize("participant", [0, 1, 7])
def test_a_domain_is_taken_by_whoever_is_left_in_it(participant: int) -> None:
    domain = free_domain_id()
    port = PORT_BASE + PORTS_PER_DOMAIN * domain + FIRST_PARTICIPANT_OFFSET + 2 * participant
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        assert not is_free(domain)
    assert is_free(domain)
