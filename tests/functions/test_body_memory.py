"""Memory for bodies whose signature `receive` has not checked: bounded, and released."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from starlette.requests import Request
from starlette.responses import Response

from local.functions import Function
from local.pipeline import SECRET, receive_env
from local.pubsub import PubSubServer
from local.samples import sign
from pendo_aep.http import read_body
from pendo_aep.pendo import signature
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pipeline import receive as receive_module
from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
from pendo_aep.pipeline.receive import Receiver
from pendo_aep.settings import ReceiveSettings, load
from tests.delivery_harness import wait_for_line
from tests.hostile.hostile_clients import RawConnection, connect, memory_bytes, statuses
from tests.webhooks import send_signed, unique_id, webhook

pytestmark = pytest.mark.process

MAX_BODY_BYTES = 8_000_000
# What may be held of bodies (pendo_aep/pipeline/receive.py); the first 64 KB of each do not count.
ALLOWED_BYTES, UNCOUNTED_BYTES = 128_000_000, 65_536
PIECE = b"x" * 1_000_000
# One more of the largest bodies than an instance holds.
MANY = 17
# Connections that each send half of the largest body, how many of them fit, and what else the
# process may grow by.
SENDERS = 60
HELD = ALLOWED_BYTES // (MAX_BODY_BYTES // 2 - UNCOUNTED_BYTES)
SPARE_BYTES = 80_000_000


class MemoryTopic:
    """A topic that keeps what is published in a list."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:  # noqa: ARG002
        """Keeps a message, and returns its ID."""
        self.messages.append(data)
        return str(len(self.messages))


class Upload:
    """A webhook whose body arrives in pieces, and ends when the test says so."""

    def __init__(
        self,
        pieces: Iterable[bytes],
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        ends: bool = True,
    ) -> None:
        """Takes the pieces, the request's headers, and whether the body ends with the last one."""
        self._messages = asyncio.Queue[dict[str, Any]]()
        for piece in pieces:
            self._put(piece, more=True)
        if ends:
            self.end()
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "POST", "headers": raw}
        self.request = Request(scope, self._receive)

    def _put(self, piece: bytes, *, more: bool) -> None:
        self._messages.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    async def _receive(self) -> dict[str, Any]:
        message = await self._messages.get()
        self._messages.task_done()
        return message

    async def read_by(self, task: asyncio.Task[Response]) -> None:
        """Waits until the task has read all that was sent, or has ended."""
        read = asyncio.create_task(self._messages.join())
        await asyncio.wait([read, task], return_when=asyncio.FIRST_COMPLETED)
        read.cancel()

    def end(self) -> None:
        """Ends the body."""
        self._put(b"", more=False)

    def hang_up(self) -> None:
        """Disconnects within the body."""
        self._messages.put_nowait({"type": "http.disconnect"})

    def violate_protocol(self) -> None:
        """Makes reading raise an unexpected error."""
        self._messages.put_nowait({})


@pytest.fixture
def events() -> MemoryTopic:
    """The topic of events."""
    return MemoryTopic()


@pytest.fixture
def receiver(events: MemoryTopic) -> Receiver:
    """The function in this process, with the largest bodies that the settings allow."""
    environ = {
        "GOOGLE_CLOUD_PROJECT": "p",
        "PENDO_WEBHOOK_SECRETS": SECRET,
        "MAX_BODY_BYTES": str(MAX_BODY_BYTES),
    }
    dead_letters = DeadLetterPublisher(MemoryTopic, "receive")
    return Receiver(load(ReceiveSettings, environ), events, dead_letters)


def pieces() -> list[bytes]:
    """Returns a body of the largest size, in pieces."""
    return [PIECE] * (MAX_BODY_BYTES // len(PIECE))


async def accepts_the_largest(receiver: Receiver) -> bool:
    """Returns whether there is room for a genuine body of the largest size."""
    body = webhook(1, userAgent="x")
    body = webhook(1, userAgent="x" * (MAX_BODY_BYTES - len(body) + 1))
    cut = [body[at : at + len(PIECE)] for at in range(0, len(body), len(PIECE))]
    return (await receiver(Upload(cut, sign(body, SECRET)).request)).status_code == 200


async def test_beyond_the_bound_large_bodies_are_rejected(
    receiver: Receiver, events: MemoryTopic
) -> None:
    """They get 503 with `Retry-After`, small ones are stored; large ones again when some end."""
    slow = [Upload(pieces(), ends=False) for _ in range(MANY)]
    waiting = [asyncio.create_task(receiver(upload.request)) for upload in slow]
    for upload, task in zip(slow, waiting, strict=True):
        await upload.read_by(task)

    rejected = [task.result() for task in waiting if task.done()]
    assert 1 <= len(rejected) < MANY
    for answer in rejected:
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    held = (MANY - len(rejected)) * MAX_BODY_BYTES
    assert held <= ALLOWED_BYTES + MANY * UNCOUNTED_BYTES
    assert not await accepts_the_largest(receiver)
    small = webhook(2)
    assert (await receiver(Upload([small], sign(small, SECRET)).request)).status_code == 200
    assert unique_id(2).encode() in events.messages[0]

    ending = next(number for number, task in enumerate(waiting) if not task.done())
    slow[ending].end()
    assert (await waiting[ending]).status_code == 401
    assert await accepts_the_largest(receiver)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


# Bodies of the largest size, or over it, with their headers and their answers.
ANSWERED: dict[str, tuple[list[bytes], Mapping[str, str], int]] = {
    "quarantined": (pieces(), sign(b"".join(pieces()), SECRET), 202),
    "forged": (pieces(), {"X-Pendo-Signature": "00"}, 401),
    "unsigned": (pieces(), {}, 401),
    "too large": ([*pieces(), b"x"], {}, 413),
}


async def accepted(receiver: Receiver) -> None:
    """Sends a genuine webhook."""
    assert await accepts_the_largest(receiver)


async def answered(receiver: Receiver) -> None:
    """Sends each of the others."""
    for body, headers, status in ANSWERED.values():
        assert (await receiver(Upload(body, headers).request)).status_code == status


async def disconnected(receiver: Receiver) -> None:
    """Hangs up within the body."""
    upload = Upload(pieces(), ends=False)
    upload.hang_up()
    assert (await receiver(upload.request)).status_code == 400


async def cancelled(receiver: Receiver) -> None:
    """Cancels the request, as the server may."""
    upload = Upload(pieces(), ends=False)
    task = asyncio.create_task(receiver(upload.request))
    await upload.read_by(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def failing(receiver: Receiver) -> None:
    """Raises an unexpected error."""
    upload = Upload(pieces(), ends=False)
    upload.violate_protocol()
    with pytest.raises(KeyError):
        await receiver(upload.request)


@pytest.mark.parametrize(
    "send_one",
    [accepted, answered, disconnected, cancelled, failing],
)
async def test_memory_is_released(
    send_one: Callable[[Receiver], Awaitable[None]], receiver: Receiver
) -> None:
    """However a request ends, the memory of its body is available to those that follow."""
    for _ in range(MANY):
        await send_one(receiver)
    assert await accepts_the_largest(receiver)


async def test_a_forged_body_is_verified_once(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digests of a body are computed again only if the secret has changed."""
    verified = []

    def verify(body: bytes, signatures: Sequence[str], secrets: Iterable[bytes]) -> VerifiedBody:
        verified.append(body)
        return signature.verify(body, signatures, secrets)

    monkeypatch.setattr(receive_module, "verify", verify)
    body, headers, status = ANSWERED["forged"]
    assert (await receiver(Upload(body, headers).request)).status_code == status
    assert len(verified) == 1


async def test_tiny_pieces_take_no_more_memory() -> None:
    """A body that arrives two bytes at a time takes memory for its size, not for its pieces."""
    size = 50_000
    upload = Upload(b"%02d" % (number % 97) for number in range(size // 2))
    tracemalloc.start()
    try:
        body = await read_body(upload.request, size)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) == size
    assert peak < 4 * size


@pytest.fixture
async def large_receive(server: PubSubServer) -> AsyncIterator[Function]:
    """The function as a process, with the largest bodies that the settings allow."""
    settings = {"MAX_BODY_BYTES": str(MAX_BODY_BYTES)}
    async with Function("receive", receive_env(server.host, settings=settings)) as function:
        yield function


async def send_half(connection: RawConnection) -> None:
    """Sends half of a large body, and stops."""
    head = f"POST / HTTP/1.1\r\nHost: receive\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n"
    await connection.send(head.encode() + b"x" * (MAX_BODY_BYTES // 2))


@pytest.mark.slow
async def test_slow_senders_of_large_bodies(
    large_receive: Function, http: aiohttp.ClientSession
) -> None:
    """Slow bodies are bounded together; webhooks of the usual size are stored meanwhile."""
    url = large_receive.url
    large = webhook(2, userAgent="x" * (MAX_BODY_BYTES - 5_000))
    assert (await send_signed(http, url, webhook(1))).status == 200
    before = memory_bytes(large_receive)

    async with AsyncExitStack() as connections:
        slow = [
            await connections.enter_async_context(connect(large_receive)) for _ in range(SENDERS)
        ]
        async with asyncio.TaskGroup() as group:
            for connection in slow:
                group.create_task(send_half(connection))
        answers = [asyncio.create_task(connection.answer()) for connection in slow]
        for answer in islice(asyncio.as_completed(answers), SENDERS - HELD):
            assert statuses(await answer) == [503]
        rejected = await send_signed(http, url, large)
        assert rejected.status == 503
        assert int(rejected.headers["Retry-After"]) > 0
        assert (await send_signed(http, url, webhook(3))).status == 200
        assert memory_bytes(large_receive) - before < ALLOWED_BYTES + SPARE_BYTES
        for waiting in answers:
            waiting.cancel()
        await asyncio.wait(answers)

    async with asyncio.timeout(60):
        while (accepted := await send_signed(http, url, large)).status == 503:
            pass  # until the function has noticed that the slow senders are gone
    assert accepted.status == 200
    line = await wait_for_line(large_receive, lambda line: line.get("reason") == "overloaded")
    assert (line["severity"], line["message"]) == ("WARNING", "webhook rejected")
