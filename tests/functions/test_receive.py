"""`receive` over HTTP, under functions-framework: every row of its answer table."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import grpc
import orjson
import pytest

from benchmarks.bill import log_entry
from local.functions import Function
from local.pipeline import DEAD, EVENTS, SECRET
from local.pubsub import Message, PubSubServer, delayed, failing, hanging, rejecting
from local.samples import sign
from tests.webhooks import COMMENT, MOVED_KEYS, VISITOR, send, send_signed, unique_id, webhook

TOPIC, DEAD_TOPIC = f"projects/local/topics/{EVENTS}", f"projects/local/topics/{DEAD}"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"

pytestmark = pytest.mark.usefixtures("topics")


@pytest.fixture(scope="module")
def topics(server: PubSubServer) -> None:
    """The two topics of a deployment."""
    server.create_topic(TOPIC)
    server.create_topic(DEAD_TOPIC)


@pytest.fixture(scope="module")
async def receive(server: PubSubServer) -> AsyncIterator[Function]:
    """The function with two active secrets."""
    settings = {
        "PUBSUB_EMULATOR_HOST": server.host,
        "PENDO_WEBHOOK_SECRETS": f"retired-secret {SECRET}",
    }
    async with Function("receive", settings) as function:
        yield function


def stored(server: PubSubServer, event_id: str, topic: str = TOPIC) -> list[Message]:
    """The messages about one event on a topic."""
    return [m for m in server.published(topic) if m.attributes.get("eventId") == event_id]


async def test_an_accepted_webhook_is_stored(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A signed webhook is answered 200 with its id, and lies on the topic as a normalised event."""
    answer = await send_signed(http, receive.url, webhook(1), traceparent=TRACEPARENT)

    assert (answer.status, answer.json()) == (200, {"status": "accepted", "id": unique_id(1)})
    (message,) = stored(server, unique_id(1))
    assert message.attributes == {
        "eventId": unique_id(1),
        "eventType": "nps.submitted",
        "pendoEvent": "npsSubmitted",
        "schemaVersion": "1",
        "traceparent": TRACEPARENT,
    }
    event = orjson.loads(message.data)
    assert event["id"] == unique_id(1)
    assert event["nps"] == {"rating": 9, "reason": COMMENT, "source": "web"}
    assert "createdByUser" not in event["properties"]["guideProperties"]


@pytest.mark.parametrize("signed", [True, False])
async def test_a_ping_is_answered_and_goes_nowhere(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession, signed: bool
) -> None:
    """Pendo's test button gets pong, signed or not, and nothing is published."""
    body = b'{"event":"ping","app":{"name":"webhook-test"}}'
    before = len(server.published(TOPIC))

    answer = await send(http, receive.url, body, **(sign(body, SECRET) if signed else {}))

    assert (answer.status, answer.json()) == (200, {"status": "pong"})
    assert len(server.published(TOPIC)) == before


async def test_what_is_not_wanted_is_ignored(
    server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """With PENDO_EVENTS, other types are answered 200 ignored and not published."""
    settings = {
        "PUBSUB_EMULATOR_HOST": server.host,
        "PENDO_WEBHOOK_SECRETS": SECRET,
        "PENDO_EVENTS": "poll.submitted, pendo.pageLoaded",
    }
    async with Function("receive", settings) as receive:
        ignored = await send_signed(http, receive.url, webhook(2))
        poll = await send_signed(http, receive.url, webhook(3, event="pollSubmitted"))
        other = await send_signed(http, receive.url, webhook(4, event="pageLoaded"))

    assert (ignored.status, ignored.json()) == (200, {"status": "ignored"})
    assert [poll.json()["status"], other.json()["status"]] == ["accepted", "accepted"]
    assert not stored(server, unique_id(2))
    assert stored(server, unique_id(3))
    assert stored(server, unique_id(4))


UNREADABLE = {
    "not_json": [b"{not json", b"\xff\xfe", b'{"event":"a","x":"\\ud800"}', b"", b"NaN"],
    "not_an_event": [
        b"[]",
        b'"text"',
        b"null",
        b"{}",
        b'{"event":5}',
        b'{"event":""}',
        b'{"event":"a","visitorId":{"no":"text"}}',
        b'{"event":"' + b"a" * 201 + b'"}',
        b'{"event":"a","properties":{"deep":' + b"[" * 500 + b"]" * 500 + b"}}",
        b'{"event":"a","properties":{"poll":{"value":' + b"[" * 500 + b"]" * 500 + b"}}}",
    ],
}


@pytest.mark.parametrize(
    ("reason", "body"),
    [(reason, body) for reason, bodies in UNREADABLE.items() for body in bodies],
)
async def test_an_authentic_body_that_cannot_be_read_is_kept(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession, reason: str, body: bytes
) -> None:
    """It is answered 202 with the reason, and its exact bytes lie in the dead-letter topic."""
    answer = await send_signed(http, receive.url, body, traceparent=TRACEPARENT)

    assert (answer.status, answer.json()) == (202, {"status": "quarantined", "reason": reason})
    (letter,) = stored(server, hashlib.sha256(body).hexdigest(), DEAD_TOPIC)
    assert letter.data == body
    assert letter.attributes["reason"] == reason
    assert letter.attributes["stage"] == "receive"
    assert letter.attributes["detail"]
    assert letter.attributes["failedAt"].endswith("Z")
    assert letter.attributes["traceparent"] == TRACEPARENT


SIGNATURES = {
    "missing": {},
    "empty": {"X-Pendo-Signature": ""},
    "of another secret": sign(webhook(5), "another-secret"),
    "of another body": sign(webhook(6), SECRET),
    "cut": {"X-Pendo-Signature": sign(webhook(5), SECRET)["X-Pendo-Signature"][:-1]},
    "only the prefix": {"X-Pendo-Signature": "sha256="},
    "not ASCII": {"X-Pendo-Signature": "ä" * 64},
}


@pytest.mark.parametrize("headers", SIGNATURES.values(), ids=SIGNATURES)
async def test_a_webhook_that_is_not_from_pendo_is_refused(
    receive: Function,
    server: PubSubServer,
    http: aiohttp.ClientSession,
    headers: dict[str, str],
) -> None:
    """A missing or wrong signature is answered 401; nothing is stored, and nothing echoed."""
    answer = await send(http, receive.url, webhook(5), **headers)

    assert answer.status == 401
    assert not stored(server, unique_id(5))
    for canary in (VISITOR, COMMENT, unique_id(5), SECRET, "retired-secret"):
        assert canary not in answer.body.decode()


async def test_every_active_secret_and_spelling_is_right(
    receive: Function, http: aiohttp.ClientSession
) -> None:
    """Each of several secrets verifies; upper case and a sha256= prefix are tolerated."""
    body = webhook(7)
    plain = sign(body, SECRET)["X-Pendo-Signature"]
    retired = sign(body, "retired-secret")["X-Pendo-Signature"]

    for signature in (plain, retired, plain.upper(), f"sha256={plain}", f"SHA256={plain.upper()}"):
        answer = await send(http, receive.url, body, **{"X-Pendo-Signature": signature})
        assert answer.status == 200, signature


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_post_is_taken(
    receive: Function, http: aiohttp.ClientSession, method: str
) -> None:
    """Any other method is answered 405 and told which one is allowed."""
    answer = await send(http, receive.url, None, method=method)

    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_a_large_body_is_refused_by_what_it_says(
    receive: Function, http: aiohttp.ClientSession
) -> None:
    """A Content-Length over MAX_BODY_BYTES is answered 413, though it is signed."""
    body = b"x" * 1_048_577
    assert (await send_signed(http, receive.url, body)).status == 413


async def test_a_large_body_is_refused_by_what_it_is(receive: Function) -> None:
    """Of a body without a length no more than MAX_BODY_BYTES is waited for."""
    address = urlsplit(receive.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: receive\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(17):  # 16 chunks are the limit, and the end never comes
        writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")

    assert (await asyncio.wait_for(reader.readline(), 10)).split()[1] == b"413"
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_body_of_exactly_the_limit_is_taken(
    receive: Function, http: aiohttp.ClientSession
) -> None:
    """MAX_BODY_BYTES itself is still in order."""
    body = webhook(8, userAgent="x")
    body = webhook(8, userAgent="x" * (1_048_577 - len(body)))
    assert len(body) == 1_048_576
    assert (await send_signed(http, receive.url, body)).status == 200


async def test_an_outage_of_pubsub_is_said(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """While Pub/Sub stores nothing the answer is 503 with Retry-After, within its bounds."""
    server.faults.add(failing("Publish", grpc.StatusCode.UNAVAILABLE))
    started = asyncio.get_running_loop().time()
    try:
        event, letter = await asyncio.gather(
            send_signed(http, receive.url, webhook(9)), send_signed(http, receive.url, b"[1]")
        )
    finally:
        server.faults.clear()

    for answer in (event, letter):
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert asyncio.get_running_loop().time() - started < 12
    assert not stored(server, unique_id(9))


async def test_silence_of_pubsub_is_bounded(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A Publish call that never answers ends in a 503 too, after about eight seconds."""
    server.faults.add(hanging("Publish"))
    try:
        async with asyncio.timeout(12):
            answer = await send_signed(http, receive.url, webhook(10))
    finally:
        server.faults.clear()

    assert answer.status == 503


async def test_a_passing_fault_is_not_noticed(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A fault of Pub/Sub that passes is retried within the request."""
    server.faults.add(failing("Publish", grpc.StatusCode.UNAVAILABLE).times(2))

    assert (await send_signed(http, receive.url, webhook(11))).status == 200
    assert stored(server, unique_id(11))


async def test_a_missing_topic_is_no_reason_to_lose_anything(
    server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A topic that is not there is a wrong setting: 503, and a loud line in the log."""
    settings = {
        "PUBSUB_EMULATOR_HOST": server.host,
        "PENDO_WEBHOOK_SECRETS": SECRET,
        "PUBSUB_TOPIC": "projects/elsewhere/topics/nowhere",
    }
    async with Function("receive", settings) as receive:
        answer = await send_signed(http, receive.url, webhook(12))

    assert answer.status == 503
    assert any(
        line["severity"] == "ERROR" and line.get("error") == "NOT_FOUND" for line in receive.lines
    )


async def test_one_refused_message_does_not_fail_its_neighbours(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A message that Pub/Sub will never take is quarantined; those beside it are stored."""
    poison = unique_id(113)

    def is_poison(data: bytes, attributes: object) -> bool:  # noqa: ARG001
        return data.startswith(b'{"id":"' + poison.encode())

    server.faults.add(rejecting(is_poison))
    # While these hang, the others gather in one call.
    server.faults.add(delayed("Publish", 0.3).times(4))
    try:
        answers = await asyncio.gather(
            *(send_signed(http, receive.url, webhook(n)) for n in range(100, 140))
        )
    finally:
        server.faults.clear()

    told = {answer.status for n, answer in enumerate(answers, 100) if n != 113}
    assert told == {200}
    assert answers[13].json() == {"status": "quarantined", "reason": "unpublishable"}
    assert all(stored(server, unique_id(n)) for n in range(100, 140) if n != 113)
    assert not stored(server, poison)


async def test_unsigned_webhooks_can_be_allowed(
    server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """PENDO_ALLOW_UNSIGNED takes what has no signature, and still refuses a wrong one."""
    settings = {"PUBSUB_EMULATOR_HOST": server.host, "PENDO_ALLOW_UNSIGNED": "true"}
    async with Function("receive", settings) as receive:
        unsigned = await send(http, receive.url, webhook(14))
        wrong = await send(http, receive.url, webhook(15), **sign(webhook(15), "wrong"))

    assert (unsigned.status, wrong.status) == (200, 401)


async def test_a_secret_file_is_followed(
    server: PubSubServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A secret that is rotated in its file is right within seconds, without a new start."""
    file = tmp_path / "secret"
    file.write_text("first-secret\n")
    settings = {
        "PUBSUB_EMULATOR_HOST": server.host,
        "PENDO_WEBHOOK_SECRETS_FILE": str(file),
    }
    async with Function("receive", settings) as receive:
        first = await send(http, receive.url, webhook(16), **sign(webhook(16), "first-secret"))
        file.write_text("first-secret\nsecond-secret\n")
        signature = sign(webhook(17), "second-secret")
        async with asyncio.timeout(10):
            while (await send(http, receive.url, webhook(17), **signature)).status == 401:
                pass  # the last read is less than a second old
        still = await send(http, receive.url, webhook(18), **sign(webhook(18), "first-secret"))

    assert (first.status, still.status) == (200, 200)


async def test_log_lines_are_json_and_tell_on_nobody(receive: Function) -> None:
    """After all of the above, each line is one JSON object, with nothing personal or secret."""
    assert receive.output
    assert len(receive.lines) == len(receive.output)
    for line in receive.lines:
        assert {"severity", "message"} <= line.keys()
        assert None not in line.values()  # a key without a value costs as much
    accepted = next(line for line in receive.lines if line.get("eventId") == unique_id(1))
    assert accepted.keys() - MOVED_KEYS == log_entry("receive").keys()
    assert accepted["logging.googleapis.com/trace"] == f"projects/local/traces/{TRACE}"
    for canary in (VISITOR, COMMENT, "canary-staff", SECRET, "retired-secret", "acme::42"):
        assert canary not in receive.text
