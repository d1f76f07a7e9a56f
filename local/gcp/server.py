"""The stand-in on HTTP: `async with GoogleServer(emulator.host) as google`, for the real gcloud."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import orjson
from aiohttp import web

from local.gcp.api import (
    ApiError,
    Call,
    CallRecord,
    Propagation,
    Response,
    Route,
    api_disabled,
    not_found,
)
from local.gcp.functions import CloudRun, Functions
from local.gcp.iam import Accounts, Policies, Project, ServiceAgents
from local.gcp.monitoring import Monitoring
from local.gcp.pubsub import PubSubFront
from local.gcp.scheduler import Scheduler
from local.gcp.secrets import Secrets
from local.gcp.state import GoogleState

_APIS: Final = (
    "cloudbuild",
    "cloudfunctions",
    "cloudresourcemanager",
    "cloudscheduler",
    "iam",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "secretmanager",
    "serviceusage",
)
# These can be called in any project: they enable the others.
_ALWAYS: Final = frozenset({"cloudresourcemanager", "serviceusage", "upload"})
_LARGEST: Final = 100 * 2**20


class GoogleServer:
    """Google Cloud's APIs on 127.0.0.1, with one empty project.

    Attributes:
        url: where it listens, without a trailing slash.
        state: what exists in the project.
        propagation: how fast changes are noticed.
        edit_seconds: how long a change takes that must not overlap with others of its kind.
        calls: each call with its result, except those that gcloud makes for itself.
        fixed: statuses and bodies by path, with the API in front, instead of what the state says.
        fail_after: so many calls that change something succeed, then they are refused; None for
            no limit.
    """

    def __init__(
        self,
        emulator: str,
        *,
        project: str = "acme-demo",
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        """Sets the server up; it listens from `async with` on.

        Args:
            emulator: the host of Google's Pub/Sub emulator.
            project: its id.
            addresses: of the functions that somebody runs; any other has an address that nobody
                serves.
        """
        self.url = ""
        self.state = GoogleState(project=project)
        self.propagation = Propagation()
        self.edit_seconds = 0.5
        self.calls: list[CallRecord] = []
        self.fixed: dict[str, tuple[int, Any]] = {}
        self.fail_after: int | None = None
        self._emulator = emulator
        self._addresses = addresses or {}
        self._routes: tuple[Route, ...] = ()
        self._busy: set[str] = set()  # lanes in which a call is under way

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        policies = Policies(self.state, self.propagation)
        agents = ServiceAgents(self.state, policies, self.propagation)
        self._front = PubSubFront(self._emulator, self._session, self.state, policies)
        application = web.Application(client_max_size=_LARGEST)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self._routes = (
            *Project(self.state, agents, self.propagation).routes(),
            *Accounts(self.state, self.propagation).routes(),
            *policies.routes(),
            *Secrets(self.state).routes(),
            *Functions(self.state, agents, self.propagation, self.url, self._addresses).routes(),
            *CloudRun(self.state).routes(),
            *Scheduler(self.state).routes(),
            *Monitoring(self.state, self.propagation).routes(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    @property
    def changes(self) -> list[CallRecord]:
        """The calls that have changed something."""
        return [call for call in self.calls if call.changed]

    def environment(self, folder: Path) -> dict[str, str]:
        """Returns what makes gcloud call this server, and nobody else.

        Args:
            folder: for gcloud's own files; an empty one of the caller's.
        """
        token = folder / "token"
        token.write_text("a-token-of-nobody", "utf-8")
        return {
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            # gcloud calls it whatever its settings say.
            "GCE_METADATA_ROOT": self.url.removeprefix("http://"),
            # An API without an override goes nowhere, instead of to Google.
            "https_proxy": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            **{
                f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"{self.url}/{api}/"
                for api in _APIS
            },
            # gcloud puts the region in front of Cloud Run's host, so the host needs a name. Nobody
            # resolves it: this server is the proxy for everything that is not on this machine.
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": "http://run.test/run/",
            "http_proxy": self.url,
            "no_proxy": "127.0.0.1,localhost",
        }

    async def _serve(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/")
        if path.startswith("computeMetadata/"):
            return web.json_response({})
        if path in self.fixed:
            status, body = self.fixed[path]
            self.calls.append(CallRecord(request.method, path, status, changed=False))
            return web.json_response(body, status=status)
        route, params = self._find(request.method, path)
        is_change = route.changes if route else _changes(request.method, path)
        try:
            self._admit(path, is_change=is_change)
            response = await self._answer(request, path, route, params)
        except ApiError as refused:
            response = web.json_response(refused.body, status=refused.status)
        changed = is_change and response.status == 200
        self.calls.append(CallRecord(request.method, path, response.status, changed))
        return response

    async def _answer(
        self, request: web.Request, path: str, route: Route | None, params: dict[str, str]
    ) -> web.Response:
        body = await request.read()
        if path.startswith("pubsub/"):
            return await self._front.answer(request.method, path, request.query_string, body)
        if route is None:
            raise not_found(f"{request.method} {path}: the stand-in has no such operation")
        call = Call(
            method=request.method,
            path=path,
            query=request.query,
            headers=request.headers,
            params=params,
            body=body,
        )
        answer = await self._handle(route, call)
        return web.Response(body=orjson.dumps(answer.body), content_type="application/json")

    async def _handle(self, route: Route, call: Call) -> Response:
        """Raises `ApiError` while another call runs that this one must not overlap with."""
        if not route.lane:
            return route.handler(call)
        if route.lane in self._busy:
            # cloud-foundation-toolkit#787.
            raise ApiError(
                409,
                "Too many concurrent edits to the project configuration. Please try again.",
                status="ABORTED",
            )
        self._busy.add(route.lane)
        try:
            await asyncio.sleep(self.edit_seconds)
            return route.handler(call)
        finally:
            self._busy.remove(route.lane)

    def _admit(self, path: str, *, is_change: bool) -> None:
        """Raises `ApiError` if the API is not enabled, or if the call is to fail."""
        api = path.partition("/")[0]
        service = f"{api}.googleapis.com"
        if api not in _ALWAYS and service not in self.state.services:
            raise api_disabled(service, self.state.project)
        self.propagation.check(f"service {service}", api_disabled(service, self.state.project))
        if is_change and self.fail_after is not None:
            if self.fail_after == 0:
                raise ApiError(403, "Permission denied, for it is to fail here.")
            self.fail_after -= 1

    def _find(self, method: str, path: str) -> tuple[Route | None, dict[str, str]]:
        for route in self._routes:
            if route.method == method and (params := route.match(path)) is not None:
                return route, params
        return None, {}


def _changes(method: str, path: str) -> bool:
    """Returns whether a call of the emulator changes something; a POST may only read."""
    verb = path.rpartition(":")[2]
    return method != "GET" and verb not in {"getIamPolicy", "pull"}
