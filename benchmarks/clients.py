"""Our clients of Pub/Sub and AEP alone, beside Google's high-level client and PyPI's `aepp`.

Each runs in a process of its own, `python -m benchmarks.clients NAME AMOUNT`, with
`PUBSUB_EMULATOR_HOST` and `AEP_ENDPOINT` set, and prints the CPU of a message in microseconds.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import orjson
import uvloop

from benchmarks.figures import Figure
from benchmarks.load import event
from benchmarks.servers import TOPIC, Servers
from local.functions import PROJECT
from pendo_aep import freeze_gc, tune_gc
from pendo_aep.event import message_attributes

Publish: TypeAlias = Callable[[bytes, Mapping[str, str]], Awaitable[str]]

_TASKS = 64
_BATCH = 100


async def measure_publishing(rounds: int, count: int) -> list[Figure]:
    """Measures publishing from 64 waiting tasks, with our publisher and with Google's client."""
    costs: dict[str, list[float]] = {"publisher": [], "google": []}
    async with Servers() as servers:
        for _ in range(rounds):
            for name, of in costs.items():
                of.append(await _run(name, count, servers))
    return [
        Figure.ratio("publishing / Google's client", costs["publisher"], costs["google"]),
        Figure("publishing, us", tuple(costs["publisher"])),
        Figure("publishing with Google's client, us", tuple(costs["google"])),
    ]


async def measure_sending(rounds: int, batches: int) -> list[Figure]:
    """Measures posting requests of 100 messages to AEP, with our client and with `aepp`."""
    costs: dict[str, list[float]] = {"streaming": [], "aepp": []}
    for _ in range(rounds):
        for name, of in costs.items():
            async with Servers() as servers:
                of.append(await _run(name, batches, servers))
                counts = await servers.counts()
                expected = (batches + 1) * _BATCH  # and one batch to warm up
                if counts.messages != expected:
                    raise RuntimeError(f"{name}: AEP has {counts.messages} of {expected} messages")
    return [
        Figure.ratio("sending / aepp", costs["streaming"], costs["aepp"]),
        Figure("sending, us", tuple(costs["streaming"])),
        Figure("sending with aepp, us", tuple(costs["aepp"])),
    ]


async def _run(name: str, amount: int, servers: Servers) -> float:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.clients", name, str(amount)),
        cwd=PROJECT,
        env={
            **os.environ,
            "PUBSUB_EMULATOR_HOST": servers.pubsub,
            "AEP_ENDPOINT": servers.endpoint,
        },
        stdout=asyncio.subprocess.PIPE,
    )
    told, _stderr = await process.communicate()
    return float(told.splitlines()[-1])


def _publish_with_ours(count: int) -> float:
    from pendo_aep.pubsub.publisher import Publisher

    return uvloop.run(_publish(lambda: Publisher(TOPIC).publish, count))


def _publish_with_google(count: int) -> float:
    from google.cloud import pubsub_v1  # type: ignore[import-untyped] # Google ships no types

    def connect() -> Publish:
        client = pubsub_v1.PublisherClient()

        async def publish(data: bytes, of: Mapping[str, str]) -> str:
            return await asyncio.wrap_future(client.publish(TOPIC, data, **of))

        return publish

    return uvloop.run(_publish(connect, count))


async def _publish(connect: Callable[[], Publish], count: int) -> float:
    publish = connect()
    message = event()
    data, of = orjson.dumps(message), message_attributes(message)

    async def some(number: int) -> None:
        for _ in range(number):
            await publish(data, of)

    tune_gc()
    await asyncio.gather(*(some(5) for _ in range(_TASKS)))
    freeze_gc()
    before = time.process_time()
    await asyncio.gather(*(some(count // _TASKS) for _ in range(_TASKS)))
    return (time.process_time() - before) / (count // _TASKS * _TASKS)


def _send_with_ours(batches: int) -> float:
    return uvloop.run(_send(os.environ["AEP_ENDPOINT"], batches))


async def _send(endpoint: str, batches: int) -> float:
    """Posts as `deliver` does: the messages are the bytes that Pub/Sub brought."""
    import aiohttp

    from pendo_aep.aep.client import StreamingClient
    from pendo_aep.http import http_connection

    messages = [orjson.dumps(event()) for _ in range(_BATCH)]
    async with aiohttp.ClientSession() as session:
        connection = http_connection("AEP", lambda: session)
        client = StreamingClient(connection, endpoint=endpoint, flow_id="benchmark", sandbox="prod")
        until = asyncio.get_running_loop().time() + 600
        await client.post(messages, until)
        before = time.process_time()
        for _ in range(batches):
            await client.post(messages, until)
        return (time.process_time() - before) / batches / _BATCH


def _send_with_aepp(batches: int) -> float:
    """Posts as the documentation of `aepp` shows: it takes objects and writes the JSON itself."""
    from aepp.ingestion import DataIngestion

    host, _, inlet = os.environ["AEP_ENDPOINT"].partition("/collection/")
    credentials: dict[str, Any] = {
        "org_id": "x@AdobeOrg",
        "client_id": "x",
        "secret": "x",
        "scopes": "openid",
        "sandbox": "prod",
        "environment": "prod",
        "token": "x",
        "date_limit": time.time() + 3600,
        "connectionType": "oauthV2",
    }
    client = DataIngestion(config=credentials)
    client.endpoint_streaming = host  # there is no option: Adobe's own host is hard-coded
    messages = [event() for _ in range(_BATCH)]
    client.streamMessages(inlet, messages, flowId="benchmark")
    before = time.process_time()
    for _ in range(batches):
        client.streamMessages(inlet, messages, flowId="benchmark")
    return (time.process_time() - before) / batches / _BATCH


_CLIENTS: Mapping[str, Callable[[int], float]] = {
    "publisher": _publish_with_ours,
    "google": _publish_with_google,
    "streaming": _send_with_ours,
    "aepp": _send_with_aepp,
}


if __name__ == "__main__":
    print(_CLIENTS[sys.argv[1]](int(sys.argv[2])) * 1e6)
