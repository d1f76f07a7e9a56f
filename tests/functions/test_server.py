"""The functions as processes under Google's server: their start, its environment, a frozen CPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import orjson
import pytest

from local.aep import AepServer
from local.functions import Function, FunctionFailed, Line
from local.pipeline import SECRET, receive_env
from local.pubsub import PubSubServer
from local.samples import sign
from tests.delivery_harness import consumer_env, wait_for_line
from tests.hostile.hostile_clients import connect, header_lines, raw_request, statuses
from tests.webhooks import event, push_body, send_signed, unique_id, webhook

pytestmark = pytest.mark.process


_WRONG_SETTINGS = {
    "receive": {
        "DEAD_LETTER_TOPIC": "a/b",
        "GOOGLE_CLOUD_PROJECT": "",
        "MAX_BODY_BYTES": "canary",
        "PENDO_EVENTS": "nps",
        "PENDO_WEBHOOK_SECRETS": "",
    },
    "deliver": {
        "AEP_CLIENT_ID": "canary x",
        "AEP_DATASET_ID": "",
        "AEP_ENDPOINT": "https://u:canary@h.test/collection/x",
        "AEP_FLOW_ID": "",
        "AEP_IMS_ORG_ID": "",
        "AEP_IMS_URL": "http://a.b",
        "AEP_SCHEMA_ID": "",
        "AEP_TENANT_ID": "",
        "DEAD_LETTER_TOPIC": "a/b",
    },
}
_RIGHT_SETTINGS = {"AEP_FORMAT": "xdm", "AEP_CLIENT_SECRET": "canary"}


@pytest.mark.parametrize("target", _WRONG_SETTINGS)
async def test_one_message_names_all_wrong_settings(target: str) -> None:
    """The function ends with one log line that names every wrong setting, and shows no value."""
    wrong = _WRONG_SETTINGS[target]
    function = Function(target, {**_RIGHT_SETTINGS, **wrong})

    with pytest.raises(FunctionFailed) as failed:
        async with function:
            pass

    (line,) = [orjson.loads(text) for text in function.output]
    assert line["severity"] == "CRITICAL"
    for name in wrong:
        assert f"{name}: " in line["message"]
    assert line["message"].count(": ") == len(wrong) + 1
    assert "canary" not in f"{failed.value} {function.text}"


async def test_an_unknown_target_is_named() -> None:
    """A misspelt target ends the start with the names of the functions."""
    with pytest.raises(FunctionFailed, match="receive, deliver, drain"):
        async with Function("recieve", {}):
            pass


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


@pytest.fixture
async def with_library(tmp_path: Path, server: PubSubServer) -> AsyncIterator[Function]:
    """`receive` in Google's environment, beside a library that logs a warning in each request."""
    source = tmp_path / "source.py"
    source.write_text(_WITH_A_LIBRARY)
    settings = {"FUNCTION_SOURCE": str(source)}
    async with Function("receive", receive_env(server.host, settings=settings)) as function:
        yield function


async def _line(function: Function, beginning: str) -> Line:
    return await wait_for_line(function, lambda line: str(line["message"]).startswith(beginning))


async def test_lines_beside_a_library(with_library: Function, http: aiohttp.ClientSession) -> None:
    """The framework replaces stdout during a request; log lines are written all the same.

    Its own root handler would write a library's warning as text without a severity, and silence
    others. It answers an unexpected error with 500, and that line has the severity ERROR.
    """
    assert (await send_signed(http, with_library.url, webhook(1))).status == 200
    assert (await send_signed(http, f"{with_library.url}/crash", webhook(3))).status == 500

    line = await _line(with_library, "webhook accepted")
    assert (line["severity"], line["eventId"]) == ("INFO", unique_id(1))
    line = await _line(with_library, "a warning during a request")
    assert (line["severity"], line["logger"]) == ("WARNING", "a.library")
    line = await _line(with_library, "Exception on /crash [POST]")
    assert line["severity"] == "ERROR"
    assert "a mistake in the function" in line["message"]


# The functions after their CPU was taken away, as Cloud Run does between requests. The freeze is
# longer than the worker timeout that they get here, and than gunicorn's keep-alive of 2 s.
_FROZEN_SECONDS = 3.0
_TIMEOUT_SECONDS = 1
_CONNECTIONS = 8


def _signed_webhook(number: int) -> bytes:
    body = webhook(number)
    return raw_request(body, header_lines(sign(body, SECRET)))


_REQUESTS: dict[str, tuple[Callable[[int], bytes], int]] = {
    "receive": (_signed_webhook, 200),
    "deliver": (lambda number: raw_request(push_body(event(unique_id(number)))), 204),
    "drain": (lambda _: raw_request(b""), 200),
}


@pytest.mark.slow
async def test_requests_after_a_freeze_are_answered(server: PubSubServer, aep: AepServer) -> None:
    """No worker is killed for its old heartbeat, and no idle connection is closed."""
    settings = {
        **receive_env(server.host),
        **consumer_env(server, aep),
        "CLOUD_RUN_TIMEOUT_SECONDS": str(_TIMEOUT_SECONDS),
    }
    async with asyncio.TaskGroup() as all_at_once:
        for target in _REQUESTS:
            all_at_once.create_task(_freeze(Function(target, settings)))


async def _freeze(target: Function) -> None:
    request, status = _REQUESTS[target.target]
    async with target as function, AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(connect(function)) for _ in range(_CONNECTIONS)
        ]
        for number, connection in enumerate(connections):
            await connection.send(request(number))
            assert statuses(await connection.answer()) == [status]

        function.freeze()
        await asyncio.sleep(_FROZEN_SECONDS)  # the freeze itself
        for number, connection in enumerate(connections, start=_CONNECTIONS):
            await connection.send(request(number))
        function.thaw()

        for connection in connections:
            assert statuses(await connection.answer()) == [status]
    assert "WORKER TIMEOUT" not in function.text
