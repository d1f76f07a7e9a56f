"""The console's HTTP server: the page, the stream of what happens, and the hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from local.console import asks, views
from local.console.hands import Answer, CannotBeDone, Hands
from local.console.listen import listening
from local.console.security import add_headers, guard
from local.console.state import State
from local.console.stream import Follower, Pace, stream
from local.samples import Sample

Ask = TypeVar("Ask", bound=BaseModel)

_PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class ConsoleServer:
    """Answers the page. It reads the state and moves the hands; what they do is theirs."""

    def __init__(
        self,
        state: State,
        hands: Hands,
        samples: Sequence[Sample],
        facts: Mapping[str, str],
        *,
        pace: Pace | None = None,
    ) -> None:
        """Takes what it shows.

        Args:
            state: what is known.
            hands: what can be done.
            samples: what can be sent.
            facts: addresses and names, for people to read.
            pace: how often an open page hears something.
        """
        self._state = state
        self._hands = hands
        self._samples = samples
        self._facts = dict(facts)
        self._pace = pace or Pace()

    @asynccontextmanager
    async def serving(self, port: int, *, or_any: bool) -> AsyncIterator[str]:
        """Serves on 127.0.0.1; answers the console's URL.

        Args:
            port: the wanted port; 0 for a free one.
            or_any: whether another will do if that one is taken.

        Raises:
            PortTaken: it is, and another will not do.
        """
        app = web.Application(middlewares=[guard], client_max_size=2 * asks.MAX_TEXT)
        app.on_response_prepare.append(add_headers)
        for path in _PAGE.rglob("*"):
            if path.suffix in _TYPES:
                app.router.add_get(f"/{path.relative_to(_PAGE).as_posix()}", _file(path))
        app.router.add_get("/", _file(_PAGE / "index.html"))
        app.router.add_get("/api/stream", self._stream)
        app.router.add_get("/api/event", self._event)
        app.router.add_get("/api/samples", self._list_samples)
        app.router.add_get("/api/webhooks", self._webhooks)
        hands = self._hands
        app.router.add_post("/api/send", _hand(asks.Send, hands.send))
        app.router.add_post("/api/stop", _hand(asks.Stop, hands.stop))
        app.router.add_post("/api/inject", _hand(asks.Inject, hands.inject))
        app.router.add_post("/api/clear", _hand(asks.Clear, hands.clear))
        app.router.add_post("/api/restart", _hand(asks.Restart, hands.restart))
        app.router.add_post("/api/replay", _hand(asks.Replay, hands.replay))
        async with listening(app, port, or_any=or_any) as found:
            yield f"http://127.0.0.1:{found}/"

    def _about(self) -> dict[str, Any]:
        hands = self._hands
        return {
            "injections": [
                {"kind": injection.kind, "text": injection.text}
                for injection in hands.injections.in_force
            ],
            "sending": asdict(hands.sender.progress),
            "functions": {
                name: "starting" if name in hands.busy else "running" for name in hands.functions
            },
            "facts": self._facts,
        }

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        return await stream(request, Follower(self._state, self._about), self._pace)

    async def _event(self, request: web.Request) -> web.Response:
        record = self._state.events.get(request.query.get("key", ""))
        if record is None:
            return _json({"error": "the console no longer has this event"}, 404)
        return _json(views.event_detail(record))

    async def _list_samples(self, _request: web.Request) -> web.Response:
        return _json(
            [
                {"name": sample.name, "text": sample.body.decode("utf-8", "replace")}
                for sample in self._samples
            ]
        )

    async def _webhooks(self, request: web.Request) -> web.Response:
        """Those that `python -m local capture` may choose from, newest first."""
        return _json(views.webhooks(self._state.events, request.query.get("event", "")))


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        # Read each time: who edits the page sees it with the next reload.
        body = await asyncio.to_thread(path.read_bytes)
        return web.Response(body=body, content_type=_TYPES[path.suffix], charset="utf-8")

    return answer


def _hand(
    kind: type[Ask], act: Callable[[Ask], Awaitable[Answer]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            ask = kind.model_validate_json(await request.read())
            return _json(await act(ask))
        except ValidationError as error:
            return _json({"error": _places(error)}, 400)
        except CannotBeDone as error:
            return _json({"error": str(error)}, 409)

    return answer


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(value), status=status, content_type="application/json", charset="utf-8"
    )


def _places(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'body'}: {p['msg']}" for p in problems)
