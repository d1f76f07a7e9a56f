"""From the start of a process to its first answer: what a cold start adds to somebody's webhook."""

from __future__ import annotations

import time

from benchmarks import events
from benchmarks.figures import Figure
from benchmarks.load import send
from benchmarks.processes import DELIVER, NOOP_DELIVER, RECEIVE, Measured, Source
from benchmarks.servers import Servers

_REQUESTS = {
    NOOP_DELIVER: events.push_request,
    DELIVER: events.push_request,
    RECEIVE: events.webhook_request,
}


async def measure(rounds: int, starts: int) -> list[Figure]:
    """Seconds of so many starts a round, beside the no-op's; each start is a figure's round."""
    seconds: dict[Source, list[float]] = {source: [] for source in _REQUESTS}
    async with Servers() as servers:
        for turn in range(rounds * starts + 1):
            for source, request in _REQUESTS.items():
                started = time.perf_counter()
                async with Measured(source, servers) as function:
                    answer = await send(function.port, [request()], 1)
                    answer.raise_for_errors()
                    if turn:  # the first compiles the files, as a deployment does
                        seconds[source].append(time.perf_counter() - started)
    return [
        Figure.ratio("start deliver / no-op", seconds[DELIVER], seconds[NOOP_DELIVER]),
        Figure.ratio("start receive / no-op", seconds[RECEIVE], seconds[NOOP_DELIVER]),
        *(
            Figure(f"start of {source.name}, ms", tuple(value * 1e3 for value in of))
            for source, of in seconds.items()
        ),
    ]
