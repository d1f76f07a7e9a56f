"""The console's HTTP server: who may use it, and the stream of changes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest

from local.console.security import HEADERS
from local.console.server import Follower, Pace
from local.console.state import Status
from tests.local.console.console_harness import (
    ConsoleHarness,
    TrackedPipeline,
    console_harness,
    server_sent_events,
)

REQUESTS = orjson.loads((Path(__file__).parent / "cases.json").read_bytes())["security"]
HTML = "<img src=x onerror=alert(1)><script>alert(1)</script>"
QUICK = Pace(pause=0.001, quiet=0.01)


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case["name"])
async def test_only_the_own_page_may_use_the_console(case: dict[str, Any]) -> None:
    """Foreign names (DNS rebinding), origins and sites, and forms are refused and do nothing."""
    async with console_harness() as console:
        port = urlsplit(console.url).port
        headers = {
            name: value.replace("PORT", str(port)) for name, value in case["headers"].items()
        }
        body = case.get("body", '{"kind":"throttle"}') if case["method"] == "POST" else None
        async with console.http.request(
            case["method"], console.url + case["path"], headers=headers, data=body
        ) as response:
            text = await response.text()

        assert response.status == case["status"], text
        assert bool(console.actions.injector.active) is (
            case["method"] == "POST" and case["status"] == 200
        )
        assert HEADERS.items() <= dict(response.headers).items()


@pytest.mark.parametrize(
    "path", ["", "api/samples", "api/webhooks", "api/event", "api/stream", "nothing"]
)
async def test_every_response_has_the_security_headers(path: str) -> None:
    """They allow only the console's own scripts, no other host, no frame, no cache; 404s too."""
    async with console_harness() as console, console.http.get(console.url + path) as response:
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


async def test_a_webhook_with_html_is_served_as_data() -> None:
    """It is returned inside JSON, never as a document."""
    async with console_harness() as console:
        console.pipeline.happen("webhook", HTML, 200, {"status": "accepted", "id": "ID"})
        async with console.http.get(f"{console.url}api/event", params={"key": HTML}) as response:
            shown = orjson.loads(await response.read())

    assert response.content_type == "application/json"
    assert HTML in shown["webhooks"][0]["body"]


async def test_no_path_leads_out_of_the_page() -> None:
    """Files outside the page's folder are not served, however the path is written."""
    async with console_harness() as console:
        address = urlsplit(console.url)
        for path in ("/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "//etc/passwd"):
            # By hand, because a client would normalise the path.
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n".encode())
            writer.write(b"Connection: close\r\n\r\n")
            assert b" 404 " in await reader.readline()
            writer.close()
            await writer.wait_closed()


def deliver(pipeline: TrackedPipeline, *keys: str) -> None:
    """Stores, pushes and sends events; the first becomes a dead letter."""
    for key in keys:
        pipeline.happen("stored", key)
        pipeline.happen("pushed", key)
    pipeline.happen("sent", *keys)
    pipeline.happen("dead_lettered", keys[0], "rejected", "deliver")


async def wait_for_followers(console: ConsoleHarness, followers: int) -> None:
    """Waits until so many pages follow."""
    async with asyncio.timeout(30):
        while True:  # nothing signals that a handler has ended
            if len(console.pipeline.state.on_change) == followers:
                return
            await asyncio.sleep(0.01)


async def test_a_new_page_gets_everything() -> None:
    """The first event is a snapshot with all rows, counts and what the page shows besides."""
    async with console_harness() as console:
        deliver(console.pipeline, "e1", "e2")
        async with console.http.get(f"{console.url}api/stream") as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            kind, data = await anext(server_sent_events(response))

    assert kind == "snapshot"
    assert {row["key"]: row["status"] for row in data["events"]["changed"]} == {
        "e1": Status.DEAD,
        "e2": Status.DELIVERING,
    }
    assert [row["messages"] for row in data["batches"]["changed"]] == [2]
    assert [row["reason"] for row in data["letters"]["changed"]] == ["rejected"]
    assert data["counts"]["stored"] == 2
    assert data["now"] == console.pipeline.now * 1000
    assert (data["injections"], data["functions"]) == ([], {})
    assert data["sending"] == {"wanted": 0, "answered": 0}
    assert data["facts"] == {"webhooks": "there", "receive": "here"}


async def test_an_open_page_gets_changes() -> None:
    """Further events have the new and changed rows, and the keys of those that were removed."""
    async with console_harness(QUICK, max_events=2) as console:
        deliver(console.pipeline, "e1", "e2")
        async with console.http.get(f"{console.url}api/stream") as response:
            stream = server_sent_events(response)
            await anext(stream)

            console.pipeline.happen("stored", "e3")
            kind, data = await anext(one async for one in stream if one[0] != "comment")

    assert kind == "change"
    assert [row["key"] for row in data["events"]["changed"]] == ["e3"]
    assert data["events"]["gone"] == ["e1"]
    assert data["batches"] == data["letters"] == {"changed": [], "gone": []}
    assert data["counts"]["stored"] == 3


async def test_a_slow_page_costs_no_more_than_the_tables() -> None:
    """While it does not read, 5,000 events pass: each row is sent once, in its last state."""
    pipeline = TrackedPipeline(max_events=100)
    slow, other = Follower(pipeline.state, dict), Follower(pipeline.state, dict)
    pipeline.happen("stored", "first")
    assert sorted(slow.take()) == sorted(other.take())

    for number in range(5_000):
        pipeline.happen("stored", f"e{number}")
    for _ in range(100):
        pipeline.happen("pushed", "e4999")

    update = slow.take()
    assert update.count(b'"key":') == 100
    assert b'"attempts":100' in update
    assert b'"gone":["first"]' in update
    assert len(update) < 100_000


async def test_a_closed_page_is_forgotten() -> None:
    """A quiet stream gets comments, which also detect that the page has closed."""
    async with console_harness(QUICK) as console:
        for number in range(3):
            async with console.http.get(f"{console.url}api/stream") as response:
                stream = server_sent_events(response)
                async with asyncio.timeout(30):
                    assert [(await anext(stream))[0] for _ in range(3)] == [
                        "snapshot",
                        "comment",
                        "comment",
                    ]
                await wait_for_followers(console, 1)
                console.pipeline.happen("stored", f"e{number}")
            await wait_for_followers(console, 0)


async def test_an_open_page_does_not_keep_the_console_running() -> None:
    """At shutdown its stream is cut."""
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        page = await stack.enter_async_context(aiohttp.ClientSession())
        async with console_harness() as console:
            response = await stack.enter_async_context(page.get(f"{console.url}api/stream"))
            stream = server_sent_events(response)
            await anext(stream)
        with pytest.raises(aiohttp.ClientPayloadError):
            await anext(stream)
