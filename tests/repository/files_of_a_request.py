"""Lists the files of the functions whose code runs for one request.

`python -m tests.repository.files_of_a_request receive` prints, in the order in which they are
entered, the files that one webhook passes from main.py to Pub/Sub's acknowledgement of the
publish; with `deliver`, those that one push passes until AEP has accepted its message. An earlier
request has built the function: what only its start needs is not counted.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from local.aep import AepServer
from local.functions import PROJECT
from local.pipeline import SECRET, deliver_env, receive_env
from local.pubsub import PubSubServer
from local.samples import sign
from tests.delivery_harness import create_topics
from tests.webhooks import event, push_body, webhook

_FUNCTIONS = (str(PROJECT / "main.py"), str(PROJECT / "pendo_aep") + os.sep)


def request(body: bytes, headers: dict[str, str]) -> Request:
    """Returns a POST as the server hands it to the function."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw, "query_string": b""}
    return Request(scope, receive)


async def files_entered(call: Callable[[], Awaitable[Response]]) -> list[str]:
    """Returns the files of the functions whose code runs during a call."""
    files: dict[str, None] = {}

    def enter(frame: FrameType, kind: str, _: object) -> None:
        name = frame.f_code.co_filename
        if kind == "call" and name.startswith(_FUNCTIONS):
            files[str(Path(name).relative_to(PROJECT))] = None

    sys.setprofile(enter)
    try:
        response = await call()
    finally:
        sys.setprofile(None)
    assert 200 <= response.status_code < 300, response.body
    return list(files)


async def files_of(target: str) -> list[str]:
    """Starts a function in this process, and returns the files of its second request."""
    async with AsyncExitStack() as stack:
        pubsub = await stack.enter_async_context(PubSubServer())
        create_topics(pubsub)
        aep = await stack.enter_async_context(AepServer())
        own = receive_env(pubsub.host) if target == "receive" else deliver_env(pubsub.host, aep)
        os.environ.update({**own, "FUNCTION_TARGET": target})
        function = getattr(importlib.import_module("main"), target)

        def send(number: int) -> Awaitable[Response]:
            body = webhook(number) if target == "receive" else push_body(event(f"event-{number}"))
            answer: Awaitable[Response] = function(request(body, sign(body, SECRET)))
            return answer

        await send(1)
        return await files_entered(lambda: send(2))


if __name__ == "__main__":
    listed = asyncio.run(files_of(sys.argv[1]))
    sys.stderr.write(f"{len(listed)} files\n" + "\n".join(listed) + "\n")
