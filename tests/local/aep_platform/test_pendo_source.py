"""From nothing to a dataflow by the calls that Adobe documents, and what comes out of it."""

from __future__ import annotations

from tests.local.aep_platform.client import CATALOG
from tests.local.aep_platform.events import EVENT, ROW
from tests.local.aep_platform.world import PENDO, World


async def test_each_call_answers_as_documented(empty: World) -> None:
    """Each of the calls has its own status for success and its own shape of an answer."""
    answered = {}
    for kind in PENDO:
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


async def test_raw_messages_are_mapped_by_the_very_mapping_set(pendo: World) -> None:
    """What the inlet of the flow takes lies in the dataset as XDM."""
    answered = await pendo.client.send(
        await pendo.inlet(), [EVENT], {"x-adobe-flow-id": pendo.ids["flow"]}
    )

    state = pendo.client.platform.state
    assert answered.status == 207
    assert state.datasets[pendo.ids["dataset"]].rows == [ROW]
    assert not state.flows[pendo.ids["flow"]].errors
    assert not state.lost


async def test_an_enveloped_record_is_mapped_without_its_envelope(pendo: World) -> None:
    """The mapping set sees the record, however it was sent."""
    ids = pendo.ids
    header = {"flowId": ids["flow"], "imsOrgId": "o", "datasetId": ids["dataset"]}
    message = {"header": header | {"operations": {"data": "create"}}, "body": EVENT}
    await pendo.client.send(await pendo.inlet(), [message], {"x-adobe-flow-id": ids["flow"]})

    assert pendo.client.platform.state.datasets[ids["dataset"]].rows == [ROW]


async def test_the_flow_id_may_stand_in_the_query(pendo: World) -> None:
    """A request may name its flow in the query, as Pendo's own does."""
    url = f"{await pendo.inlet()}?x-adobe-flow-id={pendo.ids['flow']}"
    await pendo.client.send(url, [EVENT])

    assert pendo.client.platform.state.datasets[pendo.ids["dataset"]].rows == [ROW]


async def test_a_mapping_that_fails_leaves_its_field_out(pendo: World) -> None:
    """A value that does not fit becomes nothing, is noted, and the row goes on."""
    event = EVENT | {"nps": {"rating": "seven"}}
    await pendo.client.send(await pendo.inlet(), [event], {"x-adobe-flow-id": pendo.ids["flow"]})

    state = pendo.client.platform.state
    assert state.datasets[pendo.ids["dataset"]].rows == [ROW]
    (error,) = state.flows[pendo.ids["flow"]].errors
    assert error.reason.startswith("_acme.pendo.rating:")
    assert not error.dropped
    assert "seven" not in error.reason


async def test_a_row_that_is_no_event_is_dropped(pendo: World) -> None:
    """Without `_id` or `timestamp`, of the future, or against the schema: no row, and a reason."""
    wrong = {
        "required key [_id]": {k: v for k, v in EVENT.items() if k != "id"},
        "required key [timestamp]": {k: v for k, v in EVENT.items() if k != "occurredAt"},
        "in the future": EVENT | {"occurredAt": "2999-01-01T00:00:00Z"},
        "colons": EVENT | {"id": "a:b"},
        "maxLength:20": EVENT | {"guide": {"name": "x" * 21}},
    }
    answered = await pendo.client.send(
        await pendo.inlet(), list(wrong.values()), {"x-adobe-flow-id": pendo.ids["flow"]}
    )

    state = pendo.client.platform.state
    assert all("xactionId" in response for response in answered.body["responses"])
    assert not state.datasets[pendo.ids["dataset"]].rows
    dropped = [error for error in state.flows[pendo.ids["flow"]].errors if error.dropped]
    for part, error in zip(wrong, dropped, strict=True):
        assert part in error.reason


async def test_a_dataset_that_holds_data_has_a_batch(pendo: World) -> None:
    """Before the first row there is no batch; after it there is, and the dataset names it."""
    path = f"{CATALOG}/batches?dataSet={pendo.ids['dataset']}&limit=1&orderBy=desc:created"
    assert await pendo.client.get(path) == {}
    assert "lastBatchId" not in (await pendo.client.get(pendo.path("dataset"))).popitem()[1]

    header = {"x-adobe-flow-id": pendo.ids["flow"]}
    await pendo.client.send(await pendo.inlet(), [EVENT, EVENT | {"id": "e-2"}], header)

    ((batch_id, batch),) = (await pendo.client.get(path)).items()
    assert batch["status"] == "success"
    assert batch["metrics"] == {"recordsWritten": 2}
    assert batch["relatedObjects"] == [{"type": "dataSet", "id": pendo.ids["dataset"]}]
    dataset = (await pendo.client.get(pendo.path("dataset")))[pendo.ids["dataset"]]
    assert dataset["lastBatchId"] == dataset["lastSuccessfulBatch"] == batch_id
    assert await pendo.client.get(f"{CATALOG}/batches?status=failed") == {}


async def test_a_deleted_dataset_takes_nothing_and_leaves_no_batch(pendo: World) -> None:
    """A dataset can go although it holds data; the flow then drops what comes."""
    inlet, header = await pendo.inlet(), {"x-adobe-flow-id": pendo.ids["flow"]}
    await pendo.client.send(inlet, [EVENT], header)
    await pendo.client.call("DELETE", pendo.path("dataset"))
    await pendo.client.send(inlet, [EVENT], header)

    state = pendo.client.platform.state
    assert await pendo.client.get(f"{CATALOG}/batches") == {}
    assert [error.reason for error in state.flows[pendo.ids["flow"]].errors] == [
        "there is no such dataset"
    ]
