"""`deliver`, as Pub/Sub pushes to it, beside the no-op and the quickstart."""

from __future__ import annotations

from benchmarks import events
from benchmarks.figures import Figure
from benchmarks.processes import DELIVER, NOOP_DELIVER, QUICKSTART_DELIVER, Measured
from benchmarks.rounds import alternate
from benchmarks.servers import Servers

IN_FLIGHT = 64
_MANY_IN_FLIGHT = 256


async def measure(rounds: int, messages: int) -> list[Figure]:
    """CPU of a message, and how many requests to AEP they become."""
    async with (
        Servers() as servers,
        Measured(NOOP_DELIVER, servers) as noop,
        Measured(DELIVER, servers) as deliver,
        Measured(QUICKSTART_DELIVER, servers) as quickstart,
    ):
        costs = await alternate(
            [noop, deliver, quickstart],
            events.push_request,
            rounds=rounds,
            requests=messages,
            connections=IN_FLIGHT,
        )
        many = await alternate(
            [deliver],
            events.push_request,
            rounds=rounds,
            requests=messages,
            connections=_MANY_IN_FLIGHT,
        )
    cpu = {source: [cost.cpu_us for cost in of] for source, of in costs.items()}
    posts = {source: [cost.aep_per_1000 for cost in of] for source, of in costs.items()}
    return [
        Figure.ratio("deliver / no-op", cpu[DELIVER], cpu[NOOP_DELIVER]),
        Figure.ratio("deliver / quickstart", cpu[DELIVER], cpu[QUICKSTART_DELIVER]),
        Figure("AEP requests at 64", tuple(posts[DELIVER])),
        Figure("AEP requests at 256", tuple(cost.aep_per_1000 for cost in many[DELIVER])),
        Figure.ratio("AEP requests / quickstart", posts[DELIVER], posts[QUICKSTART_DELIVER]),
        *(Figure(f"{source.name}, us", tuple(of)) for source, of in cpu.items()),
    ]
