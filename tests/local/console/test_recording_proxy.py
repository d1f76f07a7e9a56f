"""The recording proxy in front of `receive`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO

import aiohttp
import pytest
from aiohttp import web

from local.console.recording_proxy import recording
from local.console.security import PortTaken, listening
from local.console.state import Webhook
from local.functions import free_port

BODY = b'{ "event" : "guideDisplayed",\n "name": "\xc3\xa9"}\n'


@dataclass(slots=True)
class Receive:
    """A `receive` that answers what a test wants."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Records a request and answers it."""
        body = await request.read()
        self.got.append((request.method, request.path_qs, dict(request.headers), body))
        return web.Response(status=self.status, headers=self.headers, body=b'{"id": "e"}')


@asynccontextmanager
async def recording_proxy(receive: Receive) -> AsyncIterator[tuple[str, list[Webhook]]]:
    """Runs the proxy; yields its URL and the recorded webhooks."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receive.answer)
    seen: list[Webhook] = []
    async with (
        listening(app, 0, or_any=False) as port,
        recording(f"http://127.0.0.1:{port}", seen.append, port=0, or_any=False) as url,
    ):
        yield url, seen


async def test_a_request_is_forwarded_unchanged(http: aiohttp.ClientSession) -> None:
    """Method, path, headers and the exact bytes reach `receive`; the answer is unchanged too."""
    receive = Receive(status=202, headers={"Retry-After": "5", "Content-Type": "text/x"})
    sent = {"X-Pendo-Signature": "abc", "Content-Type": "application/json", "User-Agent": "Pendo"}
    async with (
        recording_proxy(receive) as (url, seen),
        http.post(f"{url}/hook?a=1", data=BODY, headers=sent) as response,
    ):
        answer = await response.read()

    ((method, path, headers, body),) = receive.got
    assert (method, path, body) == ("POST", "/hook?a=1", BODY)
    assert sent.items() <= headers.items()
    assert (response.status, answer) == (202, b'{"id": "e"}')
    assert response.headers["Retry-After"] == "5"
    assert response.headers["Content-Type"] == "text/x"
    (webhook,) = seen
    assert (webhook.body, webhook.status, webhook.answer) == (BODY, 202, answer)
    assert dict(webhook.headers)["X-Pendo-Signature"] == "abc"
    assert webhook.started_at <= webhook.ended_at


async def test_any_method_is_forwarded(http: aiohttp.ClientSession) -> None:
    """A GET is answered by `receive`."""
    receive = Receive(status=405)
    async with recording_proxy(receive) as (url, seen), http.get(url) as response:
        assert response.status == 405

    assert receive.got[0][0] == seen[0].method == "GET"


async def test_an_unreachable_receive_is_recorded(http: aiohttp.ClientSession) -> None:
    """The sender gets 502 and may send it again."""
    seen: list[Webhook] = []
    nobody = f"http://127.0.0.1:{free_port()}"
    async with (
        recording(nobody, seen.append, port=0, or_any=False) as url,
        http.post(url, data=BODY) as response,
    ):
        assert response.status == 502

    (webhook,) = seen
    assert (webhook.status, webhook.body) == (0, BODY)


async def test_a_huge_body_is_refused(http: aiohttp.ClientSession) -> None:
    """More than 16 MiB is refused by the proxy."""
    receive = Receive()
    async with (
        recording_proxy(receive) as (url, seen),
        http.post(url, data=BytesIO(b"x" * (16 * 2**20 + 1))) as response,
    ):
        assert response.status == 413

    assert not receive.got
    assert not seen


async def test_a_taken_port_is_named() -> None:
    """A taken port is an error, unless any port may be used."""
    async with listening(web.Application(), 0, or_any=False) as port:
        with pytest.raises(PortTaken, match=f"port {port} of 127.0.0.1 is taken"):
            async with listening(web.Application(), port, or_any=False):
                pass
        async with listening(web.Application(), port, or_any=True) as other:
            assert other != port


async def test_a_closed_connection_loses_no_webhook(
    http: aiohttp.ClientSession,
) -> None:
    """A webhook is answered although `receive` has closed its idle connections."""

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        # The connection seems to be kept alive, and ends when it is used again.
        await reader.read(1)
        writer.close()
        await writer.wait_closed()

    seen: list[Webhook] = []
    async with await asyncio.start_server(answer_once, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with recording(url, seen.append, port=0, or_any=False) as recorder:
            for _ in range(2):
                async with http.post(recorder) as response:
                    assert response.status == 200

    assert [webhook.status for webhook in seen] == [200, 200]
