"""What the console keeps of each event, batch and dead letter."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

# An event that AEP throttles for an hour must not fill the memory.
MAX_STEPS: Final = 200
MAX_WEBHOOKS: Final = 5


class Status(StrEnum):
    """Where an event stands."""

    WAITING = "waiting"
    """In the topic, not yet delivered."""
    DELIVERING = "in a batch"
    """`deliver` has it."""
    RETRYING = "retrying"
    """In the topic again: it was handed back, and will come again."""
    ACCEPTED = "accepted"
    """AEP has taken it."""
    DEAD = "dead"
    """A dead letter, with its reason."""
    REJECTED = "rejected"
    """`receive` answered 4xx: its signature, its size."""
    UNSTORED = "not stored"
    """`receive` answered 5xx, or not at all; nothing was promised."""
    ANSWERED = "answered"
    """A ping, or a type that the settings leave out: answered 200, and goes nowhere."""


class Level(StrEnum):
    """How a step of the timeline is to be read."""

    INFO = "info"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to an event, in seconds since the epoch."""

    at: float
    text: str
    detail: str = ""
    level: Level = Level.INFO


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request of Pendo's, and what `receive` answered; `status` 0: it did not."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    started_at: float
    ended_at: float
    status: int
    answer: bytes


@dataclass(slots=True)
class EventRecord:
    """An event, or a webhook that did not become one.

    Attributes:
        key: the event id; of what has none, a name of the console's own.
        order: rises with each event that comes, or comes again.
        data: the normalised event, as it lies on the topic.
        sent: what AEP was sent, parsed.
        attempts: how often it was delivered to `deliver`.
    """

    key: str
    order: int
    received_at: float
    type: str = ""
    visitor: str = ""
    status: Status = Status.WAITING
    attempts: int = 0
    accepted_at: float | None = None
    reason: str = ""
    data: bytes | None = None
    sent: object = None
    webhooks: deque[Webhook] = field(default_factory=lambda: deque(maxlen=MAX_WEBHOOKS))
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=MAX_STEPS))

    @property
    def latency(self) -> float | None:
        """Seconds from its receipt to its acceptance by AEP."""
        if self.accepted_at is None:
            return None
        return max(self.accepted_at - self.received_at, 0.0)

    def is_settled(self) -> bool:
        """Whether nothing more is to happen to it."""
        return self.status not in {Status.WAITING, Status.DELIVERING, Status.RETRYING}


@dataclass(slots=True)
class BatchRecord:
    """One request to AEP; `status` is 0 until it is over, None if it got no whole answer."""

    number: int
    started_at: float
    ended_at: float | None = None
    ids: tuple[str, ...] = ()
    messages: int = 0
    size: int = 0
    accepted: int = 0
    refused: int = 0
    status: int | None = 0


@dataclass(frozen=True, slots=True)
class LetterRecord:
    """A dead letter that lies in the dead-letter topic."""

    message_id: str
    event_key: str
    type: str
    reason: str
    detail: str
    stage: str
    at: float
    size: int
    attributes: Mapping[str, str]
