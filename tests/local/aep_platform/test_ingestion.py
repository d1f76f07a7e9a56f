"""From nothing to a dataflow by the calls that Adobe documents, and which data it stores."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from local.aep import AepServer
from local.aep_platform import PlatformServer, assumed
from local.simulated_time import ManualClock
from tests.local.aep_platform.client import EVENT, PENDO_SOURCE, ROW, PlatformClient, connect

HTTP_SOURCE = ("namespace", "fieldgroup", "schema", "dataset", "target", "mappingset", "base")


async def test_calls_answer_as_documented(empty: PlatformClient) -> None:
    """Each of the calls has its own status for success and its own shape of an answer."""
    answered = {}
    for kind in PENDO_SOURCE:
        answered[kind] = await empty.post(kind)
        await empty.make(kind, name=f"{kind} 2", title=f"{kind} 2", code=f"{kind}2")
    statuses = {kind: found.status for kind, found in answered.items()}

    assert statuses == {
        "namespace": 200,
        "fieldgroup": 201,
        "schema": 201,
        "dataset": 201,
        "source": 201,
        "target": 201,
        "mappingset": 200,
        "flow": 201,
    }
    assert answered["namespace"].body["custom"] is True
    assert answered["fieldgroup"].body["meta:resourceType"] == "mixins"
    assert answered["schema"].body["meta:class"].endswith("/context/experienceevent")
    assert answered["dataset"].headers["Location"] == answered["dataset"].body[0]
    assert set(answered["mappingset"].body) >= {"id", "version", "createdDate", "modifiedDate"}
    assert answered["mappingset"].body["version"] == 0
    for kind in ("source", "target", "flow"):
        assert set(answered[kind].body) == {"id", "etag"}
        assert answered[kind].body["etag"][0] == answered[kind].body["etag"][-1] == '"'
        assert answered[kind].headers["Location"].endswith(answered[kind].body["id"])


async def test_flow_id_in_the_query(pendo: PlatformClient) -> None:
    """A request may name its flow in the query, as Pendo's own does."""
    url = f"{await pendo.inlet()}?x-adobe-flow-id={pendo.ids['flow']}"
    await pendo.send(url, [EVENT])

    assert pendo.rows == [ROW]


async def test_mapping_that_fails_omits_its_field(pendo: PlatformClient) -> None:
    """A value that does not fit is left out and recorded; the rest of the row is stored."""
    await pendo.send_to_flow(EVENT | {"nps": {"rating": "seven"}})

    assert pendo.rows == [ROW]
    (error,) = pendo.platform.state.flows[pendo.ids["flow"]].errors
    assert error.reason.startswith("_acme.pendo.rating:")
    assert not error.dropped
    assert "seven" not in error.reason


async def test_invalid_rows_are_dropped(pendo: PlatformClient) -> None:
    """Without `_id` or `timestamp`, of the future, or against the schema: no row, and a reason."""
    invalid = {
        "required key [_id]": {k: v for k, v in EVENT.items() if k != "id"},
        "required key [timestamp]": {k: v for k, v in EVENT.items() if k != "occurredAt"},
        "in the future": EVENT | {"occurredAt": "2999-01-01T00:00:00Z"},
        "colons": EVENT | {"id": "a:b"},
        "maxLength:20": EVENT | {"guide": {"name": "x" * 21}},
    }
    answered = await pendo.send_to_flow(*invalid.values())

    assert all("xactionId" in response for response in answered.body["responses"])
    assert not pendo.rows
    errors = pendo.platform.state.flows[pendo.ids["flow"]].errors
    dropped = [error for error in errors if error.dropped]
    for part, error in zip(invalid, dropped, strict=True):
        assert part in error.reason


async def test_deleted_dataset_takes_nothing(pendo: PlatformClient) -> None:
    """A dataset can go although it holds data; the flow then drops what comes."""
    await pendo.send_to_flow(EVENT)
    await pendo.call("DELETE", pendo.path("dataset"))
    await pendo.send_to_flow(EVENT)

    state = pendo.platform.state
    assert state.batches == {}
    assert [error.reason for error in state.flows[pendo.ids["flow"]].errors] == [
        "there is no such dataset"
    ]


async def test_flow_takes_no_data_before_it_is_ready(
    aep: AepServer, http: aiohttp.ClientSession
) -> None:
    """What comes within the pause after a flow was made or updated is accepted and lost."""
    clock = ManualClock()
    async with PlatformServer(aep, ready_after_seconds=300, clock=clock) as platform:
        client = await connect(platform, aep, http)
        await client.make(*PENDO_SOURCE)

        clock.now = 299.9
        early = await client.send_to_flow(EVENT)
        assert (early.status, client.rows) == (207, [])
        clock.now = 300.0
        await client.send_to_flow(EVENT)
        assert client.rows == [ROW]

        clock.now = 1000.0
        await client.patch(
            "flow",
            {"op": "add", "path": "/description", "value": "changed"},
            headers={"If-Match": client.etags["flow"]},
        )
        clock.now = 1299.9
        await client.send_to_flow(EVENT)
        assert [lost.reason for lost in platform.state.lost] == [assumed.TOO_EARLY] * 2
        clock.now = 1300.0
        await client.send_to_flow(EVENT)
        assert client.rows == [ROW, ROW]


async def test_disabled_flow_takes_no_data(pendo: PlatformClient) -> None:
    """What comes for a flow that is disabled is lost, until it is enabled again."""
    action = f"{pendo.path('flow')}/action?op="

    disabled = await pendo.call("POST", f"{action}DISABLE")
    await pendo.send_to_flow(EVENT)
    assert [lost.reason for lost in pendo.platform.state.lost] == [assumed.DISABLED_FLOW]
    assert set(disabled.body) == {"id", "etag"}
    (item,) = (await pendo.get(pendo.path("flow")))["items"]
    assert item["state"] == "disabled"

    await pendo.call("POST", f"{action}ENABLE", headers={"If-Match": item["etag"]})
    await pendo.send_to_flow(EVENT)
    assert pendo.rows == [ROW]


async def test_flow_takes_data_from_its_own_inlet_only(pendo: PlatformClient) -> None:
    """Data for a flow of another inlet, or for no flow, is lost: it is not refused."""
    first = pendo.ids["flow"]
    await pendo.make("flow", name="Another")
    await pendo.send(await pendo.inlet(), [EVENT], {"x-adobe-flow-id": first})

    assert [lost.reason for lost in pendo.platform.state.lost] == [assumed.UNKNOWN_FLOW]
    assert len(pendo.aep.accepted) == 1


async def make_xdm_source(client: PlatformClient, *, needs_token: bool = False) -> str:
    """Makes an HTTP source for XDM; returns its streaming endpoint."""
    await client.make(*HTTP_SOURCE[:-1])
    auth = client.body("base")["auth"]
    params = {"dataType": "xdm", "authenticationRequired": needs_token}
    await client.make("base", auth=auth | {"params": auth["params"] | params})
    await client.make("http_source", "xdm_flow")
    return await client.inlet("base")


def xdm(client: PlatformClient, **header: Any) -> dict[str, Any]:
    """Returns an XDM message for the client's dataset, by its flow for XDM."""
    reference = {
        "id": client.ids["schema"],
        "contentType": "application/vnd.adobe.xed-full+json;version=1",
    }
    return {
        "header": {
            "schemaRef": reference,
            "imsOrgId": client.platform.ims_org_id,
            "datasetId": client.ids["dataset"],
            "flowId": client.ids["xdm_flow"],
        }
        | header,
        "body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": ROW},
    }


@pytest.mark.parametrize("needs_token", [False, True])
async def test_http_source_takes_xdm(empty: PlatformClient, needs_token: bool) -> None:
    """XDM goes to the dataset in its header, if it names its flow; with a token if so made."""
    inlet = await make_xdm_source(empty, needs_token=needs_token)
    token = {"Authorization": f"Bearer {empty.token}"} if needs_token else {}

    if needs_token:
        assert (await empty.send(inlet, [xdm(empty)])).status == 401
    messages = [xdm(empty), xdm(empty, flowId=""), xdm(empty, flowId="x")]
    answered = await empty.send(inlet, messages, token)

    assert [entry.get("statusCode") for entry in answered.body["responses"]] == [None, 400, None]
    assert empty.rows == [ROW]
    assert [lost.reason for lost in empty.platform.state.lost] == [assumed.UNKNOWN_FLOW]


async def test_xdm_that_does_not_fit_is_dropped(empty: PlatformClient) -> None:
    """XDM of another organisation, dataset or schema, or against the schema, is not stored."""
    inlet = await make_xdm_source(empty)
    invalid = xdm(empty)
    invalid["body"]["xdmEntity"] = ROW | {"unheardOf": 1}
    other = xdm(empty)
    other["header"]["schemaRef"] = {"id": "x", "contentType": "y"}
    other["body"]["xdmMeta"]["schemaRef"] = other["header"]["schemaRef"]
    messages = [xdm(empty, imsOrgId="X@AdobeOrg"), xdm(empty, datasetId="x"), invalid, other]
    answered = await empty.send(inlet, messages)

    assert answered.status == 207
    assert not empty.rows
    errors = empty.platform.state.flows[empty.ids["xdm_flow"]].errors
    assert {error.reason for error in errors if error.dropped} == {
        "the organisation is another",
        "there is no such dataset",
        "The message cannot be validated: #: extraneous key [unheardOf] is not permitted.",
        "the schema is not the dataset's",
    }
    (batch,) = empty.platform.state.batches.values()  # the unknown dataset has none
    assert [record.id for record in batch.failed] == [ROW["_id"]] * 3
    assert batch.failed[1].body["xdmEntity"] == invalid["body"]["xdmEntity"]
    assert batch.failed[1].header == invalid["header"]
