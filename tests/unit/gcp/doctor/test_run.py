"""A whole run of the doctor: observations that are given, and a `receive` that really runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import aiohttp
import grpc
import pytest

from local.aep import AepServer, RawMode
from local.functions import Function, Line, free_port
from local.pipeline import DEAD, EVENTS, SECRET, receive_env, run_pipeline
from local.pubsub import PubSubServer, failing
from pendo_aep.gcp.doctor.delivery import Polling, trace_test_event
from pendo_aep.gcp.doctor.finding import Subject, Verdict
from pendo_aep.gcp.doctor.observe import Observer
from pendo_aep.gcp.doctor.run import Tools, run_checks
from tests.unit.gcp.doctor.doctor_fixtures import DEPLOYMENT, FakeObserver, as_found, healthy_output

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def log() -> list[Line]:
    """The log lines of `receive`."""
    return []


@pytest.fixture(scope="module", autouse=True)
def topics(server: PubSubServer) -> None:
    """The topics of a `receive` whose events nobody delivers."""
    for topic in (EVENTS, DEAD):
        server.create_topic(f"projects/local/topics/{topic}")


@pytest.fixture(scope="module")
async def receive(server: PubSubServer, log: list[Line]) -> AsyncIterator[Function]:
    """`receive`."""
    env = receive_env(server.host)
    async with Function("receive", env, on_line=lambda _, line: log.append(line)) as function:
        yield function


def observer(url: str, secret: str = SECRET, log: Sequence[Line] = (), kept: str = "") -> Observer:
    """Returns what observes a healthy deployment whose `receive` is at this address."""
    settings = {"PENDO_EVENTS": kept} if kept else {}
    return FakeObserver(as_found(healthy_output(url, secret, **settings)), log)


async def run(
    fake: Observer, http: aiohttp.ClientSession, polling: Polling | None
) -> list[tuple[Subject, Verdict, str]]:
    """Returns the findings on the webhook and the test event; the others must be ok."""
    tools = Tools(fake, http, polling, lambda _: None)
    findings = [finding async for finding in run_checks(DEPLOYMENT, tools)]
    over_http = (Subject.WEBHOOK, Subject.TEST_EVENT)
    assert all(f.is_ok for f in findings if f.subject not in over_http)
    return [(f.subject, f.verdict, f.text) for f in findings if f.subject in over_http]


class Running(NamedTuple):
    """A whole pipeline.

    Attributes:
        receive: the address of `receive`.
        lines: the log lines of its functions.
        aep: where the events go.
    """

    receive: str
    lines: list[Line]
    aep: AepServer


@pytest.fixture(scope="module")
async def pipeline() -> AsyncIterator[Running]:
    """A pipeline that delivers."""
    lines: list[Line] = []
    async with (
        PubSubServer() as server,
        AepServer() as aep,
        run_pipeline(server.host, aep, on_line=lambda _, line: lines.append(line)) as running,
    ):
        yield Running(running.receive.url, lines, aep)


async def test_the_test_event_reaches_aep(http: aiohttp.ClientSession, pipeline: Running) -> None:
    """It is signed, stored, pushed and delivered: AEP has the event that the doctor names."""
    fake = observer(pipeline.receive, log=pipeline.lines)

    findings = await run(fake, http, Polling(60, 0.1))

    assert {verdict for _, verdict, _ in findings} == {Verdict.OK}
    [accepted] = pipeline.aep.accepted
    [(_, _, text)] = findings[-1:]
    assert text == f"AEP has accepted the test event {accepted.id}"
    assert "pendo-to-aep-test" in str(accepted.message)


async def test_an_inlet_that_needs_a_header_is_reported(
    http: aiohttp.ClientSession, pipeline: Running
) -> None:
    """`deliver` logs it, and the fix is the command that finds the right mode."""
    pipeline.aep.behaviour = replace(pipeline.aep.behaviour, raw_modes=frozenset({RawMode.SINGLE}))
    fake = observer(pipeline.receive, log=pipeline.lines)
    await run(fake, http, Polling(0))
    text = ""
    async with asyncio.timeout(60):
        while "header" not in text:
            await asyncio.sleep(0.05)
            returned = [one for one in pipeline.lines if one["message"] == "message returned"]
            if returned:
                event_id = str(returned[0]["eventId"])
                finding = await trace_test_event(DEPLOYMENT, fake, event_id, Polling(0), print)
                text = finding.text

    assert "this inlet does not take events without a header" in finding.text
    assert finding.mend.startswith("pendo-aep aep apply --test-event ")


async def test_each_of_several_secrets_is_tried(
    http: aiohttp.ClientSession, receive: Function
) -> None:
    """The report names the one that `receive` does not have."""
    findings = await run(observer(receive.url, f"{SECRET} forgotten"), http, Polling(0))

    assert [text for _, verdict, text in findings if verdict is not Verdict.OK] == [
        "a signed ping (secret 2 of 2) gets 401: receive has another secret, or the rotation has "
        "not reached it"
    ]
    assert not any(subject is Subject.TEST_EVENT for subject, _, _ in findings)


async def test_unsigned_webhooks_that_are_accepted_are_reported(
    http: aiohttp.ClientSession, server: PubSubServer
) -> None:
    """What `receive` does counts, not what its settings say; then no event is sent."""
    env = receive_env(server.host, settings={"PENDO_ALLOW_UNSIGNED": "true"})
    async with Function("receive", env) as open_to_all:
        findings = await run(observer(open_to_all.url), http, Polling(0))
        lines = open_to_all.lines

    assert [text for _, verdict, text in findings if verdict is not Verdict.OK] == [
        "a webhook without a signature gets in: anybody can make events (PENDO_ALLOW_UNSIGNED)"
    ]
    assert not any(line["message"] == "webhook accepted" for line in lines)


async def test_an_event_that_does_not_arrive_is_reported(
    http: aiohttp.ClientSession, receive: Function, log: list[Line]
) -> None:
    """Nobody delivers: when the time is up, the doctor says how far the event came."""
    findings = await run(observer(receive.url, log=log), http, Polling(3, 0.1))

    assert findings[-2:] == [
        (Subject.TEST_EVENT, Verdict.OK, "receive has stored the test event"),
        (
            Subject.TEST_EVENT,
            Verdict.WRONG,
            "the test event is stored, but deliver and drain did not see it",
        ),
    ]


async def test_an_event_that_is_not_stored_is_reported(
    http: aiohttp.ClientSession, receive: Function, server: PubSubServer
) -> None:
    """Pub/Sub refuses it, and the doctor stops there."""
    server.faults.add(failing("Publish", grpc.StatusCode.PERMISSION_DENIED))
    findings = await run(observer(receive.url), http, Polling(60))
    server.faults.clear()

    assert findings[-1] == (
        Subject.TEST_EVENT,
        Verdict.WRONG,
        "receive could not store the test event: Pub/Sub, its topic or the right to it",
    )


async def test_without_polling_no_event_is_sent(
    http: aiohttp.ClientSession, receive: Function
) -> None:
    """Only pings are, which are not stored."""
    findings = await run(observer(receive.url), http, None)

    assert {(subject, verdict) for subject, verdict, _ in findings} == {
        (Subject.WEBHOOK, Verdict.OK)
    }


async def test_the_test_event_has_a_type_that_is_kept(
    http: aiohttp.ClientSession, server: PubSubServer
) -> None:
    """If `PENDO_EVENTS` keeps only some types, the test event has one of them."""
    kept = "visitor.created,pendo.specialEvent"
    env = receive_env(server.host, settings={"PENDO_EVENTS": kept})
    async with Function("receive", env) as filtering:
        findings = await run(observer(filtering.url, kept=kept), http, Polling(0))

    assert (Subject.TEST_EVENT, Verdict.OK, "receive has stored the test event") in findings


async def test_an_endpoint_that_does_not_answer_is_reported_once(
    http: aiohttp.ClientSession,
) -> None:
    """If nothing listens, only one ping is sent."""
    url = f"http://127.0.0.1:{free_port()}"
    findings = await run(observer(url), http, Polling(60))

    assert findings == [
        (Subject.WEBHOOK, Verdict.WRONG, f"{url} does not answer: ClientConnectorError")
    ]


async def test_without_an_endpoint_nothing_is_sent(http: aiohttp.ClientSession) -> None:
    """The doctor says why, and stops."""
    fake = observer("https://receive-x-ew.a.run.app", secret="")

    assert await run(fake, http, Polling(60)) == [
        (Subject.WEBHOOK, Verdict.WRONG, "secret pendo-webhook-secrets holds nothing")
    ]
