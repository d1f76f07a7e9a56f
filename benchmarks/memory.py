"""Memory after many events: how much it is, and whether it still grows."""

from __future__ import annotations

from benchmarks import events
from benchmarks.figures import Figure
from benchmarks.processes import DELIVER, RECEIVE, Measured
from benchmarks.receive import CONNECTIONS
from benchmarks.servers import Servers

_BURST = 5000


async def measure(rounds: int, count: int) -> list[Figure]:  # noqa: ARG001 (it only ever grows)
    """Memory of each function after `count` events, and the growth in the second half of them.

    Args:
        rounds: none: it is measured once.
        count: of events, a multiple of 10,000.
    """
    figures: list[Figure] = []
    for source, request in ((RECEIVE, events.webhook_request), (DELIVER, events.push_request)):
        async with Servers() as servers, Measured(source, servers) as function:
            halves: list[float] = []
            for _half in range(2):
                for _ in range(count // 2 // _BURST):
                    await function.burst([request() for _ in range(_BURST)], CONNECTIONS)
                halves.append(function.memory_mb())
        figures += [
            Figure(f"memory of {source.name}", (halves[1],)),
            Figure(f"memory growth of {source.name}", (halves[1] / halves[0],)),
        ]
    return figures
