"""What stand-ins of REST APIs share: routes, calls, JSON responses, and a server on 127.0.0.1.

A stand-in has one handler for every request. It makes a `Call` of the request, finds the `Route`,
calls its handler, and turns the `JsonResponse` or `ApiError` that comes of it into HTTP. What is in
between (credentials, faults, waiting) is its own. It may extend `Call` and `Route`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Self, TypeAlias, TypeVar
from urllib.parse import unquote

import orjson
from aiohttp import web
from multidict import MultiMapping

_SHUTDOWN_SECONDS = 1.0
_MAX_BODY_BYTES = 2**20

CallT = TypeVar("CallT", bound="Call")
RouteT = TypeVar("RouteT", bound="Route[Any]")
Respond: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """A refusal: the call is answered with this status and JSON body, and has changed nothing."""

    def __init__(self, status: int, body: object) -> None:
        """Takes the HTTP status and the JSON body."""
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class NoRoute(LookupError):
    """No operation has that method and path; `is_path_known` if the path has other methods."""

    def __init__(self, *, is_path_known: bool) -> None:
        super().__init__()
        self.is_path_known = is_path_known


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of an API, as its handler sees it.

    Attributes:
        method: in capitals.
        path: as sent, percent-encoding included.
        params: what stands in the path for the names of the route's template, decoded.
        query: may hold a name several times.
        headers: case-insensitive.
        body: as sent.
    """

    method: str
    path: str
    query: MultiMapping[str]
    headers: Mapping[str, str]
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JsonResponse:
    """The response to a call; `changed` is False where there was nothing to change."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    changed: bool = True

    def to_http(self) -> web.Response:
        """Returns it for aiohttp; without a body there is no Content-Type."""
        if self.body is None:
            return web.Response(status=self.status, headers=self.headers)
        headers = {"Content-Type": "application/json", **self.headers}
        return web.Response(status=self.status, body=orjson.dumps(self.body), headers=headers)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call and its outcome.

    Attributes:
        method: in capitals.
        path: decoded.
        query: as sent.
        status: None where the client got no answer.
        changed: whether it changed what exists.
    """

    method: str
    path: str
    query: str
    status: int | None
    changed: bool


@dataclass(frozen=True)
class Route(Generic[CallT]):
    """One operation of an API.

    Attributes:
        method: in capitals.
        template: a path; `{name}` stands for one segment, or for what is before the colon of a verb
            as in `secrets/{name}:addVersion`. A slash or colon in it is percent-encoded.
        handler: does it.
        changes: whether it changes what exists, when it succeeds.
    """

    method: str
    template: str
    handler: Callable[[CallT], JsonResponse]
    changes: bool = field(default=False, kw_only=True)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.template)
        names = (f"(?P<{name}>[^/:]+)" for name in parts[1::2])
        texts = (re.escape(text) for text in parts[::2])
        return re.compile("".join(t + n for t, n in zip(texts, (*names, ""), strict=True)) + "/?")

    def match(self, path: str) -> dict[str, str] | None:
        """Returns the params of a path; None if it is not this operation's."""
        found = self._pattern.fullmatch(path)
        return {k: unquote(v) for k, v in found.groupdict().items()} if found else None


def find_route(routes: Iterable[RouteT], method: str, path: str) -> tuple[RouteT, dict[str, str]]:
    """Returns the first route for a method and a path, and the params of the path.

    Raises:
        NoRoute: there is none.
    """
    is_path_known = False
    for route in routes:
        if (params := route.match(path)) is not None:
            if route.method == method:
                return route, params
            is_path_known = True
    raise NoRoute(is_path_known=is_path_known)


class HttpServer:
    """Gives every request on a port of 127.0.0.1 to one handler, from `async with` on.

    Attributes:
        url: where it listens, without a trailing slash; empty before `start`.
    """

    def __init__(
        self, respond: Respond, *, port: int = 0, max_body_bytes: int = _MAX_BODY_BYTES
    ) -> None:
        """Sets the server up.

        Args:
            respond: the handler.
            port: 0 for a free one.
            max_body_bytes: a longer body is refused with 413.
        """
        self.url = ""
        self._port = port
        self._closing = asyncio.Event()
        app = web.Application(client_max_size=max_body_bytes)
        app.router.add_route("*", "/{path:.*}", respond)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> str:
        """Listens; returns the URL."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self.url

    async def stop(self) -> None:
        """Ends every pause, then waits for the open requests for a second at most."""
        self._closing.set()
        await self._runner.cleanup()

    async def pause(self, seconds: float) -> None:
        """Waits that long, or until the server stops."""
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return


def drop_connection(request: web.Request) -> web.Response:
    """Closes a request's connection without an answer; returns what aiohttp wants returned."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)
