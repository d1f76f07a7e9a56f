"""Which data a flow takes: from which inlet, when, in which format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from local.aep import AepServer
from local.aep_platform import PlatformServer, assumed
from tests.local.aep_platform.client import FLOWS, connect
from tests.local.aep_platform.events import EVENT, ROW
from tests.local.aep_platform.world import PENDO, World

HTTP = ("namespace", "fieldgroup", "schema", "dataset", "target", "mappingset", "base")


@dataclass(slots=True)
class HandClock:
    """Stands still until a test moves it."""

    now: float = 0.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


def xdm(world: World, **header: Any) -> dict[str, Any]:
    """An XDM message for the world's dataset, by its flow for XDM."""
    reference = {
        "id": world.ids["schema"],
        "contentType": "application/vnd.adobe.xed-full+json;version=1",
    }
    return {
        "header": {
            "schemaRef": reference,
            "imsOrgId": world.client.platform.ims_org_id,
            "datasetId": world.ids["dataset"],
            "flowId": world.ids["xdm_flow"],
        }
        | header,
        "body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": ROW},
    }


async def test_a_deleted_flow_closes_its_inlet(pendo: World) -> None:
    """Once a flow of the Pendo source is deleted, its streaming endpoint is unknown."""
    inlet = await pendo.inlet()
    assert (await pendo.client.call("DELETE", pendo.path("flow"))).status == 204

    answered = await pendo.client.send(inlet, [EVENT], {"x-adobe-flow-id": pendo.ids["flow"]})

    assert answered.status == 404
    assert (await pendo.client.call("GET", pendo.path("flow"))).status == 404


async def test_a_flow_takes_no_data_before_it_is_ready(
    aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """What comes too early is accepted and lost; from the end of the wait on it is stored."""
    clock = HandClock()
    async with PlatformServer(aep, ready_after_seconds=300, clock=clock) as platform:
        world = World(await connect(platform, aep, http))
        await world.make(*PENDO)
        inlet, header = await world.inlet(), {"x-adobe-flow-id": world.ids["flow"]}
        rows = platform.state.datasets[world.ids["dataset"]].rows

        clock.now = 299.9
        early = await world.client.send(inlet, [EVENT], header)
        assert (early.status, rows) == (207, [])
        assert [lost.reason for lost in platform.state.lost] == [assumed.TOO_EARLY]

        clock.now = 300.0
        await world.client.send(inlet, [EVENT], header)
        assert rows == [ROW]


async def test_a_changed_flow_takes_no_data_before_it_is_ready_again(
    aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """Adobe asks for the same pause after a flow was updated as after it was made."""
    clock = HandClock()
    async with PlatformServer(aep, ready_after_seconds=300, clock=clock) as platform:
        world = World(await connect(platform, aep, http))
        await world.make(*PENDO)
        inlet, header = await world.inlet(), {"x-adobe-flow-id": world.ids["flow"]}
        clock.now = 1000.0
        await world.patch(
            "flow",
            {"op": "add", "path": "/description", "value": "changed"},
            headers={"If-Match": world.etags["flow:etag"]},
        )

        clock.now = 1299.9
        await world.client.send(inlet, [EVENT], header)
        assert [lost.reason for lost in platform.state.lost] == [assumed.TOO_EARLY]

        clock.now = 1300.0
        await world.client.send(inlet, [EVENT], header)
        assert platform.state.datasets[world.ids["dataset"]].rows == [ROW]


async def test_a_disabled_flow_takes_no_data(pendo: World) -> None:
    """What comes for a flow that is disabled is lost, until it is enabled again."""
    inlet, header = await pendo.inlet(), {"x-adobe-flow-id": pendo.ids["flow"]}
    state = pendo.client.platform.state
    action = f"{pendo.path('flow')}/action?op="

    disabled = await pendo.client.call("POST", f"{action}DISABLE")
    await pendo.client.send(inlet, [EVENT], header)
    assert [lost.reason for lost in state.lost] == [assumed.DISABLED_FLOW]
    assert set(disabled.body) == {"id", "etag"}
    (item,) = (await pendo.client.get(pendo.path("flow")))["items"]
    assert item["state"] == "disabled"

    await pendo.client.call("POST", f"{action}ENABLE", headers={"If-Match": item["etag"]})
    await pendo.client.send(inlet, [EVENT], header)
    assert state.datasets[pendo.ids["dataset"]].rows == [ROW]


async def test_a_flow_takes_data_from_its_own_inlet_only(pendo: World, aep: AepServer) -> None:
    """A flow id that is another's, or none's, loses the data: it is not refused."""
    first = pendo.ids["flow"]
    await pendo.make("flow", name="Another")
    header = {"x-adobe-flow-id": first}
    await pendo.client.send(await pendo.inlet(), [EVENT], header)

    state = pendo.client.platform.state
    assert [lost.reason for lost in state.lost] == [assumed.UNKNOWN_FLOW]
    assert len(aep.accepted) == 1


async def test_the_http_source_takes_raw_data(empty: World) -> None:
    """The inlet of a base connection serves the flow that is built on it."""
    await empty.make(*HTTP, "http_source", "http_flow")
    inlet = await empty.inlet("base")
    without = await empty.client.send(inlet, [EVENT])
    await empty.client.send(inlet, [EVENT], {"x-adobe-flow-id": empty.ids["http_flow"]})

    assert without.status == 400
    assert empty.client.platform.state.datasets[empty.ids["dataset"]].rows == [ROW]


@pytest.mark.parametrize("is_authenticated", [False, True])
async def test_the_http_source_takes_xdm(empty: World, is_authenticated: bool) -> None:
    """XDM goes to the dataset in its header, if it names its flow; with a token if so made."""
    await empty.make(*HTTP[:-1])
    auth = empty.body("base")["auth"]
    params = {"dataType": "xdm", "authenticationRequired": is_authenticated}
    await empty.make("base", auth=auth | {"params": auth["params"] | params})
    await empty.make("http_source", "xdm_flow")
    inlet = await empty.inlet("base")
    token = {"Authorization": f"Bearer {empty.client.token}"} if is_authenticated else {}

    if is_authenticated:
        assert (await empty.client.send(inlet, [xdm(empty)])).status == 401
    messages = [xdm(empty), xdm(empty, flowId=""), xdm(empty, flowId="x")]
    answered = await empty.client.send(inlet, messages, token)

    assert [entry.get("statusCode") for entry in answered.body["responses"]] == [None, 400, None]
    state = empty.client.platform.state
    assert state.datasets[empty.ids["dataset"]].rows == [ROW]
    assert [lost.reason for lost in state.lost] == [assumed.UNKNOWN_FLOW]


async def test_xdm_for_something_else_is_lost(empty: World) -> None:
    """XDM of another organisation, dataset or schema, or against the schema, is not stored."""
    await empty.make(*HTTP[:-1])
    auth = empty.body("base")["auth"]
    await empty.make("base", auth=auth | {"params": auth["params"] | {"dataType": "xdm"}})
    await empty.make("http_source", "xdm_flow")
    wrong = xdm(empty)
    wrong["body"]["xdmEntity"] = ROW | {"unheardOf": 1}
    other = xdm(empty)
    other["header"]["schemaRef"] = {"id": "x", "contentType": "y"}
    other["body"]["xdmMeta"]["schemaRef"] = other["header"]["schemaRef"]
    messages = [xdm(empty, imsOrgId="X@AdobeOrg"), xdm(empty, datasetId="x"), wrong, other]
    answered = await empty.client.send(await empty.inlet("base"), messages)

    state = empty.client.platform.state
    assert answered.status == 207
    assert not state.datasets[empty.ids["dataset"]].rows
    errors = state.flows[empty.ids["xdm_flow"]].errors
    assert [error.reason for error in errors if error.dropped] == [
        "the organisation is another",
        "there is no such dataset",
        "#: extraneous key [unheardOf] is not permitted",
        "the schema is not the dataset's",
    ]


async def test_a_base_connection_of_the_other_data_type_fits_no_flow(empty: World) -> None:
    """A flow with a mapping needs a raw base connection, one without an XDM one."""
    await empty.make(*HTTP, "http_source")
    answered = await empty.post("xdm_flow")
    assert answered.status == 400
    assert "data type" in answered.body["detail"]

    in_use = await empty.client.call("DELETE", f"{FLOWS}/connections/{empty.ids['base']}")
    assert in_use.status == 400
