"""The stand-in's events: kept for assertions and passed to an observer."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """A message that AEP accepted; `at` is in seconds since the epoch."""

    id: str
    message: object
    request: int
    at: float


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message that AEP refused individually, not with its whole request."""

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
    """The messages of a request have been read; the events of each follow."""

    number: int
    messages: Sequence[object]
    at: float


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request to the inlet and how it ended; times are in seconds since the epoch.

    `size` and `messages` are 0 if the request ended before they were known; `status` is None if
    the client got no complete answer.
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
    """One request to the token endpoint and the status of its answer."""

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
    """Receives every event."""

    def __call__(self, event: AepEvent, /) -> None:
        """Handles one event; it runs on the server's event loop, so it must not block."""


class EventLog:
    """The events so far, by kind and in order, with a way to wait for more."""

    def __init__(self, observer: Observer | None = None) -> None:
        self.accepted: list[AcceptedMessage] = []
        self.refused: list[RefusedMessage] = []
        self.requests: list[ReceivedRequest] = []
        self.token_requests: list[TokenRequested] = []
        self.distinct_ids: set[str] = set()
        self.in_flight = 0
        self._observer = observer
        self._changed = asyncio.Event()

    def add(self, event: AepEvent) -> None:
        """Stores an event, calls the observer and wakes everyone who waits."""
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
        """Waits until the predicate holds; it is checked after every event."""
        while not predicate():
            # Clearing is safe: set() has already scheduled everyone who waited.
            self._changed.clear()
            await self._changed.wait()
