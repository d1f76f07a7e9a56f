"""`receive` over HTTP, under functions-framework: each row of its table in the specification."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import grpc
import orjson
import pytest

from benchmarks.cost import log_entry
from local.functions import Function
from local.pipeline import SECRET, receive_env
from local.pubsub import Message, PubSubServer, delayed, failing, hanging, rejecting
from local.samples import sign
from tests.cases import table
from tests.conftest import RETIRED_SECRET
from tests.delivery_harness import DEAD_TOPIC, TOPIC, source_with, wait_for_line
from tests.hostile.hostile_clients import connect, statuses
from tests.webhooks import COMMENT, MOVED_KEYS, VISITOR, send, send_signed, unique_id, webhook

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
HEADER = "X-Pendo-Signature"

pytestmark = pytest.mark.process


def stored(server: PubSubServer, event_id: str, topic: str = TOPIC) -> list[Message]:
    """Returns the messages about one event on a topic."""
    return [m for m in server.published(topic) if m.attributes.get("eventId") == event_id]


async def test_an_accepted_webhook_is_stored(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A signed webhook is answered 200 with its ID, and published as a normalised event."""
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
    assert event["nps"] == {
        "rating": 9,
        "category": "promoter",
        "reason": COMMENT,
        "source": "web",
    }
    assert "createdByUser" not in event["properties"]["guideProperties"]


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(
            ("123456789012345678901234567890", "123456789012345678901234567891"),
            id="beyond 64 bits",
        ),
        pytest.param(("1.0000000000000000001", "1.0000000000000000002"), id="fractions"),
        pytest.param(("9007199254740992", "9007199254740992"), id="rounded by the sender"),
        pytest.param(('" "', '" "'), id="blank"),
    ],
)
async def test_two_events_have_two_ids(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession, pair: tuple[str, str]
) -> None:
    """Blank IDs, and IDs that rounding makes equal, do not make one event of two webhooks."""
    bodies = [
        f'{{"event":"x","visitorId":{number},"uniqueId":{unique}}}'.encode()
        for number, unique in enumerate(pair)
    ]

    answers = [await send_signed(http, receive.url, body) for body in [*bodies, *bodies]]

    first, second, first_again, second_again = [answer.json()["id"] for answer in answers]
    assert first != second
    assert (first_again, second_again) == (first, second)
    assert stored(server, first)
    assert stored(server, second)


@pytest.mark.parametrize("signed", [True, False])
async def test_a_ping_is_answered_and_not_published(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession, signed: bool
) -> None:
    """Pendo's test button gets pong, signed or not, and nothing is published."""
    body = b'{"event":"ping","app":{"name":"webhook-test"}}'
    before = len(server.published(TOPIC))

    answer = await send(http, receive.url, body, **(sign(body, SECRET) if signed else {}))

    assert (answer.status, answer.json()) == (200, {"status": "pong"})
    assert len(server.published(TOPIC)) == before


@pytest.fixture(scope="module")
async def receive_polls(
    server: PubSubServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Function, Path]]:
    """The function with PENDO_EVENTS, and the mounted file of its secret."""
    file = tmp_path_factory.mktemp("secret") / "secret"
    file.write_text("first-secret\n")
    settings = {
        "PUBSUB_EMULATOR_HOST": server.host,
        "PENDO_EVENTS": "poll.submitted, pendo.pageLoaded",
        "PENDO_WEBHOOK_SECRETS_FILE": str(file),
    }
    async with Function("receive", settings) as function:
        yield function, file


async def test_other_event_types_are_ignored(
    receive_polls: tuple[Function, Path], server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """With PENDO_EVENTS, other types are answered 200 ignored and not published."""
    url = receive_polls[0].url
    events = {2: "npsSubmitted", 3: "pollSubmitted", 4: "pageLoaded"}
    bodies = [webhook(number, event=event) for number, event in events.items()]
    answers = [await send_signed(http, url, body, secret="first-secret") for body in bodies]

    assert (answers[0].status, answers[0].json()) == (200, {"status": "ignored"})
    assert [answer.json()["status"] for answer in answers[1:]] == ["accepted", "accepted"]
    assert [bool(stored(server, unique_id(number))) for number in events] == [False, True, True]


async def test_a_rotated_secret_file_is_read_again(
    receive_polls: tuple[Function, Path], http: aiohttp.ClientSession
) -> None:
    """The first webhook with a secret that was added to the file is accepted, without a restart."""
    function, file = receive_polls
    file.write_text("first-secret\nsecond-secret\n")
    await asyncio.sleep(1.1)  # the file is read at most once a second
    for number, secret in ((17, "second-secret"), (18, "first-secret")):
        body = webhook(number, event="pollSubmitted")
        assert (await send_signed(http, function.url, body, secret=secret)).status == 200


DEEP = b"[" * 500 + b"]" * 500
INVALID = [
    *((row["reason"], row["body"].encode()) for row in table("unreadable")),
    ("not_json", b"\xff\xfe"),
    ("not_an_event", b'{"event":"' + b"a" * 201 + b'"}'),
    ("not_an_event", b'{"event":"a","properties":{"deep":' + DEEP + b"}}"),
    ("not_an_event", b'{"event":"a","properties":{"poll":{"value":' + DEEP + b"}}}"),
]


@pytest.mark.parametrize(("reason", "body"), INVALID)
async def test_an_invalid_authentic_body_is_quarantined(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession, reason: str, body: bytes
) -> None:
    """It is answered 202 with the reason, and its exact bytes are in the dead-letter topic."""
    answer = await send_signed(http, receive.url, body, traceparent=TRACEPARENT)

    assert (answer.status, answer.json()) == (202, {"status": "quarantined", "reason": reason})
    (letter,) = stored(server, hashlib.sha256(body).hexdigest(), DEAD_TOPIC)
    assert letter.data == body
    assert letter.attributes["reason"] == reason
    assert letter.attributes["stage"] == "receive"
    assert letter.attributes["detail"]
    assert letter.attributes["failedAt"].endswith("Z")
    assert letter.attributes["traceparent"] == TRACEPARENT


async def test_every_active_secret_and_spelling_is_accepted(
    receive: Function, http: aiohttp.ClientSession
) -> None:
    """Each of several secrets verifies; upper case and a sha256= prefix are tolerated."""
    body = webhook(7)
    plain = sign(body, SECRET)[HEADER]
    retired = sign(body, RETIRED_SECRET)[HEADER]

    for signature in (plain, retired, plain.upper(), f"sha256={plain}", f"SHA256={plain.upper()}"):
        answer = await send(http, receive.url, body, **{HEADER: signature})
        assert answer.status == 200, signature


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_post_is_allowed(
    receive: Function, http: aiohttp.ClientSession, method: str
) -> None:
    """Any other method is answered 405 with the one that is allowed."""
    answer = await send(http, receive.url, None, method=method)

    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_a_body_of_exactly_the_limit_is_accepted(
    receive: Function, http: aiohttp.ClientSession
) -> None:
    """A body of MAX_BODY_BYTES is stored; one byte more is answered 413, though it is signed."""
    body = webhook(8, userAgent="x")
    body = webhook(8, userAgent="x" * (1_048_577 - len(body)))
    assert len(body) == 1_048_576
    assert (await send_signed(http, receive.url, body)).status == 200
    assert (await send_signed(http, receive.url, body + b" ")).status == 413


async def test_a_large_body_without_a_length_is_rejected_while_it_is_read(
    receive: Function,
) -> None:
    """Of a chunked body no more than MAX_BODY_BYTES is read: its end is never sent."""
    async with connect(receive) as connection:
        await connection.send(
            b"POST / HTTP/1.1\r\nHost: receive\r\nTransfer-Encoding: chunked\r\n\r\n"
            + (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 17  # 16 chunks are the limit
        )
        assert statuses(await connection.answer()) == [413]


async def test_an_outage_of_pubsub_is_answered_503_in_time(
    server: PubSubServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """While Pub/Sub fails or does not answer, events and dead letters get 503 with Retry-After."""
    constants = {"publisher.WAIT_SECONDS": 1, "client._SILENT_SECONDS": 0.3}
    short = source_with(tmp_path, {f"pendo_aep.pubsub.{k}": v for k, v in constants.items()})
    answers = []
    async with Function("receive", receive_env(server.host, settings=short)) as receive:
        for fault in (failing("Publish", grpc.StatusCode.UNAVAILABLE), hanging("Publish")):
            server.faults.add(fault)
            try:
                async with asyncio.timeout(7):  # with the constants of production, eight seconds
                    answers += await asyncio.gather(
                        *(send_signed(http, receive.url, body) for body in (webhook(9), b"[1]"))
                    )
            finally:
                server.faults.clear()

    assert len(answers) == 4
    for answer in answers:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert not stored(server, unique_id(9))


async def test_a_brief_fault_of_pubsub_is_retried(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A fault of Pub/Sub that passes is retried within the request."""
    server.faults.add(failing("Publish", grpc.StatusCode.UNAVAILABLE).times(2))

    assert (await send_signed(http, receive.url, webhook(11))).status == 200
    assert stored(server, unique_id(11))


async def test_a_missing_topic_is_answered_503(
    server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A topic that does not exist is a wrong setting: 503, and an ERROR line in the log."""
    settings = {"PUBSUB_TOPIC": "projects/elsewhere/topics/nowhere"}
    async with Function("receive", receive_env(server.host, settings=settings)) as receive:
        answer = await send_signed(http, receive.url, webhook(12))
        assert answer.status == 503
        line = await wait_for_line(receive, lambda line: line.get("error") == "NOT_FOUND")
    assert line["severity"] == "ERROR"


async def test_one_rejected_message_does_not_fail_its_neighbours(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A message that Pub/Sub will never store is quarantined; those beside it are stored."""
    poison = unique_id(113)
    server.faults.add(rejecting(lambda data, _: data.startswith(b'{"id":"' + poison.encode())))
    # While these hang, the others gather in one call.
    server.faults.add(delayed("Publish", 0.3).times(4))
    try:
        answers = await asyncio.gather(
            *(send_signed(http, receive.url, webhook(n)) for n in range(100, 140))
        )
    finally:
        server.faults.clear()

    assert {answer.status for n, answer in enumerate(answers, 100) if n != 113} == {200}
    assert answers[13].json() == {"status": "quarantined", "reason": "unpublishable"}
    assert all(stored(server, unique_id(n)) for n in range(100, 140) if n != 113)
    assert not stored(server, poison)


async def test_a_group_that_is_rejected_whole_is_answered_503(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """Webhooks that arrive together and are all rejected are not quarantined, but stored later.

    One that comes alone is quarantined: Pub/Sub did not say that the topic is wrong.
    """
    letters = len(server.published(DEAD_TOPIC))
    bodies = [webhook(number) for number in range(200, 220)]
    server.faults.add(rejecting(lambda data, _: data.startswith(b'{"id":')))  # events
    # While the first hangs, the others gather in one call.
    server.faults.add(delayed("Publish", 1.0).times(1))
    try:
        answers = await asyncio.gather(*(send_signed(http, receive.url, body) for body in bodies))
    finally:
        server.faults.clear()
    counts = Counter(answer.status for answer in answers)
    assert counts[202] <= 1
    assert counts[503] == 20 - counts[202]
    assert len(server.published(DEAD_TOPIC)) - letters == counts[202]
    assert not any(stored(server, unique_id(number)) for number in range(200, 220))

    answers = await asyncio.gather(*(send_signed(http, receive.url, body) for body in bodies))
    assert {answer.status for answer in answers} == {200}


async def test_logs_contain_no_personal_data(
    receive: Function, http: aiohttp.ClientSession
) -> None:
    """Each line is one JSON object without personal data or secrets, whatever was sent before."""
    await send_signed(http, receive.url, webhook(20), traceparent=TRACEPARENT)
    accepted = await wait_for_line(receive, lambda line: line.get("eventId") == unique_id(20))

    assert accepted.keys() - MOVED_KEYS == log_entry("receive").keys()
    assert accepted["logging.googleapis.com/trace"] == f"projects/local/traces/{TRACE}"
    assert len(receive.lines) == len(receive.output)
    for line in receive.lines:
        assert {"severity", "message"} <= line.keys()
        assert None not in line.values()  # a key without a value costs as much
    for canary in (VISITOR, COMMENT, "canary-staff", SECRET, RETIRED_SECRET, "acme::42"):
        assert canary not in receive.text
