"""The functions in the environment that Google sets: what functions-framework then does to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.functions import Function, Line
from local.pipeline import DEAD, EVENTS, SECRET
from local.pubsub import PubSubServer
from tests.webhooks import send_signed, unique_id, webhook

# `receive` beside a library that logs: its logger exists when the framework disables what exists.
_WITH_A_LIBRARY = """
import logging
import functions_framework.aio
import main

library = logging.getLogger("a.library")


@functions_framework.aio.http
async def receive(request):
    response = await main.receive(request)
    library.warning("a warning during a request")
    if request.url.path == "/crash":
        raise RuntimeError("a mistake in the function")
    return response
"""


@pytest.fixture(scope="module")
async def receive(
    tmp_path_factory: pytest.TempPathFactory, server: PubSubServer
) -> AsyncIterator[Function]:
    """`receive`, deployed by Google, beside a library that logs a warning in each request."""
    for topic in (EVENTS, DEAD):
        server.create_topic(f"projects/local/topics/{topic}")
    source = tmp_path_factory.mktemp("source") / "source.py"
    source.write_text(_WITH_A_LIBRARY)
    settings = {
        "FUNCTION_SOURCE": str(source),
        "PUBSUB_EMULATOR_HOST": server.host,
        "PENDO_WEBHOOK_SECRETS": SECRET,
    }
    async with Function("receive", settings) as function:
        yield function


async def test_a_request_that_logs_is_answered(
    receive: Function, http: aiohttp.ClientSession
) -> None:
    """The framework replaces stdout during a request; log lines are written all the same."""
    answer = await send_signed(http, receive.url, webhook(1))
    assert answer.status == 200

    line = await _line(receive, "webhook accepted")
    assert (line["severity"], line["eventId"]) == ("INFO", unique_id(1))


async def test_a_librarys_warning_is_a_json_line_with_its_severity(
    receive: Function, http: aiohttp.ClientSession
) -> None:
    """The framework's own root handler would write text without a severity, and silence others."""
    await send_signed(http, receive.url, webhook(2))

    line = await _line(receive, "a warning during a request")
    assert (line["severity"], line["logger"]) == ("WARNING", "a.library")


async def test_a_crash_is_an_error_line(receive: Function, http: aiohttp.ClientSession) -> None:
    """The framework answers a mistake of ours with 500, and its line has the severity ERROR."""
    answer = await send_signed(http, f"{receive.url}/crash", webhook(3))
    assert answer.status == 500

    line = await _line(receive, "Exception on /crash [POST]")
    assert line["severity"] == "ERROR"
    assert "a mistake in the function" in line["message"]


async def _line(function: Function, beginning: str) -> Line:
    """The log line that begins so, once it has been written."""
    async with asyncio.timeout(10):
        while True:
            for line in function.lines:
                if str(line.get("message")).startswith(beginning):
                    return line
            await function.next_line()
