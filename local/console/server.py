"""The console's HTTP server: the page, the stream of changes, and the actions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from local.console import actions, views
from local.console.actions import MAX_TEXT, ActionRejected, Actions, Result
from local.console.security import add_headers, guard, listening
from local.console.state import Row, State, Table, Watch
from local.samples import Sample

RequestT = TypeVar("RequestT", bound=BaseModel)

_PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a page is updated, in seconds.

    Attributes:
        pause: the minimum time between two updates.
        quiet: without changes, how long until a comment is sent; it also detects closed pages.
    """

    pause: float = 0.1
    quiet: float = 15.0


class ConsoleServer:
    """Serves the page, the state and the actions."""

    def __init__(
        self,
        state: State,
        actions: Actions,
        samples: Sequence[Sample],
        facts: Mapping[str, str],
        *,
        pace: Pace | None = None,
    ) -> None:
        """Takes what it serves.

        Args:
            state: The state to show.
            actions: The actions of the page.
            samples: The samples that can be sent.
            facts: Addresses by name, shown on the page.
            pace: How often an open page is updated.
        """
        self._state = state
        self._actions = actions
        self._samples = samples
        self._facts = dict(facts)
        self._pace = pace or Pace()

    @asynccontextmanager
    async def serving(self, port: int, *, or_any: bool) -> AsyncIterator[str]:
        """Serves on 127.0.0.1 and yields the console's URL.

        Args:
            port: The port; 0 for any free one.
            or_any: Whether to use any free port if that one is taken.

        Raises:
            PortTaken: The port is taken, and `or_any` is not set.
        """
        app = web.Application(middlewares=[guard], client_max_size=2 * MAX_TEXT)
        app.on_response_prepare.append(add_headers)
        for path in _PAGE.rglob("*"):
            if path.suffix in _TYPES:
                app.router.add_get(f"/{path.relative_to(_PAGE).as_posix()}", _file(path))
        app.router.add_get("/", _file(_PAGE / "index.html"))
        app.router.add_get("/api/stream", self._stream)
        app.router.add_get("/api/event", self._event)
        app.router.add_get("/api/samples", self._list_samples)
        app.router.add_get("/api/webhooks", self._webhooks)
        act = self._actions
        app.router.add_post("/api/send", _action(actions.SendRequest, act.send))
        app.router.add_post("/api/stop", _action(actions.StopRequest, act.stop))
        app.router.add_post("/api/inject", _action(actions.InjectRequest, act.inject))
        app.router.add_post("/api/clear", _action(actions.ClearRequest, act.clear))
        app.router.add_post("/api/restart", _action(actions.RestartRequest, act.restart))
        app.router.add_post("/api/replay", _action(actions.ReplayRequest, act.replay))
        async with listening(app, port, or_any=or_any) as found:
            yield f"http://127.0.0.1:{found}/"

    def _always(self) -> dict[str, Any]:
        """Returns what every update contains: small, and not tracked for changes."""
        return {
            "injections": [
                {"kind": injection.kind, "text": injection.text}
                for injection in self._actions.injector.active
            ],
            "sending": asdict(self._actions.sender.progress),
            "functions": {
                name: "starting" if name in self._actions.busy else "running"
                for name in self._actions.functions
            },
            "facts": self._facts,
        }

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        return await stream(request, Follower(self._state, self._always), self._pace)

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
        """Lists those that `python -m local capture` may choose from, newest first."""
        return _json(views.webhooks(self._state.events, request.query.get("event", "")))


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        # Read each time, so that edits of the page appear after a reload.
        body = await asyncio.to_thread(path.read_bytes)
        return web.Response(body=body, content_type=_TYPES[path.suffix], charset="utf-8")

    return answer


def _action(
    kind: type[RequestT], act: Callable[[RequestT], Awaitable[Result]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            return _json(await act(kind.model_validate_json(await request.read())))
        except ValidationError as error:
            return _json({"error": _describe(error)}, 400)
        except ActionRejected as error:
            return _json({"error": str(error)}, 409)

    return answer


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(value), status=status, content_type="application/json", charset="utf-8"
    )


def _describe(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'body'}: {p['msg']}" for p in problems)


class Follower:
    """The changes that one open page has not received yet."""

    def __init__(self, state: State, always: Callable[[], dict[str, Any]]) -> None:
        """Takes the state to follow, and what to add to every update."""
        self._state = state
        self._always = always
        self._watches = (state.events.watch(), state.batches.watch(), state.letters.watch())
        self._changed = asyncio.Event()
        self._changed.set()
        self._version = 0
        state.on_change.append(self._changed.set)

    def close(self) -> None:
        """Stops following."""
        self._state.on_change.remove(self._changed.set)
        events, batches, letters = self._watches
        self._state.events.unwatch(events)
        self._state.batches.unwatch(batches)
        self._state.letters.unwatch(letters)

    async def has_changed(self, within: float) -> bool:
        """Waits for a change, and returns whether there was one within so many seconds."""
        try:
            await asyncio.wait_for(self._changed.wait(), within)
        except TimeoutError:
            return False
        return True

    def take(self) -> bytes:
        """Returns everything that has changed since the last call, as JSON."""
        self._changed.clear()
        state = self._state
        events, batches, letters = self._watches
        seconds = state.series.since(self._version)
        self._version = state.series.version
        return orjson.dumps(
            {
                "now": state.now() * 1000,
                "counts": asdict(state.counts),
                "events": _changes(state.events, events, views.event_row),
                "batches": _changes(state.batches, batches, views.batch_row),
                "letters": _changes(state.letters, letters, views.letter_row),
                "seconds": [views.second_row(second) for second in seconds],
                **self._always(),
            }
        )


def _changes(
    table: Table[Row], watch: Watch, view: Callable[[Row], dict[str, Any]]
) -> dict[str, Any]:
    changed, gone = table.take(watch)
    return {"changed": [view(row) for row in changed], "gone": gone}


async def stream(request: web.Request, follower: Follower, pace: Pace) -> web.StreamResponse:
    """Sends server-sent events to a page until it closes: a snapshot, then changes."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    try:
        await response.prepare(request)
        kind = b"snapshot"
        with contextlib.suppress(ConnectionError):  # the page was closed
            while True:
                # A slow reader is waited for, and then gets all changes in one event.
                await response.write(b"event: %s\ndata: %s\n\n" % (kind, follower.take()))
                kind = b"change"
                await asyncio.sleep(pace.pause)
                while not await follower.has_changed(pace.quiet):
                    await response.write(b": still here\n\n")
    finally:
        follower.close()
    return response
