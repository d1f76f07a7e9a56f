"""Both ways from Pub/Sub to AEP: pushed to `deliver`, and pulled by `drain`; on any server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal

import aiohttp
import orjson
from google.pubsub_v1.types import PubsubMessage

from local.aep import AepEvent, AepServer
from local.functions import Function
from local.pipeline import DEAD, EVENTS, PubSubAdmin, administer
from tests.webhooks import COMMENT, VISITOR, send

Way = Literal["push", "drain"]
SECRET: Final = "local-secret"
# Seen with 0.8.20: it opens no connection any more, whatever the retry policy says.
EMULATOR_GIVES_UP: Final = "Google's emulator stops pushing for minutes to what failed for a while"
# What Pub/Sub hands to a pull that has just been given up comes again after this.
_ACK_SECONDS: Final = 10
# Between two runs of `drain`: one that is held back answers at once.
_PAUSE_SECONDS: Final = 0.1
_TOPICS: Final[dict[Way, str]] = {"push": EVENTS, "drain": "events-to-drain"}
_FUNCTIONS: Final[dict[Way, str]] = {"push": "deliver", "drain": "drain"}


class Carriage:
    """A Pub/Sub project with one topic for each way, the functions, an AEP and its dead letters.

    Attributes:
        aep: the stand-in; it wants a token.
        dead: the attributes of each dead letter, by event id.
        output: all that the functions printed.
    """

    def __init__(
        self, host: str, project: str, admin: PubSubAdmin, http: aiohttp.ClientSession
    ) -> None:
        self.aep = AepServer(observer=self._notice)
        self.dead: dict[str, dict[str, str]] = {}
        self.output: list[str] = []
        self._host = host
        self._project = project
        self._admin = admin
        self._http = http
        self._changed = asyncio.Event()
        self._functions: dict[Way, Function] = {}

    def _notice(self, event: AepEvent) -> None:  # noqa: ARG002 (what it was can be looked up)
        self._changed.set()

    @asynccontextmanager
    async def running(self, *ways: Way, **settings: str) -> AsyncIterator[None]:
        """Everything set up and started, until the end of the block."""
        await self._admin.create_topics(self._project)
        letters = await self._admin.create_pull_subscription("letters", DEAD, self._project)
        for way in ways:
            if way == "drain":
                topic = f"projects/{self._project}/topics/{_TOPICS[way]}"
                await self._admin.publisher.create_topic(name=topic)
                await self._admin.create_pull_subscription(
                    "drained", _TOPICS[way], self._project, ack_deadline_seconds=_ACK_SECONDS
                )
        self._settings = settings
        async with self.aep:
            background = [asyncio.create_task(self._collect(letters))]
            try:
                for way in ways:
                    await self.start(way)
                    if way == "drain":
                        drain = self._functions[way].url
                        background.append(asyncio.create_task(self._schedule(drain)))
                yield
            finally:
                for task in background:
                    task.cancel()
                ended = await asyncio.gather(*background, return_exceptions=True)
                for way in list(self._functions):
                    await self._stop(way)
        for error in ended:
            if isinstance(error, Exception):
                raise error  # a background task that broke off explains what did not come

    async def start(self, way: Way, port: int = 0) -> None:
        """Starts the function of one way, on the port of its predecessor if it has one."""
        settings = {
            "GOOGLE_CLOUD_PROJECT": self._project,
            "PUBSUB_EMULATOR_HOST": self._host,
            "AEP_ENDPOINT": self.aep.endpoint,
            "AEP_FLOW_ID": "flow-1",
            "AEP_CLIENT_ID": self.aep.client_id,
            "AEP_CLIENT_SECRET": SECRET,
            "AEP_IMS_URL": self.aep.url,
            "BATCH_LINGER_MS": "5",
            "DELIVER_DEADLINE_SECONDS": "3",
            "DRAIN_SUBSCRIPTION": "drained",
            "DRAIN_SECONDS": "10",
        }
        function = Function(_FUNCTIONS[way], {**settings, **self._settings}, port=port)
        await function.__aenter__()
        self._functions[way] = function
        if way == "push" and not port:
            await self._admin.create_push_subscription(function.url, self._project)

    async def _stop(self, way: Way) -> None:
        function = self._functions.pop(way)
        await function.__aexit__()
        self.output += function.output

    async def kill(self, way: Way) -> None:
        """Kills the function of one way (SIGKILL), and starts another in its place."""
        function = self._functions[way]
        function.kill()
        await self._stop(way)
        await self.start(way, function.port)

    async def publish(self, way: Way, ids: Sequence[str], over_seconds: float = 0) -> None:
        """Puts normalised events on the topic of one way, as `receive` does, evenly over time."""
        topic = f"projects/{self._project}/topics/{_TOPICS[way]}"
        for some in _chunks(ids, 100):
            messages = [PubsubMessage(data=event(i), attributes={"eventId": i}) for i in some]
            await self._admin.publisher.publish(topic=topic, messages=messages)
            await asyncio.sleep(over_seconds * len(some) / len(ids))

    async def until(self, way: Way, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Waits for a condition on AEP or the dead letters.

        Raises:
            TimeoutError: it is not met in time; the text is what the function of this way said.
        """
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            said = "\n".join(self._functions[way].output[-100:])
            raise TimeoutError(f"not within {seconds} s; {way} said last:\n{said}") from None

    def ended(self, ids: Sequence[str]) -> bool:
        """Has each of these come to its end: accepted by AEP, or a dead letter?"""
        return all(i in self.aep.distinct_ids or i in self.dead for i in ids)

    async def _schedule(self, drain: str) -> None:
        """Calls `drain` as a scheduler does, only sooner: one run after the other, never two.

        Of two runs, one may pull what the other gives back in the moment in which it gives up
        waiting. Pub/Sub then keeps those messages until their ack deadline.
        """
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):  # it has been killed
                await send(self._http, drain, b"")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _collect(self, letters: str) -> None:
        """Takes dead letters as they come."""
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
async def carriage(host: str, project: str) -> AsyncIterator[Carriage]:
    """A carriage on the Pub/Sub server at `host`, not yet running."""
    async with administer(host) as admin, aiohttp.ClientSession() as http:
        yield Carriage(host, project, admin, http)


def event(event_id: str) -> bytes:
    """A normalised event."""
    return orjson.dumps(
        {
            "id": event_id,
            "type": "nps.submitted",
            "pendoEvent": "npsSubmitted",
            "occurredAt": "2026-01-31T09:30:00.000Z",
            "receivedAt": "2026-01-31T09:30:01.000Z",
            "visitorId": VISITOR,
            "nps": {"rating": 9, "reason": COMMENT},
            "schemaVersion": 1,
        }
    )


def _chunks(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
