"""A ROS domain that nobody else on this machine uses."""

from __future__ import annotations

import os
import random
import socket

from emghand.errors import UserError

# Domains whose ports lie below the ephemeral ones of Linux.
DOMAINS = range(1, 102)
_FIRST_PORT = 7400
_PORTS_PER_DOMAIN = 250
_UNICAST_OFFSETS = range(10, 42, 2)
"""Of the first 16 participants: the first one may have ended before the others."""

_claim: socket.socket | None = None


def claim_domain() -> int:
    """Move this process and the children it starts to a ROS domain of their own, on this machine.

    Sets ``ROS_DOMAIN_ID`` and ``ROS_AUTOMATIC_DISCOVERY_RANGE``. The domain is held until the
    process ends or claims another one. Domains in which some participant already listens are left
    alone: two graphs in one domain would move each other's hands.

    Raises
    ------
    UserError
        When every domain is taken.
    """
    global _claim
    for domain in random.SystemRandom().sample(DOMAINS, len(DOMAINS)):
        claim = _try_claim(domain)
        if claim is not None:
            _claim = claim
            os.environ["ROS_DOMAIN_ID"] = str(domain)
            here = os.environ.get("EMGHAND_DISCOVERY", "LOCALHOST")
            os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = here
            return domain
    raise UserError("no ROS domain is free on this machine: end some graphs")


def _try_claim(domain: int) -> socket.socket | None:
    # An abstract socket is a lock that the kernel releases however the process ends.
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    first = _FIRST_PORT + _PORTS_PER_DOMAIN * domain
    try:
        claim.bind(f"\0emghand-domain-{domain}")
        for offset in _UNICAST_OFFSETS:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("", first + offset))
    except OSError:
        claim.close()
        return None
    return claim
