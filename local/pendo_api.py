"""A stand-in of Pendo's API of guides: `async with PendoApiServer() as pendo`.

What it does and who says so: `pendo_aep/cli/pendo_api.py`, and README.md beside this.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson
from aiohttp import web

from local.http_server import CallRecord, HttpServer, drop_connection

KEY = "local-integration-key"
_CHUNKS = 4

# The polls of `sample_events/`, and one of each type; the forms of `idResponses` are assumed.
GUIDES: tuple[dict[str, Any], ...] = (
    {
        "id": "c5JrZ0nWfK8yGt3QvXa6Lp1HdMs",
        "name": "Route planner feedback",
        "state": "public",
        "appId": -417283,
        "steps": [{"id": "W9eDk4u-RbS7jTn2VmOx0CqIf1Y", "content": "<div>...</div>"}],
        "polls": [
            {
                "id": "Bf4uGa7iSx2eKjW6nRvM-tCq8Zo",
                "question": "How often do you plan a route?",
                "attributes": {"type": "PickList", "display": "radio"},
                "idResponses": {
                    "e4b81c07-5a2d-4f96-b3c8-71d90a6f2e35": "Every morning",
                    "0f3a6b52-91c7-4d08-8e5b-2ac47f19d6e3": "Once a week",
                },
            },
            {
                "id": "k8TzVw3mQc5oXy1LrHbJ0d9PsNe",
                "question": "How easy is it?",
                "attributes": {"type": "NumberScale", "leftLabel": "Hard", "rightLabel": "Easy"},
                "numericResponses": [0, 1, 2, 3, 4, 5],
            },
            {
                "id": "y0DhLp5cYk9UgEr1TbXs3mQwJz7",
                "question": "What is missing?",
                "attributes": {"type": "FreeForm"},
            },
        ],
    },
    {"id": "Zx81", "name": "Without a poll", "state": "draft", "polls": None},
    {
        "id": "Nh6y",
        "name": "Autumn NPS",
        "state": "disabled",
        "polls": [
            {
                "id": "emk08kfbjg1",
                "question": "How likely are you to recommend us?",
                "attributes": {"type": "NPSRating", "followUp": "9sns8dv69ra"},
                "numericResponses": list(range(11)),
            },
            {
                "id": "9sns8dv69ra",
                "question": "Would you join a call?",
                "attributes": {"type": "YesNo"},
                "idResponses": [{"id": "y", "text": "Yes"}, {"id": "n", "text": "No"}],
            },
        ],
    },
)


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers so instead."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silence:
    """Takes the request, and answers nothing for so many seconds."""

    seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Slowly:
    """Answers in four parts, with a pause before each, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """Closes the connection: before the answer, or in the middle of it."""

    in_the_middle: bool = False


Fault: TypeAlias = Answering | Silence | Slowly | Dropped


class PendoApiServer(HttpServer):
    """Pendo's API of guides, on 127.0.0.1.

    Attributes:
        guides: what it answers; anything, also what no guide looks like.
        key: the integration key that it takes.
        calls: the records of all calls.
        faults: one for each of the next calls that have the key.
        asked: set when the first call has come.
    """

    def __init__(self, *, guides: Any = GUIDES, key: str = KEY, port: int = 0) -> None:
        """Sets the server up; it listens within `async with`."""
        super().__init__(self._respond, port=port)
        self.guides = guides
        self.key = key
        self.calls: list[CallRecord] = []
        self.faults: deque[Fault] = deque()
        self.asked = asyncio.Event()

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        refusal = _refusal(request, self.key)
        fault = self.faults.popleft() if self.faults and refusal is None else None
        status = refusal or 200
        if isinstance(fault, Answering):
            status = fault.status
        has_answer = not isinstance(fault, Dropped | Silence)
        self.calls.append(
            CallRecord(
                request.method,
                request.path,
                request.query_string,
                status if has_answer else None,
                changed=False,
            )
        )
        self.asked.set()
        if refusal is not None:
            return web.Response(status=refusal, text="no")
        return await self._answer(request, fault)

    async def _answer(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        body = orjson.dumps(self.guides)
        match fault:
            case Answering(other_status, other, headers):
                return web.Response(status=other_status, body=other, headers=headers)
            case Silence(seconds):
                await self.pause(seconds)
                return drop_connection(request)
            case Dropped(in_the_middle=False):
                return drop_connection(request)
            case Dropped():
                return await self._in_parts(request, body, 0.0, is_cut=True)
            case Slowly(seconds):
                return await self._in_parts(request, body, seconds)
        return web.Response(body=body, content_type="application/json")

    async def _in_parts(
        self, request: web.Request, body: bytes, seconds: float, *, is_cut: bool = False
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(body)
        await response.prepare(request)
        size = -(-len(body) // _CHUNKS)
        for start in range(0, len(body) // 2 if is_cut else len(body), size):
            await self.pause(seconds)
            await response.write(body[start : start + size])
        if is_cut:
            drop_connection(request)
        return response


def _refusal(request: web.Request, key: str) -> int | None:
    """Returns the status for a call that is not the one, or does not have the key."""
    if (request.method, request.path) != ("GET", "/api/v1/guide"):
        return 404
    given = request.headers.get("x-pendo-integration-key")
    if given is None:
        return 401  # assumed
    return None if given == key else 403
