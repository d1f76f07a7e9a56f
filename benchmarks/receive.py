"""`receive` beside the no-op and the quickstart."""

from __future__ import annotations

from benchmarks import events
from benchmarks.figures import Figure
from benchmarks.processes import NOOP_RECEIVE, QUICKSTART_RECEIVE, RECEIVE, Measured
from benchmarks.rounds import alternate
from benchmarks.servers import Servers

CONNECTIONS = 64


async def measure(rounds: int, requests: int) -> list[Figure]:
    """CPU of a webhook, and the latency that 99 in 100 stay within."""
    async with (
        Servers() as servers,
        Measured(NOOP_RECEIVE, servers) as noop,
        Measured(RECEIVE, servers) as receive,
        Measured(QUICKSTART_RECEIVE, servers) as quickstart,
    ):
        costs = await alternate(
            [noop, receive, quickstart],
            events.webhook_request,
            rounds=rounds,
            requests=requests,
            connections=CONNECTIONS,
        )
    cpu = {source: [cost.cpu_us for cost in of] for source, of in costs.items()}
    p99 = {source: [cost.quantile_ms(0.99) for cost in of] for source, of in costs.items()}
    return [
        Figure.ratio("receive / no-op", cpu[RECEIVE], cpu[NOOP_RECEIVE]),
        Figure.ratio("receive / quickstart", cpu[RECEIVE], cpu[QUICKSTART_RECEIVE]),
        Figure.ratio("receive p99 / no-op p99", p99[RECEIVE], p99[NOOP_RECEIVE]),
        *(Figure(f"{source.name}, us", tuple(of)) for source, of in cpu.items()),
        *(Figure(f"{source.name}, p99 ms", tuple(of)) for source, of in p99.items()),
    ]
