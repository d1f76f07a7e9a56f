"""Who may ask the console what, and from where."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from local.console.run import Running
from local.console.security import HEADERS
from tests.local.console.bench import Bench, bench

REQUESTS = orjson.loads((Path(__file__).parent / "requests.json").read_bytes())
HTML = "<img src=x onerror=alert(1)><script>alert(1)</script>"


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case["name"])
async def test_only_the_consoles_own_page_may_ask(case: dict[str, Any]) -> None:
    """Foreign names (DNS rebinding), origins and sites, and forms are refused, and do nothing."""
    async with bench() as console:
        port = urlsplit(console.url).port
        headers = {
            name: value.replace("PORT", str(port)) for name, value in case["headers"].items()
        }
        body = case.get("body", '{"kind":"throttle"}') if case["method"] == "POST" else None
        async with console.http.request(
            case["method"], console.url + case["path"], headers=headers, data=body
        ) as response:
            said = await response.text()

        assert response.status == case["status"], said
        assert bool(console.hands.injections.in_force) is (
            case["method"] == "POST" and case["status"] == 200
        )
        assert HEADERS.items() <= dict(response.headers).items()


@pytest.mark.parametrize("path", ["", "api/samples", "api/webhooks", "api/event", "nothing"])
async def test_every_answer_forbids_what_the_page_does_not_need(path: str) -> None:
    """No script but the console's own, nothing from elsewhere, no frame, no cache; 404s too."""
    async with bench() as console, console.http.get(console.url + path) as response:
        headers = response.headers

    policy = dict(
        directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_the_stream_has_those_headers_too() -> None:
    """It is personal data like the rest."""
    async with bench() as console, console.http.get(f"{console.url}api/stream") as response:
        assert HEADERS.items() <= dict(response.headers).items()


async def test_what_a_webhook_holds_is_data_and_no_page() -> None:
    """A webhook full of HTML comes back inside JSON, never as a document."""
    async with bench() as console:
        console.scene.tell("webhook", HTML, 200, {"status": "accepted", "id": "ID"})
        async with console.http.get(f"{console.url}api/event", params={"key": HTML}) as response:
            shown = orjson.loads(await response.read())

    assert response.content_type == "application/json"
    assert HTML in shown["webhooks"][0]["body"]


async def test_the_page_cannot_be_left(tmp_path: Path) -> None:
    """No path leads out of the folder of the page."""
    del tmp_path
    async with bench() as console:
        for path in ("/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "//etc/passwd"):
            assert b" 404 " in await raw(console, f"GET {path} HTTP/1.1")


async def raw(console: Bench, request: str) -> bytes:
    """The first line of the answer to a request that no client would send."""
    address = urlsplit(console.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"{request}\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


async def test_everything_listens_on_this_machine_only(running: Running) -> None:
    """Console, recorder, functions, Pub/Sub and AEP: on 127.0.0.1, and on no other address."""
    assert running.pipeline is not None
    addresses = [
        running.url,
        running.webhook_url,
        running.pipeline.receive.url,
        running.pipeline.deliver.url,
        running.aep.url,
        f"http://{running.pubsub.host}",
    ]
    for address in map(urlsplit, addresses):
        assert address.hostname == "127.0.0.1"
        with socket.socket() as probe:
            # An address of this machine, too: a server on 0.0.0.0 would answer there.
            probe.settimeout(5)
            with pytest.raises(OSError, match=r"refused|timed out|assign"):
                probe.connect(("127.0.0.2", address.port or 0))
