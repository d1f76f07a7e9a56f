"""Adobe's APIs as canned answers: what the readers ask for, and how they take an odd answer.

What really happens to events is the business of `local.aep_platform`; here each answer is as a test
writes it, in the shapes of Adobe's pages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from aiohttp import web

from local.aep import AepServer
from local.http_server import HttpServer, JsonResponse
from pendo_aep.provisioning.client import Client, RetryPolicy
from pendo_aep.provisioning.connection import open_client
from pendo_aep.settings import LakeSettings, load

Answer: TypeAlias = Callable[[web.Request], Any]

DATASET: Final = "5eb9fdeb"
FLOW: Final = "c9cef9cb"
_SANDBOXES: Final = "/data/foundation/sandbox-management/"
FAST: Final = RetryPolicy(attempts=3, initial_seconds=0.001, max_seconds=1.0, timeout_seconds=2.0)


@dataclass
class Adobe(HttpServer):
    """The APIs.

    Attributes:
        aep: issues the tokens.
        answers: by path below `/data/foundation/`; JSON, text for a file, or a response.
        asked: the paths and queries of all calls but the first, for the sandboxes.
        first: taken instead, one for each call, until there are none.
    """

    aep: AepServer
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    first: list[JsonResponse] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sets the server up."""
        super().__init__(self._respond)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        if self.aep.tokens.wrong_in(request.headers.get("Authorization", "")):
            return JsonResponse(401, {"error_code": "401013"}).to_http()
        if request.path == _SANDBOXES:
            return JsonResponse(200, {"sandboxes": [{"name": "prod"}]}).to_http()
        path = request.path.removeprefix("/data/foundation/")
        self.asked.append((path, dict(request.query)))
        if self.first:
            return self.first.pop(0).to_http()
        if path not in self.answers:
            return JsonResponse(404, {"title": "Not found"}).to_http()
        answer = self.answers[path](request)
        if hasattr(answer, "__await__"):
            answer = await answer
        if isinstance(answer, web.StreamResponse):
            return answer
        if isinstance(answer, str | bytes):
            data = answer.encode() if isinstance(answer, str) else answer
            return web.Response(body=data, content_type="application/octet-stream")
        return JsonResponse(200, answer).to_http()

    @asynccontextmanager
    async def client(self, retry_policy: RetryPolicy = FAST) -> AsyncIterator[Client]:
        """Yields a client, as the commands have it."""
        async with open_client(load(LakeSettings, self.environ), retry_policy) as client:
            yield client

    @property
    def environ(self) -> dict[str, str]:
        """The settings that reach it."""
        return {
            "AEP_PLATFORM_URL": self.url,
            "AEP_IMS_URL": self.aep.url,
            "AEP_CLIENT_ID": self.aep.client_id,
            "AEP_CLIENT_SECRET": self.aep.client_secret,
            "AEP_IMS_ORG_ID": "ACME@AdobeOrg",
        }


def batch_pages(batches: dict[str, Any]) -> Answer:
    """Answers as Catalog: by time, the newest first, at most 100 a page (Adobe: Catalog API)."""

    def answer(request: web.Request) -> Any:
        query = request.query
        assert query["dataSet"] == DATASET
        wanted = [
            (key, body)
            for key, body in batches.items()
            if int(query["createdAfter"]) < body["created"] < int(query["createdBefore"])
        ]
        wanted.sort(key=lambda entry: entry[1]["created"], reverse=True)
        start, limit = int(query.get("start", 0)), min(int(query["limit"]), 100)
        return dict(wanted[start : start + limit])

    return answer


def run_pages(runs: list[dict[str, Any]], size: int) -> Answer:
    """Answers with so many a page, and a token for the next (Adobe: `_links.next`)."""

    def answer(request: web.Request) -> Any:
        assert request.query["property"] == f"flowId=={FLOW}"
        assert request.query["orderby"] == "-createdAt"
        start = int(request.query.get("continuationToken", "0"))
        links = {}
        if start + size < len(runs):
            href = f"/runs?limit={size}&continuationToken={start + size}"
            links = {"next": {"href": href}}
        return {"items": runs[start : start + size], "_links": links}

    return answer


def run_of(start: int, **records: int) -> dict[str, Any]:
    """Returns a run as Flow Service shows it."""
    return {
        "id": f"run-{start}",
        "flowId": FLOW,
        "createdAt": start + 60_000,
        "metrics": {
            "durationSummary": {"startedAtUTC": start},
            "recordSummary": records,
            "statusSummary": {"status": "success"},
        },
    }


def files(contents: dict[str, Any], folder: str = "") -> Answer:
    """Answers with a list of files, or one of them (Adobe, "Retrieving failed batches")."""

    def answer(request: web.Request) -> Any:
        path = request.query.get("path", "")
        if path.removeprefix(folder).strip("/"):
            return contents[path.removeprefix(folder).strip("/")]
        data = [{"name": name, "length": "1"} for name in contents]
        return {"data": data, "_page": {"limit": 100, "count": len(data)}}

    return answer


def ms(text: str) -> int:
    """Returns a time as Adobe writes it; `text` is `09:30` of the day of the tests."""
    return int(at(text).timestamp() * 1000)


def at(text: str) -> datetime:
    """Returns a moment of the day of the tests."""
    return datetime.fromisoformat(f"2026-01-31T{text}").replace(tzinfo=UTC)


def denied() -> JsonResponse:
    """A refusal for want of a permission."""
    return JsonResponse(403, {"type": "http://ns.adobe.com/x/access-denied", "status": 403})
