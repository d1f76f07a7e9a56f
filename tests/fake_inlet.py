"""An inlet that answers as a test says, and remembers who asked, and when."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pendo_aep.brake import Brake
from pendo_aep.ims import TokenUnavailable
from pendo_aep.inlet import Answer, NoAnswer
from pendo_aep.outcome import Outcome, Refused, Retry
from pendo_aep.sender import Outgoing, Sender

Messages: TypeAlias = Sequence[bytes]
Said: TypeAlias = Answer | NoAnswer | TokenUnavailable
Script: TypeAlias = Callable[[Messages], Said]


def entries(statuses: Sequence[int], retry_after: float = 0.0) -> Answer:
    """A 207 that says a status of each message."""
    body = {"responses": [{"status": status} for status in statuses]}
    return Answer(207, json.dumps(body).encode(), retry_after)


def accept(messages: Messages) -> Answer:
    """AEP takes all."""
    return entries([200] * len(messages))


def now() -> float:
    """The time of the test."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it began, in loop time, and what was in it."""

    at: float
    messages: tuple[bytes, ...]


class FakeInlet:
    """Answers by a script, each request after `seconds`."""

    def __init__(self, script: Script = accept, *, seconds: float = 0.0) -> None:
        self.script = script
        self.seconds = seconds
        self.requests: list[Request] = []

    async def post(self, messages: Messages, until: float) -> Answer:
        """What the script says; nothing, when that comes after `until`."""
        self.requests.append(Request(now(), tuple(messages)))
        said = self.script(messages)
        patience = max(until - now(), 0.001)
        await asyncio.sleep(min(self.seconds, patience))
        if self.seconds > patience:
            raise NoAnswer("timeout")
        if isinstance(said, Answer):
            return said
        raise said

    @property
    def sizes(self) -> list[int]:
        """How many messages were in each request."""
        return [len(request.messages) for request in self.requests]


def one_after_another(*answers: Said | Script) -> Script:
    """The answers in turn, each once; then AEP takes all."""
    waiting = list(answers)

    def script(messages: Messages) -> Said:
        said = waiting.pop(0) if waiting else accept
        return said(messages) if callable(said) else said

    return script


def numbered(count: int) -> list[bytes]:
    """So many different messages."""
    return [b'{"n":%d}' % number for number in range(count)]


async def send(
    inlet: FakeInlet, messages: Messages, *, seconds: float = 30.0, brake: Brake | None = None
) -> list[Outcome]:
    """Sends one batch that has so many seconds."""
    deadline = now() + seconds
    batch = [Outgoing(message, deadline) for message in messages]
    return await Sender(inlet, brake or Brake()).send(batch)


def tally(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many there are of each: `delivered`, or why not."""
    return dict(Counter(_word(outcome) for outcome in outcomes))


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Retry):
        return outcome.why
    return str(outcome.reason) if isinstance(outcome, Refused) else "delivered"
