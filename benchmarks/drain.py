"""`drain` beside `deliver`: pulled in full batches, a message costs a fraction of a pushed one."""

from __future__ import annotations

import time

import aiohttp

from benchmarks import events
from benchmarks.deliver import IN_FLIGHT
from benchmarks.figures import Figure
from benchmarks.processes import DELIVER, DRAIN, Measured
from benchmarks.servers import Servers
from local.aep.inlet import MAX_REQUEST_BYTES

_PUSHED_SHARE = 5  # pushing one in so many takes as long as draining them all


async def measure(rounds: int, messages: int) -> list[Figure]:
    """The figures of a backlog of so many messages, drained once a round."""
    cpu: list[float] = []
    pushed_cpu: list[float] = []
    rates: list[float] = []
    fills: list[float] = []
    async with (
        Servers() as servers,
        Measured(DRAIN, servers) as drain,
        Measured(DELIVER, servers) as deliver,
        aiohttp.ClientSession() as session,
    ):
        for round_ in range(rounds + 1):
            before = await servers.counts(publish=messages)
            spent, started = drain.cpu_seconds(), time.time()
            async with session.post(f"http://127.0.0.1:{drain.port}/") as response:
                drained = await response.json()
            spent = drain.cpu_seconds() - spent
            if drained != {"pulled": messages, "delivered": messages, "refused": 0, "returned": 0}:
                raise RuntimeError(f"not all of {messages} messages were drained: {drained}")
            after = await servers.counts()
            pushes = [events.push_request() for _ in range(messages // _PUSHED_SHARE)]
            pushed = await deliver.burst(pushes, IN_FLIGHT)
            if round_:
                cpu.append(spent / messages * 1e6)
                pushed_cpu.append(pushed.cpu_us)
                # To AEP's last answer: after that, it waits to see that nothing more comes.
                rates.append(messages / (after.last_at - started))
                size = (after.bytes - before.bytes) / (after.requests - before.requests)
                fills.append(size / MAX_REQUEST_BYTES)
    return [
        Figure.ratio("drain / deliver", cpu, pushed_cpu),
        Figure("drain messages/s", tuple(rates)),
        Figure("drain fill", tuple(fills)),
        Figure("drain, us", tuple(cpu)),
    ]
