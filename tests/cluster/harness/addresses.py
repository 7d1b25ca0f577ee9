"""Loopback addresses for the pods of one cluster: no two clusters of this machine have one in common.

Scalers listen at a fixed port of their pod's address, so two clusters that gave out the same addresses, of tests beside
each other or of a playground beside tests, would be in each other's way.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

WHOLE: Final = ipaddress.IPv4Network("127.96.0.0/11")
LENGTH: Final = 16  # of the prefix of one cluster's range: room for 65,000 pods, and for 32 clusters
MARK: Final = 10_239  # a port that nobody here listens on: below those of ``ports.free``


@dataclass(frozen=True)
class Range:
    """Addresses that are this process's own until it releases them or ends, however it ends.

    Attributes:
        network: the addresses.
    """

    network: ipaddress.IPv4Network
    _held: socket.socket

    def release(self) -> None:
        """Let others have them."""
        self._held.close()


def reserve() -> Range:
    """A range that nobody else on this machine has.

    Raises:
        OSError: all are taken.
    """
    for network in WHOLE.subnets(new_prefix=LENGTH):
        held = socket.socket()  # bound and never listening: the kernel gives the place to no other, and takes it back
        with suppress(OSError):
            held.bind((str(network.broadcast_address), MARK))
            return Range(network, held)
        held.close()
    raise OSError(f"all ranges of {WHOLE} are taken: too many clusters run on this machine")
