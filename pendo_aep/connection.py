"""Replaces a connection that goes silent. One rule for Pub/Sub, AEP and IMS.

A NAT or a load balancer may drop a connection, and a frozen CPU may outlive one. The client is not
told: its requests are never answered, while a new connection would work at once. So:

* a connection on which nothing was received for a minute is replaced before it is used;
* a call without an answer in a few seconds is repeated on a new connection, which replaces the
  silent one for all later calls.

A slow peer looks the same at first. So a connection counts as silent only if it has been prompt
before, or is ten seconds old. A slow peer gets one repeated call and one new connection every ten
seconds, not with every call. Repeating is harmless: an event has an id of its own.

Why a clock: `TCP_USER_TIMEOUT` is not available on every platform, and does not notice a proxy that
acknowledges what it no longer forwards. HTTP/2 pings every few seconds make a gRPC server close the
connection ("too_many_pings"; gRPC: "Keepalive User Guide").
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Final, Generic, TypeVar

from pendo_aep.logs import log

T = TypeVar("T")
Result = TypeVar("Result")

# Far below the known idle timeouts: Google's Cloud NAT drops connections after 20 minutes by
# default (Google: "Cloud NAT, timeouts"). A new connection costs some milliseconds.
_QUIET_SECONDS: Final = 60.0
_SLOW_PEER_SECONDS: Final = 10.0
_SHORTEST_SECONDS: Final = 0.001  # aiohttp takes 0 for no timeout


@dataclass(slots=True, eq=False)
class _Link(Generic[T]):
    """One open connection: when it was last answered on, and how many calls use it."""

    transport: T
    opened_at: float
    answered_at: float
    was_prompt: bool = False
    is_to_be_closed: bool = False
    users: int = 0


class Connection(Generic[T]):
    """Opens a transport (a gRPC channel, an HTTP session) and replaces it when it goes silent."""

    def __init__(
        self,
        to: str,
        open_transport: Callable[[], T],
        close: Callable[[T], Awaitable[None]],
        *,
        silent_seconds: float,
        is_multiplexed: bool = False,
    ) -> None:
        """Takes how to open and close the transport. Nothing is opened yet.

        Args:
            to: the peer's name, for the log.
            open_transport: opens one. If it returns the same one again, the caller owns it, and it
                is not closed.
            close: closes one that no call uses any more.
            silent_seconds: how long an answer may take before the call is repeated; `inf` if no
                call may be cut short.
            is_multiplexed: all calls share one TCP connection, so an answer to any of them proves
                that it works. Not so for a pool of connections.
        """
        self._to = to
        self._open = open_transport
        self._close = close
        self._silent_seconds = silent_seconds
        self._is_multiplexed = is_multiplexed
        self._link: _Link[T] | None = None
        self._closing: set[asyncio.Future[None]] = set()

    async def call(
        self,
        attempt: Callable[[T, float], Awaitable[Result]],
        *,
        until: float,
        attempt_seconds: float,
    ) -> Result:
        """Returns the result of `attempt(transport, seconds)`, repeated once if it is silent.

        Args:
            attempt: makes the call; raises TimeoutError if there is no answer within `seconds`.
            until: when to give up, in the event loop's time.
            attempt_seconds: how long one attempt may take. The first takes at most
                `silent_seconds`, and at most half of the time left.

        Raises:
            TimeoutError: there was no answer in time.
            Exception: what `attempt` or opening the transport raised.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        link = self._current(now)
        left = until - now
        may_be_slow = not link.was_prompt and now - link.opened_at < _SLOW_PEER_SECONDS
        if may_be_slow or self._silent_seconds == inf:
            return await self._attempt(attempt, link, min(attempt_seconds, left))
        seconds = min(attempt_seconds, self._silent_seconds, left / 2)
        try:
            return await self._attempt(attempt, link, seconds)
        except TimeoutError:
            is_alive = self._is_multiplexed and link.answered_at > now
            if link is self._link and not is_alive:
                # Not a warning: a pull from an empty subscription looks the same.
                log("INFO", "no answer, trying a new connection", to=self._to)
                self._replace(link)
        now = loop.time()
        return await self._attempt(attempt, self._current(now), min(attempt_seconds, until - now))

    def _current(self, now: float) -> _Link[T]:
        link = self._link
        if link is None:
            link = self._link = _Link(self._open(), now, now)
        elif now - link.answered_at >= _QUIET_SECONDS:
            link = self._replace(link)
        return link

    async def _attempt(
        self, attempt: Callable[[T, float], Awaitable[Result]], link: _Link[T], seconds: float
    ) -> Result:
        loop = asyncio.get_running_loop()
        started = loop.time()
        link.users += 1
        try:
            result = await attempt(link.transport, max(seconds, _SHORTEST_SECONDS))
            link.answered_at = loop.time()
            if link.answered_at - started < self._silent_seconds:
                link.was_prompt = True
            return result
        finally:
            link.users -= 1
            self._close_if_unused(link)

    def _replace(self, link: _Link[T]) -> _Link[T]:
        """Opens another for later calls; calls in flight on this one continue."""
        now = asyncio.get_running_loop().time()
        fresh = self._link = _Link(self._open(), now, now)
        if fresh.transport is not link.transport:
            link.is_to_be_closed = True
            self._close_if_unused(link)
        return fresh

    def _close_if_unused(self, link: _Link[T]) -> None:
        if link.is_to_be_closed and not link.users:
            closing = asyncio.ensure_future(self._close(link.transport))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
