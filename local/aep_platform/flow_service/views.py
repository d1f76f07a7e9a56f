"""A connection or a flow as Flow Service shows it."""

from __future__ import annotations

from typing import TypeAlias

from local.aep_platform import assumed
from local.aep_platform.flow_service.inlets import Inlets
from local.aep_platform.state import Connection, Flow, Json, PlatformState

Thing: TypeAlias = Connection | Flow


def show(state: PlatformState, inlets: Inlets, thing: Thing) -> Json:
    """What was sent, and what the server adds; that has the inlet's URL."""
    common: Json = {
        **thing.body,
        "id": thing.id,
        "createdAt": thing.created,
        "updatedAt": thing.updated,
        "createdBy": "local@AdobeID",
        "sandboxId": f"sandbox-{state.sandbox}",
        "sandboxName": state.sandbox,
        "imsOrgId": state.ims_org_id,
        "state": "enabled",
        "version": thing.etag,
        "etag": thing.etag,
    }
    if isinstance(thing, Flow):
        return {**common, **_of_flow(state, inlets, thing)}
    if thing.inlet is not None:
        auth = common["auth"]
        inlet = {"inletId": thing.inlet, "inletUrl": inlets.url(thing.inlet)}
        common["auth"] = {**auth, "params": {**auth["params"], **inlet}}
    return common


def _of_flow(state: PlatformState, inlets: Inlets, flow: Flow) -> Json:
    parts = {
        f"{kind}Connections": [
            {"id": one, "connectionSpec": found[one].body["connectionSpec"]}
            for one in flow.body[f"{kind}ConnectionIds"]
        ]
        for kind, found in (
            ("source", state.source_connections),
            ("target", state.target_connections),
        )
    }
    options = {**flow.body.get("options", {})}
    if flow.inlet is not None:
        options["inletUrl"] = inlets.url(flow.inlet)
    return {
        "state": "enabled" if flow.enabled else "disabled",
        "transformations": [_transformation(one) for one in flow.body.get("transformations", [])],
        "options": options,
        "inheritedAttributes": {"properties": {"isSourceFlow": True}, **parts},
        "runs": f"/runs?property=flowId=={flow.id}",
        "lastOperation": {"started": 0, "updated": 0, "operation": "create"},
    }


def _transformation(sent: Json) -> Json:
    if not assumed.FLOW_SHOWS_MAPPING_VERSION_AS_TEXT:
        return sent
    params = sent["params"]
    return {**sent, "params": {**params, "mappingVersion": str(params["mappingVersion"])}}
