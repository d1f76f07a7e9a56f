"""Every value in every field: of a webhook, of a normalised event, of the push envelope."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
import pytest

from local.aep import AepServer
from local.functions import Function
from local.pubsub import PubSubServer
from tests.cases import Case
from tests.delivery_harness import event
from tests.hostile.mouths import Mouth, push_of
from tests.hostile.tables import cases, written_out
from tests.webhooks import send, send_signed, webhook

# Where a value is put in as it is: some are none that a JSON library would write.
MARK = "here-goes-the-value"
VALUES = [written_out(case.values[0]["value"]) for case in cases("values")]  # type: ignore[index]


def with_value(document: bytes, field: str, value: bytes) -> bytes:
    """The document with the value in the place of a field, which it need not have."""
    marked = orjson.loads(document)
    *way, last = field.split(".")
    found: dict[str, Any] = marked
    for key in way:
        found = found.setdefault(key, {})
    found[last] = MARK
    return orjson.dumps(marked).replace(orjson.dumps(MARK), value)


@pytest.mark.parametrize("case", cases("fields_of_webhooks"))
async def test_a_webhook(
    receive: Function,
    inlet: AepServer,
    server: PubSubServer,
    http: aiohttp.ClientSession,
    case: Case,
) -> None:
    """Whatever stands in a field, the webhook is stored as an event, or kept to the byte."""
    mouth = Mouth(receive, 200, server, inlet)
    for value in VALUES:
        before = mouth.arrived
        answer = await send_signed(http, receive.url, with_value(webhook(), case["field"], value))
        assert answer.status in {200, 202}, value[:80]
        assert mouth.arrived == before + 1, value[:80]


@pytest.mark.parametrize("case", cases("fields_of_events"))
async def test_an_event(
    deliver: Function,
    inlet: AepServer,
    server: PubSubServer,
    http: aiohttp.ClientSession,
    case: Case,
) -> None:
    """Whatever stands in a field on the topic, AEP gets the message, or it is a dead letter."""
    mouth = Mouth(deliver, 204, server, inlet)
    for value in VALUES:
        before = mouth.arrived
        pushed = push_of(with_value(event("fields"), case["field"], value))
        assert (await send(http, deliver.url, pushed)).status == 204, value[:80]
        assert mouth.arrived == before + 1, value[:80]


@pytest.mark.parametrize("case", cases("fields_of_pushes"))
async def test_a_push(
    deliver: Function,
    inlet: AepServer,
    server: PubSubServer,
    http: aiohttp.ClientSession,
    case: Case,
) -> None:
    """Whatever stands in the envelope, its message comes to its end, or it is said to be none."""
    mouth = Mouth(deliver, 204, server, inlet)
    for value in VALUES:
        before = mouth.arrived
        pushed = with_value(push_of(event("fields")), case["field"], value)
        answer = await send(http, deliver.url, pushed)
        assert answer.status in {204, 400}, value[:80]
        assert mouth.arrived - before == (answer.status == 204), value[:80]
