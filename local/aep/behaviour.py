"""How the stand-in behaves when nothing is broken; changeable while it runs."""

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """The shapes of the 207 body that are on record; they differ in what a failed entry looks like.

    All four come from public sources, none from a specification: Adobe publishes no schema of it.
    """

    DOCS = "docs"
    """Adobe: "Send multiple messages in a single HTTP request": failures under `statusCode`."""
    LOG = "log"
    """An answer seen in a public log: failures under `status`, without an `xactionId`."""
    SINK = "sink"
    """The test data of Adobe's Kafka sink: `xactionId` on every entry, index after the dash."""
    SHORT = "short"
    """As `DOCS`, one entry too few: the partial failure that Adobe prints has 4 for 5 messages."""


class MessageFormat(StrEnum):
    """What an inlet takes: XDM messages, or raw JSON for the dataflow to map."""

    AUTO = "auto"
    """A message with `header` and `body` is XDM, any other is raw."""
    RAW = "raw"
    XDM = "xdm"


class RawMode(StrEnum):
    """The ways to send raw records, of which an inlet may refuse some.

    Adobe documents the last for raw records, and the second for partial updates of profiles
    (data-prep/upserts.md). That an inlet takes the first is seen in Adobe's Kafka sink.
    """

    BATCH = "batch"
    """The record by itself, in a batch."""
    ENVELOPED = "enveloped"
    """In an envelope of `header` and `body`."""
    SINGLE = "single"
    """The record by itself, as the whole request."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The guardrails that Adobe documents for one streaming connection, both per second."""

    requests: int = 1_000
    messages: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The stand-in's manners; change them with `aep.behaviour = replace(aep.behaviour, ...)`.

    Attributes:
        shape: what the body of a 207 looks like.
        format: what the inlet takes.
        raw_modes: how it takes raw records.
        needs_token: whether the inlet is an authenticated one.
        token_seconds: how long a token lives from its issue on, in seconds.
        latency_seconds: how long each request takes; what it brings is accepted at its end.
        rate_limit: refuses with 429 what exceeds it; None for no limit.
        clock_seconds: how far its clock is ahead of ours; below 0 it is behind.
    """

    shape: Shape = Shape.DOCS
    format: MessageFormat = MessageFormat.AUTO
    raw_modes: frozenset[RawMode] = frozenset(RawMode)
    needs_token: bool = False
    token_seconds: int = 86_399
    latency_seconds: float = 0.0
    rate_limit: RateLimit | None = None
    clock_seconds: float = 0.0
