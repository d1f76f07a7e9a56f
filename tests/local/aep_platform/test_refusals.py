"""What the stand-in refuses: `refusals.json`, each against a complete Pendo source.

And what depends on a permission, or on what else there is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from local.aep_platform import Permission
from tests.cases import rows
from tests.local.aep_platform.client import CATALOG, FLOWS, LIST, NAMESPACES, PATHS, PlatformClient
from tests.local.aep_platform.late import LatePlatform

_CASES = orjson.loads(Path(__file__).with_name("refusals.json").read_bytes())


@pytest.mark.parametrize("case", rows(_CASES))
async def test_refused(pendo: PlatformClient, case: dict[str, Any]) -> None:
    """An invalid call gets its status and a body that says why, and changes nothing."""
    case = pendo.filled(case)
    if (kind := case.get("like")) is not None:
        case |= {
            "method": "POST",
            "path": PATHS[kind],
            "body": pendo.body(kind) | case.get("set", {}),
        }
    body = case["text"].encode() if "text" in case else case.get("body")
    state = pendo.platform.state
    changes = len(state.changing_calls)

    answered = await pendo.call(case["method"], case["path"], body, case.get("headers"))

    assert answered.status == case["status"]
    assert case["says"] in orjson.dumps(answered.body).decode()
    assert answered.body.get("status", answered.status) == answered.status
    assert len(state.changing_calls) == changes
    assert state.calls[-1].status == answered.status


async def test_error_bodies_are_adobes(pendo: PlatformClient) -> None:
    """The registry, the Identity Service and the gateway each have a body of their own."""
    schema = (await pendo.post("schema")).body
    assert set(schema) == {"type", "title", "status", "report", "detail"}
    assert schema["type"] == "http://ns.adobe.com/aep/errors/XDM-1521-400"
    assert schema["title"] == "Title not unique"
    assert schema["report"]["detailed-message"] == schema["detail"]
    assert pendo.ids["schema"] in schema["detail"]

    namespace = (await pendo.post("namespace")).body
    assert set(namespace) == {"timestamp", "type", "status", "title", "description", "report"}
    assert namespace["title"] == "NAMESPACE_CODE_CONFLICT"

    gateway = await pendo.call("GET", PATHS["flow"], headers={"Authorization": None})
    assert gateway.body == {"error_code": "403010", "message": "Oauth token is missing."}


CONNECTION_PARAMETERS = "/data/foundation/query/connection_parameters"
SANDBOXES = "/data/foundation/sandbox-management/"


READS: dict[Permission, list[tuple[str, dict[str, str]]]] = {
    Permission.VIEW_SCHEMAS: [(PATHS["schema"], LIST), (PATHS["fieldgroup"], LIST)],
    Permission.VIEW_DATASETS: [(PATHS["dataset"], {}), (f"{CATALOG}/batches", {})],
    Permission.VIEW_IDENTITY_NAMESPACES: [(NAMESPACES, {})],
    Permission.VIEW_SOURCES: [
        (PATHS["flow"], {}),
        (PATHS["source"], {}),
        (PATHS["base"], {}),
        (f"{FLOWS}/runs", {}),
    ],
    Permission.MANAGE_QUERIES: [(CONNECTION_PARAMETERS, {})],
    Permission.VIEW_SANDBOXES: [(SANDBOXES, {})],
}


@pytest.mark.parametrize("permission", READS)
async def test_viewing_needs_its_permission(late: LatePlatform, permission: Permission) -> None:
    """The permission to view is enough; without it and the one to manage, 403."""
    platform, client = late.platform, late.client
    for path, accept in READS[permission]:
        platform.permissions = {permission}
        assert (await client.call("GET", path, headers=accept)).status == 200
        platform.permissions = set()
        refused = await client.call("GET", path, headers=accept)
        assert refused.status == 403
        assert permission in refused.body["detail"]


async def test_base_connection_of_another_data_type_fits_no_flow(empty: PlatformClient) -> None:
    """A flow with a mapping needs a raw base connection, one without an XDM one."""
    await empty.make("namespace", "fieldgroup", "schema", "dataset", "target", "mappingset")
    await empty.make("base", "http_source")
    answered = await empty.post("xdm_flow")

    assert answered.status == 400
    assert "data type" in answered.body["detail"]


async def test_order_of_deleting(empty: PlatformClient) -> None:
    """A flow goes before its connections, these before their base, and nothing is left."""
    kinds = ("namespace", "fieldgroup", "schema", "dataset", "target", "mappingset", "base")
    await empty.make(*kinds, "http_source", "http_flow")
    order = ("http_flow", "mappingset", "target", "http_source", "base")
    for kind in order[1:]:
        assert (await empty.call("DELETE", empty.path(kind))).status == 400
    for kind in order:
        answered = await empty.call("DELETE", empty.path(kind))
        assert (answered.status, answered.body) == (204, None)

    state = empty.platform.state
    assert not {*state.flows, *state.source_connections, *state.target_connections}
    assert not {*state.connections, *state.mapping_sets}
