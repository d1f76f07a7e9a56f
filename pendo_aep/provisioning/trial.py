"""Two made-up events, sent to AEP by the code that `deliver` sends with.

Adobe documents raw events only at the endpoint for single messages, and wants a header in each
message of a batch. An inlet that refuses a batch of raw events for want of a header is tried in the
other modes of `AEP_RAW_MODE`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import uuid4

import aiohttp

from pendo_aep import clock
from pendo_aep.aep.auth import TokenSource
from pendo_aep.aep.client import NoResponse, Response, StreamingClient
from pendo_aep.aep.format import event_format
from pendo_aep.aep.misconfiguration import wants_header
from pendo_aep.aep.response import parse_response
from pendo_aep.event import SCHEMA_VERSION, Event, encode
from pendo_aep.http import http_connection
from pendo_aep.outcome import DELIVERED, Outcome
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.settings import DeliverSettings, load

_EVENTS: Final = 2
_SECONDS: Final = 10.0
_VISITOR: Final = "pendo-to-aep-test"
_LONGEST_ANSWER: Final = 600


@dataclass(frozen=True, slots=True)
class Trial:
    """What AEP said.

    Attributes:
        event_ids: the `_id`s of the events.
        status: of HTTP.
        body: as it came, or the beginning of it.
        is_taken: whether AEP has taken both; that they are mapped and stored, AEP does not tell.
        wants_header: whether AEP refuses them for want of a header, in every mode that was tried.
        settings: what `deliver` must be told beside what it was told, to send as these were sent.
    """

    event_ids: tuple[str, ...]
    status: int
    body: str
    is_taken: bool
    wants_header: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


class _Settings(DeliverSettings):
    """Those of `deliver` that AEP is reached with."""

    google_cloud_project: str = ""


async def send_trial(
    session: aiohttp.ClientSession,
    environment: Mapping[str, str],
    tokens: TokenSource | None,
    envelope: Mapping[str, str],
) -> Trial:
    """Sends two events of the type `pendo.test`, which stay in the dataset.

    Args:
        session: to send them with.
        environment: what `deliver` would be told.
        tokens: None for an open inlet.
        envelope: what `deliver` must be told besides, to send events in an envelope.

    Raises:
        PlatformError: AEP does not answer.
        TokenUnavailable: there is no token.
    """
    events = [_event() for _ in range(_EVENTS)]
    first = await _send(session, environment, tokens, events)
    if not first.wants_header or environment["AEP_FORMAT"] != "raw":
        return first
    enveloped, single = {"AEP_RAW_MODE": "enveloped", **envelope}, {"AEP_RAW_MODE": "single"}
    for settings in (enveloped, single):
        trial = await _send(session, {**environment, **settings}, tokens, events)
        if trial.is_taken:
            return replace(trial, settings=settings)
    return first


async def _send(
    session: aiohttp.ClientSession,
    environment: Mapping[str, str],
    tokens: TokenSource | None,
    events: Sequence[Event],
) -> Trial:
    settings = load(_Settings, environment)
    inlet = StreamingClient.of(settings, http_connection("AEP", lambda: session), tokens)
    messages = [event_format(settings).encode(encode(event), event) for event in events]
    until = asyncio.get_running_loop().time() + _SECONDS
    answers: list[Response] = []
    outcomes: list[Outcome] = []
    for batch in [[message] for message in messages] if settings.is_single else [messages]:
        try:
            answer = await inlet.post(batch, until)
        except NoResponse as error:
            raise PlatformError(
                f"the test events got no answer from {settings.aep_endpoint} ({error.reason}): can "
                "this machine reach it?"
            ) from None
        answers.append(answer)
        outcomes += parse_response(answer.status, answer.body, len(batch))
    return Trial(
        tuple(event["id"] for event in events),
        answers[-1].status,
        answers[-1].body[:_LONGEST_ANSWER].decode("utf-8", "replace"),
        is_taken=all(outcome == DELIVERED for outcome in outcomes),
        wants_header=any(wants_header(getattr(outcome, "detail", "")) for outcome in outcomes),
    )


def _event() -> Event:
    now = clock.rfc3339(clock.now())
    return {
        "id": f"test-{uuid4().hex}",
        "type": "pendo.test",
        "pendoEvent": "test",
        "occurredAt": now,
        "receivedAt": now,
        "visitorId": _VISITOR,
        "schemaVersion": SCHEMA_VERSION,
    }
