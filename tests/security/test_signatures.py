"""Ways around the signature, each sent to `receive`: refused, nothing stored, nothing echoed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.functions import Function
from local.pipeline import DEAD, EVENTS, SECRET
from local.pubsub import PubSubServer
from pendo_aep.settings import ReceiveSettings, SettingsError, load
from tests.cases import Case
from tests.hostile.wire import statuses, wire
from tests.security.tables import cases
from tests.webhooks import send_signed, webhook

TOPICS = [f"projects/local/topics/{name}" for name in (EVENTS, DEAD)]
OTHER = "another-secret"


@pytest.fixture(scope="module")
async def receive(server: PubSubServer) -> AsyncIterator[Function]:
    """The function with two active secrets."""
    for topic in TOPICS:
        server.create_topic(topic)
    settings = {"PUBSUB_EMULATOR_HOST": server.host, "PENDO_WEBHOOK_SECRETS": f"{OTHER} {SECRET}"}
    async with Function("receive", settings) as function:
        yield function


def marks(body: bytes) -> dict[str, str]:
    """What the table may put in the place of a signature; only `right` is one."""
    right = digest(SECRET, body)
    return {
        "right": right,
        "wrong": digest("wrong", body),
        "short": right[:-1],
        "first": right[:8],
        "spaced": f"{right[:8]} {right[8:]}",
        "wide": "".join(chr(ord(c) + 0xFEE0) for c in right).encode().decode("latin-1"),
        "percent": "".join(f"%{ord(c):02x}" for c in right),
        "base64": base64.b64encode(bytes.fromhex(right)).decode(),
        "bytes": bytes.fromhex(right).decode("latin-1"),
        "sha1": digest(SECRET, body, "sha1"),
        "sha512": digest(SECRET, body, "sha512"),
        "plain": hashlib.sha256(body).hexdigest(),
        "empty": digest("", body),
        "blank": digest(" ", body),
        "both": digest(f"{OTHER} {SECRET}", body),
        "line": digest(f"{SECRET}\n", body),
        "nothing": digest(SECRET, b""),
        "rewritten": digest(SECRET, body.replace(b'":', b'": ')),
        "secret": SECRET,
    }


def digest(secret: str, body: bytes, algorithm: str = "sha256") -> str:
    """The HMAC in hex."""
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


def filled(text: str, body: bytes) -> str:
    """The text of the table with its marks replaced."""
    for name, value in marks(body).items():
        text = text.replace(f"{{{name}}}", value)
    return text


@pytest.mark.parametrize("case", cases("bypasses"))
async def test_a_way_around(receive: Function, server: PubSubServer, case: Case) -> None:
    """Whatever looks like a signature, and is not the one, is answered 401 and forgotten."""
    body = case.get("body", "").encode() or webhook(1)
    before = [len(server.published(topic)) for topic in TOPICS]
    lines = [filled(case.get("start", "POST / HTTP/1.1"), body), "Host: localhost"]
    lines += ["Connection: close", "Transfer-Encoding: chunked"]
    lines += [filled(f"{name}: {value}", body) for name, value in case["headers"]]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    trailer = filled(case.get("trailer", ""), body).encode()
    async with wire(receive) as connection:
        await connection.send(head + b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, trailer))
        answered = await connection.rest()

    expected = case.get("answer", 401)
    assert statuses(answered)[0] in (expected if isinstance(expected, list) else [expected])
    assert [len(server.published(topic)) for topic in TOPICS] == before
    for said in (body[:40], SECRET.encode(), digest(SECRET, body).encode()):
        assert said not in answered


async def test_without_a_way_around(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """The same webhook with its signature is stored: it is the signature that was missing."""
    before = len(server.published(TOPICS[0]))
    assert (await send_signed(http, receive.url, webhook(1))).status == 200
    assert len(server.published(TOPICS[0])) == before + 1


async def test_one_bit_of_a_body(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """A body altered by one bit is not the one that was signed, wherever the bit is."""
    body = webhook(2)
    signature = {"X-Pendo-Signature": digest(SECRET, body)}
    before = [len(server.published(topic)) for topic in TOPICS]
    for place in range(0, len(body), 7):
        altered = bytearray(body)
        altered[place] ^= 1 << place % 8
        async with http.post(receive.url, data=bytes(altered), headers=signature) as response:
            assert response.status == 401
    assert [len(server.published(topic)) for topic in TOPICS] == before


@pytest.mark.parametrize("secret", ["", " ", "\t\n", "\u2003", "\u00a0"])
def test_a_secret_that_is_none(secret: str) -> None:
    """An empty secret, by which anybody could sign, is a missing one: nothing starts with it."""
    with pytest.raises(SettingsError, match="PENDO_WEBHOOK_SECRETS: is missing"):
        load(ReceiveSettings, {"GOOGLE_CLOUD_PROJECT": "p", "PENDO_WEBHOOK_SECRETS": secret})


async def test_unsigned_is_not_wrongly_signed(
    server: PubSubServer, http: aiohttp.ClientSession, receive: Function
) -> None:
    """Where unsigned webhooks are allowed, without any secret, a signature is still refused."""
    del receive  # has made the topics
    settings = {"PUBSUB_EMULATOR_HOST": server.host, "PENDO_ALLOW_UNSIGNED": "true"}
    async with Function("receive", settings) as lax:
        for secret in ("", " ", "x"):
            headers = {"X-Pendo-Signature": digest(secret, webhook(3))}
            async with http.post(lax.url, data=webhook(3), headers=headers) as response:
                assert response.status == 401
