"""What goes wrong on demand: faults, missing permissions, tokens that are worth nothing."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from local.aep import AepServer
from local.aep_platform import Answering, Call, Delay, Drop, Permission, PlatformServer
from tests.local.aep_platform.client import LIST, LOOKUP, NAMESPACES, Answered, connect
from tests.local.aep_platform.world import PATHS, PENDO, World

SANDBOXES = "/data/foundation/sandbox-management/"


async def test_drop_after_has_taken_effect(empty: World) -> None:
    """The connection ends without an answer, and what was asked for is there."""
    empty.client.platform.fail(Drop.AFTER)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await empty.post("namespace")

    state = empty.client.platform.state
    assert "PendoVisitor" in state.namespaces
    assert [(call.status, call.changed) for call in state.journal] == [(None, True)]
    assert (await empty.post("namespace")).status == 409


async def test_drop_before_has_no_effect(empty: World) -> None:
    """The connection ends without an answer, and nothing has happened."""
    empty.client.platform.fail(Drop.BEFORE)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await empty.post("namespace")

    assert not empty.client.platform.state.changing_calls
    assert (await empty.post("namespace")).status == 200


@pytest.mark.parametrize("number", range(len(PENDO)))
async def test_each_changing_call_can_be_struck(empty: World, number: int) -> None:
    """`after=n` lets n changing calls through, however many others come between."""
    empty.client.platform.fail(Drop.AFTER, after=number)
    for kind in PENDO[:number]:
        await empty.make(kind)
        await empty.client.get(NAMESPACES)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await empty.post(PENDO[number])

    assert len(empty.client.platform.state.changing_calls) == number + 1


async def test_a_refused_call_is_dropped_too(pendo: World) -> None:
    """A call that would be refused gets no answer either, and changes nothing."""
    changes = len(pendo.client.platform.state.changing_calls)
    pendo.client.platform.fail(Drop.AFTER)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await pendo.post("namespace")

    assert len(pendo.client.platform.state.changing_calls) == changes


async def test_an_answer_of_ones_own(empty: World) -> None:
    """So many matching calls get that answer, the others theirs, until it is healed."""
    platform = empty.client.platform
    down = Answering(503, {"title": "down"}, {"Retry-After": "2"})
    platform.fail(down, matching=lambda call: call.method == "POST", times=2)
    await empty.client.get(NAMESPACES)
    struck = [await empty.post("namespace") for _ in range(3)]

    assert [answered.status for answered in struck] == [503, 503, 200]
    assert struck[0].headers["Retry-After"] == "2"
    assert struck[0].body == {"title": "down"}
    platform.fail(Answering(500), times=None)
    assert (await empty.client.call("GET", NAMESPACES)).status == 500
    platform.heal()
    assert (await empty.client.call("GET", NAMESPACES)).status == 200


async def test_a_delay_comes_before_the_effect(empty: World) -> None:
    """A call that is delayed takes that long, and is then answered as ever."""
    empty.client.platform.fail(Delay(0.05))
    started = time.monotonic()
    await empty.make("namespace")

    assert time.monotonic() - started >= 0.05


async def test_a_delay_ends_with_the_server(aep: AepServer, http: aiohttp.ClientSession) -> None:
    """A call that is kept waiting does not keep the server from stopping."""
    is_struck = asyncio.Event()

    def strike(_: Call) -> bool:
        is_struck.set()
        return True

    async with asyncio.timeout(10), PlatformServer(aep) as platform:
        world = World(await connect(platform, aep, http))
        platform.fail(Delay(3600), matching=strike)
        waiting = asyncio.create_task(world.post("namespace"))
        await is_struck.wait()
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)

    assert isinstance(outcome, aiohttp.ClientError | Answered)


READS: dict[Permission, list[tuple[str, dict[str, str]]]] = {
    Permission.VIEW_SCHEMAS: [(PATHS["schema"], LIST), (PATHS["fieldgroup"], LIST)],
    Permission.VIEW_DATASETS: [(PATHS["dataset"], {})],
    Permission.VIEW_IDENTITY_NAMESPACES: [(NAMESPACES, {})],
    Permission.VIEW_SOURCES: [(PATHS["flow"], {}), (PATHS["source"], {}), (PATHS["base"], {})],
    Permission.VIEW_SANDBOXES: [(SANDBOXES, {})],
}
WRITES = {
    Permission.MANAGE_SCHEMAS: ["fieldgroup", "schema"],
    Permission.MANAGE_IDENTITY_METADATA: ["descriptor"],
    Permission.MANAGE_DATASETS: ["dataset"],
    Permission.MANAGE_IDENTITY_NAMESPACES: ["namespace"],
    Permission.MANAGE_SOURCES: ["source", "target", "flow"],
}


@pytest.mark.parametrize("permission", READS)
async def test_viewing_needs_its_permission(empty: World, permission: Permission) -> None:
    """With the permission to view it is enough; without it and the one to manage, 403."""
    platform = empty.client.platform
    for path, accept in READS[permission]:
        platform.permissions = {permission}
        assert (await empty.client.call("GET", path, headers=accept)).status == 200
        platform.permissions = set()
        refused = await empty.client.call("GET", path, headers=accept)
        assert refused.status == 403
        assert permission in refused.body["detail"]


@pytest.mark.parametrize("permission", WRITES)
async def test_changing_needs_its_permission(pendo: World, permission: Permission) -> None:
    """Without the permission a right call gets 403 that names it; managing includes viewing."""
    for kind in WRITES[permission]:
        pendo.client.platform.permissions = set(Permission) - {permission}
        refused = await pendo.post(kind)
        assert refused.status == 403
        assert permission in refused.body["detail"]
        deleted = await pendo.client.call("DELETE", f"{PATHS[kind]}/x")
        assert deleted.status in {403, 405}
    pendo.client.platform.permissions = {Permission.MANAGE_SCHEMAS}
    assert (await pendo.client.call("GET", pendo.path("schema"), headers=LOOKUP)).status == 200


async def test_a_revoked_token_is_worth_nothing(empty: World) -> None:
    """The platform takes the tokens of the token endpoint, as long as they are good."""
    assert (await empty.client.call("GET", NAMESPACES)).status == 200
    empty.client.aep.revoke_tokens()

    assert (await empty.client.call("GET", NAMESPACES)).body["error_code"] == "401013"


async def test_sandboxes_are_listed_without_one(empty: World) -> None:
    """Which sandboxes there are can be asked without naming one, or naming a wrong one."""
    for name in (None, "nowhere"):
        answered = await empty.client.call("GET", SANDBOXES, headers={"x-sandbox-name": name})
        assert answered.status == 200
        assert [one["name"] for one in answered.body["sandboxes"]] == ["prod", "dev"]
