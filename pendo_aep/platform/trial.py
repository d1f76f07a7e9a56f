"""One made-up event, sent to AEP the way that `deliver` sends them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import uuid4

import aiohttp

from pendo_aep import clock
from pendo_aep.event import SCHEMA_VERSION, Event, encode
from pendo_aep.http_connection import http_connection
from pendo_aep.ims import TokenSource
from pendo_aep.inlet import Inlet, NoAnswer
from pendo_aep.inlet_answer import read_answer
from pendo_aep.outcome import Delivered
from pendo_aep.platform.errors import PlatformError
from pendo_aep.xdm import Format, Raw, Xdm

_SECONDS = 10.0
_VISITOR = "pendo-to-aep-test"
_LONGEST_ANSWER = 600


@dataclass(frozen=True, slots=True)
class Trial:
    """What AEP said.

    Attributes:
        event_id: the `_id` of the event.
        status: of HTTP.
        body: as it came, or the beginning of it.
        is_taken: whether AEP has taken it; that it is mapped and stored, AEP does not tell.
    """

    event_id: str
    status: int
    body: str
    is_taken: bool


async def send_trial(
    session: aiohttp.ClientSession, environment: dict[str, str], tokens: TokenSource | None
) -> Trial:
    """Sends one event of the type `pendo.test`, which stays in the dataset.

    Args:
        session: to send it with.
        environment: what `deliver` would be told.
        tokens: None for an open inlet.

    Raises:
        PlatformError: AEP does not answer.
        TokenUnavailable: there is no token.
    """
    event = _event()
    inlet = Inlet(
        http_connection("AEP", lambda: session),
        endpoint=environment["AEP_ENDPOINT"],
        flow_id=environment["AEP_FLOW_ID"],
        sandbox=environment["AEP_SANDBOX"],
        tokens=tokens,
    )
    message = _format(environment).encode(encode(event), event)
    until = asyncio.get_running_loop().time() + _SECONDS
    try:
        answer = await inlet.post([message], until)
    except NoAnswer as error:
        raise PlatformError(
            f"the test event got no answer from {environment['AEP_ENDPOINT']} ({error.why}): can "
            "this machine reach it?"
        ) from None
    (outcome,) = read_answer(answer.status, answer.body, 1)
    body = answer.body[:_LONGEST_ANSWER].decode("utf-8", "replace")
    return Trial(event["id"], answer.status, body, isinstance(outcome, Delivered))


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


def _format(environment: dict[str, str]) -> Format:
    if environment["AEP_FORMAT"] == "raw":
        return Raw()
    return Xdm(
        schema_id=environment["AEP_SCHEMA_ID"],
        dataset_id=environment["AEP_DATASET_ID"],
        ims_org_id=environment["AEP_IMS_ORG_ID"],
        tenant_id=environment["AEP_TENANT_ID"],
        identity_namespace=environment["AEP_IDENTITY_NAMESPACE"],
        flow_id=environment["AEP_FLOW_ID"],
    )
