"""Ports that stay ours while nobody listens: for what is killed, and comes again at its place.

The system gives clients ports of the upper range. One of them may get the very port that it is
connecting to while nobody listens there: it is then connected to itself, and holds the port.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import ExitStack
from typing import Final

# Below what Linux (32768) and IANA (49152) give to clients.
_PORTS: Final = range(20_000, 32_000)


def lasting_ports() -> Generator[int]:
    """Ports of 127.0.0.1 that nobody listens on, that no client is given, and no other soak.

    They are ours until the generator is closed.

    Raises:
        OSError: there is none.
    """
    with ExitStack() as ours:
        for port in _PORTS:
            try:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
                # UDP has ports of its own: this one is the sign that its TCP twin is taken.
                sign = ours.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                sign.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield port
    raise OSError(f"no port from {_PORTS.start} to {_PORTS.stop} is free")
