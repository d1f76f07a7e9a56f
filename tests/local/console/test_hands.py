"""The hands: each thing that the page can ask for, on the running pipeline."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import orjson
import pytest

from local.console.records import Status
from local.console.run import Running
from local.functions import Function, FunctionFailed
from local.pipeline import SECRET
from local.samples import load_samples, sign
from tests.local.console.bench import bench, post

ASKS = orjson.loads((Path(__file__).parent / "asks.json").read_bytes())
SAMPLES = {sample.name: sample for sample in load_samples()}
NPS = SAMPLES["nps_submitted_comment"].body.decode()
PATIENCE = 60


async def until(
    running: Running, condition: Callable[[], bool], *, within: float = PATIENCE
) -> None:
    """Waits until it holds, so many seconds at most; it is looked at after each change."""
    changed = asyncio.Event()
    running.state.on_change.append(changed.set)
    try:
        async with asyncio.timeout(within):
            while not condition():
                await changed.wait()
                changed.clear()
    finally:
        running.state.on_change.remove(changed.set)


@pytest.fixture
async def pipeline(running: Running) -> Running:
    """The running pipeline, in which all is well and nothing is on its way."""
    running.hands.injections.clear()
    counts = running.state.counts
    await until(running, lambda: counts.waiting == counts.delivering == 0)
    return running


def status_of(running: Running, event_id: str) -> Status | None:
    """Where an event stands."""
    record = running.state.events.get(event_id)
    return record.status if record else None


async def send(running: Running, http: aiohttp.ClientSession, **ask: object) -> dict[str, Any]:
    """Sends a webhook as the page does; answers what the page is told."""
    status, said = await post(http, running.url, "send", **{"text": NPS, **ask})
    assert status == 200, said
    answer: dict[str, Any] = said
    return answer


@pytest.mark.parametrize("name", sorted(SAMPLES))
async def test_every_sample_is_sent_and_arrives(
    pipeline: Running, http: aiohttp.ClientSession, name: str
) -> None:
    """Signed, and as an event of its own; what `receive` said is told, and AEP gets it."""
    said = await send(pipeline, http, text=SAMPLES[name].body.decode())

    if name == "ping":
        assert said == {"status": 200, "answer": {"status": "pong"}}
        return
    assert (said["status"], said["answer"]["status"]) == (200, "accepted")
    event_id = said["answer"]["id"]
    await until(pipeline, lambda: status_of(pipeline, event_id) is Status.ACCEPTED)
    assert event_id in pipeline.aep.distinct_ids


async def test_an_edited_webhook_is_sent_as_it_was_typed(
    pipeline: Running, http: aiohttp.ClientSession
) -> None:
    """The very text, where it is not to be an event of its own; so it can be one again, too."""
    unique = secrets.token_hex(20)
    text = f'{{ "event":"npsSubmitted",\n"uniqueId": "{unique}", "visitorId":"é" }}'

    for _ in range(2):
        said = await send(pipeline, http, text=text, fresh=False)
        assert said["answer"]["id"] == unique

    record = pipeline.state.events.get(unique)
    assert record is not None
    assert {webhook.body for webhook in record.webhooks} == {text.encode()}
    assert len(record.webhooks) == 2


async def test_text_that_is_no_json_can_be_sent_as_it_is(
    pipeline: Running, http: aiohttp.ClientSession
) -> None:
    """It becomes a dead letter of `receive`; but it cannot be made an event of its own."""
    said = await send(pipeline, http, text="no JSON", fresh=False)
    assert (said["status"], said["answer"]["reason"]) == (202, "not_json")

    status, refused = await post(http, pipeline.url, "send", text="no JSON")
    assert status == 409
    assert refused["error"].startswith("this is not JSON: ")
    status, refused = await post(http, pipeline.url, "send", text="[1]")
    assert (status, refused["error"]) == (409, "this is JSON, but not an object")


@pytest.mark.parametrize("signature", ["wrong", "missing"])
async def test_a_wrong_signature_is_rejected(
    pipeline: Running, http: aiohttp.ClientSession, signature: str
) -> None:
    """`receive` answers 401, nothing is stored, and the console counts it."""
    before = pipeline.state.counts.rejected, pipeline.state.counts.stored

    said = await send(pipeline, http, signature=signature)

    assert said["status"] == 401
    assert (pipeline.state.counts.rejected, pipeline.state.counts.stored) == (
        before[0] + 1,
        before[1],
    )


async def test_a_burst_is_so_many_events(pipeline: Running, http: aiohttp.ClientSession) -> None:
    """Each with an id of its own; the page is told at once, and then how far it is."""
    accepted, received = pipeline.state.counts.accepted, pipeline.state.counts.received

    assert await send(pipeline, http, count=200) == {"sending": 200}
    assert pipeline.hands.sender.progress.wanted == 200

    await until(pipeline, lambda: pipeline.state.counts.accepted == accepted + 200)
    await until(pipeline, lambda: pipeline.hands.sender.progress.wanted == 0)
    assert pipeline.state.counts.received == received + 200


async def test_a_burst_can_be_stopped(pipeline: Running, http: aiohttp.ClientSession) -> None:
    """Stopped means that no more is sent; what was sent goes its way."""
    received = pipeline.state.counts.received
    await send(pipeline, http, count=10_000)
    await until(pipeline, lambda: pipeline.state.counts.received > received)

    assert await post(http, pipeline.url, "stop") == (200, {})

    progress = pipeline.hands.sender.progress
    assert (progress.wanted, progress.answered) == (0, 0)
    assert pipeline.state.counts.received < received + 10_000


@pytest.mark.parametrize("target", ["receive", "deliver"])
@pytest.mark.parametrize("is_kill", [False, True])
async def test_a_function_starts_again_where_it_was(
    pipeline: Running, http: aiohttp.ClientSession, target: str, is_kill: bool
) -> None:
    """After an orderly end or a crash; meanwhile it is said to be starting, and then works."""
    restarting = asyncio.create_task(
        post(http, pipeline.url, "restart", target=target, is_kill=is_kill)
    )
    await until(pipeline, lambda: target in pipeline.hands.busy)
    again = await post(http, pipeline.url, "restart", target=target)
    assert again == (409, {"error": f"{target} is starting already"})

    assert await restarting == (200, {})
    assert target not in pipeline.hands.busy
    said = await send(pipeline, http)
    await until(pipeline, lambda: status_of(pipeline, said["answer"]["id"]) is Status.ACCEPTED)


async def test_what_is_on_its_way_survives_a_crash(
    pipeline: Running, http: aiohttp.ClientSession
) -> None:
    """`deliver` is killed while AEP is slow: the event comes to AEP all the same."""
    await post(http, pipeline.url, "inject", kind="slow", seconds=60)
    said = await send(pipeline, http)
    event_id = said["answer"]["id"]
    await until(pipeline, lambda: status_of(pipeline, event_id) is Status.DELIVERING)

    await post(http, pipeline.url, "clear")
    assert await post(http, pipeline.url, "restart", target="deliver", is_kill=True) == (200, {})

    await until(pipeline, lambda: status_of(pipeline, event_id) is Status.ACCEPTED)


async def test_a_function_that_does_not_start_is_told() -> None:
    """Its last words are for the person at the page; and what is not ours is not restarted."""

    class Broken(Function):
        async def restart(self) -> None:
            raise FunctionFailed("receive ended at start:\nsettings are wrong")

    async with bench() as console:
        console.hands.functions = {"receive": Broken("receive", {})}

        assert await console.post("restart", target="receive") == (
            409,
            {"error": "receive ended at start:\nsettings are wrong"},
        )
        assert console.hands.busy == set()
        status, said = await console.post("restart", target="deliver")
        assert (status, said["error"]) == (
            409,
            "deliver was not started here: restart it where it runs",
        )


def lying(running: Running) -> dict[str, str]:
    """The dead letters that lie there: message ids by event ids."""
    return {letter.event_key: letter.message_id for letter in running.state.letters}


@pytest.fixture
async def letters(pipeline: Running, http: aiohttp.ClientSession) -> dict[str, str]:
    """Three dead letters of this test's own; of those before, only what nobody can read is left."""
    await post(http, pipeline.url, "replay")
    await post(http, pipeline.url, "inject", kind="partial")
    sent = {(await send(pipeline, http))["answer"]["id"] for _ in range(3)}
    await until(pipeline, lambda: sent <= lying(pipeline).keys())
    await post(http, pipeline.url, "clear")
    return {event_id: lying(pipeline)[event_id] for event_id in sent}


async def test_one_letter_is_replayed(
    pipeline: Running, http: aiohttp.ClientSession, letters: dict[str, str]
) -> None:
    """The one that is pointed at comes to AEP; the others stay where they are."""
    event_id, message_id = letters.popitem()

    answer = await post(http, pipeline.url, "replay", ids=[message_id])

    assert answer == (200, {"replayed": 1, "unreadable": 0, "failed": 0})
    await until(pipeline, lambda: status_of(pipeline, event_id) is Status.ACCEPTED)
    assert event_id not in lying(pipeline)
    assert letters.keys() <= lying(pipeline).keys()


async def test_all_letters_are_replayed(
    pipeline: Running, http: aiohttp.ClientSession, letters: dict[str, str]
) -> None:
    """All of them come to AEP, and none of them is left."""
    count = pipeline.state.counts.letters

    _, said = await post(http, pipeline.url, "replay")

    assert said["replayed"] == 3
    await until(pipeline, lambda: all(status_of(pipeline, e) is Status.ACCEPTED for e in letters))
    assert pipeline.state.counts.letters == count - 3
    assert not letters.keys() & lying(pipeline).keys()


async def test_a_letter_that_nobody_can_read_stays(
    pipeline: Running, http: aiohttp.ClientSession
) -> None:
    """A replay says so, and leaves it."""
    text = f"not JSON {secrets.token_hex(4)}"
    assert (await send(pipeline, http, text=text, fresh=False))["status"] == 202
    count = pipeline.state.counts.letters
    mine = next(reversed(list(pipeline.state.letters))).message_id

    _, said = await post(http, pipeline.url, "replay", ids=[mine])

    assert said == {"replayed": 0, "unreadable": 1, "failed": 0}
    assert pipeline.state.counts.letters == count


async def test_a_replay_while_pubsub_is_down_says_so(
    pipeline: Running, http: aiohttp.ClientSession, letters: dict[str, str]
) -> None:
    """Nothing is lost: the letter stays a letter."""
    pipeline.pubsub.faults.fail("Pull", grpc.StatusCode.UNAVAILABLE, times=None)

    status, said = await post(http, pipeline.url, "replay", ids=list(letters.values()))

    pipeline.pubsub.faults.clear()
    assert status == 409
    assert said["error"].startswith("Pub/Sub is out of reach")
    assert letters.keys() <= lying(pipeline).keys()


@pytest.mark.parametrize("case", ASKS, ids=lambda case: case["name"])
async def test_what_cannot_be_asked_for_is_named(case: dict[str, Any]) -> None:
    """400, with the place and what is wrong there; nothing is done."""
    async with bench() as console:
        status, said = await console.post(case["path"], **case["ask"])

    assert (status, said["error"]) == (400, case["error"])
    assert console.replayed == []


async def test_what_pendo_sends_by_itself_is_seen(
    pipeline: Running, http: aiohttp.ClientSession
) -> None:
    """A webhook that comes to the recorder's address, as by a tunnel, is an event like the rest."""
    unique = secrets.token_hex(20)
    body = orjson.dumps({"event": "guideDisplayed", "uniqueId": unique})
    headers = sign(body, SECRET)
    async with http.post(f"{pipeline.webhook_url}/", data=body, headers=headers) as response:
        assert response.status == 200

    await until(pipeline, lambda: status_of(pipeline, unique) is Status.ACCEPTED)
