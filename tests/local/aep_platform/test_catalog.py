"""Datasets: found by name, changed by version, deleted. Identity namespaces. Sandboxes."""

from __future__ import annotations

import pytest

from local.aep_platform import Permission
from tests.local.aep_platform.client import PATHS, PlatformClient

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
