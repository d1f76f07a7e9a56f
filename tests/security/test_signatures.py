"""Ways around the signature: forging, altering, replaying and timing a webhook."""

from __future__ import annotations

import base64
import hashlib
import hmac
import operator
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
import orjson
import pytest

from local.aep import AepServer
from local.functions import Function
from local.pipeline import SECRET, XDM_SETTINGS
from local.pubsub import PubSubServer
from pendo_aep.pendo import signature
from pendo_aep.pendo.signature import SignatureWrong, verify
from pendo_aep.settings import ReceiveSettings, SettingsError, load
from tests.cases import Case, cases
from tests.conftest import RETIRED_SECRET
from tests.delivery_harness import DEAD_TOPIC, TOPIC, consumer_env, create_topics
from tests.hostile.hostile_clients import connect, statuses
from tests.webhooks import COMMENT, VISITOR, push_body, send, send_signed, unique_id, webhook

pytestmark = pytest.mark.process


def forgeries(body: bytes) -> dict[str, str]:
    """Returns what the table may use as a signature; only `right` is the correct one."""
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
        "both": digest(f"{RETIRED_SECRET} {SECRET}", body),
        "line": digest(f"{SECRET}\n", body),
        "nothing": digest(SECRET, b""),
        "changed": digest(SECRET, webhook(2)),
        "flipped": digest(SECRET, bytes([*body[:-2], body[-2] ^ 1, body[-1]])),
        "rewritten": digest(SECRET, body.replace(b'":', b'": ')),
        "secret": SECRET,
    }


def digest(secret: str, body: bytes, algorithm: str = "sha256") -> str:
    """Returns the HMAC in hex."""
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


def filled(text: str, body: bytes) -> str:
    """Returns a text of the table with the forgeries in place of their names."""
    for name, value in forgeries(body).items():
        text = text.replace(f"{{{name}}}", value)
    return text


@pytest.mark.parametrize("case", cases("security/bypasses"))
async def test_forged_signatures_are_rejected(
    receive: Function, server: PubSubServer, case: Case
) -> None:
    """What only resembles the right signature is answered 401; nothing is stored or echoed."""
    body = case.get("body", "").encode() or webhook(1)
    before = [len(server.published(topic)) for topic in (TOPIC, DEAD_TOPIC)]
    lines = [filled(case.get("start", "POST / HTTP/1.1"), body), "Host: localhost"]
    lines += ["Connection: close", "Transfer-Encoding: chunked"]
    lines += [filled(f"{name}: {value}", body) for name, value in case["headers"]]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    trailer = filled(case.get("trailer", ""), body).encode()
    async with connect(receive) as connection:
        await connection.send(head + b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, trailer))
        answered = await connection.rest()

    expected = case.get("answer", 401)
    assert statuses(answered)[0] in (expected if isinstance(expected, list) else [expected])
    assert [len(server.published(topic)) for topic in (TOPIC, DEAD_TOPIC)] == before
    canaries = (VISITOR, COMMENT, unique_id(1), SECRET, RETIRED_SECRET, digest(SECRET, body))
    for secret in (body[:40], *(text.encode() for text in canaries)):
        assert secret not in answered


async def test_the_right_signature_is_accepted(
    receive: Function, server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """The same webhook with its signature is stored: only the signature was wrong before."""
    before = len(server.published(TOPIC))
    assert (await send_signed(http, receive.url, webhook(1))).status == 200
    assert len(server.published(TOPIC)) == before + 1


@pytest.mark.parametrize("secret", ["", " ", "\t\n", "\u2003", "\u00a0"])
def test_a_blank_secret_is_missing(secret: str) -> None:
    """A blank secret, with which anybody could sign, is a missing one: nothing starts with it."""
    with pytest.raises(SettingsError, match="PENDO_WEBHOOK_SECRETS: is missing"):
        load(ReceiveSettings, {"GOOGLE_CLOUD_PROJECT": "p", "PENDO_WEBHOOK_SECRETS": secret})


@pytest.mark.usefixtures("topics")
async def test_a_wrong_signature_is_not_an_unsigned_webhook(
    server: PubSubServer, http: aiohttp.ClientSession
) -> None:
    """Where unsigned webhooks are allowed, without any secret, a wrong signature is rejected."""
    settings = {"PUBSUB_EMULATOR_HOST": server.host, "PENDO_ALLOW_UNSIGNED": "true"}
    async with Function("receive", settings) as lax:
        assert (await send(http, lax.url, webhook(3))).status == 200
        for secret in ("", " ", "x"):
            answer = await send_signed(http, lax.url, webhook(3), secret=secret)
            assert answer.status == 401


async def test_a_replay_is_the_same_event(aep: AepServer, http: aiohttp.ClientSession) -> None:
    """A webhook sent three times is three messages with one ID, one `_id` in AEP, nothing dead.

    Pendo signs no time, so a replay cannot be told from Pendo's own retry.
    """
    async with PubSubServer() as server:
        create_topics(server)
        receive_settings = {"PENDO_WEBHOOK_SECRETS": SECRET, "PUBSUB_EMULATOR_HOST": server.host}
        async with (
            Function("receive", receive_settings) as receive,
            Function("deliver", consumer_env(server, aep, **XDM_SETTINGS)) as deliver,
        ):
            for trace in ("1", "2", "3"):
                parent = f"00-{trace * 32}-{trace * 16}-01"
                answer = await send_signed(http, receive.url, webhook(1), traceparent=parent)
                assert answer.json() == {"status": "accepted", "id": unique_id(1)}
            for message in server.published(TOPIC):
                pushed = push_body(message.data, **message.attributes)
                assert (await send(http, deliver.url, pushed)).status == 204
        ids = [orjson.loads(message.data)["id"] for message in server.published(TOPIC)]
        assert ids == [unique_id(1)] * 3
        assert [accepted.id for accepted in aep.accepted] == [unique_id(1)] * 3
        assert aep.distinct_ids == {unique_id(1)}
        assert not server.published(DEAD_TOPIC)


# How long a rejection takes reveals neither how much of a signature was right nor which secret.
#
# A digest is too short to be timed on a busy machine, so here the digests are megabytes long. That
# the measurement can detect a leak is tested with a comparison that ends early.

DIGEST = b"a" * 5_000_000
# Ratios of medians of interleaved samples; a comparison that ends early differs by a thousand.
ALIKE, DIFFERENT = 2.0, 5.0


class LongDigest(str):
    """A header that costs nothing but its comparison."""

    __slots__ = ("read",)
    read: bytes

    def __new__(cls, read: bytes) -> LongDigest:
        """Takes the bytes of the header."""
        made = super().__new__(cls, "header")
        made.read = read
        return made

    def strip(self, _: str | None = None) -> LongDigest:
        """Returns itself."""
        return self

    def lower(self) -> LongDigest:
        """Returns itself."""
        return self

    def encode(self, *_: str, **__: str) -> bytes:
        """Returns the bytes of the header."""
        return self.read


def ratio(first: Callable[[], object], second: Callable[[], object], samples: int = 60) -> float:
    """Returns how many times longer the slower call takes; the samples alternate."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(samples):
        for call, times in zip((first, second), took, strict=True):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    fast, slow = sorted(statistics.median(times) for times in took)
    return slow / fast


def rejection(header: bytes) -> Callable[[], None]:
    """Returns a call that verifies a wrong signature."""
    signatures = [LongDigest(header)]

    def reject() -> None:
        with pytest.raises(SignatureWrong):
            verify(b"body", signatures, [b"secret"])

    return reject


@pytest.fixture
def long_digests(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Replaces the `hmac` of `verify`: every right digest is megabytes long."""
    made = SimpleNamespace(hex=lambda: LongDigest(DIGEST))
    patched = SimpleNamespace(digest=lambda *_: made, compare_digest=hmac.compare_digest)
    monkeypatch.setattr(signature, "hmac", patched)
    return patched


EARLY, LATE = rejection(b"b" + DIGEST[1:]), rejection(DIGEST[:-1] + b"b")


@pytest.mark.usefixtures("long_digests")
def test_timing_does_not_reveal_the_right_digits() -> None:
    """A signature wrong in its first digit takes as long as one wrong in its last."""
    assert ratio(EARLY, LATE) < ALIKE


def test_a_timing_leak_would_be_measured(long_digests: SimpleNamespace) -> None:
    """With `==`, which ends at the first difference, the measurement tells the two apart."""
    long_digests.compare_digest = operator.eq
    assert ratio(EARLY, LATE) > DIFFERENT


def test_timing_does_not_reveal_the_secret() -> None:
    """The first of many secrets takes as long as the last; a single one would be noticed."""
    others = [b"other-%d" % number for number in range(500)]
    header = [hmac.new(b"right", b"body", "sha256").hexdigest()]

    def first() -> None:
        verify(b"body", header, [b"right", *others])

    def last() -> None:
        verify(b"body", header, [*others, b"right"])

    def alone() -> None:
        verify(b"body", header, [b"right"])

    assert ratio(first, last) < ALIKE
    assert ratio(alone, last) > DIFFERENT
