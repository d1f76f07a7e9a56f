"""No secret, token or personal data appears in logs, answers or tracebacks when things fail."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import chain, repeat

import aiohttp
import pytest
from aiohttp import web

from local.functions import Function
from local.pubsub import PubSubServer
from pendo_aep.pendo.signature import SignatureWrong, verify
from pendo_aep.settings import DeliverSettings, ReceiveSettings, load
from tests.delivery_harness import create_topics, http_server
from tests.webhooks import Answer, event, push_body, send, send_signed, webhook

pytestmark = pytest.mark.process

CANARY = "canary-of-ours"
SECRET = f"{CANARY}-webhook"
RECEIVE = {"PENDO_WEBHOOK_SECRETS": SECRET}
DELIVER = {
    "AEP_FLOW_ID": "flow",
    "AEP_CLIENT_ID": "client",
    "AEP_CLIENT_SECRET": f"{CANARY}-client",
    "DELIVER_DEADLINE_SECONDS": "1",
}


@asynccontextmanager
async def echoing_server() -> AsyncIterator[str]:
    """An AEP and an IMS whose answers repeat the secrets and events that they received."""
    token_statuses: Iterator[int] = chain([401, 503], repeat(200))
    batch_statuses: Iterator[int] = chain([401, 500, 404], repeat(503))

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/ims/token/v3":
            form = dict(await request.post())
            body = {"access_token": f"{CANARY}-token", "expires_in": 60, "error": str(form)}
            return web.json_response(body, status=next(token_statuses))
        assert request.path == "/collection/batch/inlet"
        body = {"title": request.headers["Authorization"], "detail": await request.text()}
        return web.json_response(body, status=next(batch_statuses))

    async with http_server(answer) as address:
        yield address


async def test_receive(server: PubSubServer, http: aiohttp.ClientSession) -> None:
    """Wrong signatures, invalid bodies and missing topics reveal no secret and no visitor."""
    answers: list[Answer] = []
    settings = {**RECEIVE, "PUBSUB_EMULATOR_HOST": server.host}
    bodies = [webhook(1), b"{", webhook(2, event=7), b"canary", webhook(3, visitorId=["canary"])]

    async def send_all() -> None:
        for body in bodies:
            answers.append(await send(http, receive.url, body, **{"X-Pendo-Signature": "x"}))
            answers.append(await send(http, receive.url, body))
            answers.append(await send_signed(http, receive.url, body, secret=SECRET))

    async with Function("receive", settings) as receive:
        await send_all()
        create_topics(server)
        await send_all()
    assert {answer.status for answer in answers} == {200, 202, 401, 503}
    for text in (receive.text, *(answer.body.decode() for answer in answers)):
        assert "canary" not in text


async def test_deliver(server: PubSubServer, http: aiohttp.ClientSession) -> None:
    """`deliver` does not repeat what AEP and IMS quote of secrets and events."""
    statuses = set()
    async with echoing_server() as address:
        aep = {"AEP_ENDPOINT": f"{address}/collection/inlet", "AEP_IMS_URL": address}
        settings = {**DELIVER, **aep, "PUBSUB_EMULATOR_HOST": server.host}
        async with Function("deliver", settings) as deliver:
            events = [event(f"canaries-{number}") for number in range(8)]
            assert all(b"canary" in data for data in events)
            invalid = [b"canary", b'{"message":{"data":"canary"}}']
            for body in [*map(push_body, events), *invalid]:
                answer = await send(http, deliver.url, body)
                statuses.add(answer.status)
                assert b"canary" not in answer.body
    assert statuses == {503, 400}
    assert any(line.get("message") == "batch sent" for line in deliver.lines)  # it had a token
    assert "canary" not in deliver.text


def test_settings() -> None:
    """Settings can be printed, formatted and dumped without showing a secret."""
    environ = {"GOOGLE_CLOUD_PROJECT": "p", "AEP_ENDPOINT": "https://h.test/collection/x"}
    for settings in (
        load(ReceiveSettings, {**environ, **RECEIVE}),
        load(DeliverSettings, {**environ, **DELIVER}),
    ):
        shown = f"{settings} {settings!r} {settings.model_dump()} {vars(settings)}"
        assert "***" in shown
        assert CANARY not in shown


def test_a_traceback() -> None:
    """The traceback of a wrong signature holds neither the secret nor the body."""
    try:
        verify(f"{CANARY}-body".encode(), ["x"], [SECRET.encode()])
    except SignatureWrong as error:
        shown = "".join(traceback.format_exception(error))
    assert "SignatureWrong" in shown
    assert CANARY not in shown
