"""Pub/Sub and the AEP stand-in in a process of their own, so their CPU is not the function's.

`python -m benchmarks.servers` prints where they listen. Then it reads one JSON command a line, and
answers each with what AEP has received.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict, dataclass
from typing import Any, Self

import orjson
import uvloop

from benchmarks.load import event
from local.aep import AepEvent, AepServer, Behaviour, ReceivedRequest
from local.functions import PROJECT, end_group
from local.pubsub import PubSubServer
from pendo_aep import tune_gc
from pendo_aep.event import message_attributes

TOPIC = "projects/local/topics/pendo-events"
PULL = "pendo-events-pull"
# Adobe does not say how long an answer takes; this is plausible between regions.
AEP_SECONDS = 0.02


@dataclass(slots=True)
class Counts:
    """What AEP has received so far.

    Attributes:
        requests: how many.
        messages: accepted.
        bytes: of all requests.
        last_at: when the last request ended, in seconds since the epoch.
    """

    requests: int = 0
    messages: int = 0
    bytes: int = 0
    last_at: float = 0.0

    def add(self, event: AepEvent) -> None:
        """Counts a request that has ended."""
        if isinstance(event, ReceivedRequest):
            self.requests += 1
            self.messages += event.messages
            self.bytes += event.size
            self.last_at = event.ended_at


class Servers:
    """`async with Servers() as servers` runs both.

    Attributes:
        pubsub: host and port of Pub/Sub, which has the topics and one subscription to pull from.
        endpoint: AEP's streaming endpoint, which takes 20 ms for a request.
    """

    pubsub: str
    endpoint: str

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.servers"),
            cwd=PROJECT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        addresses = await self._answer()
        self.pubsub, self.endpoint = addresses["pubsub"], addresses["endpoint"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end_group(self._process)

    async def counts(self, *, publish: int = 0) -> Counts:
        """Publishes so many events to the subscription `PULL`; returns what AEP has received."""
        assert self._process.stdin is not None  # noqa: S101 (it is a pipe)
        self._process.stdin.write(orjson.dumps({"publish": publish}) + b"\n")
        return Counts(**await self._answer())

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 (it is a pipe)
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the benchmark's servers have ended; their output is above")
        answer: dict[str, Any] = orjson.loads(line)
        return answer


async def _serve() -> None:
    counts = Counts()
    behaviour = Behaviour(latency_seconds=AEP_SECONDS)
    async with (
        PubSubServer(history=0) as pubsub,
        AepServer(behaviour, observer=counts.add) as aep,
    ):
        for topic in (TOPIC, f"{TOPIC}-pulled", f"{TOPIC}-dead"):
            pubsub.create_topic(topic)
        pubsub.create_subscription(
            f"projects/local/subscriptions/{PULL}", f"{TOPIC}-pulled", ack_deadline=60
        )
        _say({"pubsub": pubsub.host, "endpoint": aep.endpoint})
        commands = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
        )
        while line := await commands.readline():
            for _ in range(orjson.loads(line)["publish"]):
                of = event()
                pubsub.publish(f"{TOPIC}-pulled", orjson.dumps(of), **message_attributes(of))
            # The stand-in keeps all it accepts, and a process of gigabytes answers ever slower.
            aep.accepted.clear()
            aep.distinct_ids.clear()
            aep.requests.clear()
            _say(asdict(counts))


def _say(answer: dict[str, object]) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    tune_gc()
    uvloop.run(_serve())
