"""A console without a pipeline: its server, with a state that a test fills."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from local.aep import AepServer
from local.console.hands import Answer, Hands
from local.console.injections import Injections
from local.console.senders import WebhookSender
from local.console.server import ConsoleServer
from local.console.state import State
from local.console.stream import Pace
from local.pubsub import PubSubServer
from local.samples import load_samples
from tests.local.console.scene import Scene

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}


@dataclass(slots=True)
class Bench:
    """A console, and a client of it.

    Attributes:
        url: the console's.
        scene: what happens in the pipeline that is not there.
        replayed: the ids that a replay was asked for.
    """

    url: str
    scene: Scene
    http: aiohttp.ClientSession
    hands: Hands
    replayed: list[frozenset[str] | None] = field(default_factory=list)

    @property
    def state(self) -> State:
        """What the console shows."""
        return self.scene.state

    async def post(self, path: str, **ask: object) -> tuple[int, Any]:
        """Asks as the console's own page does."""
        return await post(self.http, self.url, path, **ask)


async def post(http: aiohttp.ClientSession, url: str, path: str, **ask: object) -> tuple[int, Any]:
    """Asks a console as its own page does; answers the status and what it said."""
    body = orjson.dumps(ask)
    async with http.post(f"{url}api/{path}", data=body, headers=SAME_ORIGIN) as response:
        return response.status, orjson.loads(await response.read())


@asynccontextmanager
async def bench(pace: Pace | None = None, **limits: int) -> AsyncIterator[Bench]:
    """The console on a port of its own."""
    scene = Scene(**limits)
    state = scene.state
    replayed: list[frozenset[str] | None] = []

    async def replay(ids: frozenset[str] | None) -> Answer:
        replayed.append(ids)
        return {"replayed": 0}

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        WebhookSender("http://127.0.0.1:9/", "secret", state.changed) as sender,
    ):
        injections = Injections(AepServer(), PubSubServer(), state.changed)
        hands = Hands(sender, injections, replay, {}, state.changed)
        server = ConsoleServer(state, hands, load_samples(), {"receive": "here"}, pace=pace)
        async with server.serving(0, or_any=False) as url:
            yield Bench(url, scene, http, hands, replayed)


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """The server-sent events of a stream: the kind, and the data; of a comment, its text."""
    kind = ""
    async for line in response.content:
        name, _, text = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = text
        elif name == "data":
            yield kind, orjson.loads(text)
        elif text:
            yield "comment", text
