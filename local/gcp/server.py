"""The stand-in on HTTP: `async with GoogleServer(emulator.host) as google`, for the real gcloud."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from local.gcp.api import ApiError, Call, Propagation, Route, api_disabled, not_found
from local.gcp.functions import CloudRun, Functions
from local.gcp.iam import Accounts, Policies, Project, Roles, ServiceAgents
from local.gcp.images import Images
from local.gcp.monitoring import Monitoring
from local.gcp.pubsub import PubSubFront
from local.gcp.run_jobs import RunJobs
from local.gcp.scheduler import Scheduler
from local.gcp.secrets import Secrets
from local.gcp.state import GoogleState
from local.http_server import CallRecord, HttpServer, JsonResponse, NoRoute, find_route

_APIS: Final = (
    "artifactregistry",
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
    "storage",
)
# These can be called in any project: they enable the others.
_ALWAYS: Final = frozenset({"cloudresourcemanager", "serviceusage", "upload"})
# The source of a function is uploaded.
_MAX_BODY_BYTES: Final = 100 * 2**20


class GoogleServer(HttpServer):
    """Google Cloud's APIs on 127.0.0.1, with one empty project.

    Attributes:
        state: what exists in the project.
        propagation: how fast changes are noticed.
        edit_seconds: how long a change takes that must not overlap with others of its kind.
        calls: each call with its result, except those that gcloud makes for itself; a path has the
            API in front, as in `pubsub/v1/projects/P/topics/T`.
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
        super().__init__(self._respond, max_body_bytes=_MAX_BODY_BYTES)
        self.state = GoogleState(project=project)
        self.propagation = Propagation()
        self.edit_seconds = 0.5
        self.calls: list[CallRecord] = []
        self.fixed: dict[str, tuple[int, Any]] = {}
        self.fail_after: int | None = None
        policies = Policies(self.state, self.propagation)
        agents = ServiceAgents(self.state, policies, self.propagation)
        self._pubsub = PubSubFront(emulator, self.state, policies)
        self._routes: tuple[Route, ...] = (
            *Project(self.state, agents, self.propagation).routes(),
            *Accounts(self.state, self.propagation).routes(),
            *policies.routes(),
            *Secrets(self.state).routes(),
            *Functions(self.state, agents, self.propagation, addresses or {}).routes(),
            *CloudRun(self.state).routes(),
            *Images(self.state).routes(),
            *RunJobs(self.state, self.propagation).routes(),
            *Roles(self.state).routes(),
            *Scheduler(self.state).routes(),
            *Monitoring(self.state, self.propagation).routes(),
        )
        self._busy: set[str] = set()  # lanes in which a call is under way

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

    async def _respond(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/")
        if path.startswith("computeMetadata/"):
            return JsonResponse(200, {}).to_http()
        body = await request.read()
        try:
            response, changed = await self._answer(request, path, body)
        except ApiError as error:
            response, changed = JsonResponse(error.status, error.body), False
        self.calls.append(
            CallRecord(request.method, path, request.query_string, response.status, changed)
        )
        return response.to_http()

    async def _answer(
        self, request: web.Request, path: str, body: bytes
    ) -> tuple[JsonResponse, bool]:
        """Returns the response, and whether anything changed."""
        if path in self.fixed:
            return JsonResponse(*self.fixed[path]), False
        self._check_enabled(path)
        is_pubsub = path.startswith("pubsub/")
        route, params = (None, {}) if is_pubsub else self._route(request.method, path)
        call = Call(
            method=request.method,
            path=path,
            query=request.query,
            headers=request.headers,
            body=body,
            params=params,
        )
        is_change = route.changes if route else PubSubFront.changes(call)
        if is_change and self.fail_after is not None:
            if self.fail_after == 0:
                raise ApiError(403, "Permission denied, for it is to fail here.")
            self.fail_after -= 1
        response = await (self._handle(route, call) if route else self._pubsub.answer(call))
        return response, is_change and response.status == 200

    def _check_enabled(self, path: str) -> None:
        """Raises `ApiError` if the API is not enabled."""
        api = path.partition("/")[0]
        service = f"{api}.googleapis.com"
        disabled = api_disabled(service, self.state.project)
        if api not in _ALWAYS and service not in self.state.services:
            raise disabled
        self.propagation.check(f"service {service}", disabled)

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        try:
            return find_route(self._routes, method, path)
        except NoRoute:
            raise not_found(f"{method} {path}: the stand-in has no such operation") from None

    async def _handle(self, route: Route, call: Call) -> JsonResponse:
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
            await self.pause(self.edit_seconds)
            return route.handler(call)
        finally:
            self._busy.remove(route.lane)
