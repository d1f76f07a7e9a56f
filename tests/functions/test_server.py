"""The functions as processes under Google's server: their start, its environment, a frozen CPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import orjson
import pytest

from local.aep import AepServer
from local.functions import Function, FunctionFailed, Line
from local.pipeline import SECRET, receive_env
from local.pubsub import PubSubServer
from local.samples import sign
from tests.delivery_harness import consumer_env, pubsub_with_backlog, wait_for_line
from tests.hostile.hostile_clients import connect, header_lines, raw_request, statuses
from tests.webhooks import event, push_body, send_signed, unique_id, webhook

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("target", "settings", "names"),
    [
        (
            "receive",
            {"GOOGLE_CLOUD_PROJECT": "", "MAX_BODY_BYTES": "many", "PENDO_EVENTS": "nps"},
            ["GOOGLE_CLOUD_PROJECT", "MAX_BODY_BYTES", "PENDO_EVENTS", "PENDO_WEBHOOK_SECRETS"],
        ),
        (
            "deliver",
            {"AEP_FORMAT": "xdm", "AEP_CLIENT_SECRET": "canary", "AEP_IMS_URL": "http://a.b"},
            [
                "AEP_CLIENT_ID",
                "AEP_DATASET_ID",
                "AEP_ENDPOINT",
                "AEP_FLOW_ID",
                "AEP_IMS_ORG_ID",
                "AEP_IMS_URL",
                "AEP_SCHEMA_ID",
                "AEP_TENANT_ID",
            ],
        ),
    ],
)
async def test_one_message_names_all_wrong_settings(
    target: str, settings: dict[str, str], names: list[str]
) -> None:
    """The function ends with one log line that names every wrong setting, and shows no value."""
    function = Function(target, settings)

    with pytest.raises(FunctionFailed):
        async with function:
            pass

    (line,) = [orjson.loads(text) for text in function.output]
    assert line["severity"] == "CRITICAL"
    for name in names:
        assert f"{name}: " in line["message"]
    assert line["message"].count(": ") == len(names) + 1
    assert "canary" not in function.text


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


@pytest.fixture(scope="module")
async def with_library(
    tmp_path_factory: pytest.TempPathFactory,
    server: PubSubServer,
    topics: None,  # noqa: ARG001 (created first)
) -> AsyncIterator[Function]:
    """`receive` in Google's environment, beside a library that logs a warning in each request."""
    source = tmp_path_factory.mktemp("source") / "source.py"
    source.write_text(_WITH_A_LIBRARY)
    settings = {"FUNCTION_SOURCE": str(source)}
    async with Function("receive", receive_env(server.host, settings=settings)) as function:
        yield function


async def _line(function: Function, beginning: str) -> Line:
    return await wait_for_line(function, lambda line: str(line["message"]).startswith(beginning))


async def test_a_request_that_logs_is_answered(
    with_library: Function, http: aiohttp.ClientSession
) -> None:
    """The framework replaces stdout during a request; log lines are written all the same."""
    assert (await send_signed(http, with_library.url, webhook(1))).status == 200

    line = await _line(with_library, "webhook accepted")
    assert (line["severity"], line["eventId"]) == ("INFO", unique_id(1))


async def test_a_librarys_warning_is_a_json_line_with_its_severity(
    with_library: Function, http: aiohttp.ClientSession
) -> None:
    """The framework's own root handler would write text without a severity, and silence others."""
    await send_signed(http, with_library.url, webhook(2))

    line = await _line(with_library, "a warning during a request")
    assert (line["severity"], line["logger"]) == ("WARNING", "a.library")


async def test_a_crash_is_an_error_line(
    with_library: Function, http: aiohttp.ClientSession
) -> None:
    """The framework answers an unexpected error with 500, and its line has the severity ERROR."""
    answer = await send_signed(http, f"{with_library.url}/crash", webhook(3))
    assert answer.status == 500

    line = await _line(with_library, "Exception on /crash [POST]")
    assert line["severity"] == "ERROR"
    assert "a mistake in the function" in line["message"]


# The functions after their CPU was taken away, as Cloud Run does between requests. The freeze is
# longer than the worker timeout that they get here, and than gunicorn's keep-alive of 2 s.
_FROZEN_SECONDS = 3.0
_TIMEOUT_SECONDS = 1
_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Frozen:
    """A function, a request to it by its number, and the status of a right answer."""

    function: Function
    request: Callable[[int], bytes]
    status: int


def _signed_webhook(number: int) -> bytes:
    body = webhook(number)
    return raw_request(body, header_lines(sign(body, SECRET)))


_REQUESTS: dict[str, tuple[Callable[[int], bytes], int]] = {
    "receive": (_signed_webhook, 200),
    "deliver": (lambda number: raw_request(push_body(event(unique_id(number)))), 204),
    "drain": (lambda _: raw_request(b""), 200),
}


@pytest.fixture(params=_REQUESTS)
async def frozen(request: pytest.FixtureRequest, aep: AepServer) -> AsyncIterator[Frozen]:
    """Each function, with a worker timeout that a freeze exceeds."""
    async with pubsub_with_backlog() as server:
        settings = {
            **receive_env(server.host),
            **consumer_env(server, aep),
            "CLOUD_RUN_TIMEOUT_SECONDS": str(_TIMEOUT_SECONDS),
        }
        async with Function(request.param, settings) as function:
            yield Frozen(function, *_REQUESTS[request.param])


@pytest.mark.slow
async def test_requests_after_a_freeze_are_answered(frozen: Frozen) -> None:
    """No worker is killed for its old heartbeat, and no idle connection is closed."""
    function = frozen.function
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(connect(function)) for _ in range(_CONNECTIONS)
        ]
        for number, connection in enumerate(connections):
            await connection.send(frozen.request(number))
            assert statuses(await connection.answer()) == [frozen.status]

        function.freeze()
        await asyncio.sleep(_FROZEN_SECONDS)  # the freeze itself
        for number, connection in enumerate(connections, start=_CONNECTIONS):
            await connection.send(frozen.request(number))
        function.thaw()

        for connection in connections:
            assert statuses(await connection.answer()) == [frozen.status]
    assert "WORKER TIMEOUT" not in function.text
