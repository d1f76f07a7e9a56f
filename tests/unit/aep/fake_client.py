"""An inlet that answers as a test says, and remembers who asked, and when."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pendo_aep.aep.auth import TokenUnavailable
from pendo_aep.aep.circuit_breaker import CircuitBreaker
from pendo_aep.aep.client import NoResponse, Response
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.outcome import Outcome, Rejected, Retry, RetryReason

Messages: TypeAlias = Sequence[bytes]
Reply: TypeAlias = Response | NoResponse | TokenUnavailable
Script: TypeAlias = Callable[[Messages], Reply]


def multi_status(statuses: Sequence[int], retry_after: float = 0.0) -> Response:
    """A 207 that says a status of each message."""
    body = {"responses": [{"status": status} for status in statuses]}
    return Response(207, json.dumps(body).encode(), retry_after)


def accept(messages: Messages) -> Response:
    """AEP takes all."""
    return multi_status([200] * len(messages))


def now() -> float:
    """The time of the test."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it began, in loop time, and what was in it."""

    at: float
    messages: tuple[bytes, ...]


class FakeClient:
    """Answers by a script, each request after `seconds`."""

    def __init__(self, script: Script = accept, *, seconds: float = 0.0) -> None:
        self.script = script
        self.seconds = seconds
        self.requests: list[Request] = []

    async def post(self, messages: Messages, until: float) -> Response:
        """What the script says; nothing, when that comes after `until`."""
        self.requests.append(Request(now(), tuple(messages)))
        said = self.script(messages)
        patience = max(until - now(), 0.001)
        await asyncio.sleep(min(self.seconds, patience))
        if self.seconds > patience:
            raise NoResponse(RetryReason.TIMEOUT)
        if isinstance(said, Response):
            return said
        raise said

    @property
    def sizes(self) -> list[int]:
        """How many messages were in each request."""
        return [len(request.messages) for request in self.requests]


def in_turn(*answers: Reply | Script) -> Script:
    """The answers in turn, each once; then AEP takes all."""
    waiting = list(answers)

    def script(messages: Messages) -> Reply:
        said = waiting.pop(0) if waiting else accept
        return said(messages) if callable(said) else said

    return script


def numbered_messages(count: int) -> list[bytes]:
    """So many different messages."""
    return [b'{"n":%d}' % number for number in range(count)]


async def send(
    inlet: FakeClient,
    messages: Messages,
    *,
    seconds: float = 30.0,
    brake: CircuitBreaker | None = None,
) -> list[Outcome]:
    """Sends one batch that has so many seconds."""
    deadline = now() + seconds
    batch = [PendingMessage(message, deadline) for message in messages]
    return await BatchSender(inlet, brake or CircuitBreaker()).send(batch)


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many there are of each: `delivered`, or why not."""
    return dict(Counter(_word(outcome) for outcome in outcomes))


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Retry):
        return outcome.reason
    return str(outcome.reason) if isinstance(outcome, Rejected) else "delivered"
