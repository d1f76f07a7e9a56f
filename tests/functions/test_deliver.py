"""`deliver` over HTTP, under functions-framework: each row of its table in the specification."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from benchmarks.cost import log_entry
from local.aep import (
    AepServer,
    Behaviour,
    Fault,
    Shape,
    answering,
    has_id,
    refusing,
    reordered,
    token_endpoint_down,
)
from local.functions import PROJECT, Function
from local.pipeline import FLOW_ID, XDM_SETTINGS, token_settings
from local.pubsub import Message, PubSubServer, rejecting
from tests.cases import Case, cases
from tests.delivery_harness import (
    DEAD_TOPIC,
    accepted_places,
    consumer_env,
    http_server,
    logged_place,
    make_fault,
    wait_for_line,
)
from tests.webhooks import COMMENT, MOVED_KEYS, SURVEY, VISITOR, event, push_body, send, unique_id

pytestmark = pytest.mark.process

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
FIELDS = """
    properties.eventProperties.toTier:string, properties.eventProperties.seats:integer
    properties.eventProperties.since:date-time
"""


@pytest.fixture(autouse=True)
def healthy(aep: AepServer, server: PubSubServer) -> None:
    """Starts each test with an AEP and a Pub/Sub that work."""
    aep.behaviour = Behaviour()
    aep.faults.clear()
    server.faults.clear()


@pytest.fixture(scope="module")
async def deliver(server: PubSubServer, aep: AepServer) -> AsyncIterator[Function]:
    """The function on an open inlet, raw, with fields of one's own."""
    async with Function("deliver", settings_for(server, aep, AEP_FIELDS=FIELDS)) as function:
        yield function


@pytest.fixture(scope="module")
async def impatient(server: PubSubServer, aep: AepServer) -> AsyncIterator[Function]:
    """The same with a short deadline, for what is not delivered in any case."""
    settings = settings_for(server, aep, DELIVER_DEADLINE_SECONDS="0.5")
    async with Function("deliver", settings) as function:
        yield function


@pytest.fixture(scope="module")
async def deliver_with_token(server: PubSubServer, aep: AepServer) -> AsyncIterator[Function]:
    """The function with credentials, in XDM, with fields of one's own; it trims large events."""
    chosen = {"AEP_FIELDS": FIELDS, "AEP_TRIM_PROPERTIES": "true"}
    settings = settings_for(server, aep, **XDM_SETTINGS, **token_settings(aep), **chosen)
    async with Function("deliver", settings) as function:
        yield function


@pytest.fixture(scope="module")
async def deliver_singly(server: PubSubServer, aep: AepServer) -> AsyncIterator[Function]:
    """The function with room for six messages, of which it sends two at a time; it logs imports."""
    settings = settings_for(
        server,
        aep,
        BATCH_MAX_MESSAGES="1",
        BATCH_MAX_IN_FLIGHT="2",
        DELIVER_DEADLINE_SECONDS="20",
        PYTHONPROFILEIMPORTTIME="1",
    )
    async with Function("deliver", settings) as function:
        yield function


def settings_for(server: PubSubServer, aep: AepServer, **settings: str) -> dict[str, str]:
    """Returns the settings of `deliver`, with room for 64 messages in 50 ms."""
    short = {"BATCH_LINGER_MS": "50", "DELIVER_DEADLINE_SECONDS": "4"}
    return consumer_env(server, aep, **{**short, **settings})


async def push_all(
    http: aiohttp.ClientSession, function: Function, numbers: Iterable[int]
) -> list[int]:
    """Pushes these events at once, and returns the statuses."""
    ids = [unique_id(number) for number in numbers]
    bodies = [push_body(event(i), eventId=i, eventType="nps.submitted") for i in ids]
    answers = await asyncio.gather(*(send(http, function.url, body) for body in bodies))
    return [answer.status for answer in answers]


async def push_one(
    http: aiohttp.ClientSession, function: Function, number: int, **changes: object
) -> bytes:
    """Pushes an event, expects it to be acknowledged, and returns it."""
    data = event(unique_id(number), **changes)
    body = push_body(data, eventId=unique_id(number))
    assert (await send(http, function.url, body)).status == 204
    return data


async def push_until_acknowledged(
    http: aiohttp.ClientSession, function: Function, number: int
) -> None:
    """Pushes an event again and again, as Pub/Sub does."""
    async with asyncio.timeout(60):
        while await push_all(http, function, [number]) != [204]:
            pass  # while the circuit is open, each answer takes as long as a request


def dead(server: PubSubServer, event_id: str) -> list[Message]:
    """Returns the dead letters about one event."""
    return [m for m in server.published(DEAD_TOPIC) if m.attributes.get("eventId") == event_id]


def accepted(aep: AepServer, number: int) -> object:
    """Returns the message of an event that AEP has accepted once."""
    (found,) = [m for m in aep.accepted if m.id == unique_id(number)]
    return found.message


async def test_an_accepted_message_is_acknowledged(
    deliver: Function, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """AEP gets the message, with what `raw` adds, and the push is answered 204."""
    data = event(unique_id(1))
    body = push_body(data, eventId=unique_id(1), traceparent=TRACEPARENT)
    answer = await send(http, deliver.url, body)

    assert (answer.status, answer.body) == (204, b"")
    assert accepted(aep, 1) == orjson.loads(data) | SURVEY
    headers = aep.requests[-1].headers
    assert headers["x-adobe-flow-id"] == FLOW_ID
    assert headers["x-sandbox-name"] == "prod"
    assert headers["Accept"] == "application/json"
    assert not {"Authorization", "x-gw-ims-org-id"} & headers.keys()


@pytest.mark.parametrize(
    ("first", "fault"),
    [
        (1800, reordered()),
        (1830, answering(400).when(has_id(unique_id(1833)))),
        (1860, answering(503).times(1)),
    ],
    ids=["entries in another order", "a batch that is bisected", "a second attempt"],
)
async def test_a_delivered_message_is_logged_with_aeps_own_ids(
    deliver: Function, aep: AepServer, http: aiohttp.ClientSession, first: int, fault: Fault
) -> None:
    """Adobe's support finds an event by them: they are of this message, however it was sent."""
    aep.behaviour = replace(aep.behaviour, shape=Shape.SINK)
    aep.faults.add(fault)

    assert set(await push_all(http, deliver, range(first, first + 20))) == {204}

    places = accepted_places(aep)
    for event_id in {unique_id(n) for n in range(first, first + 20)} & places.keys():
        line = await wait_for_line(deliver, lambda x, i=event_id: x.get("eventId") == i)  # type: ignore[misc]
        assert line["message"] == "message delivered"
        assert logged_place(line) in places[event_id]


async def test_other_deliveries_are_accepted(
    deliver: Function, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """The same envelope with `ce-*` headers, as Eventarc sends it, or without attributes.

    A message that was published without attributes is logged by the ID in its data.
    """
    headers = {
        "ce-id": "1",
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
        "ce-source": "//pubsub.googleapis.com/projects/local/topics/pendo-events",
    }
    body = push_body(event(unique_id(2)), eventId=unique_id(2))
    assert (await send(http, deliver.url, body, **headers)).status == 204
    assert unique_id(2) in aep.distinct_ids
    assert (await send(http, deliver.url, push_body(event(unique_id(4))))).status == 204
    await wait_for_line(deliver, lambda line: line.get("eventId") == unique_id(4))


@pytest.mark.parametrize("shape", list(Shape))
async def test_exactly_the_rejected_message_is_dead_lettered(
    deliver: Function,
    impatient: Function,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
    shape: Shape,
) -> None:
    """In every published shape of a 207, the one rejected message of fifty is a dead letter.

    In the documentation's own example an entry is missing. Then nothing is certain, and all
    messages come again.
    """
    first = 1000 + 100 * list(Shape).index(shape)
    numbers, poison = range(first, first + 50), unique_id(first + 17)
    aep.behaviour = replace(aep.behaviour, shape=shape)
    aep.faults.add(refusing(has_id(poison), reason="canary detail"))

    if shape is Shape.SHORT:
        assert set(await push_all(http, impatient, numbers)) == {503}
        return
    assert set(await push_all(http, deliver, numbers)) == {204}
    letters = {unique_id(n): dead(server, unique_id(n)) for n in numbers}
    assert [event_id for event_id, found in letters.items() if found] == [poison]
    (letter,) = letters[poison]
    assert letter.data == event(poison)
    assert letter.attributes["reason"] == "rejected"
    assert "canary detail" in letter.attributes["detail"]
    assert letter.attributes["stage"] == "deliver"
    assert letter.attributes["eventType"] == "nps.submitted"
    assert "canary detail" not in deliver.text


async def test_the_answer_of_adobes_kafka_sink(
    server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """Of two messages in a batch the one that Adobe's answer rejects is dead-lettered, alone.

    The integration tests of `adobe/experience-platform-streaming-connect` have two XDM messages for
    one batch, the first without its `header`, and this multi-status answer to them.
    """
    answer = json.loads((PROJECT / "tests" / "data" / "sink_answer.json").read_text("utf-8"))
    batches = []

    async def reply(request: web.Request) -> web.Response:
        batches.append((await request.json())["messages"])
        return web.json_response(answer, status=207)

    ids = {"sink-one", "sink-two"}
    async with http_server(reply) as address:
        settings = {
            **XDM_SETTINGS,
            "PUBSUB_EMULATOR_HOST": server.host,
            "AEP_ENDPOINT": f"{address}/collection/inlet",
            "BATCH_MAX_MESSAGES": "2",  # both are sent as soon as both are there
            "BATCH_LINGER_MS": "10000",
        }
        async with Function("deliver", settings) as function:
            bodies = [push_body(event(name), eventId=name) for name in ids]
            answers = await asyncio.gather(*(send(http, function.url, body) for body in bodies))

    assert [answer.status for answer in answers] == [204, 204]
    (batch,) = batches
    first, second = (message["body"]["xdmEntity"]["_id"] for message in batch)
    assert {first, second} == ids
    assert not dead(server, second)
    (letter,) = dead(server, first)
    assert letter.data == event(first)
    assert letter.attributes["reason"] == "rejected"
    assert "header" in letter.attributes["detail"]


@pytest.mark.parametrize("case", cases("foreign"))
async def test_foreign_data_is_dead_lettered(
    deliver: Function, server: PubSubServer, http: aiohttp.ClientSession, case: Case
) -> None:
    """Data that `receive` did not publish is a dead letter with its bytes, and never retried."""
    data, name = case["data"].encode(), f"foreign {case['case']}"
    assert (await send(http, deliver.url, push_body(data, eventId=name))).status == 204

    (letter,) = dead(server, name)
    assert (letter.data, letter.attributes["reason"]) == (data, "foreign")


async def test_a_message_that_is_too_large_is_dead_lettered_alone(
    deliver: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """An event over AEP's 1 MB is a dead letter; those that waited with it are delivered."""
    large, statuses = await asyncio.gather(
        push_one(http, deliver, 3, userAgent="x" * 1_000_000),
        push_all(http, deliver, range(400, 420)),
    )

    assert set(statuses) == {204}
    (letter,) = dead(server, unique_id(3))
    assert (letter.data, letter.attributes["reason"]) == (large, "too_large")
    assert not any(dead(server, unique_id(n)) for n in range(400, 420))


async def test_waiting_messages_share_a_request(
    deliver: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Sixty-four messages pushed at once need a few AEP requests, not sixty-four.

    When AEP answers 400 to a whole batch for one message, only that one is dead-lettered.
    """
    before = len(aep.requests)
    assert set(await push_all(http, deliver, range(100, 164))) == {204}
    assert len(aep.requests) - before <= 4

    poison = unique_id(513)
    aep.faults.add(answering(400).when(has_id(poison)))
    assert set(await push_all(http, deliver, range(500, 564))) == {204}
    assert [n for n in range(500, 564) if dead(server, unique_id(n))] == [513]
    assert {unique_id(n) for n in range(500, 564)} - aep.distinct_ids == {poison}


@pytest.mark.parametrize("case", cases("passing_faults"))
async def test_passing_faults_are_retried(
    impatient: Function,
    server: PubSubServer,
    aep: AepServer,
    http: aiohttp.ClientSession,
    case: Case,
) -> None:
    """After outages, throttles, wrong settings and unknown outcomes a message comes again."""
    number = 600 + [row.id for row in cases("passing_faults")].index(case["case"])
    aep.faults.add(make_fault(*case["fault"]))

    assert await push_all(http, impatient, [number]) == [503]
    assert not dead(server, unique_id(number))

    aep.faults.clear()
    await push_until_acknowledged(http, impatient, number)
    assert unique_id(number) in aep.distinct_ids


async def test_an_entry_that_may_pass_is_retried(
    deliver: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Inside a 207, a message that AEP could not accept now comes again, alone."""
    aep.faults.add(refusing(has_id(unique_id(705)), status=503))

    statuses = await push_all(http, deliver, range(700, 710))

    assert statuses == [503 if n == 705 else 204 for n in range(700, 710)]
    assert not dead(server, unique_id(705))

    aep.faults.clear()
    await push_until_acknowledged(http, deliver, 705)


async def test_a_dead_letter_that_is_not_stored_is_not_acknowledged(
    deliver: Function, server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """While the dead-letter topic does not accept it, a rejected message comes again."""
    aep.faults.add(refusing(has_id(unique_id(720))))
    server.faults.add(rejecting(lambda _data, _attributes: True))
    assert await push_all(http, deliver, [720]) == [503]

    server.faults.clear()
    assert await push_all(http, deliver, [720]) == [204]
    assert len(dead(server, unique_id(720))) == 1


async def test_an_overloaded_instance_answers_429(
    deliver_singly: Function, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """What exceeds twice the messages in flight is answered 429, the rest delivered."""
    aep.behaviour = replace(aep.behaviour, latency_seconds=0.5)

    statuses = await push_all(http, deliver_singly, range(800, 820))

    assert statuses.count(204) == 6  # two in flight, four waiting
    assert statuses.count(429) == 14
    assert len({unique_id(n) for n in range(800, 820)} & aep.distinct_ids) == 6


async def test_a_wrong_setting_is_logged_once_a_minute(
    deliver_singly: Function, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """However many messages fail, one CRITICAL line a minute names what to check."""
    aep.faults.add(answering(401))
    for number in range(640, 645):
        assert await push_all(http, deliver_singly, [number]) == [503]

    lines = deliver_singly.lines
    [critical] = [line["message"] for line in lines if line["severity"] == "CRITICAL"]
    assert "AEP_CLIENT_SECRET" in critical


async def test_the_pubsub_client_is_imported_for_the_first_dead_letter(
    deliver_singly: Function, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Until there is a dead letter, the function has not imported the Pub/Sub client."""
    await push_until_acknowledged(http, deliver_singly, 990)
    assert "google.pubsub_v1" not in deliver_singly.text
    aep.faults.add(refusing(has_id(unique_id(991))))
    assert await push_all(http, deliver_singly, [991]) == [204]
    assert "google.pubsub_v1" in deliver_singly.text


@pytest.mark.parametrize("case", cases("not_pushes"))
async def test_other_requests_are_answered_400(
    deliver: Function, http: aiohttp.ClientSession, case: Case
) -> None:
    """A request without a push envelope is answered 400, and says what belongs here."""
    answer = await send(http, deliver.url, case["body"].encode())

    assert answer.status == 400
    assert "push subscription" in answer.json()["error"]


async def test_one_token_is_shared_until_it_is_revoked(
    deliver_with_token: Function, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Concurrent batches wait for one token, which the first of them fetches.

    A 401 with a token that was valid a moment ago is followed by a request with another.
    """
    aep.behaviour = replace(aep.behaviour, needs_token=True)
    aep.revoke_tokens()
    before = aep.tokens_issued
    assert set(await push_all(http, deliver_with_token, range(900, 930))) == {204}
    assert set(await push_all(http, deliver_with_token, range(930, 960))) == {204}
    assert aep.tokens_issued == before + 1

    aep.revoke_tokens()
    assert await push_all(http, deliver_with_token, [961]) == [204]
    assert aep.tokens_issued == before + 2


@pytest.mark.parametrize("status", [401, 503])
async def test_without_a_token_messages_come_again(
    deliver_with_token: Function, aep: AepServer, http: aiohttp.ClientSession, status: int
) -> None:
    """Wrong credentials or a failing token endpoint lose nothing."""
    aep.behaviour = replace(aep.behaviour, needs_token=True)
    aep.revoke_tokens()
    aep.faults.add(token_endpoint_down(status))
    number = 970 + status

    assert await push_all(http, deliver_with_token, [number]) == [503]

    aep.faults.clear()
    await push_until_acknowledged(http, deliver_with_token, number)


async def test_xdm_is_an_experience_event(
    deliver_with_token: Function, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """In XDM each message has its header and an entity with `_id` and a numeric rating."""
    await push_one(http, deliver_with_token, 980)

    message = accepted(aep, 980)
    assert isinstance(message, dict)
    assert message["header"]["imsOrgId"] == XDM_SETTINGS["AEP_IMS_ORG_ID"]
    assert message["header"]["flowId"] == XDM_SETTINGS["AEP_FLOW_ID"]
    assert aep.requests[-1].headers["x-gw-ims-org-id"] == XDM_SETTINGS["AEP_IMS_ORG_ID"]
    entity = message["body"]["xdmEntity"]
    assert entity["_acme"]["pendo"]["nps"]["rating"] == 0
    assert entity["identityMap"]["PendoVisitor"][0]["id"] == VISITOR


async def test_an_identity_over_the_limit_is_logged(
    deliver: Function, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """A visitor ID over 1,024 characters is delivered, and logged without the ID itself."""
    await push_one(http, deliver, 984, visitorId="canary-visitor" * 100)

    assert unique_id(984) in aep.distinct_ids
    expected = {"eventId": unique_id(984), "message": "identity over 1,024 characters"}
    await wait_for_line(deliver, lambda line: line.items() >= expected.items())
    assert "canary-visitor" not in deliver.text


@pytest.mark.parametrize("form", ["raw", "xdm"])
async def test_fields_of_ones_own(
    deliver: Function,
    deliver_with_token: Function,
    aep: AepServer,
    http: aiohttp.ClientSession,
    form: str,
) -> None:
    """A track event arrives with its typed fields; a misfit is logged by its name only."""
    given = {"toTier": "gold", "seats": "canary seats", "since": 1769851800, "other": 1}
    function, number = (deliver, 2000) if form == "raw" else (deliver_with_token, 2001)
    await push_one(
        http,
        function,
        number,
        type="track.received",
        pendoEvent="trackEventReceived",
        properties={"eventProperties": given},
    )
    misfit = "value does not fit its field"
    line = await wait_for_line(function, lambda line: line.get("message") == misfit)

    typed = {"properties": {"toTier": "gold", "since": "2026-01-31T09:30:00.000Z"}}
    message: Any = accepted(aep, number)
    if form == "xdm":
        pendo = message["body"]["xdmEntity"]["_acme"]["pendo"]
        assert pendo["track"] == typed
        left = pendo["properties"]
    else:
        assert message["fields"] == {"track": typed}
        left = message["propertiesJson"]
    assert json.loads(left) == {"eventProperties": {"seats": "canary seats", "other": 1}}
    expected = {"severity": "WARNING", "field": "properties.eventProperties.seats", "values": 1}
    assert line.items() >= expected.items()
    assert "canary" not in function.text


async def test_no_empty_value_is_sent(
    deliver: Function, aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """What Pendo left empty is not in the message, except in the text of the properties."""
    answers = [{"pollId": "p", "value": ""}, {"pollId": "q", "value": "a"}]
    properties = {"guideId": "", "steps": [{"id": "s", "type": ""}]}
    await push_one(http, deliver, 983, answers=answers, properties=properties)

    assert accepted(aep, 983) == orjson.loads(event(unique_id(983))) | {
        "answers": [{"pollId": "p"}, {"pollId": "q", "value": "a"}],
        "surveyQuestions": [*SURVEY["surveyQuestions"], "q"],
        "surveyAnswers": [*SURVEY["surveyAnswers"], "a"],
        "properties": {"steps": [{"id": "s"}]},
        "propertiesJson": orjson.dumps(properties).decode(),
    }


async def test_an_event_over_profiles_limit(
    deliver: Function,
    deliver_with_token: Function,
    aep: AepServer,
    http: aiohttp.ClientSession,
) -> None:
    """An event over 10 KB is delivered unchanged, and logged with its size.

    With AEP_TRIM_PROPERTIES its largest properties are left out, and named.
    """
    properties = {"large": "x" * 11_000, "small": 1}
    large = await push_one(http, deliver, 985, properties=properties)

    text = orjson.dumps(properties).decode()
    assert accepted(aep, 985) == orjson.loads(large) | SURVEY | {"propertiesJson": text}
    logged = [line for line in deliver.lines if line.get("eventId") == unique_id(985)]
    assert any(x["severity"] == "WARNING" and x["bytes"] > len(large) for x in logged)

    await push_one(http, deliver_with_token, 986, properties=properties)
    message: Any = accepted(aep, 986)
    kept = json.loads(message["body"]["xdmEntity"]["_acme"]["pendo"]["properties"])
    assert kept == {"small": 1, "_trimmed": ["large"]}


async def test_logs_contain_no_personal_data(
    deliver: Function, deliver_with_token: Function, http: aiohttp.ClientSession
) -> None:
    """Each line is one JSON object without personal data or secrets, whatever was sent before."""
    for function, event_id in ((deliver, unique_id(987)), (deliver_with_token, unique_id(988))):
        body = push_body(event(event_id), eventId=event_id, traceparent=TRACEPARENT)
        assert (await send(http, function.url, body)).status == 204
        delivered = await wait_for_line(function, lambda x, i=event_id: x.get("eventId") == i)  # type: ignore[misc]
        assert delivered["message"] == "message delivered"
        assert delivered.keys() - MOVED_KEYS == log_entry("deliver").keys()
        assert delivered["logging.googleapis.com/trace"] == f"projects/local/traces/{TRACE}"
        sent = next(line for line in function.lines if line["message"] == "batch sent")
        assert sent.keys() - MOVED_KEYS == log_entry("batch").keys()
        assert len(function.lines) == len(function.output)
        for canary in (VISITOR, COMMENT, "local-secret", "Bearer"):
            assert canary not in function.text
