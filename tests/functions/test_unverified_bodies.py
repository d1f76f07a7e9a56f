"""What `receive` holds of bodies whose signature it has not checked: bounded, and given back."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from local.pipeline import SECRET
from local.samples import sign
from pendo_aep.http import read_body
from pendo_aep.pendo import signature
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pipeline import receive as receive_module
from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
from pendo_aep.pipeline.receive import Receiver
from pendo_aep.settings import ReceiveSettings, load
from tests.webhooks import unique_id, webhook

MAX_BODY_BYTES = 8_000_000
PIECE = b"x" * 1_000_000
# As many of the largest bodies as an instance holds, and some more.
MANY = 17


class Memory:
    """A topic that keeps what is published in a list."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    async def publish(self, data: bytes, attributes: Mapping[str, str]) -> str:  # noqa: ARG002
        """Keeps it."""
        self.messages.append(data)
        return str(len(self.messages))


class Upload:
    """A webhook whose body comes piece by piece, as fast as it is read or as the test says."""

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
        """Waits until the task has taken all that was sent, or has ended."""
        read = asyncio.create_task(self._messages.join())
        await asyncio.wait([read, task], return_when=asyncio.FIRST_COMPLETED)
        read.cancel()

    def end(self) -> None:
        """Ends the body."""
        self._put(b"", more=False)

    def hang_up(self) -> None:
        """Leaves in the middle of the body."""
        self._messages.put_nowait({"type": "http.disconnect"})

    def break_off(self) -> None:
        """Makes reading fail as nobody expects."""
        self._messages.put_nowait({})


@pytest.fixture
def events() -> Memory:
    """Where events go."""
    return Memory()


@pytest.fixture
def receive(events: Memory) -> Receiver:
    """The function, with the largest bodies that the settings allow."""
    environ = {
        "GOOGLE_CLOUD_PROJECT": "p",
        "PENDO_WEBHOOK_SECRETS": SECRET,
        "MAX_BODY_BYTES": str(MAX_BODY_BYTES),
    }
    letters = Memory()
    return Receiver(
        load(ReceiveSettings, environ), events, DeadLetterPublisher(lambda: letters, "receive")
    )


def pieces() -> list[bytes]:
    """A body of the largest size, cut."""
    return [PIECE] * (MAX_BODY_BYTES // len(PIECE))


async def takes_the_largest(receive: Receiver) -> bool:
    """Is there room for a genuine body as large as any may be?"""
    body = webhook(1, userAgent="x")
    body = webhook(1, userAgent="x" * (MAX_BODY_BYTES - len(body) + 1))
    cut = [body[at : at + len(PIECE)] for at in range(0, len(body), len(PIECE))]
    return (await receive(Upload(cut, sign(body, SECRET)).request)).status_code == 200


async def test_beyond_the_bound_large_bodies_are_refused(receive: Receiver, events: Memory) -> None:
    """They get 503 with `Retry-After`, small ones are stored; large ones again when some end."""
    slow = [Upload(pieces(), ends=False) for _ in range(MANY)]
    waiting = [asyncio.create_task(receive(upload.request)) for upload in slow]
    for upload, task in zip(slow, waiting, strict=True):
        await upload.read_by(task)

    refused = [task.result() for task in waiting if task.done()]
    assert 1 <= len(refused) < MANY
    for answer in refused:
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    held = (MANY - len(refused)) * MAX_BODY_BYTES
    assert held <= 128_000_000 + MANY * 65_536
    assert not await takes_the_largest(receive)
    small = webhook(2)
    assert (await receive(Upload([small], sign(small, SECRET)).request)).status_code == 200
    assert unique_id(2).encode() in events.messages[0]

    ending = next(number for number, task in enumerate(waiting) if not task.done())
    slow[ending].end()
    assert (await waiting[ending]).status_code == 401
    assert await takes_the_largest(receive)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def accepted(receive: Receiver) -> None:
    """A genuine webhook, to its end."""
    assert await takes_the_largest(receive)


async def quarantined(receive: Receiver) -> None:
    """A genuine body that is no event."""
    body = b"".join(pieces())
    answer = await receive(Upload(pieces(), sign(body, SECRET)).request)
    assert answer.status_code == 202


async def forged(receive: Receiver) -> None:
    """A wrong signature."""
    answer = await receive(Upload(pieces(), {"X-Pendo-Signature": "00"}).request)
    assert answer.status_code == 401


async def unsigned(receive: Receiver) -> None:
    """No signature."""
    assert (await receive(Upload(pieces()).request)).status_code == 401


async def too_large(receive: Receiver) -> None:
    """A body that turns out to be over its limit."""
    assert (await receive(Upload([*pieces(), b"x"]).request)).status_code == 413


async def gone(receive: Receiver) -> None:
    """A client that hangs up."""
    upload = Upload(pieces(), ends=False)
    upload.hang_up()
    assert (await receive(upload.request)).status_code == 400


async def cancelled(receive: Receiver) -> None:
    """A request that the server cancels."""
    upload = Upload(pieces(), ends=False)
    task = asyncio.create_task(receive(upload.request))
    await upload.read_by(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def broken(receive: Receiver) -> None:
    """A server that breaks its own rules."""
    upload = Upload(pieces(), ends=False)
    upload.break_off()
    with pytest.raises(KeyError):
        await receive(upload.request)


@pytest.mark.parametrize(
    "path", [accepted, quarantined, forged, unsigned, too_large, gone, cancelled, broken]
)
async def test_every_body_is_given_back(path: Any, receive: Receiver) -> None:
    """However a request ends, its body takes no room away from those that follow."""
    for _ in range(MANY):
        await path(receive)
    assert await takes_the_largest(receive)


async def test_a_forged_body_is_checked_once(
    receive: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only another secret is a reason to compute the digests of a body again."""
    checked = []

    def verify(body: bytes, signatures: Sequence[str], secrets: Iterable[bytes]) -> VerifiedBody:
        checked.append(body)
        return signature.verify(body, signatures, secrets)

    monkeypatch.setattr(receive_module, "verify", verify)
    await forged(receive)
    assert len(checked) == 1


async def test_tiny_pieces_cost_what_they_hold() -> None:
    """A body that comes in pieces of two bytes takes no more memory than its size suggests."""
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
