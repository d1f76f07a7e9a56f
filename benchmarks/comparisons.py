"""The comparisons: `receive`, `deliver` and `drain` beside empty functions and the quickstart's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

import aiohttp

from benchmarks.figures import Figure
from benchmarks.functions import (
    DELIVER,
    DRAIN,
    NOOP_DELIVER,
    NOOP_RECEIVE,
    QUICKSTART_DELIVER,
    QUICKSTART_RECEIVE,
    RECEIVE,
    MeasuredFunction,
    Source,
    alternate,
)
from benchmarks.load import push_request, send, webhook_request
from benchmarks.servers import Servers
from local.aep.inlet import MAX_REQUEST_BYTES

CONNECTIONS = 64
_MANY_CONNECTIONS = 256
CONCURRENCY = (1, 8, 64, 256, 1000)
BODY_BYTES = (500, 1_000, 10_000, 100_000)
# One request at a time takes long, and so does a large body: send a quarter of the requests.
_FEWER = 4
_MEMORY_BURST = 5000
_PUSHED_SHARE = 5  # pushing one message in five takes as long as draining all of them


async def measure_receive(rounds: int, requests: int) -> list[Figure]:
    """Measures CPU of a webhook, and the 99th percentile of its latency."""
    async with (
        Servers() as servers,
        MeasuredFunction(NOOP_RECEIVE, servers) as noop,
        MeasuredFunction(RECEIVE, servers) as receive,
        MeasuredFunction(QUICKSTART_RECEIVE, servers) as quickstart,
    ):
        costs = await alternate(
            [noop, receive, quickstart],
            webhook_request,
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


async def measure_deliver(rounds: int, messages: int) -> list[Figure]:
    """Measures CPU of a pushed message, and how many requests to AEP the messages become."""
    async with (
        Servers() as servers,
        MeasuredFunction(NOOP_DELIVER, servers) as noop,
        MeasuredFunction(DELIVER, servers) as deliver,
        MeasuredFunction(QUICKSTART_DELIVER, servers) as quickstart,
    ):
        measure = partial(alternate, request=push_request, rounds=rounds, requests=messages)
        costs = await measure([noop, deliver, quickstart], connections=CONNECTIONS)
        many = await measure([deliver], connections=_MANY_CONNECTIONS)
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


def derive_pipeline(figures: Iterable[Figure]) -> list[Figure]:
    """Computes what `receive` and `deliver` cost an event together, beside the quickstart's.

    Nothing is measured: Pub/Sub between the two costs neither of them anything. The result is empty
    if either was not measured.
    """
    rounds = {figure.name: figure.rounds for figure in figures}
    halves = ("receive, us", "deliver, us", "quickstart receive, us", "quickstart deliver, us")
    if not rounds.keys() >= set(halves):
        return []
    receive, deliver, their_receive, their_deliver = (rounds[half] for half in halves)
    return [
        Figure.ratio(
            "pipeline / quickstart",
            [sum(both) for both in zip(receive, deliver, strict=True)],
            [sum(both) for both in zip(their_receive, their_deliver, strict=True)],
        )
    ]


async def measure_drain(rounds: int, messages: int) -> list[Figure]:
    """Measures a backlog of so many messages, drained once a round, beside pushed messages."""
    cpu: list[float] = []
    pushed_cpu: list[float] = []
    rates: list[float] = []
    fills: list[float] = []
    async with (
        Servers() as servers,
        MeasuredFunction(DRAIN, servers) as drain,
        MeasuredFunction(DELIVER, servers) as deliver,
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
            pushes = [push_request() for _ in range(messages // _PUSHED_SHARE)]
            pushed = await deliver.burst(pushes, CONNECTIONS)
            if round_:
                cpu.append(spent / messages * 1e6)
                pushed_cpu.append(pushed.cpu_us)
                # To AEP's last answer: after that, `drain` waits to see whether more comes.
                rates.append(messages / (after.last_at - started))
                size = (after.bytes - before.bytes) / (after.requests - before.requests)
                fills.append(size / MAX_REQUEST_BYTES)
    return [
        Figure.ratio("drain / deliver", cpu, pushed_cpu),
        Figure("drain messages/s", tuple(rates)),
        Figure("drain fill", tuple(fills)),
        Figure("drain, us", tuple(cpu)),
    ]


async def measure_start(rounds: int, starts: int) -> list[Figure]:
    """Measures the time from the start of a process to its first answer: a cold start.

    There are so many starts a round; each start is a round of the figure.
    """
    requests = {NOOP_DELIVER: push_request, DELIVER: push_request, RECEIVE: webhook_request}
    seconds: dict[Source, list[float]] = {source: [] for source in requests}
    async with Servers() as servers:
        for turn in range(rounds * starts + 1):
            for source, request in requests.items():
                started = time.perf_counter()
                async with MeasuredFunction(source, servers) as function:
                    answer = await send(function.port, [request()], 1)
                    answer.raise_for_errors()
                    if turn:  # the first turn compiles the files, as a deployment does
                        seconds[source].append(time.perf_counter() - started)
    return [
        Figure.ratio("start deliver / no-op", seconds[DELIVER], seconds[NOOP_DELIVER]),
        Figure.ratio("start receive / no-op", seconds[RECEIVE], seconds[NOOP_DELIVER]),
        *(
            Figure(f"start of {source.name}, ms", tuple(value * 1e3 for value in of))
            for source, of in seconds.items()
        ),
    ]


async def measure_memory(rounds: int, count: int) -> list[Figure]:  # noqa: ARG001 (measured once)
    """Measures memory of each function after `count` events, and the growth in their second half.

    Args:
        rounds: ignored, because memory only ever grows.
        count: of events, a multiple of 10,000.
    """
    figures: list[Figure] = []
    for source, request in ((RECEIVE, webhook_request), (DELIVER, push_request)):
        async with Servers() as servers, MeasuredFunction(source, servers) as function:
            halves: list[float] = []
            for _half in range(2):
                for _ in range(count // 2 // _MEMORY_BURST):
                    await function.burst([request() for _ in range(_MEMORY_BURST)], CONNECTIONS)
                halves.append(function.memory_mb())
        figures += [
            Figure(f"memory of {source.name}", (halves[1],)),
            Figure(f"memory growth of {source.name}", (halves[1] / halves[0],)),
        ]
    return figures


def at_a_time(number: int) -> str:
    """Returns the name that figures give to so many concurrent requests."""
    return f"{number:,} at a time"


def of_size(size: int) -> str:
    """Returns the name that figures give to bodies of so many bytes."""
    return f"{size / 1000:g} kB"


async def measure_growth(rounds: int, requests: int) -> list[Figure]:
    """Measures `receive` and the no-op with more requests at a time, and with larger bodies."""
    steps: list[tuple[str, int, Callable[[], bytes]]] = [
        *((at_a_time(number), number, webhook_request) for number in CONCURRENCY),
        *((of_size(size), CONNECTIONS, partial(webhook_request, size)) for size in BODY_BYTES),
    ]
    figures: list[Figure] = []
    async with (
        Servers() as servers,
        MeasuredFunction(NOOP_RECEIVE, servers) as noop,
        MeasuredFunction(RECEIVE, servers) as receive,
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
