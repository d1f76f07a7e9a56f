"""Simulates how push scales: `deliver` at 1,000 and 10,000 events/s.

The batching is real (`pendo_aep.group_commit`, with the limits of the settings), and so is the
window of the push subscription, as in the local Pub/Sub but unbounded. Events at random times,
Cloud Run's instances and the pushes each of them holds, the network, and AEP with its limits are
simulated in simulated time. There is no I/O.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from benchmarks.tables import table
from local.pubsub.push import PushFlow, PushWindow
from local.simulated_time import run_simulated
from pendo_aep.group_commit import GroupCommit, Limits

# Adobe: 1,000 requests and 10,000 messages a second; over that, 429.
_AEP_REQUESTS: Final = 1_000
_AEP_MESSAGES: Final = 10_000
# As in `docs/cost.md`; nobody guarantees them.
_AEP_SECONDS: Final = 0.15
_NETWORK_SECONDS: Final = 0.005
# Google: "push delivery rate", the window expands to keep up with any rate while pushes succeed in
# less than a second. Then only the instances bound how many pushes are in flight.
_FLOW: Final = PushFlow(initial=8, maximum=1_000_000)
# The default settings of `deliver`, with messages of some 1,300 bytes.
_MESSAGE_BYTES: Final = 1_300
_LIMITS: Final = Limits(1_000, 950_000, 4, linger_seconds=0.02)
_CONCURRENCY: Final = 250  # of an instance: DELIVER_CONCURRENCY of deploy/config.env
_TICK: Final = 0.005
_WARM_SECONDS: Final = 5.0
_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """One run.

    Attributes:
        rate: events a second.
        instances: of `deliver`.
        aep_limits: how many times Adobe's published limits.
    """

    rate: int
    instances: int
    aep_limits: int = 1


@dataclass(slots=True)
class Result:
    """The outcome, once the windows have grown.

    Attributes:
        delays: from publishing an event to AEP's answer, in seconds.
        batches: messages in each request that AEP accepted.
        throttled: requests that AEP answered 429.
        backlog: events waiting in Pub/Sub at the end.
    """

    delays: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    throttled: int = 0
    backlog: int = 0


class _Throttled(Exception):
    """AEP answered 429."""


class _Aep:
    """Accepts so many requests and messages each second, and answers 429 to the rest."""

    def __init__(self, limits: int, result: Result) -> None:
        self._limits = limits
        self._result = result
        self._second = -1
        self._requests = self._messages = 0

    async def post(self, messages: int) -> None:
        await asyncio.sleep(_AEP_SECONDS)
        now = asyncio.get_running_loop().time()
        if int(now) != self._second:
            self._second, self._requests, self._messages = int(now), 0, 0
        self._requests += 1
        self._messages += messages
        if (
            self._requests > _AEP_REQUESTS * self._limits
            or self._messages > _AEP_MESSAGES * self._limits
        ):
            self._result.throttled += 1
            raise _Throttled
        self._result.batches.append(messages)


class _Instance:
    """An instance of `deliver`: one processor handles messages one by one, and batches them."""

    def __init__(self, aep: _Aep, cpu_seconds: float) -> None:
        self._aep = aep
        self._cpu_seconds = cpu_seconds
        self._busy_until = 0.0
        self._open = 0
        self._batches = GroupCommit[None, None](self._commit, _LIMITS)

    @property
    def is_full(self) -> bool:
        return self._open >= _CONCURRENCY

    def take(self) -> None:
        """Reserves room for a push; `deliver` must follow."""
        self._open += 1

    async def deliver(self) -> None:
        try:
            now = asyncio.get_running_loop().time()
            self._busy_until = max(self._busy_until, now) + self._cpu_seconds
            await asyncio.sleep(self._busy_until - now + _NETWORK_SECONDS)
            await self._batches.submit(None, _MESSAGE_BYTES)
        finally:
            self._open -= 1

    async def _commit(self, items: list[None]) -> list[None]:
        await self._aep.post(len(items))
        return items


class _Subscription:
    """Pushes waiting events, as many at once as its window and the instances have room for.

    Cloud Run holds a push that has no instance for some seconds, then answers 429, which shrinks
    the window. Here it waits in Pub/Sub.
    """

    def __init__(self, instances: list[_Instance], result: Result) -> None:
        self._instances = deque(instances)
        self._result = result
        self._window = PushWindow(_FLOW)
        self._open = 0
        self.waiting: deque[float] = deque()

    def push(self, tasks: asyncio.TaskGroup) -> None:
        while self.waiting and self._open < self._window.size:
            self._instances.rotate()
            instance = next((one for one in self._instances if not one.is_full), None)
            if instance is None:
                return
            self._open += 1
            instance.take()
            tasks.create_task(self._push(self.waiting.popleft(), instance, tasks))

    async def _push(self, published: float, instance: _Instance, tasks: asyncio.TaskGroup) -> None:
        epoch = self._window.epoch
        try:
            await instance.deliver()
        except _Throttled:
            self.waiting.append(published)
            await asyncio.sleep(self._window.failed(epoch))
        else:
            self._window.succeeded()
            self._result.delays.append(asyncio.get_running_loop().time() - published)
        self._open -= 1
        self.push(tasks)


@cache  # a test looks closer at runs of the page, each of which takes seconds
def simulate(load: Load, cpu_us: float) -> Result:
    """Returns the outcome of five seconds' events, after five seconds in which the windows grow."""
    gc.disable()  # a fifth of the time: there is no rubbish, only what waits
    try:
        return run_simulated(_simulate(load, cpu_us, random.Random(1)))  # noqa: S311 (no secret)
    finally:
        gc.enable()


async def _simulate(load: Load, cpu_us: float, chance: random.Random) -> Result:
    loop = asyncio.get_running_loop()
    result = Result()
    aep = _Aep(load.aep_limits, result)
    instances = [_Instance(aep, cpu_us / 1e6) for _ in range(load.instances)]
    subscription = _Subscription(instances, result)
    started = loop.time()
    is_warm, due = False, started
    async with asyncio.TaskGroup() as tasks:
        while loop.time() < started + _WARM_SECONDS + _SECONDS:
            if not is_warm and loop.time() >= started + _WARM_SECONDS:
                is_warm = True
                result.delays.clear()
                result.batches.clear()
                result.throttled = 0
            while due <= loop.time():
                subscription.waiting.append(due)
                due += chance.expovariate(load.rate)
            subscription.push(tasks)
            await asyncio.sleep(_TICK)
        result.backlog = len(subscription.waiting)
        found = Result(list(result.delays), list(result.batches), result.throttled, result.backlog)
        subscription.waiting.clear()
    return found


LOADS: Final = (
    Load(1_000, instances=1),
    Load(1_000, instances=2),
    Load(10_000, instances=4),
    Load(10_000, instances=8),
    Load(10_000, instances=8, aep_limits=2),
    Load(10_000, instances=16, aep_limits=2),
)


def scaling_tables(cpu_us: float) -> Mapping[str, str]:
    """Returns the table of the page, by its marker."""
    rows = []
    for load in LOADS:
        result = simulate(load, cpu_us)
        delays = sorted(delay * 1e3 for delay in result.delays)
        median, most = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
        rows.append(
            [
                f"{load.rate:,}",
                f"{load.instances}",
                f"x {load.aep_limits}",
                f"{len(delays) / _SECONDS:,.0f}",
                f"{len(result.batches) / _SECONDS:,.0f}",
                f"{sum(result.batches) / max(len(result.batches), 1):,.0f}",
                f"{result.throttled / _SECONDS:,.0f}",
                f"{median:,.0f} / {most:,.0f}",
                f"{result.backlog:,}",
            ]
        )
    head = ["events/s", "instances", "AEP's limits", "delivered/s", "AEP requests/s"]
    head += ["messages each", "429/s", "p50 / p99 ms", "waiting after 10 s"]
    return {"beyond": table(head, rows)}
