"""The smoke test: sends two made-up events to AEP with the code that `deliver` uses.

Adobe documents raw events only at the endpoint for single messages, and wants a header in each
message of a batch. If an inlet rejects a batch of raw events because they have no header, the other
modes of `AEP_RAW_MODE` are tried.
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
_TIMEOUT_SECONDS: Final = 10.0
_VISITOR: Final = "pendo-to-aep-test"
_MAX_BODY_BYTES: Final = 600


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """What AEP answered.

    Attributes:
        event_ids: the `_id`s of the events.
        status: the HTTP status.
        body: of the answer, or the beginning of it.
        is_accepted: whether AEP has accepted both; whether they are mapped and stored shows later.
        wants_header: whether AEP rejects them for want of a header, in every mode that was tried.
        settings: what `deliver` needs besides its settings, to send as these were sent.
    """

    event_ids: tuple[str, ...]
    status: int
    body: str
    is_accepted: bool
    wants_header: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


class _Settings(DeliverSettings):
    """Those of `deliver` that AEP is reached with."""

    google_cloud_project: str = ""


async def run_smoke_test(
    session: aiohttp.ClientSession,
    environment: Mapping[str, str],
    tokens: TokenSource | None,
    envelope: Mapping[str, str],
) -> SmokeTest:
    """Sends two events of the type `pendo.test`, which stay in the dataset.

    Args:
        session: to send them with.
        environment: the settings of `deliver`.
        tokens: None for an open inlet.
        envelope: the settings that `deliver` also needs to send events in an envelope.

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
        result = await _send(session, {**environment, **settings}, tokens, events)
        if result.is_accepted:
            return replace(result, settings=settings)
    return first


async def _send(
    session: aiohttp.ClientSession,
    environment: Mapping[str, str],
    tokens: TokenSource | None,
    events: Sequence[Event],
) -> SmokeTest:
    settings = load(_Settings, environment)
    client = StreamingClient.of(settings, http_connection("AEP", lambda: session), tokens)
    messages = [event_format(settings).encode(encode(event), event) for event in events]
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_SECONDS
    responses: list[Response] = []
    outcomes: list[Outcome] = []
    for batch in [[message] for message in messages] if settings.is_single else [messages]:
        try:
            response = await client.post(batch, deadline)
        except NoResponse as error:
            raise PlatformError(
                f"the test events got no answer from {settings.aep_endpoint} ({error.reason}): can "
                "this machine reach it?"
            ) from None
        responses.append(response)
        outcomes += parse_response(response.status, response.body, len(batch))
    return SmokeTest(
        tuple(event["id"] for event in events),
        responses[-1].status,
        responses[-1].body[:_MAX_BODY_BYTES].decode("utf-8", "replace"),
        is_accepted=all(outcome == DELIVERED for outcome in outcomes),
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
