"""The actions of the page on the running pipeline; the browser tests cover the rest of them."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import grpc
import orjson
import psycopg
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.pubsub_v1 import PubsubMessage
from psycopg import sql

from local.aep import AepServer
from local.console.fault_injection import FaultInjector, FaultKind, Injection
from local.console.run import Running, run_with_console
from local.console.state import Status
from local.environment_file import environment_file
from local.functions import PROJECT, Function, FunctionFailed
from local.pipeline import EVENTS, PROJECT_ID, administer
from local.pubsub import PubSubServer, failing
from local.samples import load_samples
from tests.local.aep_client import AepClient, raw
from tests.local.console.console_harness import console_harness, post

INVALID_REQUESTS = orjson.loads((Path(__file__).parent / "cases.json").read_bytes())[
    "invalid_requests"
]
NPS = next(s.body for s in load_samples() if s.name == "nps_submitted_comment").decode()
MESSAGES = raw(*(f"e{number}" for number in range(20)))
TIMEOUT = 120


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Running]:
    """Pipeline and console, once for the module: both functions are slow to start."""
    async with run_with_console(ingest_after_seconds=0.1) as parts:
        yield parts


async def wait_until(running: Running, condition: Callable[[], bool]) -> None:
    """Waits until a condition holds; it is checked after each change."""
    changed = asyncio.Event()
    running.state.on_change.append(changed.set)
    try:
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                await changed.wait()
                changed.clear()
    finally:
        running.state.on_change.remove(changed.set)


@pytest.fixture
async def pipeline(running: Running) -> Running:
    """The running pipeline without faults and without events in progress."""
    running.actions.injector.clear()
    counts = running.state.counts
    await wait_until(running, lambda: counts.waiting == counts.delivering == 0)
    return running


def status_of(running: Running, event_id: str) -> Status | None:
    """Returns the status of an event."""
    record = running.state.events.get(event_id)
    return record.status if record else None


async def send(running: Running, http: aiohttp.ClientSession, **request: object) -> dict[str, Any]:
    """Sends a webhook like the page; returns the result."""
    status, result = await post(http, running.url, "send", **{"text": NPS, **request})
    assert status == 200, result
    found: dict[str, Any] = result
    return found


async def test_an_edited_webhook_is_sent_unchanged(
    pipeline: Running, http: aiohttp.ClientSession
) -> None:
    """If it is not to be a new event, the exact text is sent, and the same event twice."""
    unique = secrets.token_hex(20)
    text = f'{{ "event":"npsSubmitted",\n"uniqueId": "{unique}", "visitorId":"é" }}'

    for _ in range(2):
        result = await send(pipeline, http, text=text, fresh=False)
        assert result["answer"]["id"] == unique

    record = pipeline.state.events.get(unique)
    assert record is not None
    assert [webhook.body for webhook in record.webhooks] == [text.encode()] * 2


async def test_receive_restarts_on_its_port(pipeline: Running, http: aiohttp.ClientSession) -> None:
    """After a shutdown it works again; while it starts, another restart is refused."""
    restart = asyncio.create_task(post(http, pipeline.url, "restart", target="receive"))
    await wait_until(pipeline, lambda: "receive" in pipeline.actions.busy)
    again = await post(http, pipeline.url, "restart", target="receive")
    assert again == (409, {"error": "receive is already starting"})

    assert await restart == (200, {})
    assert "receive" not in pipeline.actions.busy
    event_id = (await send(pipeline, http))["answer"]["id"]
    await wait_until(pipeline, lambda: status_of(pipeline, event_id) is Status.STORED)


async def test_an_event_survives_a_crash_of_deliver(
    pipeline: Running, http: aiohttp.ClientSession
) -> None:
    """`deliver` is killed while AEP is slow; the event still arrives at AEP."""
    await post(http, pipeline.url, "inject", kind="slow", seconds=60)
    event_id = (await send(pipeline, http))["answer"]["id"]
    await wait_until(pipeline, lambda: status_of(pipeline, event_id) is Status.DELIVERING)

    await post(http, pipeline.url, "clear")
    assert await post(http, pipeline.url, "restart", target="deliver", is_kill=True) == (200, {})

    await wait_until(pipeline, lambda: status_of(pipeline, event_id) is Status.STORED)


@pytest.mark.usefixtures("postgres")  # skipped, or failed, where there is none
async def test_an_event_ends_in_the_data_lake(
    pipeline: Running, http: aiohttp.ClientSession
) -> None:
    """Its row is found as Query Service is asked: with what its own endpoint answers."""
    event_id = (await send(pipeline, http))["answer"]["id"]
    await wait_until(pipeline, lambda: status_of(pipeline, event_id) is Status.STORED)

    found = pipeline.adobe.lake.connection_parameters()
    dataset = pipeline.adobe.platform.state.datasets[pipeline.adobe.dataflow.dataset_id]
    with psycopg.connect(
        host=found["host"],
        port=found["port"],
        user=found["username"],
        password=found["token"],
        dbname=found["dbName"],
    ) as connection:
        rows = connection.execute(
            sql.SQL("SELECT ((_acme).pendo).event FROM {} WHERE _id = %s").format(
                sql.Identifier(dataset.table)
            ),
            [event_id],
        ).fetchall()

    assert rows == [("npsSubmitted",)]


@pytest.mark.usefixtures("postgres")
async def test_pendo_aep_finds_every_end(
    pipeline: Running, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """With the settings that are written for it, `reconcile` has a verdict on each event."""
    since = datetime.now(UTC)
    stored_id = (await send(pipeline, http))["answer"]["id"]
    await wait_until(pipeline, lambda: status_of(pipeline, stored_id) is Status.STORED)
    await post(http, pipeline.url, "inject", kind="schema")
    failed_id = (await send(pipeline, http))["answer"]["id"]
    await wait_until(pipeline, lambda: status_of(pipeline, failed_id) is Status.FAILED_LATER)
    await post(http, pipeline.url, "clear")
    await post(http, pipeline.url, "inject", kind="lost")
    lost_id = (await send(pipeline, http))["answer"]["id"]
    await wait_until(pipeline, lambda: status_of(pipeline, lost_id) is Status.ACCEPTED)

    arguments = ("--since", since.isoformat(), "--all", "--json", "--late-after", "1s")
    with environment_file(pipeline.environments["pendo-aep"], tmp_path / "env") as file:
        command = (sys.executable, "-m", "pendo_aep", "reconcile", "--config", str(file))
        process = await asyncio.create_subprocess_exec(
            *command, *arguments, cwd=PROJECT, stdout=asyncio.subprocess.PIPE
        )
        output = (await process.communicate())[0]

    *events, _summary = map(orjson.loads, output.splitlines())
    verdicts = {event["id"]: event["verdict"] for event in events}
    assert {stored_id: "stored", failed_id: "failed"}.items() <= verdicts.items()
    assert verdicts[lost_id] in {"late", "missing"}  # by its age, which is about the limit
    assert process.returncode == 1


async def test_a_failed_restart_is_reported() -> None:
    """The function's last output is returned; a function from elsewhere is not restarted."""

    class Broken(Function):
        async def restart(self) -> None:
            raise FunctionFailed("receive ended at start:\nsettings are wrong")

    async with console_harness() as console:
        console.actions.functions = {"receive": Broken("receive", {})}

        assert await console.post("restart", target="receive") == (
            409,
            {"error": "receive ended at start:\nsettings are wrong"},
        )
        assert console.actions.busy == set()
        assert await console.post("restart", target="deliver") == (
            409,
            {"error": "deliver was not started here: restart it where it runs"},
        )


def letters_of(running: Running) -> dict[str, str]:
    """Returns the message IDs of the present dead letters by event ID."""
    return {record.event_key: record.letter.message_id for record in running.state.letters}


@pytest.fixture
async def letters(pipeline: Running, http: aiohttp.ClientSession) -> dict[str, str]:
    """Three dead letters of this test."""
    await post(http, pipeline.url, "inject", kind="partial")
    sent = {(await send(pipeline, http))["answer"]["id"] for _ in range(3)}
    await wait_until(pipeline, lambda: sent <= letters_of(pipeline).keys())
    await post(http, pipeline.url, "clear")
    return {event_id: letters_of(pipeline)[event_id] for event_id in sent}


async def test_one_dead_letter_is_replayed(
    pipeline: Running, http: aiohttp.ClientSession, letters: dict[str, str]
) -> None:
    """The selected one arrives at AEP; the others stay."""
    event_id, message_id = letters.popitem()

    answer = await post(http, pipeline.url, "replay", ids=[message_id])

    assert answer == (200, {"replayed": 1, "unreadable": 0, "failed": 0})
    await wait_until(pipeline, lambda: status_of(pipeline, event_id) is Status.STORED)
    assert event_id not in letters_of(pipeline)
    assert letters.keys() <= letters_of(pipeline).keys()


async def test_a_replay_without_pubsub_is_reported(
    pipeline: Running, http: aiohttp.ClientSession, letters: dict[str, str]
) -> None:
    """Nothing is lost: the dead letters stay."""
    pipeline.pubsub.faults.add(failing("Pull", grpc.StatusCode.UNAVAILABLE))

    status, result = await post(http, pipeline.url, "replay", ids=list(letters.values()))

    pipeline.pubsub.faults.clear()
    assert status == 409
    assert result["error"].startswith("Pub/Sub is out of reach")
    assert letters.keys() <= letters_of(pipeline).keys()


@pytest.mark.parametrize("case", INVALID_REQUESTS, ids=lambda case: case["name"])
async def test_an_invalid_request_is_rejected(case: dict[str, Any]) -> None:
    """The answer is 400 with the field and what is wrong with it; nothing is done."""
    async with console_harness() as console:
        status, result = await console.post(case["path"], **case["request"])

    assert (status, result["error"]) == (400, case["error"])
    assert console.replayed == []


async def test_everything_listens_on_this_machine_only(running: Running) -> None:
    """Console, proxy, functions, Pub/Sub and AEP listen on 127.0.0.1 and on no other address."""
    assert running.pipeline is not None
    addresses = [
        running.url,
        running.webhook_url,
        running.pipeline.receive.url,
        running.pipeline.deliver.url,
        running.aep.url,
        running.adobe.platform.url,
        *([] if running.lake_problem else [f"http://{running.adobe.lake.address.split()[-1]}"]),
        f"http://{running.pubsub.host}",
    ]
    for address in map(urlsplit, addresses):
        assert address.hostname == "127.0.0.1"
        with socket.socket() as probe:
            # Another address of this machine: a server on 0.0.0.0 would answer there.
            probe.settimeout(5)
            with pytest.raises(OSError, match=r"refused|timed out|assign"):
                probe.connect(("127.0.0.2", address.port or 0))


@dataclass(frozen=True, slots=True)
class Injecting:
    """An AEP stand-in, a client of it, and the faults injected there."""

    aep: AepServer
    client: AepClient
    injector: FaultInjector


@pytest.fixture
async def injecting(aep: AepServer) -> AsyncIterator[Injecting]:
    """No fault is injected yet."""
    async with aiohttp.ClientSession() as session:
        injector = FaultInjector(aep, PubSubServer(), lambda: None)
        yield Injecting(aep, AepClient(aep, session), injector)


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.FAIL])
async def test_a_share_of_the_requests_is_affected(injecting: Injecting, kind: FaultKind) -> None:
    """About this share fails; a second injection of the kind replaces the first."""
    injecting.injector.inject(Injection(kind, share=1.0))
    injecting.injector.inject(Injection(kind, share=0.3))

    statuses = [(await injecting.client.batch(raw("e"))).status for _ in range(200)]

    assert 30 <= sum(status != 207 for status in statuses) <= 90  # 60, with 4.6 deviations
    (listed,) = injecting.injector.active
    assert "30% of requests" in listed.text


async def test_a_share_of_the_messages_is_refused_for_good(injecting: Injecting) -> None:
    """AEP refuses the same messages each time."""
    injecting.injector.inject(Injection(FaultKind.PARTIAL, share=0.5))

    await injecting.client.batch(MESSAGES)
    first = {refused.id for refused in injecting.aep.refused}
    await injecting.client.batch(MESSAGES)
    both = [refused.id for refused in injecting.aep.refused]

    assert 0 < len(first) < len(MESSAGES)
    assert sorted(both, key=str) == sorted([*first, *first], key=str)


async def test_a_cut_connection_and_an_expired_token(injecting: Injecting) -> None:
    """AEP that is down does not answer; one that requires a token takes only a new one."""
    injecting.injector.inject(Injection(FaultKind.DOWN))
    with pytest.raises(aiohttp.ClientError):
        await injecting.client.batch(MESSAGES)
    injecting.injector.clear()

    async def token() -> dict[str, str]:
        answer = await injecting.client.token()
        return {"Authorization": f"Bearer {answer.json['access_token']}"}

    old = await token()
    injecting.injector.inject(Injection(FaultKind.NEEDS_TOKEN))
    for headers, status in ((old, 401), (await token(), 207)):
        assert (await injecting.client.batch(MESSAGES, headers)).status == status


async def test_pubsub_takes_no_message(pipeline: Running) -> None:
    """Until the fault is cleared."""
    pipeline.actions.injector.inject(Injection(FaultKind.PUBSUB_DOWN))
    async with administer(pipeline.pubsub.host) as admin:
        with pytest.raises(ServiceUnavailable):
            await admin.publisher.publish(
                topic=f"projects/{PROJECT_ID}/topics/{EVENTS}",
                messages=[PubsubMessage(data=b"{}")],
                retry=None,
            )


async def test_faults_add_up_and_clear_separately(injecting: Injecting) -> None:
    """Each fault has its effect; clearing one keeps the others, clearing all restores AEP."""
    before = injecting.aep.behaviour
    injector, client = injecting.injector, injecting.client
    kinds = [FaultKind.SLOW, FaultKind.FAIL, FaultKind.TOKEN_DOWN]
    for kind in kinds:
        injector.inject(Injection(kind, seconds=0.2))

    assert [one.kind for one in injector.active] == kinds
    started = time.monotonic()
    assert (await client.batch(MESSAGES)).status == 401  # without a token it gets no further
    assert time.monotonic() - started >= 0.2
    assert (await client.token()).status == 503

    injector.clear(FaultKind.TOKEN_DOWN)
    assert ((await client.batch(MESSAGES)).status, (await client.token()).status) == (503, 200)

    injector.clear()
    assert injector.active == []
    assert injecting.aep.behaviour == before
    assert (await client.batch(MESSAGES)).status == 207
