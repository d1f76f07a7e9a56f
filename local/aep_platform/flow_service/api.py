"""Flow Service's operations (Adobe's OpenAPI of Flow Service)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from local.aep_platform import assumed
from local.aep_platform.call import Answer, Call, Route
from local.aep_platform.flow_service import specs
from local.aep_platform.flow_service.checks import (
    SERVICE,
    check_base,
    check_flow,
    check_name,
    check_source,
    check_target,
    check_transformations,
    refused,
)
from local.aep_platform.flow_service.inlets import Inlets
from local.aep_platform.flow_service.views import Thing, show
from local.aep_platform.json_patch import PatchWrong, apply_patch
from local.aep_platform.permissions import Permission
from local.aep_platform.query import keeps
from local.aep_platform.state import Connection, Flow, Json, PlatformState, new_etag, now_ms

BASE = "/data/foundation/flowservice"
_NAMES = ("connections", "sourceConnections", "targetConnections", "flows")


class FlowService:
    """The operations; making a flow or a base connection opens an inlet."""

    def __init__(self, inlets: Inlets, ready_at: Callable[[], float]) -> None:
        """Takes what opens inlets, and says from when on a flow made now takes data."""
        self._inlets = inlets
        self._ready_at = ready_at

    def routes(self) -> tuple[Route, ...]:
        """Everything under Flow Service."""
        view, manage = Permission.VIEW_SOURCES, Permission.MANAGE_SOURCES
        makers: dict[str, Callable[[Call], Answer]] = {
            "connections": self._create_connection,
            "sourceConnections": self._create_source,
            "targetConnections": self._create_target,
            "flows": self._create_flow,
        }
        found: list[Route] = []
        for name in _NAMES:
            path, one = f"{BASE}/{name}", f"{BASE}/{name}/{{id}}"
            found += [
                Route("GET", path, partial(self._list, name=name), view),
                Route("POST", path, makers[name], manage, changes=True),
                Route("GET", one, partial(self._look_up, name=name), view),
                Route("PATCH", one, partial(self._patch, name=name), manage, changes=True),
                Route("DELETE", one, partial(self._delete, name=name), manage, changes=True),
            ]
        path = f"{BASE}/flows/{{id}}/action"
        return (*found, Route("POST", path, self._act, manage, changes=True))

    def _create_connection(self, call: Call) -> Answer:
        body = call.fields(SERVICE)
        check_base(body)
        made = Connection(id=str(uuid4()), body=body)
        params = body["auth"]["params"]
        made.inlet = self._inlets.open(
            call.state,
            needs_token=params.get("authenticationRequired", False),
            is_raw=params["dataType"] == "raw",
        )
        call.state.connections[made.id] = made
        return _made(made, "connections")

    def _create_source(self, call: Call) -> Answer:
        body = call.fields(SERVICE)
        check_source(call.state, body)
        made = Connection(id=str(uuid4()), body=body)
        call.state.source_connections[made.id] = made
        return _made(made, "sourceConnections")

    def _create_target(self, call: Call) -> Answer:
        body = call.fields(SERVICE)
        check_target(call.state, body)
        made = Connection(id=str(uuid4()), body=body)
        call.state.target_connections[made.id] = made
        return _made(made, "targetConnections")

    def _create_flow(self, call: Call) -> Answer:
        body = call.fields(SERVICE)
        source, _ = check_flow(call.state, body)
        made = Flow(id=str(uuid4()), body=body, ready_at=self._ready_at())
        if source.body["connectionSpec"]["id"] == specs.PENDO:
            made.inlet = self._inlets.open(call.state, needs_token=False, is_raw=True)
        call.state.flows[made.id] = made
        return _made(made, "flows")

    def _list(self, call: Call, name: str) -> Answer:
        filters = call.query.getall("property", [])
        things: list[Thing] = list(_things(call.state, name).values())
        items = [show(call.state, self._inlets, thing) for thing in things]
        items = [item for item in items if keeps(item, filters)]
        total = len(items)
        if (order := call.query.get("orderby")) is not None:
            items.sort(key=lambda item: str(item.get(order.lstrip("-"), "")))
            if order.startswith("-"):
                items.reverse()
        limit = call.query.get("limit", str(assumed.FLOW_SERVICE_PAGE))
        start = call.query.get("continuationToken", "0")
        if not limit.isdecimal() or not int(limit) or not start.isdecimal():
            raise refused(400, "'limit' or 'continuationToken' is wrong")
        end = int(start) + int(limit)
        body: Json = {"items": items[int(start) : end]}
        if end < total:
            rest = [(k, v) for k, v in call.query.items() if k != "continuationToken"]
            query = urlencode([*rest, ("continuationToken", str(end))])
            body["_links"] = {"next": {"href": f"/{name}?{query}"}}
        if call.query.get("count") == "true":
            body["count"] = total
        return Answer(200, body)

    def _look_up(self, call: Call, name: str) -> Answer:
        return Answer(200, {"items": [show(call.state, self._inlets, _find(call, name))]})

    def _patch(self, call: Call, name: str) -> Answer:
        thing: Thing = _find(call, name)
        _check_etag(call, thing, required=True)
        try:
            body = apply_patch(thing.body, call.document(SERVICE))
        except PatchWrong as wrong:
            raise refused(400, str(wrong)) from None
        changed = {key for key in {*body, *thing.body} if body.get(key) != thing.body.get(key)}
        if not changed <= {"name", "description", "transformations"}:
            raise refused(400, f"cannot be patched: {', '.join(sorted(changed))}")
        check_name(body)
        if "transformations" in changed:
            target = call.state.target_connections[body["targetConnectionIds"][0]]
            check_transformations(call.state, body, target)
        thing.body = body
        if isinstance(thing, Flow):
            thing.ready_at = self._ready_at()
        return _changed(thing)

    def _act(self, call: Call) -> Answer:
        flow: Flow = _find(call, "flows")
        _check_etag(call, flow, required=False)
        media_type = call.headers.get("Content-Type", "")
        if media_type not in assumed.ACTION_CONTENT_TYPES:
            detail = f"The Content-Type '{media_type}' is not supported here"
            raise refused(assumed.ACTION_CONTENT_TYPE_STATUS, detail)
        operation = call.query.get("op", "").upper()
        if operation not in {"ENABLE", "DISABLE"}:
            raise refused(400, "'op' must be ENABLE or DISABLE")
        flow.enabled = operation == "ENABLE"
        return _changed(flow)

    def _delete(self, call: Call, name: str) -> Answer:
        thing: Thing = _find(call, name)
        _check_etag(call, thing, required=False)
        if (user := _user(call.state, thing.id)) is not None:
            raise refused(assumed.DELETE_IN_USE_STATUS, f"{thing.id} is in use by {user}")
        del _things(call.state, name)[thing.id]
        if thing.inlet is not None:
            self._inlets.close(thing.inlet)
        return Answer(204)


def _things(state: PlatformState, name: str) -> dict[str, Any]:
    by_name: dict[str, dict[str, Any]] = {
        "connections": state.connections,
        "sourceConnections": state.source_connections,
        "targetConnections": state.target_connections,
        "flows": state.flows,
    }
    return by_name[name]


def _find(call: Call, name: str) -> Any:
    found = _things(call.state, name).get(call.params["id"])
    if found is None:
        raise refused(404, f"No such thing under {name}: {call.params['id']}")
    return found


def _made(thing: Thing, name: str) -> Answer:
    body = {"id": thing.id, "etag": thing.etag}
    return Answer(201, body, {"Location": f"{BASE}/{name}/{thing.id}"})


def _changed(thing: Thing) -> Answer:
    thing.etag, thing.updated = new_etag(), now_ms()
    return Answer(200, {"id": thing.id, "etag": thing.etag})


def _check_etag(call: Call, thing: Thing, *, required: bool) -> None:
    seen = call.headers.get("If-Match")
    if seen is None:
        if required:
            raise refused(assumed.MISSING_ETAG_STATUS, "'If-Match' is required")
    elif seen != thing.etag:
        raise refused(assumed.STALE_ETAG_STATUS, f"{thing.id} has changed meanwhile")


def _user(state: PlatformState, thing_id: str) -> str | None:
    for source in state.source_connections.values():
        if source.body.get("baseConnectionId") == thing_id:
            return source.id
    for flow in state.flows.values():
        if thing_id in (*flow.body["sourceConnectionIds"], *flow.body["targetConnectionIds"]):
            return flow.id
    return None
