"""A whole examination: gcloud as it was told, and a `receive` that really runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import grpc
import pytest

from local.aep import AepServer, RawMode
from local.functions import Function, Line, free_port
from local.pipeline import DEAD, EVENTS, SECRET, receive_env, run_pipeline
from local.pubsub import PubSubServer, failing
from pendo_aep.gcp.doctor.examination import Visit, examine
from pendo_aep.gcp.doctor.finding import Subject, Verdict
from pendo_aep.gcp.doctor.journey import Patience
from pendo_aep.gcp.doctor.look import Command, Look
from tests.unit.gcp.doctor.clinic import DEPLOYMENT, Told, answers, seen


@pytest.fixture(scope="module")
def log() -> list[Line]:
    """What `receive` writes."""
    return []


@pytest.fixture(scope="module", autouse=True)
def topics(server: PubSubServer) -> None:
    """Where the events go that nobody delivers."""
    for topic in (EVENTS, DEAD):
        server.create_topic(f"projects/local/topics/{topic}")


@pytest.fixture(scope="module")
async def receive(server: PubSubServer, log: list[Line]) -> AsyncIterator[Function]:
    """The function."""
    env = receive_env(server.host)
    async with Function("receive", env, on_line=lambda _, line: log.append(line)) as function:
        yield function


def looks(url: str, secret: str = SECRET, **settings: str) -> dict[Command, Look]:
    """What gcloud says of a deployment that is well, whose `receive` is at this address."""
    return seen(answers(url, secret, **settings))


async def found(
    told: Told, http: aiohttp.ClientSession, patience: Patience | None
) -> list[tuple[Subject, Verdict, str]]:
    """What is found at the door and after it; all else is well."""
    visit = Visit(told, http, patience, lambda _: None)
    findings = [finding async for finding in examine(DEPLOYMENT, visit)]
    at_the_door = (Subject.WEBHOOK, Subject.JOURNEY)
    assert all(f.is_well for f in findings if f.subject not in at_the_door)
    return [(f.subject, f.verdict, f.text) for f in findings if f.subject in at_the_door]


async def test_a_test_event_goes_all_the_way(http: aiohttp.ClientSession, aep: AepServer) -> None:
    """Signed, stored, pushed, delivered: AEP has the very event that the doctor speaks of."""
    lines: list[Line] = []
    async with (
        PubSubServer() as server,
        run_pipeline(server.host, aep, on_line=lambda _, line: lines.append(line)) as pipeline,
    ):
        told = Told(looks(pipeline.receive.url), lines)
        findings = await found(told, http, Patience(60, 0.1))

    assert {verdict for _, verdict, _ in findings} == {Verdict.OK}
    [accepted] = aep.accepted
    [(_, _, text)] = findings[-1:]
    assert text == f"AEP has taken the test event {accepted.id}"
    assert "pendo-to-aep-test" in str(accepted.message)


async def test_an_inlet_that_wants_a_header_is_told(
    http: aiohttp.ClientSession, aep: AepServer
) -> None:
    """From what `deliver` logs of it; the command that finds the mode is the way out."""
    aep.behaviour = replace(aep.behaviour, raw_modes=frozenset({RawMode.SINGLE}))
    lines: list[Line] = []
    async with (
        PubSubServer() as server,
        run_pipeline(server.host, aep, on_line=lambda _, line: lines.append(line)) as pipeline,
    ):
        told = Told(looks(pipeline.receive.url), lines)
        visit = Visit(told, http, Patience(5, 0.1), lambda _: None)
        *_, finding = [finding async for finding in examine(DEPLOYMENT, visit)]

    assert "this inlet does not take events without a header" in finding.text
    assert finding.mend.startswith("python -m pendo_aep aep apply --test-event ")


async def test_of_several_secrets_each_is_tried(
    http: aiohttp.ClientSession, receive: Function
) -> None:
    """One that receive does not have is told from the one that it has."""
    told = Told(looks(receive.url, f"{SECRET} forgotten"))

    findings = await found(told, http, Patience(0))

    assert [text for _, verdict, text in findings if verdict is not Verdict.OK] == [
        "a signed ping (secret 2 of 2) gets 401: receive has another secret, or the rotation has "
        "not reached it"
    ]
    assert not any(subject is Subject.JOURNEY for subject, _, _ in findings)


async def test_unsigned_webhooks_that_get_in_are_told(
    http: aiohttp.ClientSession, server: PubSubServer
) -> None:
    """What the settings say does not count, but what receive does; then no event is sent."""
    env = receive_env(server.host, settings={"PENDO_ALLOW_UNSIGNED": "true"})
    async with Function("receive", env) as open_to_all:
        findings = await found(Told(looks(open_to_all.url)), http, Patience(0))
        lines = open_to_all.lines

    assert [text for _, verdict, text in findings if verdict is not Verdict.OK] == [
        "a webhook without a signature gets in: anybody can make events (PENDO_ALLOW_UNSIGNED)"
    ]
    assert not any(line["message"] == "webhook accepted" for line in lines)


async def test_an_event_that_does_not_arrive_is_told(
    http: aiohttp.ClientSession, receive: Function, log: list[Line]
) -> None:
    """Nobody delivers: when its patience is at its end, the doctor says how far the event came."""
    findings = await found(Told(looks(receive.url), log), http, Patience(3, 0.1))

    assert findings[-2:] == [
        (Subject.JOURNEY, Verdict.OK, "receive has stored the test event"),
        (
            Subject.JOURNEY,
            Verdict.WRONG,
            "the test event is stored, but deliver and drain did not see it",
        ),
    ]


async def test_an_event_that_is_not_stored_is_told(
    http: aiohttp.ClientSession, receive: Function, server: PubSubServer
) -> None:
    """Pub/Sub refuses: the doctor looks no further."""
    server.faults.add(failing("Publish", grpc.StatusCode.PERMISSION_DENIED))
    findings = await found(Told(looks(receive.url)), http, Patience(60))
    server.faults.clear()

    assert findings[-1] == (
        Subject.JOURNEY,
        Verdict.WRONG,
        "receive could not store the test event: Pub/Sub, its topic or the right to it",
    )


async def test_without_patience_no_event_is_sent(
    http: aiohttp.ClientSession, receive: Function
) -> None:
    """Pings alone go nowhere."""
    findings = await found(Told(looks(receive.url)), http, None)

    assert {(subject, verdict) for subject, verdict, _ in findings} == {
        (Subject.WEBHOOK, Verdict.OK)
    }


async def test_an_event_of_a_kept_type_is_sent(
    http: aiohttp.ClientSession, server: PubSubServer
) -> None:
    """Where `PENDO_EVENTS` keeps only some types, the test event is of one of them."""
    kept = {"PENDO_EVENTS": "visitor.created,pendo.specialEvent"}
    async with Function("receive", receive_env(server.host, settings=kept)) as choosy:
        findings = await found(Told(looks(choosy.url, **kept)), http, Patience(0))

    assert (Subject.JOURNEY, Verdict.OK, "receive has stored the test event") in findings


async def test_nobody_at_the_door_is_told_once(http: aiohttp.ClientSession) -> None:
    """Where nothing listens, the first ping is the last."""
    url = f"http://127.0.0.1:{free_port()}"
    findings = await found(Told(looks(url)), http, Patience(60))

    assert findings == [
        (Subject.WEBHOOK, Verdict.WRONG, f"{url} does not answer: ClientConnectorError")
    ]


async def test_without_a_door_nothing_is_sent(http: aiohttp.ClientSession) -> None:
    """The doctor says why, and ends."""
    told = Told(looks("https://receive-x-ew.a.run.app", secret=""))

    assert await found(told, http, Patience(60)) == [
        (Subject.WEBHOOK, Verdict.WRONG, "secret pendo-webhook-secrets holds nothing")
    ]
