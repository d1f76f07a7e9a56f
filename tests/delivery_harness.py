"""Starts what a test of delivery needs: Pub/Sub, an AEP stand-in, and the functions between them.

`deliver` gets its messages by push, `drain` pulls them: a `DeliveryHarness` runs either on any
Pub/Sub server.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
from aiohttp import web
from google.pubsub_v1.types import PubsubMessage

from local import aep
from local.aep import AepEvent, AepServer, Fault
from local.functions import Function, Line
from local.pipeline import DEAD, EVENTS, PubSubAdmin, administer, deliver_env
from local.pubsub import PubSubServer
from tests.webhooks import event, send

TOPIC: Final = f"projects/local/topics/{EVENTS}"
DEAD_TOPIC: Final = f"projects/local/topics/{DEAD}"
BACKLOG: Final = "projects/local/subscriptions/backlog"
Consumer = Literal["push", "drain"]
CLIENT_SECRET: Final = "local-secret"
# Seen with 0.8.20: it opens no more connections, whatever the retry policy says.
EMULATOR_GIVES_UP: Final = "Google's emulator stops pushing for minutes after repeated failures"
# A message that Pub/Sub hands to a pull that was just cancelled comes again after this.
_ACK_SECONDS: Final = 10
# Between two runs of `drain`: a run that the circuit breaker rejects answers at once.
_PAUSE_SECONDS: Final = 0.1
_TOPICS: Final[dict[Consumer, str]] = {"push": EVENTS, "drain": "events-to-drain"}
_FUNCTIONS: Final[dict[Consumer, str]] = {"push": "deliver", "drain": "drain"}


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
    """Returns the settings of `deliver` or `drain`: the backlog, and four seconds for a run."""
    drain = {"DRAIN_SUBSCRIPTION": "backlog", "DRAIN_SECONDS": "4"}
    return deliver_env(server.host, aep_server, settings={**drain, **settings})


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


async def wait_for_line(
    function: Function, matches: Callable[[Line], bool], seconds: float = 10
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
    """A Pub/Sub project with one topic for each consumer, the functions, an AEP, the dead letters.

    Attributes:
        aep: The stand-in; it requires a token.
        dead: The attributes of each dead letter, by event ID.
        output: All lines that the functions printed.
    """

    def __init__(
        self, host: str, project: str, admin: PubSubAdmin, http: aiohttp.ClientSession
    ) -> None:
        self.aep = AepServer(observer=self._on_event)
        self.dead: dict[str, dict[str, str]] = {}
        self.output: list[str] = []
        self._host = host
        self._project = project
        self._admin = admin
        self._http = http
        self._changed = asyncio.Event()
        self._functions: dict[Consumer, Function] = {}

    def _on_event(self, event: AepEvent) -> None:  # noqa: ARG002 (the stand-in keeps it)
        self._changed.set()

    @asynccontextmanager
    async def running(self, *consumers: Consumer, **settings: str) -> AsyncIterator[None]:
        """Sets up topics, subscriptions and functions for the duration of the block."""
        await self._admin.create_topics(self._project)
        letters = await self._admin.create_pull_subscription("letters", DEAD, self._project)
        for consumer in consumers:
            if consumer == "drain":
                topic = f"projects/{self._project}/topics/{_TOPICS[consumer]}"
                await self._admin.publisher.create_topic(name=topic)
                await self._admin.create_pull_subscription(
                    "drained", _TOPICS[consumer], self._project, ack_deadline_seconds=_ACK_SECONDS
                )
        self._settings = settings
        async with self.aep:
            background = [asyncio.create_task(self._collect(letters))]
            try:
                for consumer in consumers:
                    await self.start(consumer)
                    if consumer == "drain":
                        drain = self._functions[consumer].url
                        background.append(asyncio.create_task(self._schedule(drain)))
                yield
            finally:
                for task in background:
                    task.cancel()
                ended = await asyncio.gather(*background, return_exceptions=True)
                for consumer in list(self._functions):
                    await self._stop(consumer)
        for error in ended:
            if isinstance(error, Exception):
                raise error  # a background task that failed explains what did not arrive

    async def start(self, consumer: Consumer, port: int = 0) -> None:
        """Starts a function, on the port of its predecessor if there was one."""
        settings = {
            "GOOGLE_CLOUD_PROJECT": self._project,
            "PUBSUB_EMULATOR_HOST": self._host,
            "AEP_ENDPOINT": self.aep.endpoint,
            "AEP_FLOW_ID": "flow-1",
            "AEP_CLIENT_ID": self.aep.client_id,
            "AEP_CLIENT_SECRET": CLIENT_SECRET,
            "AEP_IMS_URL": self.aep.url,
            "BATCH_LINGER_MS": "5",
            "DELIVER_DEADLINE_SECONDS": "3",
            "DRAIN_SUBSCRIPTION": "drained",
            "DRAIN_SECONDS": "10",
        }
        function = Function(_FUNCTIONS[consumer], {**settings, **self._settings}, port=port)
        await function.__aenter__()
        self._functions[consumer] = function
        if consumer == "push" and not port:
            await self._admin.create_push_subscription(function.url, self._project)

    async def _stop(self, consumer: Consumer) -> None:
        function = self._functions.pop(consumer)
        await function.__aexit__()
        self.output += function.output

    async def kill(self, consumer: Consumer) -> None:
        """Kills a function (SIGKILL), and starts another in its place."""
        function = self._functions[consumer]
        function.kill()
        await self._stop(consumer)
        await self.start(consumer, function.port)

    async def publish(
        self, consumer: Consumer, ids: Sequence[str], over_seconds: float = 0
    ) -> None:
        """Publishes normalised events for a consumer, as `receive` does, evenly over time."""
        topic = f"projects/{self._project}/topics/{_TOPICS[consumer]}"
        for some in _chunks(ids, 100):
            messages = [PubsubMessage(data=event(i), attributes={"eventId": i}) for i in some]
            await self._admin.publisher.publish(topic=topic, messages=messages)
            await asyncio.sleep(over_seconds * len(some) / len(ids))

    async def until(
        self, consumer: Consumer, condition: Callable[[], bool], seconds: float = 60
    ) -> None:
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
            last = "\n".join(self._functions[consumer].output[-100:])
            told = f"not within {seconds} s; last lines of {consumer}:\n{last}"
            raise TimeoutError(told) from None

    def settled(self, ids: Sequence[str]) -> bool:
        """Returns whether each of these was accepted by AEP or is a dead letter."""
        return all(i in self.aep.distinct_ids or i in self.dead for i in ids)

    async def _schedule(self, drain: str) -> None:
        """Calls `drain` as a scheduler does, but more often: one run after another, never two.

        Of two runs, one could pull what the other returns at the moment when it stops waiting.
        Pub/Sub would then keep those messages until their ack deadline.
        """
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):  # it has been killed
                await send(self._http, drain, b"")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _collect(self, letters: str) -> None:
        """Pulls dead letters as they arrive."""
        while True:
            answer = await self._admin.subscriber.pull(
                subscription=letters, max_messages=1000, timeout=60
            )
            ack_ids = [received.ack_id for received in answer.received_messages]
            for received in answer.received_messages:
                attributes = dict(received.message.attributes)
                self.dead[attributes["eventId"]] = attributes
            if ack_ids:
                await self._admin.subscriber.acknowledge(subscription=letters, ack_ids=ack_ids)
                self._changed.set()


@asynccontextmanager
async def delivery_harness(host: str, project: str) -> AsyncIterator[DeliveryHarness]:
    """Yields a harness on the Pub/Sub server at `host`, with nothing running yet."""
    async with administer(host) as admin, aiohttp.ClientSession() as http:
        yield DeliveryHarness(host, project, admin, http)


def _chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
