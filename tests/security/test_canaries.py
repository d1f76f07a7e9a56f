"""Secrets, tokens and people, looked for in all that the functions say when all goes wrong."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import chain, repeat

import aiohttp
import pytest
from aiohttp import web

from local.functions import Function, FunctionFailed
from local.pipeline import DEAD, EVENTS
from local.pubsub import PubSubServer
from local.samples import sign
from pendo_aep.pendo.signature import SignatureWrong, verify
from pendo_aep.settings import DeliverSettings, ReceiveSettings, load
from tests.delivery_harness import event
from tests.hostile.mouths import push_of
from tests.webhooks import Answer, send, webhook

CANARY = "canary-of-ours"
RECEIVE = {"PENDO_WEBHOOK_SECRETS": f"{CANARY}-webhook"}
DELIVER = {
    "AEP_FLOW_ID": "flow",
    "AEP_CLIENT_ID": "client",
    "AEP_CLIENT_SECRET": f"{CANARY}-client",
    "DELIVER_DEADLINE_SECONDS": "1",
}


@asynccontextmanager
async def babbler() -> AsyncIterator[str]:
    """An AEP and an IMS that repeat in their answers whatever secret they were told."""
    said: Iterator[int] = chain([401, 503], repeat(200))
    answers: Iterator[int] = chain([401, 500, 404], repeat(503))

    async def token(request: web.Request) -> web.Response:
        form = dict(await request.post())
        body = {"access_token": f"{CANARY}-token", "expires_in": 60, "error": str(form)}
        return web.json_response(body, status=next(said))

    async def batch(request: web.Request) -> web.Response:
        body = {"title": request.headers["Authorization"], "detail": await request.text()}
        return web.json_response(body, status=next(answers))

    app = web.Application()
    app.router.add_post("/ims/token/v3", token)
    app.router.add_post("/collection/batch/inlet", batch)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def send_with_canary(http: aiohttp.ClientSession, url: str, body: bytes) -> Answer:
    """Sends a webhook as Pendo would, if it had this secret."""
    return await send(http, url, body, **sign(body, RECEIVE["PENDO_WEBHOOK_SECRETS"]))


async def test_receive(server: PubSubServer, http: aiohttp.ClientSession) -> None:
    """Wrong signatures, odd bodies, a Pub/Sub without topics: no secret is told, and no person."""
    answers: list[Answer] = []
    settings = {**RECEIVE, "PUBSUB_EMULATOR_HOST": server.host}
    bodies = [webhook(1), b"{", webhook(2, event=7), b"canary", webhook(3, visitorId=["canary"])]

    async def send_all() -> None:
        for body in bodies:
            answers.append(await send(http, receive.url, body, **{"X-Pendo-Signature": "x"}))
            answers.append(await send(http, receive.url, body))
            answers.append(await send_with_canary(http, receive.url, body))

    async with Function("receive", settings) as receive:
        await send_all()
        for name in (EVENTS, DEAD):
            server.create_topic(f"projects/local/topics/{name}")
        await send_all()
    assert {answer.status for answer in answers} == {200, 202, 401, 503}
    for said in (receive.text, *(answer.body.decode() for answer in answers)):
        assert "canary" not in said


async def test_deliver(server: PubSubServer, http: aiohttp.ClientSession) -> None:
    """An AEP and an IMS that repeat what they were told do not make `deliver` repeat it."""
    statuses = set()
    async with babbler() as address:
        aep = {"AEP_ENDPOINT": f"{address}/collection/inlet", "AEP_IMS_URL": address}
        settings = {**DELIVER, **aep, "PUBSUB_EMULATOR_HOST": server.host}
        async with Function("deliver", settings) as deliver:
            for number in range(8):
                data = event(f"canaries-{number}")
                assert b"canary" in data
                answer = await send(http, deliver.url, push_of(data))
                statuses.add(answer.status)
                assert b"canary" not in answer.body
            for body in (b"canary", b'{"message":{"data":"canary"}}'):
                answer = await send(http, deliver.url, body)
                statuses.add(answer.status)
                assert b"canary" not in answer.body
    assert statuses == {503, 400}
    assert any(line.get("message") == "batch sent" for line in deliver.lines)  # it had a token
    assert "canary" not in deliver.text


@pytest.mark.parametrize("target", ["receive", "deliver", "drain"])
async def test_a_start_that_fails(target: str) -> None:
    """A function that cannot start says which settings are wrong, and none of their values."""
    secrets = {**RECEIVE, **DELIVER, "AEP_ENDPOINT": f"https://u:{CANARY}@h.test/collection/x"}
    wrong = {"MAX_BODY_BYTES": CANARY, "AEP_CLIENT_ID": f"{CANARY} x", "DEAD_LETTER_TOPIC": "a/b"}
    with pytest.raises(FunctionFailed) as failed:
        await Function(target, {**secrets, **wrong}).__aenter__()
    assert "DEAD_LETTER_TOPIC" in str(failed.value)
    assert "canary" not in str(failed.value)


def test_settings() -> None:
    """Settings can be printed, formatted and dumped by whoever debugs them."""
    environ = {"GOOGLE_CLOUD_PROJECT": "p", "AEP_ENDPOINT": "https://h.test/collection/x"}
    for settings in (
        load(ReceiveSettings, {**environ, **RECEIVE}),
        load(DeliverSettings, {**environ, **DELIVER}),
    ):
        shown = f"{settings} {settings!r} {settings.model_dump()} {vars(settings)}"
        assert "***" in shown
        assert CANARY not in shown


def test_a_traceback() -> None:
    """A refused signature leaves a traceback without the secret and without the body."""
    try:
        verify(f"{CANARY}-body".encode(), ["x"], [f"{CANARY}-webhook".encode()])
    except SignatureWrong as error:
        shown = "".join(traceback.format_exception(error))
    assert "SignatureWrong" in shown
    assert CANARY not in shown
