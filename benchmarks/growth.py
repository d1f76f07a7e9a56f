"""How the cost of `receive` grows: with the requests at a time, and with the size of a body."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks import events
from benchmarks.figures import Figure
from benchmarks.processes import NOOP_RECEIVE, RECEIVE, Measured
from benchmarks.receive import CONNECTIONS
from benchmarks.rounds import alternate
from benchmarks.servers import Servers

CONCURRENCY = (1, 8, 64, 256, 1000)
BODY_BYTES = (500, 1_000, 10_000, 100_000)
_FEWER = 4  # one at a time takes long, and so does a large body


def at_a_time(number: int) -> str:
    """How figures name so many concurrent requests."""
    return f"{number:,} at a time"


def of_size(size: int) -> str:
    """How figures name bodies of so many bytes."""
    return f"{size / 1000:g} kB"


async def measure(rounds: int, requests: int) -> list[Figure]:
    """CPU and latencies for each step of the two tables, beside the no-op's."""
    steps: list[tuple[str, int, Callable[[], bytes]]] = [
        (at_a_time(number), number, events.webhook_request) for number in CONCURRENCY
    ]
    steps += [
        (of_size(size), CONNECTIONS, partial(events.webhook_request, size)) for size in BODY_BYTES
    ]
    figures: list[Figure] = []
    async with (
        Servers() as servers,
        Measured(NOOP_RECEIVE, servers) as noop,
        Measured(RECEIVE, servers) as receive,
    ):
        for step, connections, request in steps:
            is_slow = connections == 1 or step == of_size(max(BODY_BYTES))
            costs = await alternate(
                [noop, receive],
                request,
                rounds=rounds,
                requests=max(requests // _FEWER if is_slow else requests, connections * 8),
                connections=connections,
            )
            for source, of in costs.items():
                measured = {
                    "us": [cost.cpu_us for cost in of],
                    "p50 ms": [cost.quantile_ms(0.5) for cost in of],
                    "p99 ms": [cost.quantile_ms(0.99) for cost in of],
                }
                figures += [
                    Figure(f"{source.name}, {step}, {what}", tuple(values))
                    for what, values in measured.items()
                ]
    return figures
