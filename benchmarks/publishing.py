"""Publishing alone: our publisher, and Google's high-level client, from 64 waiting tasks.

Each in a process of its own: `python -m benchmarks.publishing ours|google EVENTS`, with
`PUBSUB_EMULATOR_HOST` set.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping

import orjson
import uvloop

from benchmarks import events
from benchmarks.cpu import cpu_seconds
from benchmarks.figures import Figure
from benchmarks.servers import TOPIC, Servers
from local.functions import PROJECT
from pendo_aep import freeze_gc, tune_gc

_TASKS = 64


async def measure(rounds: int, count: int) -> list[Figure]:
    """CPU of a message in microseconds."""
    costs: dict[str, list[float]] = {"ours": [], "google": []}
    async with Servers() as servers:
        for _ in range(rounds):
            for who, of in costs.items():
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "benchmarks.publishing", who, str(count)),
                    cwd=PROJECT,
                    env={**os.environ, "PUBSUB_EMULATOR_HOST": servers.pubsub},
                    stdout=asyncio.subprocess.PIPE,
                )
                told, _stderr = await process.communicate()
                of.append(float(told.splitlines()[-1]))
    return [
        Figure.ratio("publishing / Google's client", costs["ours"], costs["google"]),
        Figure("publishing, us", tuple(costs["ours"])),
        Figure("publishing with Google's client, us", tuple(costs["google"])),
    ]


def _ours() -> Callable[[bytes, Mapping[str, str]], Awaitable[str]]:
    from pendo_aep.pubsub.publisher import Publisher

    return Publisher(TOPIC).publish


def _googles() -> Callable[[bytes, Mapping[str, str]], Awaitable[str]]:
    from google.cloud import pubsub_v1  # type: ignore[import-untyped] # Google ships no types

    client = pubsub_v1.PublisherClient()

    async def publish(data: bytes, attributes: Mapping[str, str]) -> str:
        return await asyncio.wrap_future(client.publish(TOPIC, data, **attributes))

    return publish


async def _publish(who: str, count: int) -> float:
    publish = _ours() if who == "ours" else _googles()
    event = events.event()
    data, attributes = orjson.dumps(event), events.attributes(event)

    async def some(number: int) -> None:
        for _ in range(number):
            await publish(data, attributes)

    tune_gc()
    await asyncio.gather(*(some(5) for _ in range(_TASKS)))
    freeze_gc()
    before = cpu_seconds()
    await asyncio.gather(*(some(count // _TASKS) for _ in range(_TASKS)))
    return (cpu_seconds() - before) / (count // _TASKS * _TASKS)


if __name__ == "__main__":
    print(uvloop.run(_publish(sys.argv[1], int(sys.argv[2]))) * 1e6)
