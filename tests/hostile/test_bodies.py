"""Hostile bodies, events and push envelopes: forwarded, or kept to the byte as a dead letter."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import orjson
import pytest

from local.functions import Function
from local.pubsub import PubSubServer
from tests.cases import Case, cases, expand, table
from tests.delivery_harness import DEAD_TOPIC, TOPIC
from tests.hostile.hostile_clients import Target, memory_bytes
from tests.webhooks import Answer, event, push_body, send, send_signed, webhook

pytestmark = pytest.mark.process

# What a function of 512 MB can spare, with eight bodies of 1 MB at a time.
SPARE_BYTES = 150_000_000
# Replaced by a value as it is: a JSON library would not write some of them.
PLACEHOLDER = "the-value-goes-here"
VALUES = [expand(row["value"]) for row in table("hostile/values")]
LARGE = [body for row in table("hostile/bodies") if len(body := expand(row["body"])) > 100_000]


@pytest.mark.parametrize("case", cases("hostile/bodies"))
async def test_no_acknowledged_body_is_lost(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession, case: Case
) -> None:
    """A body answered 200 is on the topic as JSON; one answered 202 is kept to the byte."""
    body = expand(case["body"], latin1=case.get("latin1", False))
    events, letters = len(server.published(TOPIC)), len(server.published(DEAD_TOPIC))

    answer = await send_signed(http, receive.url, body)

    allowed = case["status"] if isinstance(case["status"], list) else [case["status"]]
    assert answer.status in allowed, answer.body
    if answer.status == 200:
        (message,) = server.published(TOPIC)[events:]
        stored = orjson.loads(message.data)
        assert answer.json() == {"status": "accepted", "id": stored["id"]}
        assert message.attributes["eventId"] == stored["id"]
    else:
        (letter,) = server.published(DEAD_TOPIC)[letters:]
        assert letter.data == body
        assert answer.json() == {"status": "quarantined", "reason": letter.attributes["reason"]}


@pytest.mark.parametrize("case", cases("hostile/bodies"))
async def test_foreign_data_becomes_a_dead_letter(
    deliver: Function, server: PubSubServer, http: aiohttp.ClientSession, case: Case
) -> None:
    """Data that `receive` did not publish is dead-lettered to the byte."""
    data = expand(case["body"], latin1=case.get("latin1", False)) or b"x"
    before = len(server.published(DEAD_TOPIC))
    assert (await send(http, deliver.url, push_body(data))).status == 204
    (letter,) = server.published(DEAD_TOPIC)[before:]
    assert letter.data == data
    assert letter.attributes["reason"] == "foreign"


@pytest.mark.parametrize("case", cases("hostile/pushes"))
async def test_push_envelopes(push_target: Target, http: aiohttp.ClientSession, case: Case) -> None:
    """An acknowledged message is settled; any other request is answered that it is no push."""
    valid = base64.b64encode(event("envelope"))
    before = push_target.settled
    body = expand(case["body"]).replace(b"{right}", valid)
    assert (await send(http, push_target.function.url, body)).status == case["status"]
    assert push_target.settled - before == (case["status"] == 204)


async def memory_growth(function: Function, send_one: Callable[[bytes], Awaitable[Answer]]) -> int:
    """Returns how much memory five more rounds of the largest bodies take, eight at a time."""

    async def send_all() -> None:
        for start in range(0, len(LARGE), 8):
            answers = await asyncio.gather(*(send_one(body) for body in LARGE[start : start + 8]))
            assert {answer.status for answer in answers} <= {200, 202, 204}

    await send_all()
    before = memory_bytes(function)
    assert before > 0
    for _ in range(5):
        await send_all()
    return memory_bytes(function) - before


async def test_memory_of_receive_has_a_bound(
    receive: Function, http: aiohttp.ClientSession
) -> None:
    """Large hostile webhooks do not make memory grow, and the next webhook is stored."""
    growth = await memory_growth(receive, lambda body: send_signed(http, receive.url, body))
    assert growth < SPARE_BYTES
    assert (await send_signed(http, receive.url, webhook(1))).status == 200


async def test_memory_of_deliver_has_a_bound(
    deliver: Function, http: aiohttp.ClientSession
) -> None:
    """Large hostile messages do not make memory grow."""
    growth = await memory_growth(deliver, lambda body: send(http, deliver.url, push_body(body)))
    assert growth < SPARE_BYTES


def with_value(document: bytes, field: str, value: bytes) -> bytes:
    """Returns the document with the value at a field, which is added if it is not there."""
    marked = orjson.loads(document)
    *parents, last = field.split(".")
    found: dict[str, Any] = marked
    for key in parents:
        found = found.setdefault(key, {})
    found[last] = PLACEHOLDER
    return orjson.dumps(marked).replace(orjson.dumps(PLACEHOLDER), value)


async def settles_all_values(
    target: Target, send_value: Callable[[bytes], Awaitable[Answer]], statuses: Sequence[int]
) -> None:
    """Sends each value, and asserts that it is settled exactly if it is answered with success."""
    for value in VALUES:
        before = target.settled
        answer = await send_value(value)
        assert answer.status in statuses, value[:80]
        assert target.settled - before == (answer.status < 300), value[:80]


@pytest.mark.parametrize("case", cases("hostile/fields_of_webhooks"))
async def test_any_value_in_a_webhook_field(
    webhook_target: Target, http: aiohttp.ClientSession, case: Case
) -> None:
    """Whatever a field holds, the webhook is stored as an event, or kept to the byte."""

    def send_value(value: bytes) -> Awaitable[Answer]:
        body = with_value(webhook(), case["field"], value)
        return send_signed(http, webhook_target.function.url, body)

    await settles_all_values(webhook_target, send_value, [200, 202])


@pytest.mark.parametrize("case", cases("hostile/fields_of_events"))
async def test_any_value_in_an_event_field(
    push_target: Target, http: aiohttp.ClientSession, case: Case
) -> None:
    """Whatever a field of an event holds, AEP gets the message, or it is a dead letter."""

    def send_value(value: bytes) -> Awaitable[Answer]:
        pushed = push_body(with_value(event("fields"), case["field"], value))
        return send(http, push_target.function.url, pushed)

    await settles_all_values(push_target, send_value, [204])


@pytest.mark.parametrize("case", cases("hostile/fields_of_pushes"))
async def test_any_value_in_a_push_field(
    push_target: Target, http: aiohttp.ClientSession, case: Case
) -> None:
    """Whatever the envelope holds, its message is settled, or it is answered 400."""

    def send_value(value: bytes) -> Awaitable[Answer]:
        pushed = with_value(push_body(event("fields")), case["field"], value)
        return send(http, push_target.function.url, pushed)

    await settles_all_values(push_target, send_value, [204, 400])
