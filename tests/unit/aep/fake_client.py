"""A fake streaming client that replies as the test says, and records its requests."""

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
from tests.simulated_time import now

Messages: TypeAlias = Sequence[bytes]
Reply: TypeAlias = Response | NoResponse | TokenUnavailable
Script: TypeAlias = Callable[[Messages], Reply]


def multi_status(statuses: Sequence[int], retry_after: float = 0.0) -> Response:
    """Returns a 207 with a status for each message."""
    body = {"responses": [{"status": status} for status in statuses]}
    return Response(207, json.dumps(body).encode(), retry_after)


def accept(messages: Messages) -> Response:
    """Accepts all messages."""
    return multi_status([200] * len(messages))


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it began, in loop time, and its messages."""

    at: float
    messages: tuple[bytes, ...]


class FakeClient:
    """Replies by a script, to each request after `seconds`."""

    def __init__(self, script: Script = accept, *, seconds: float = 0.0) -> None:
        self.script = script
        self.seconds = seconds
        self.requests: list[Request] = []

    async def post(self, messages: Messages, until: float) -> Response:
        """Replies as the script says, or times out when that would be after `until`."""
        self.requests.append(Request(now(), tuple(messages)))
        reply = self.script(messages)
        seconds_left = max(until - now(), 0.001)
        await asyncio.sleep(min(self.seconds, seconds_left))
        if self.seconds > seconds_left:
            raise NoResponse(RetryReason.TIMEOUT)
        if isinstance(reply, Response):
            return reply
        raise reply

    @property
    def sizes(self) -> list[int]:
        """The number of messages in each request."""
        return [len(request.messages) for request in self.requests]


def in_turn(*answers: Reply | Script) -> Script:
    """Returns a script with these replies in turn, each once; then AEP accepts all."""
    waiting = list(answers)

    def script(messages: Messages) -> Reply:
        reply = waiting.pop(0) if waiting else accept
        return reply(messages) if callable(reply) else reply

    return script


def numbered_messages(count: int) -> list[bytes]:
    """Returns so many different messages."""
    return [b'{"n":%d}' % number for number in range(count)]


async def send(
    client: FakeClient,
    messages: Messages,
    *,
    seconds: float = 30.0,
    breaker: CircuitBreaker | None = None,
) -> list[Outcome]:
    """Sends one batch with a deadline in so many seconds."""
    deadline = now() + seconds
    batch = [PendingMessage(message, deadline) for message in messages]
    return await BatchSender(client, breaker or CircuitBreaker()).send(batch)


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Counts the outcomes: `delivered`, or the reason why not."""
    return dict(Counter(_word(outcome) for outcome in outcomes))


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Retry):
        return outcome.reason
    return str(outcome.reason) if isinstance(outcome, Rejected) else "delivered"
