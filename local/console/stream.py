"""Server-sent events: a snapshot first, then what changed, at most ten times a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from aiohttp import web

from local.console import views
from local.console.state import State
from local.console.table import Row, Table, Watch


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a page hears something, in seconds.

    Attributes:
        pause: between two changes, at least.
        quiet: until a sign of life, where nothing changes; and so until it is known to be gone.
    """

    pause: float = 0.1
    quiet: float = 15.0


class Follower:
    """What one open page has not been told yet."""

    def __init__(self, state: State, about: Callable[[], dict[str, Any]]) -> None:
        """Takes what to follow, and what to say beside: small, and said each time."""
        self._state = state
        self._about = about
        self._watches = (state.events.watch(), state.batches.watch(), state.letters.watch())
        self._changed = asyncio.Event()
        self._changed.set()
        self._version = 0
        state.on_change.append(self._changed.set)

    def close(self) -> None:
        """Follow no more."""
        self._state.on_change.remove(self._changed.set)
        events, batches, letters = self._watches
        self._state.events.unwatch(events)
        self._state.batches.unwatch(batches)
        self._state.letters.unwatch(letters)

    async def wait(self) -> None:
        """Until there is something to tell."""
        await self._changed.wait()

    def take(self) -> bytes:
        """All that has changed since the last time."""
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
                **self._about(),
            }
        )


def _changes(
    table: Table[Row], watch: Watch, view: Callable[[Row], dict[str, Any]]
) -> dict[str, Any]:
    changed, gone = table.take(watch)
    return {"changed": [view(row) for row in changed], "gone": gone}


async def stream(request: web.Request, follower: Follower, pace: Pace) -> web.StreamResponse:
    """Tells one page everything, until it goes."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    try:
        await response.prepare(request)
        kind = b"snapshot"
        with contextlib.suppress(ConnectionError):  # the page was closed
            while True:
                # Whoever reads slowly is waited for, and then told all that has changed at once.
                await response.write(b"event: %s\ndata: %s\n\n" % (kind, follower.take()))
                kind = b"change"
                await asyncio.sleep(pace.pause)
                while not await _something(follower, pace.quiet):
                    await response.write(b": still here\n\n")
    finally:
        follower.close()
    return response


async def _something(follower: Follower, within: float) -> bool:
    try:
        await asyncio.wait_for(follower.wait(), within)
    except TimeoutError:
        return False
    return True
