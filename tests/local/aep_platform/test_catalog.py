"""Datasets: found by name, changed by version, deleted. Identity namespaces. Sandboxes."""

from __future__ import annotations

import pytest

from local.aep_platform import Permission
from tests.local.aep_platform.client import CATALOG, NAMESPACES, PATHS, PlatformClient

SCHEMA = ("fieldgroup", "schema")
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
UNION = {"op": "add", "path": "/meta:immutableTags", "value": ["union"]}
PROFILE = {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]}


async def test_dataset_is_shown_under_its_id(empty: PlatformClient) -> None:
    """A lookup is an object with one key, and has the version as its `E-Tag`."""
    await empty.make(*SCHEMA, "dataset")
    answered = await empty.call("GET", empty.path("dataset"))
    dataset = answered.body[empty.ids["dataset"]]

    assert dataset["schemaRef"] == empty.body("dataset")["schemaRef"]
    assert dataset["version"] == answered.headers["E-Tag"] == "1.0.0"
    assert dataset["tags"] == {
        "managedBy": ["pendo-to-aep"],
        "adobe/pqs/table": ["pendo_events"],
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=A", {"A"}),
        ("name=a", set()),
        ("property=name==A", {"A"}),
        ("orderBy=desc:created&limit=1", {"B"}),
        ("orderBy=asc:name&start=2", {"C"}),
    ],
)
async def test_datasets_are_filtered(empty: PlatformClient, query: str, names: set[str]) -> None:
    """The documented filters find what they say."""
    await empty.make(*SCHEMA)
    for created, name in enumerate(("A", "C", "B")):
        await empty.make("dataset", name=name)
        empty.platform.state.datasets[empty.ids["dataset"]].created = created
    found = await empty.get(f"{PATHS['dataset']}?{query}")

    assert {dataset["name"] for dataset in found.values()} == names


async def test_datasets_have_pages(empty: PlatformClient) -> None:
    """Twenty come by default; `start` counts on. A name may be used twice."""
    await empty.make(*SCHEMA)
    for number in range(23):
        await empty.make("dataset", name=f"{min(number, 21):02}")
    first = await empty.get(PATHS["dataset"])
    second = await empty.get(f"{PATHS['dataset']}?start=20&properties=name")

    assert len(first) == 20
    assert list(second.values()) == [{"name": "20"}, {"name": "21"}, {"name": "21"}]


async def test_both_kinds_of_patch_change_a_dataset(empty: PlatformClient) -> None:
    """Plain fields replace, JSON Patch goes deeper; each makes a new version."""
    await empty.make(*SCHEMA, "dataset")
    path = empty.path("dataset")
    plain = await empty.call("PATCH", path, {"name": "n"}, {"If-Match": "1.0.0"})
    deep = await empty.patch(
        "dataset",
        {"op": "add", "path": "/tags/more", "value": ["y"]},
        headers=JSON_PATCH | {"If-Match": "1.0.1"},
    )

    assert plain.body == deep.body == [f"@/dataSets/{empty.ids['dataset']}"]
    assert deep.headers["E-Tag"] == "1.0.2"
    dataset = (await empty.get(path))[empty.ids["dataset"]]
    assert dataset["name"] == "n"
    assert dataset["tags"] == {
        "managedBy": ["pendo-to-aep"],
        "adobe/pqs/table": ["pendo_events"],
        "more": ["y"],
    }


async def test_profile_needs_a_schema_in_the_union(empty: PlatformClient) -> None:
    """The tags for Profile need the schema's tag first, and a permission of their own."""
    await empty.make(*SCHEMA, "dataset")
    add = {"op": "add", "path": "/tags/unifiedProfile", "value": ["enabled:true"]}
    assert (await empty.patch("dataset", add, headers=JSON_PATCH)).status == 400

    await empty.patch("schema", UNION)
    empty.platform.permissions.discard(Permission.MANAGE_PROFILES)
    refused = await empty.patch("dataset", add, headers=JSON_PATCH)
    assert refused.status == 403
    assert "Manage Profiles" in refused.body["detail"]

    empty.platform.permissions.add(Permission.MANAGE_PROFILES)
    assert (await empty.patch("dataset", add, headers=JSON_PATCH)).status == 200
    assert (await empty.post("dataset", tags=PROFILE)).status == 201


async def test_dataset_is_deleted_twice(empty: PlatformClient) -> None:
    """DELETE names what it deleted; the second time that is nothing, and it changes nothing."""
    await empty.make(*SCHEMA, "dataset")
    path = empty.path("dataset")
    first, second = [await empty.call("DELETE", path) for _ in range(2)]

    assert (first.status, first.body) == (200, [f"@/dataSets/{empty.ids['dataset']}"])
    assert (second.status, second.body) == (200, [])
    assert (await empty.call("GET", path)).status == 404
    methods = [call.method for call in empty.platform.state.changing_calls]
    assert methods.count("DELETE") == 1


async def test_dataset_with_data_has_a_batch(pendo: PlatformClient) -> None:
    """Before the first row there is no batch; after it there is, and the dataset names it."""
    path = f"{CATALOG}/batches?dataSet={pendo.ids['dataset']}&limit=1&orderBy=desc:created"
    assert await pendo.get(path) == {}
    assert "lastBatchId" not in (await pendo.get(pendo.path("dataset"))).popitem()[1]

    row = {"_id": "e-1", "timestamp": "2024-05-06T07:08:09Z"}
    await pendo.send_to_flow(
        {"id": row["_id"], "occurredAt": row["timestamp"]},
        {"id": "e-2", "occurredAt": row["timestamp"]},
    )

    ((batch_id, batch),) = (await pendo.get(path)).items()
    assert batch["status"] == "success"
    assert batch["metrics"] == {
        "inputRecordCount": 2,
        "outputRecordCount": 2,
        "failedRecordCount": 0,
    }
    assert batch["relatedObjects"] == [{"type": "dataSet", "id": pendo.ids["dataset"]}]
    dataset = (await pendo.get(pendo.path("dataset")))[pendo.ids["dataset"]]
    assert dataset["lastBatchId"] == dataset["lastSuccessfulBatch"] == batch_id
    assert await pendo.get(f"{CATALOG}/batches?status=failed") == {}


async def test_namespaces_are_an_array(empty: PlatformClient) -> None:
    """The list has Adobe's own and the organisation's, told apart by `custom`."""
    await empty.make("namespace")
    found = await empty.get(NAMESPACES)

    assert {one["code"] for one in found if one["custom"]} == {"PendoVisitor"}
    assert {"Email", "ECID"} <= {one["code"] for one in found if not one["custom"]}


async def test_sandboxes_are_separate(empty: PlatformClient) -> None:
    """What is made in one sandbox is not in the other, where its title is free."""
    await empty.make("fieldgroup")
    dev = {"x-sandbox-name": "dev"}
    path, body = PATHS["fieldgroup"], empty.body("fieldgroup")

    assert (await empty.call("POST", path, body, dev)).status == 201
    assert len(empty.platform.states["dev"].field_groups) == 1
    assert len(empty.platform.states["prod"].field_groups) == 1


async def test_sandboxes_are_listed_without_naming_one(empty: PlatformClient) -> None:
    """Which sandboxes there are can be asked without naming one, or naming an unknown one."""
    for name in (None, "nowhere"):
        answered = await empty.call(
            "GET", "/data/foundation/sandbox-management/", headers={"x-sandbox-name": name}
        )
        assert answered.status == 200
        assert [one["name"] for one in answered.body["sandboxes"]] == ["prod", "dev"]
