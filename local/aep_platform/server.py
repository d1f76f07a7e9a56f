"""The stand-in on HTTP: `async with PlatformServer(aep) as platform`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace

from aiohttp import web

from local.aep import AepServer
from local.aep_platform import (
    assumed,
    batches,
    catalog,
    descriptors,
    errors,
    exports,
    flow_runs,
    identities,
    mapping_sets,
    schema_registry,
)
from local.aep_platform import (
    lake as data_lake,
)
from local.aep_platform.call import Call, Permission, Route
from local.aep_platform.faults import (
    Answering,
    Delay,
    Drop,
    Faults,
    RecordFaults,
)
from local.aep_platform.flow_service import FlowService
from local.aep_platform.gateway import Gateway, check_content_type, check_permission
from local.aep_platform.lake import Lake, Observer
from local.aep_platform.late_ingestion import LateIngestion
from local.aep_platform.schema_resources import standard_resources
from local.aep_platform.state import Batch, PlatformState
from local.http_server import (
    ApiError,
    CallRecord,
    HttpServer,
    JsonResponse,
    NoRoute,
    drop_connection,
    find_route,
)

IMS_ORG_ID = "ACME@AdobeOrg"
TENANT = "acme"


class PlatformServer(HttpServer):
    """Adobe Experience Platform's APIs for setting things up, on 127.0.0.1.

    Attributes:
        states: what exists, by sandbox.
        permissions: of the role that the credential has; take some away at any time.
        ims_org_id: the organisation.
        tenant: its tenant id, without the leading underscore.
        fail: makes calls fail.
    """

    def __init__(
        self,
        aep: AepServer,
        *,
        sandbox_names: Sequence[str] = ("prod",),
        ready_after_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
        ingest_after_seconds: float = 0.0,
        lake: Lake | None = None,
        observer: Observer | None = None,
        flow_ids: Sequence[str] = (),
        inlets: Sequence[str] = (),
    ) -> None:
        """Sets the server up; it listens from `async with` on.

        Args:
            aep: issues the tokens, and gets the inlets.
            sandbox_names: those that the credential may use.
            ready_after_seconds: how long a flow takes no data after it was made or changed; what
                is sent to it in that time is lost.
            clock: in seconds since the epoch; measures that, and dates batches and flow runs.
            ingest_after_seconds: how long a message that an inlet accepted waits until it is
                mapped, validated and stored.
            lake: gets what is stored; None keeps it in the state only.
            observer: called with every record that is stored or has failed.
            flow_ids: of the first flows, for people who must know them before they are made.
            inlets: the names of the first inlets, likewise.
        """
        super().__init__(self._respond)
        standard, calls = standard_resources(), list[CallRecord]()
        self.ims_org_id = IMS_ORG_ID
        self.tenant = TENANT
        self.permissions = set(Permission)
        self.states = {
            name: PlatformState(
                sandbox=name,
                tenant=TENANT,
                ims_org_id=IMS_ORG_ID,
                calls=calls,
                standard=standard,
                namespaces=identities.standard_namespaces(),
            )
            for name in sandbox_names
        }
        self._calls = calls
        self._faults = Faults()
        self.fail = self._faults.fail
        self._gateway = Gateway(aep, self.states)
        self._clock = clock
        self._ingestion = LateIngestion(clock, ingest_after_seconds, lake, observer)
        self._flow_service = FlowService(
            aep,
            self._ingestion.receive,
            lambda: clock() + ready_after_seconds,
            flow_ids=flow_ids,
            inlets=inlets,
        )
        self._routes: tuple[Route, ...] = (
            *self._gateway.routes(),
            *schema_registry.routes(),
            *descriptors.routes(),
            *identities.routes(),
            *catalog.routes(),
            *exports.routes(),
            *flow_runs.routes(),
            *self._flow_service.routes(),
            *data_lake.routes(lake),
            *mapping_sets.routes(),
        )

    @property
    def state(self) -> PlatformState:
        """What exists in the first sandbox, and the records of all calls."""
        return next(iter(self.states.values()))

    def heal(self) -> None:
        """Ends every fault."""
        self._faults.clear()
        self.record_faults.clear()
        for state in self.states.values():
            state.page_size = None

    @property
    def record_faults(self) -> RecordFaults:
        """What goes wrong on the way of a record to the data lake; change it at any time."""
        return self._ingestion.faults

    @property
    def waiting_records(self) -> int:
        """How many accepted messages are not ingested yet."""
        return self._ingestion.waiting

    def ingest_due(self) -> int:
        """Ingests what is due by the clock, as happens in time while the server runs.

        For tests, whose clock jumps. Each message is ingested as of the moment when it was due.

        Returns:
            How many records were ingested.
        """
        return self._ingestion.ingest_due()

    def compact(self) -> list[Batch]:
        """Replaces the small successful batches of each hour by one; returns the new ones."""
        return [
            batch
            for state in self.states.values()
            for batch in batches.compact(state, self._clock())
        ]

    def restore(self, saved: PlatformState) -> None:
        """Replaces what a sandbox holds by a copy of what another has held, and opens its inlets.

        Adobe's own resources and the records of the calls stay.
        """
        there = self.states[saved.sandbox]
        state = deepcopy(replace(saved, standard={}, calls=[]))
        state.standard, state.calls = there.standard, there.calls
        self.states[saved.sandbox] = state
        self._flow_service.reopen_inlets(state)

    async def stop(self) -> None:
        """Ends every pause and the ingestion in the background, then the open requests."""
        self._ingestion.stop()
        await super().stop()

    async def _respond(self, request: web.Request) -> web.Response:
        body = await request.read()
        response: JsonResponse | None
        try:
            response, changed = await self._answer(request, body)
        except ApiError as error:
            response, changed = JsonResponse(error.status, error.body), False
        status = None if response is None else response.status
        self._calls.append(
            CallRecord(request.method, request.path, request.query_string, status, changed)
        )
        return drop_connection(request) if response is None else response.to_http()

    async def _answer(self, request: web.Request, body: bytes) -> tuple[JsonResponse | None, bool]:
        """Returns the response, None to drop the connection, and whether anything changed."""
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
        match self._faults.next_for(call, changes=route.changes):
            case Answering(status, answer, headers):
                return JsonResponse(status, answer, headers), False
            case Drop.BEFORE:
                return None, False
            case Drop.AFTER:  # also where the call is refused
                with suppress(ApiError):
                    return None, self._handle(route, call)[1]
                return None, False
            case Delay(seconds):
                await self.pause(seconds)
        return self._handle(route, call)

    def _handle(self, route: Route, call: Call) -> tuple[JsonResponse, bool]:
        check_permission(route, self.permissions)
        check_content_type(call)
        response = route.handler(call)
        changed = route.changes and response.changed
        if changed:
            self._faults.count_change()
        return response, changed

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        try:
            return find_route(self._routes, method, path)
        except NoRoute as none:
            if none.is_path_known:
                status, detail = assumed.UNKNOWN_METHOD_STATUS, f"No {method} here"
            else:
                status, detail = assumed.UNKNOWN_PATH_STATUS, f"Nothing at {path}"
            raise errors.service("gateway", status, detail) from None
