"""The stand-in on HTTP: `async with PlatformServer(aep) as platform`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Self

import orjson
from aiohttp import web

from local.aep import AepServer
from local.aep_platform import assumed, catalog, identities, mapping_sets, problems, sandboxes
from local.aep_platform.call import Answer, Call, Route
from local.aep_platform.dataflow import receive
from local.aep_platform.faults import Answering, Delay, Drop, Faults, How, Which
from local.aep_platform.flow_service.api import FlowService
from local.aep_platform.flow_service.inlets import Inlets
from local.aep_platform.gateway import Gateway
from local.aep_platform.permissions import Permission, allows
from local.aep_platform.problems import Refused
from local.aep_platform.registry import api as registry
from local.aep_platform.registry import descriptors
from local.aep_platform.registry.standard import standard_resources
from local.aep_platform.state import CallRecord, PlatformState

IMS_ORG_ID = "ACME@AdobeOrg"
TENANT = "acme"
_SHUTDOWN_SECONDS = 1.0
_WITH_BODY = {"POST", "PUT", "PATCH"}


class PlatformServer:
    """Adobe Experience Platform's APIs for setting things up, on 127.0.0.1.

    Attributes:
        url: where it listens, without a trailing slash.
        states: what exists, by sandbox.
        permissions: of the role that the credential has; take some away at any time.
        ims_org_id: the organisation.
        tenant: its tenant id, without the leading underscore.
    """

    def __init__(
        self,
        aep: AepServer,
        *,
        sandbox_names: Sequence[str] = ("prod",),
        ready_after_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        ims_org_id: str = IMS_ORG_ID,
        tenant: str = TENANT,
        port: int = 0,
    ) -> None:
        """Set the server up; it listens from `async with` on.

        Args:
            aep: issues the tokens, and gets the inlets.
            sandbox_names: those that the credential may use.
            ready_after_seconds: how long a flow takes no data after it was made or changed; what
                is sent to it in that time is lost.
            clock: in seconds; measures that.
            ims_org_id: the organisation.
            tenant: its tenant id, without the leading underscore.
            port: 0 for a free one.
        """
        standard, journal = standard_resources(), list[CallRecord]()
        self.url = ""
        self.ims_org_id = ims_org_id
        self.tenant = tenant
        self.permissions = set(Permission)
        self.states = {
            name: PlatformState(
                sandbox=name,
                tenant=tenant,
                ims_org_id=ims_org_id,
                journal=journal,
                standard=standard,
                namespaces=identities.standard_namespaces(),
            )
            for name in sandbox_names
        }
        self._journal = journal
        self._port = port
        self._faults = Faults()
        self._gateway = Gateway(aep, self.states)
        self._routes: tuple[Route, ...] = (
            *sandboxes.routes(sandbox_names),
            *registry.routes(),
            *descriptors.routes(),
            *identities.routes(),
            *catalog.routes(),
            *FlowService(
                Inlets(aep, partial(receive, clock)), lambda: clock() + ready_after_seconds
            ).routes(),
            *mapping_sets.routes(),
        )
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        # Whoever is being kept waiting is let go first; else the clean-up would wait for them.
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def state(self) -> PlatformState:
        """What exists in the first sandbox, and the journal of all calls."""
        return next(iter(self.states.values()))

    def fail(
        self,
        how: How,
        *,
        after: int | None = None,
        matching: Which | None = None,
        times: int | None = 1,
    ) -> None:
        """Have calls fail that have passed the gateway.

        Args:
            how: `Answering`, `Drop` or `Delay`.
            after: let so many calls go through that change something, then strike the next that
                would; None strikes any call.
            matching: strike only these calls.
            times: strike so many; None for no end.
        """
        self._faults.add(how, after=after, matching=matching, times=times)

    def heal(self) -> None:
        """End every fault."""
        self._faults.clear()

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        record = _Record()
        try:
            answer = await self._answer(request, body, record)
        except Refused as refused:
            answer = Answer(refused.status, refused.body)
        dropped = answer is None
        status = None if answer is None else answer.status
        self._journal.append(
            CallRecord(request.method, request.path, request.query_string, status, record.changed)
        )
        if dropped and request.transport is not None:
            request.transport.close()
        return _response(answer or Answer(500))

    async def _answer(self, request: web.Request, body: bytes, record: _Record) -> Answer | None:
        path = request.rel_url.raw_path
        state = self._gateway.admit(path, request.headers)
        route, params = self._route(request.method, path)
        call = Call(
            method=request.method,
            path=path,
            query=request.query,
            headers=request.headers,
            body=body,
            state=state,
            permissions=self.permissions,
            params=params,
        )
        match self._faults.strike(call, changes=route.changes):
            case Answering(status, answer, headers):
                return Answer(status, answer, headers)
            case Drop.BEFORE:
                return None
            case Drop.AFTER:  # whether it is refused or not
                with suppress(Refused):
                    self._handle(route, call, record)
                return None
            case Delay(seconds):
                await self._pause(seconds)
        return self._handle(route, call, record)

    def _handle(self, route: Route, call: Call, record: _Record) -> Answer:
        _check_permission(route, self.permissions)
        _check_content_type(call)
        answer = route.handler(call)
        record.changed = route.changes and answer.changed
        if record.changed:
            self._faults.count()
        return answer

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        is_known = False
        for route in self._routes:
            if (params := route.match(path)) is not None:
                if route.method == method:
                    return route, params
                is_known = True
        if is_known:
            raise problems.service("gateway", assumed.UNKNOWN_METHOD_STATUS, f"No {method} here")
        raise problems.service("gateway", assumed.UNKNOWN_PATH_STATUS, f"Nothing at {path}")

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return


class _Record:
    """What is known of a call whatever comes of it."""

    changed = False


def _check_permission(route: Route, granted: set[Permission]) -> None:
    if route.needs is not None and not allows(granted, route.needs):
        detail = assumed.PERMISSION_DETAIL.format(permission=route.needs)
        raise problems.service("access-control", assumed.PERMISSION_STATUS, detail)


def _check_content_type(call: Call) -> None:
    """A call with a body says that it is JSON (Adobe: every POST, PUT and PATCH)."""
    media_type = call.headers.get("Content-Type", "").partition(";")[0].strip()
    if call.method not in _WITH_BODY or not call.body or media_type == "application/json":
        return
    if call.path.startswith(registry.BASE):
        raise problems.wrong_content_type()
    is_patch_of_catalog = call.method == "PATCH" and call.path.startswith(catalog.BASE)
    if not is_patch_of_catalog or media_type != catalog.JSON_PATCH:
        detail = f"The Content-Type '{media_type}' is not supported here"
        raise problems.service("gateway", assumed.CONTENT_TYPE_STATUS, detail)


def _response(answer: Answer) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status, headers=answer.headers)
    headers = {"Content-Type": "application/json", **answer.headers}
    return web.Response(status=answer.status, body=orjson.dumps(answer.body), headers=headers)
