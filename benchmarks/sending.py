"""The sending step alone: our inlet, and `aepp`, the client of AEP's APIs that PyPI has.

Each in a process of its own: `python -m benchmarks.sending ours|aepp ENDPOINT BATCHES`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import orjson

from benchmarks import events
from benchmarks.cpu import cpu_seconds
from benchmarks.figures import Figure
from benchmarks.servers import Servers
from local.functions import PROJECT

_BATCH = 100


async def measure(rounds: int, batches: int) -> list[Figure]:
    """CPU of a message in microseconds, in requests of 100 messages."""
    costs: dict[str, list[float]] = {"ours": [], "aepp": []}
    for _ in range(rounds):
        for who, of in costs.items():
            async with Servers() as servers:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "benchmarks.sending", who),
                    *(servers.endpoint, str(batches)),
                    cwd=PROJECT,
                    stdout=asyncio.subprocess.PIPE,
                )
                told, _stderr = await process.communicate()
                counts = await servers.counts()
                expected = (batches + 1) * _BATCH  # and one batch to warm up
                if counts.messages != expected:
                    raise RuntimeError(f"{who}: AEP has {counts.messages} of {expected} messages")
                of.append(float(told.splitlines()[-1]))
    return [
        Figure.ratio("sending / aepp", costs["ours"], costs["aepp"]),
        Figure("sending, us", tuple(costs["ours"])),
        Figure("sending with aepp, us", tuple(costs["aepp"])),
    ]


async def _post(endpoint: str, batches: int) -> float:
    """As `deliver` does: the messages are the bytes that Pub/Sub brought."""
    import aiohttp

    from pendo_aep.aep.client import StreamingClient
    from pendo_aep.http import http_connection

    messages = [orjson.dumps(events.event()) for _ in range(_BATCH)]
    async with aiohttp.ClientSession() as session:
        connection = http_connection("AEP", lambda: session)
        inlet = StreamingClient(connection, endpoint=endpoint, flow_id="benchmark", sandbox="prod")
        until = asyncio.get_running_loop().time() + 600
        await inlet.post(messages, until)
        before = cpu_seconds()
        for _ in range(batches):
            await inlet.post(messages, until)
        return cpu_seconds() - before


def _post_with_aepp(endpoint: str, batches: int) -> float:
    """As its documentation shows; it takes objects, and writes them as JSON itself."""
    from aepp.ingestion import DataIngestion

    host, _, inlet = endpoint.partition("/collection/")
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
    client.endpoint_streaming = host  # no option for it: Adobe's own host is written down there
    messages = [events.event() for _ in range(_BATCH)]
    client.streamMessages(inlet, messages, flowId="benchmark")
    before = cpu_seconds()
    for _ in range(batches):
        client.streamMessages(inlet, messages, flowId="benchmark")
    return cpu_seconds() - before


def _main(who: str, endpoint: str, batches: int) -> None:
    if who == "aepp":
        seconds = _post_with_aepp(endpoint, batches)
    else:
        import uvloop

        seconds = uvloop.run(_post(endpoint, batches))
    print(seconds / batches / _BATCH * 1e6)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
