"""Starts what a test of delivery needs: Pub/Sub, an AEP stand-in, and the functions between them.

`deliver` gets its messages by push, `drain` pulls them: `delivery_harness` runs either on any
Pub/Sub server.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, Literal

from aiohttp import web
from google.pubsub_v1.types import PubsubMessage

from local import aep
from local.aep import AepServer, Fault
from local.functions import Function, Line
from local.pipeline import (
    DEAD,
    EVENTS,
    FunctionName,
    Pipeline,
    administer,
    call_repeatedly,
    deliver_env,
    in_background,
    run_pipeline,
    token_settings,
)
from local.pubsub import PubSubServer
from tests.webhooks import event

TOPIC: Final = f"projects/local/topics/{EVENTS}"
DEAD_TOPIC: Final = f"projects/local/topics/{DEAD}"
BACKLOG: Final = "projects/local/subscriptions/backlog"
Consumer = Literal["push", "drain"]
# Seen with 0.8.20: it keeps one request open and no more, whatever the retry policy says.
EMULATOR_GIVES_UP: Final = "Google's emulator pushes hardly anything for minutes after failures"
_FUNCTIONS: Final[dict[Consumer, FunctionName]] = {"push": "deliver", "drain": "drain"}


def create_topics(server: PubSubServer) -> None:
    """Creates the topics of events and of dead letters."""
    server.create_topic(TOPIC)
    server.create_topic(DEAD_TOPIC)


@asynccontextmanager
async def pubsub_with_backlog() -> AsyncIterator[PubSubServer]:
    """Runs a Pub/Sub server with both topics, and a subscription to events that can be drained."""
    async with PubSubServer(pull_wait=0.2) as server:
        create_topics(server)
        server.create_subscription(BACKLOG, TOPIC)
        yield server


def consumer_env(server: PubSubServer, aep_server: AepServer, **settings: str) -> dict[str, str]:
    """Returns the settings of `deliver` or `drain`: the backlog, and ten seconds for a run."""
    drain = {"DRAIN_SUBSCRIPTION": "backlog", "DRAIN_SECONDS": "10"}
    return deliver_env(server.host, aep_server, settings={**drain, **settings})


async def renew(server: PubSubServer, aep_server: AepServer) -> None:
    """Makes both stand-ins as good as new, while a function that uses them runs on.

    The backlog and both topics are empty, AEP has received nothing, and there are no faults.
    """
    server.faults.clear()
    aep_server.faults.clear()
    for received in (aep_server.accepted, aep_server.distinct_ids, aep_server.requests):
        received.clear()
    async with administer(server.host) as admin:
        await admin.subscriber.delete_subscription(subscription=BACKLOG)
        for topic in (TOPIC, DEAD_TOPIC):
            await admin.publisher.delete_topic(topic=topic)
    create_topics(server)
    server.create_subscription(BACKLOG, TOPIC)


def publish_events(server: PubSubServer, ids: Sequence[str]) -> None:
    """Publishes normalised events to the topic that is drained."""
    for event_id in ids:
        server.publish(TOPIC, event(event_id), eventId=event_id)


def make_fault(kind: str, arguments: dict[str, Any], times: int | None = None) -> Fault:
    """Returns a fault of AEP by its name in `local.aep`, as the tables of cases name it."""
    fault: Fault = getattr(aep, kind)(**arguments)
    return fault if times is None else fault.times(times)


def source_with(folder: Path, constants: Mapping[str, float]) -> dict[str, str]:
    """Returns the setting that runs the functions with other constants, such as shorter timeouts.

    Args:
        folder: Where main.py is wrapped.
        constants: The values, by dotted name.
    """
    lines = []
    for name, value in constants.items():
        module, _, constant = name.rpartition(".")
        lines += [f"import {module}", f"assert {name}", f"{module}.{constant} = {value}"]
    source = folder / "source.py"
    source.write_text("\n".join([*lines, "from main import *", ""]), "utf-8")
    return {"FUNCTION_SOURCE": str(source)}


def accepted_places(server: AepServer) -> dict[str, set[tuple[int, int]]]:
    """Returns the requests that AEP accepted each event in, and its places in them.

    It counts what was accepted, so it knows nothing of a batch in which a message was refused.
    """
    found: dict[str, set[tuple[int, int]]] = {}
    sizes: Counter[int] = Counter()
    for message in server.accepted:
        found.setdefault(message.id, set()).add((message.request, sizes[message.request]))
        sizes[message.request] += 1
    return found


def logged_place(line: Line) -> tuple[int, int]:
    """Returns the same from AEP's ids in the log line of a delivered message.

    The stand-in ends a `batchId` with the number of the request, and an `xactionId` with the place
    of the message in it.
    """
    return int(line["batchId"].rpartition(":")[2]), int(re.split("[:-]", line["xactionId"])[-1])


async def wait_for_line(
    function: Function, matches: Callable[[Line], bool], seconds: float = 60
) -> Line:
    """Returns the first log line that matches, once it has been written."""
    async with asyncio.timeout(seconds):
        while True:
            for line in function.lines:
                if matches(line):
                    return line
            await function.next_line()


@asynccontextmanager
async def http_server(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Runs an HTTP server that answers every request with `answer`, and yields its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, host, 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class DeliveryHarness:
    """A function that delivers events, an AEP, and the dead letters.

    Attributes:
        aep: The stand-in.
        function: `deliver` or `drain`.
        dead: The attributes of each dead letter, by event ID.
    """

    def __init__(
        self, aep_server: AepServer, pipeline: Pipeline, topic: str, changed: asyncio.Event
    ) -> None:
        self.aep = aep_server
        (self.function,) = pipeline.functions.values()
        self.dead: dict[str, dict[str, str]] = {}
        self._pipeline = pipeline
        self._topic = topic
        self._changed = changed

    async def kill(self) -> None:
        """Kills the function (SIGKILL), and starts it again."""
        self.function.kill()
        await self.function.restart()

    async def publish(self, ids: Sequence[str], over_seconds: float = 0) -> None:
        """Publishes normalised events, as `receive` does, evenly over time."""
        for some in _chunks(ids, 100):
            messages = [PubsubMessage(data=event(i), attributes={"eventId": i}) for i in some]
            await self._pipeline.admin.publisher.publish(topic=self._topic, messages=messages)
            await asyncio.sleep(over_seconds * len(some) / len(ids))

    async def until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Waits for a condition on AEP or the dead letters.

        Raises:
            TimeoutError: It was not met in time; the text is the function's last output.
        """
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            last = "\n".join(self.function.output[-100:])
            raise TimeoutError(f"not within {seconds} s; last lines:\n{last}") from None

    def settled(self, ids: Sequence[str]) -> bool:
        """Returns whether each of these was accepted by AEP or is a dead letter."""
        return all(i in self.aep.distinct_ids or i in self.dead for i in ids)

    async def collect_dead_letters(self) -> None:
        """Keeps the dead letters as they arrive."""
        async for letter in self._pipeline.dead_letters():
            self.dead[letter.attributes["eventId"]] = dict(letter.attributes)
            self._changed.set()


@asynccontextmanager
async def delivery_harness(
    host: str, project: str, consumer: Consumer, **settings: str
) -> AsyncIterator[DeliveryHarness]:
    """Runs `deliver` or `drain` between a new project of the Pub/Sub server at `host` and AEP."""
    changed = asyncio.Event()
    name = _FUNCTIONS[consumer]
    async with (
        AepServer(observer=lambda _: changed.set()) as aep_server,
        run_pipeline(
            host,
            aep_server,
            project=project,
            functions=[name],
            deliver_settings={
                **token_settings(aep_server),
                "BATCH_LINGER_MS": "5",
                "DELIVER_DEADLINE_SECONDS": "3",
                "DRAIN_SECONDS": "10",
                **settings,
            },
        ) as pipeline,
    ):
        topic = f"projects/{project}/topics/{EVENTS}"
        harness = DeliveryHarness(aep_server, pipeline, topic, changed)
        calls = call_repeatedly(harness.function) if name == "drain" else nullcontext()
        async with in_background(harness.collect_dead_letters()), calls:
            yield harness


def _chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
