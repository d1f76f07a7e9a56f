"""Faults on demand, missing permissions, revoked tokens."""

from __future__ import annotations

import time

import aiohttp
import pytest

from local.aep_platform import Answering, Delay, Drop, Permission
from tests.local.aep_platform.client import (
    CATALOG,
    FLOWS,
    LIST,
    LOOKUP,
    NAMESPACES,
    PATHS,
    PlatformClient,
)
from tests.local.aep_platform.late import LatePlatform

CONNECTION_PARAMETERS = "/data/foundation/query/connection_parameters"
SANDBOXES = "/data/foundation/sandbox-management/"


@pytest.mark.parametrize("drop", Drop)
async def test_drop_before_and_after_the_effect(empty: PlatformClient, drop: Drop) -> None:
    """The connection ends without an answer; the call has had its effect, or none."""
    empty.platform.fail(drop)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await empty.post("namespace")

    state, is_made = empty.platform.state, drop is Drop.AFTER
    assert ("PendoVisitor" in state.namespaces) is is_made
    assert [(call.status, call.changed) for call in state.calls] == [(None, is_made)]
    assert (await empty.post("namespace")).status == (409 if is_made else 200)


async def test_refused_call_is_dropped_too(pendo: PlatformClient) -> None:
    """A call that would be refused gets no answer either, and changes nothing."""
    changes = len(pendo.platform.state.changing_calls)
    pendo.platform.fail(Drop.AFTER)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await pendo.post("namespace")

    assert len(pendo.platform.state.changing_calls) == changes


async def test_answering(empty: PlatformClient) -> None:
    """So many matching calls get that answer, the others theirs, until it is healed."""
    platform = empty.platform
    down = Answering(503, {"title": "down"}, {"Retry-After": "2"})
    platform.fail(down, matching=lambda call: call.method == "POST", times=2)
    await empty.get(NAMESPACES)
    answers = [await empty.post("namespace") for _ in range(3)]

    assert [answered.status for answered in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "2"
    assert answers[0].body == {"title": "down"}
    platform.fail(Answering(500), times=None)
    assert (await empty.call("GET", NAMESPACES)).status == 500
    platform.heal()
    assert (await empty.call("GET", NAMESPACES)).status == 200


async def test_delay_comes_before_the_effect(empty: PlatformClient) -> None:
    """A call that is delayed takes that long, and is then answered as usual."""
    empty.platform.fail(Delay(0.05))
    started = time.monotonic()
    await empty.make("namespace")

    assert time.monotonic() - started >= 0.05


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
WRITES = {
    Permission.MANAGE_SCHEMAS: ["fieldgroup", "schema"],
    Permission.MANAGE_DATASETS: ["dataset"],
    Permission.MANAGE_IDENTITY_NAMESPACES: ["namespace"],
    Permission.MANAGE_SOURCES: ["source", "target", "flow"],
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


@pytest.mark.parametrize("permission", WRITES)
async def test_changing_needs_its_permission(pendo: PlatformClient, permission: Permission) -> None:
    """Without the permission a valid call gets 403 that names it; managing includes viewing."""
    for kind in WRITES[permission]:
        pendo.platform.permissions = set(Permission) - {permission}
        refused = await pendo.post(kind)
        assert refused.status == 403
        assert permission in refused.body["detail"]
        if kind != "namespace":  # which has no DELETE
            assert (await pendo.call("DELETE", f"{PATHS[kind]}/x")).status == 403
    pendo.platform.permissions = {Permission.MANAGE_SCHEMAS}
    assert (await pendo.call("GET", pendo.path("schema"), headers=LOOKUP)).status == 200


async def test_revoked_token_is_refused(empty: PlatformClient) -> None:
    """The platform takes the tokens of the token endpoint, as long as they are valid."""
    assert (await empty.call("GET", NAMESPACES)).status == 200
    empty.aep.revoke_tokens()

    assert (await empty.call("GET", NAMESPACES)).body["error_code"] == "401013"
