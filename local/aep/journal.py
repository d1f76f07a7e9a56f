"""What the stand-in has seen and done: kept for assertions, and told to an observer."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """A message that AEP has taken; `at` is in seconds since the epoch."""

    id: str
    message: object
    request: int
    at: float


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message that AEP has refused by itself, not the request around it."""

    id: str | None
    message: object
    status: int
    reason: str
    request: int
    at: float


@dataclass(frozen=True, slots=True)
class RequestStarted:
    """The headers of a request to the inlet have been read."""

    number: int
    at: float


@dataclass(frozen=True, slots=True)
class RequestRead:
    """The messages of a request have been read; what becomes of them is told next."""

    number: int
    messages: Sequence[object]
    at: float


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request to the inlet and how it ended; times are in seconds since the epoch.

    `size` and `messages` are 0 where the request ended before they were known; `status` is None
    where the client got no whole answer.
    """

    number: int
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    size: int
    messages: int
    status: int | None
    started_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class TokenRequested:
    """One request to the token endpoint, and the status that it got."""

    client_id: str
    scopes: tuple[str, ...]
    status: int
    at: float


AepEvent = (
    RequestStarted
    | RequestRead
    | AcceptedMessage
    | RefusedMessage
    | ReceivedRequest
    | TokenRequested
)


class Observer(Protocol):
    """Is told of everything that happens."""

    def __call__(self, event: AepEvent, /) -> None:
        """Take one event; called on the server's event loop, so it must not block."""


class Journal:
    """The stand-in's memory: lists in the order of events, and a way to wait for them."""

    def __init__(self, observer: Observer | None = None) -> None:
        self.accepted: list[AcceptedMessage] = []
        self.refused: list[RefusedMessage] = []
        self.requests: list[ReceivedRequest] = []
        self.token_requests: list[TokenRequested] = []
        self.distinct_ids: set[str] = set()
        self.in_flight = 0
        self._observer = observer
        self._changed = asyncio.Event()

    def note(self, event: AepEvent) -> None:
        """Keep one event, tell the observer, wake whoever waits."""
        match event:
            case RequestStarted():
                self.in_flight += 1
            case AcceptedMessage():
                self.accepted.append(event)
                self.distinct_ids.add(event.id)
            case RefusedMessage():
                self.refused.append(event)
            case ReceivedRequest():
                self.in_flight -= 1
                self.requests.append(event)
            case TokenRequested():
                self.token_requests.append(event)
        if self._observer is not None:
            self._observer(event)
        self._changed.set()

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """Return once the predicate holds; it is asked again after every event."""
        while not predicate():
            # Clearing wakes nobody: every waiter of the old state has been scheduled by set().
            self._changed.clear()
            await self._changed.wait()
