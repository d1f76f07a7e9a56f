"""Flow Service: base, source and target connections, and the flows that join them.

Adobe's OpenAPI of Flow Service. Making a flow or a base connection opens an inlet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import urlencode
from uuid import uuid4

from local.aep import AepServer, MessageFormat
from local.aep_platform import assumed, flow_rules
from local.aep_platform.call import Call, InvalidPatch, Permission, Route, apply_json_patch
from local.aep_platform.state import Connection, Flow, Json, PlatformState, new_etag, now_ms
from local.http_server import JsonResponse

BASE = "/data/foundation/flowservice"

Check: TypeAlias = Callable[[PlatformState, Json], None]
# Takes a message: the state of its sandbox, the inlet, the flow id of the request, the message.
Sink: TypeAlias = Callable[[PlatformState, str, str | None, object], None]


class FlowService:
    """The operations of Flow Service."""

    def __init__(
        self,
        aep: AepServer,
        sink: Sink,
        ready_at: Callable[[], float],
        *,
        flow_ids: Sequence[str] = (),
        inlets: Sequence[str] = (),
    ) -> None:
        """Sets the service up.

        Args:
            aep: gets the inlets.
            sink: takes each message that an inlet has accepted.
            ready_at: when a flow that is made now begins to take data.
            flow_ids: of the first flows; later ones get random ids.
            inlets: the names of the first inlets, likewise.
        """
        self._flow_ids = iter(flow_ids)
        self._inlets = iter(inlets)
        self._aep = aep
        self._sink = sink
        self._ready_at = ready_at

    def routes(self) -> tuple[Route, ...]:
        """The operations on connections and flows."""
        view, manage = Permission.VIEW_SOURCES, Permission.MANAGE_SOURCES
        checks: dict[str, Check | None] = {
            "connections": flow_rules.check_base,
            "sourceConnections": flow_rules.check_source,
            "targetConnections": flow_rules.check_target,
            "flows": None,
        }
        found: list[Route] = []
        for name, check in checks.items():
            path, one = f"{BASE}/{name}", f"{BASE}/{name}/{{id}}"
            create = self._create_flow
            if check is not None:
                create = partial(self._create_connection, name=name, check=check)
            found += [
                Route("GET", path, partial(self._list, name=name), view),
                Route("POST", path, create, manage, changes=True),
                Route("GET", one, partial(self._look_up, name=name), view),
                Route("PATCH", one, partial(self._patch, name=name), manage, changes=True),
                Route("DELETE", one, partial(self._delete, name=name), manage, changes=True),
            ]
        path = f"{BASE}/flows/{{id}}/action"
        return (*found, Route("POST", path, self._act, manage, changes=True))

    def _create_connection(self, call: Call, name: str, check: Check) -> JsonResponse:
        body = call.fields(flow_rules.SERVICE)
        check(call.state, body)
        made = Connection(id=str(uuid4()), body=body)
        if name == "connections":
            made.inlet = self._open_inlet(call.state, self._new_inlet(), body)
        _items(call.state, name)[made.id] = made
        return _created(made, name)

    def _create_flow(self, call: Call) -> JsonResponse:
        body = call.fields(flow_rules.SERVICE)
        source = flow_rules.check_flow(call.state, body)
        flow_id = next(self._flow_ids, None) or str(uuid4())
        made = Flow(id=flow_id, body=body, ready_at=self._ready_at())
        if source.body["connectionSpec"]["id"] == flow_rules.PENDO:
            made.inlet = self._open_inlet(call.state, self._new_inlet(), body)
        call.state.flows[made.id] = made
        return _created(made, "flows")

    def _list(self, call: Call, name: str) -> JsonResponse:
        shown = [self._shown(call.state, item) for item in _items(call.state, name).values()]
        items = [item for item in shown if call.matches(item)]
        limit = call.query.get("limit", str(assumed.FLOW_SERVICE_PAGE))
        start = call.query.get("continuationToken", "0")
        if not limit.isdecimal() or not int(limit) or not start.isdecimal():
            raise flow_rules.error(400, "'limit' or 'continuationToken' is wrong")
        end = int(start) + int(limit)
        body: Json = {"items": items[int(start) : end]}
        if end < len(items):
            rest = [(k, v) for k, v in call.query.items() if k != "continuationToken"]
            query = urlencode([*rest, ("continuationToken", str(end))])
            body["_links"] = {"next": {"href": f"/{name}?{query}"}}
        return JsonResponse(200, body)

    def _look_up(self, call: Call, name: str) -> JsonResponse:
        return JsonResponse(200, {"items": [self._shown(call.state, _find(call, name))]})

    def _patch(self, call: Call, name: str) -> JsonResponse:
        item: Connection = _find(call, name)
        _check_etag(call, item, required=True)
        try:
            body = apply_json_patch(item.body, call.json(flow_rules.SERVICE))
        except InvalidPatch as invalid:
            raise flow_rules.error(400, str(invalid)) from None
        changed = {key for key in {*body, *item.body} if body.get(key) != item.body.get(key)}
        if not changed <= {"name", "description", "transformations"}:
            raise flow_rules.error(400, f"cannot be patched: {', '.join(sorted(changed))}")
        flow_rules.check_name(body)
        if "transformations" in changed:
            target = call.state.target_connections[body["targetConnectionIds"][0]]
            flow_rules.check_transformations(call.state, body, target)
        item.body = body
        if isinstance(item, Flow):
            item.ready_at = self._ready_at()
        return _changed(item)

    def _act(self, call: Call) -> JsonResponse:
        flow: Flow = _find(call, "flows")
        _check_etag(call, flow, required=False)
        media_type = call.headers.get("Content-Type", "")
        if media_type not in assumed.ACTION_CONTENT_TYPES:
            detail = f"The Content-Type '{media_type}' is not supported here"
            raise flow_rules.error(assumed.ACTION_CONTENT_TYPE_STATUS, detail)
        operation = call.query.get("op", "").upper()
        if operation not in {"ENABLE", "DISABLE"}:
            raise flow_rules.error(400, "'op' must be ENABLE or DISABLE")
        flow.enabled = operation == "ENABLE"
        return _changed(flow)

    def _delete(self, call: Call, name: str) -> JsonResponse:
        item: Connection = _find(call, name)
        _check_etag(call, item, required=False)
        if (user := _user(call.state, item.id)) is not None:
            detail = f"{item.id} is in use by {user}"
            raise flow_rules.error(assumed.DELETE_IN_USE_STATUS, detail)
        del _items(call.state, name)[item.id]
        if item.inlet is not None:
            self._aep.close_inlet(item.inlet)
        return JsonResponse(204)

    def reopen_inlets(self, state: PlatformState) -> None:
        """Opens the inlets of a sandbox that was made elsewhere."""
        for item in (*state.connections.values(), *state.flows.values()):
            if item.inlet is not None:
                self._open_inlet(state, item.inlet, item.body)

    def _open_inlet(self, state: PlatformState, inlet: str, body: Json) -> str:
        """Opens the inlet of a base connection, or that of a flow, which takes raw data."""
        params = body.get("auth", {}).get("params", {})
        self._aep.open_inlet(
            inlet,
            take=partial(self._sink, state, inlet),
            expects=MessageFormat(params.get("dataType", "raw")),
            needs_token=params.get("authenticationRequired", False),
        )
        return inlet

    def _new_inlet(self) -> str:
        return next(self._inlets, None) or uuid4().hex * 2

    def _inlet_url(self, inlet: str) -> str:
        return f"{self._aep.url}/collection/{inlet}"

    def _shown(self, state: PlatformState, item: Connection) -> Json:
        """Returns a connection or flow as Flow Service shows it, with the URL of its inlet."""
        common: Json = {
            **item.body,
            "id": item.id,
            "createdAt": item.created,
            "updatedAt": item.updated,
            "createdBy": "local@AdobeID",
            "sandboxId": f"sandbox-{state.sandbox}",
            "sandboxName": state.sandbox,
            "imsOrgId": state.ims_org_id,
            "state": "enabled",
            "version": item.etag,
            "etag": item.etag,
        }
        if isinstance(item, Flow):
            return {**common, **self._flow_details(item)}
        if item.inlet is not None:
            auth = common["auth"]
            inlet = {"inletId": item.inlet, "inletUrl": self._inlet_url(item.inlet)}
            common["auth"] = {**auth, "params": {**auth["params"], **inlet}}
        return common

    def _flow_details(self, flow: Flow) -> Json:
        options = {**flow.body.get("options", {})}
        if flow.inlet is not None:
            options["inletUrl"] = self._inlet_url(flow.inlet)
        return {
            "state": "enabled" if flow.enabled else "disabled",
            "transformations": [_transformation(x) for x in flow.body.get("transformations", [])],
            "options": options,
        }


def _transformation(sent: Json) -> Json:
    if not assumed.FLOW_SHOWS_MAPPING_VERSION_AS_TEXT:
        return sent
    params = sent["params"]
    return {**sent, "params": {**params, "mappingVersion": str(params["mappingVersion"])}}


def _items(state: PlatformState, name: str) -> dict[str, Any]:
    by_name: dict[str, dict[str, Any]] = {
        "connections": state.connections,
        "sourceConnections": state.source_connections,
        "targetConnections": state.target_connections,
        "flows": state.flows,
    }
    return by_name[name]


def _find(call: Call, name: str) -> Any:
    found = _items(call.state, name).get(call.params["id"])
    if found is None:
        raise flow_rules.error(404, f"Nothing under {name} has the id {call.params['id']}")
    return found


def _created(item: Connection, name: str) -> JsonResponse:
    body = {"id": item.id, "etag": item.etag}
    return JsonResponse(201, body, {"Location": f"{BASE}/{name}/{item.id}"})


def _changed(item: Connection) -> JsonResponse:
    item.etag, item.updated = new_etag(), now_ms()
    return JsonResponse(200, {"id": item.id, "etag": item.etag})


def _check_etag(call: Call, item: Connection, *, required: bool) -> None:
    seen = call.headers.get("If-Match")
    if seen is None:
        if required:
            raise flow_rules.error(assumed.MISSING_ETAG_STATUS, "'If-Match' is required")
    elif seen != item.etag:
        raise flow_rules.error(assumed.STALE_ETAG_STATUS, f"{item.id} has changed meanwhile")


def _user(state: PlatformState, item_id: str) -> str | None:
    """Returns the id of what uses a connection."""
    for source in state.source_connections.values():
        if source.body.get("baseConnectionId") == item_id:
            return source.id
    for flow in state.flows.values():
        if item_id in (*flow.body["sourceConnectionIds"], *flow.body["targetConnectionIds"]):
            return flow.id
    return None
