"""Datasets: found by name, tag and property, changed by version, deleted."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from local.aep_platform import Permission
from tests.local.aep_platform.world import PATHS, UNION, World

SCHEMA = ("fieldgroup", "schema")
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
PROFILE = {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]}


async def test_a_dataset_is_shown_under_its_id(empty: World) -> None:
    """A lookup is an object with one key, and has the version as its `E-Tag`."""
    await empty.make(*SCHEMA, "dataset")
    answered = await empty.client.call("GET", empty.path("dataset"))
    dataset = answered.body[empty.ids["dataset"]]

    assert dataset["schemaRef"] == empty.body("dataset")["schemaRef"]
    assert dataset["version"] == answered.headers["E-Tag"] == "1.0.0"
    assert dataset["tags"] == {"managedBy": ["pendo-to-aep"]}


async def test_names_are_not_unique(empty: World) -> None:
    """Two datasets may have one name."""
    await empty.make(*SCHEMA, "dataset", "dataset")

    assert len(await empty.client.get(PATHS["dataset"])) == 2


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=A", {"A"}),
        ("name=A,B*C", {"A", "BxC", "B*C"}),
        ("name=B**C", {"B*C"}),
        ("name=!A", {"BxC", "B*C"}),
        ("name=a", set()),
        ("property=name==A", {"A"}),
        ("property=name~%5EB", {"BxC", "B*C"}),
        ("property=!description", {"A", "BxC", "B*C"}),
        ("tags=for:A", {"A"}),
        ("tags=for:*,managedBy:x", {"A", "BxC", "B*C"}),
        ("tags=for:A,managedBy:y", set()),
        ("orderBy=desc:created&limit=1", {"B*C"}),
        ("orderBy=asc:name&start=2", {"BxC"}),
    ],
)
async def test_datasets_are_filtered(empty: World, query: str, names: set[str]) -> None:
    """The documented filters find what they say."""
    await empty.make(*SCHEMA)
    for created, name in enumerate(("A", "BxC", "B*C")):
        await empty.make("dataset", name=name, tags={"for": [name], "managedBy": ["x"]})
        empty.client.platform.state.datasets[empty.ids["dataset"]].created = created
    found = await empty.client.get(f"{PATHS['dataset']}?{quote(query, '=&*!,:~%')}")

    assert {dataset["name"] for dataset in found.values()} == names


async def test_datasets_have_pages(empty: World) -> None:
    """Twenty come by default; `start` counts on, and a page that is not full is the last."""
    await empty.make(*SCHEMA)
    for number in range(23):
        await empty.make("dataset", name=f"{number:02}")
    first = await empty.client.get(PATHS["dataset"])
    second = await empty.client.get(f"{PATHS['dataset']}?start=20&properties=name")

    assert (len(first), len(second)) == (20, 3)
    assert list(second.values()) == [{"name": "20"}, {"name": "21"}, {"name": "22"}]


async def test_a_dataset_is_changed_by_either_kind_of_patch(empty: World) -> None:
    """Plain fields replace, JSON Patch goes deeper; each moves the version on."""
    await empty.make(*SCHEMA, "dataset")
    path = empty.path("dataset")
    plain = await empty.client.call("PATCH", path, {"name": "n"}, {"If-Match": "1.0.0"})
    deep = await empty.patch(
        "dataset",
        {"op": "add", "path": "/tags/more", "value": ["y"]},
        headers=JSON_PATCH | {"If-Match": "1.0.1"},
    )

    assert plain.body == deep.body == [f"@/dataSets/{empty.ids['dataset']}"]
    assert deep.headers["E-Tag"] == "1.0.2"
    dataset = (await empty.client.get(path))[empty.ids["dataset"]]
    assert dataset["name"] == "n"
    assert dataset["tags"] == {"managedBy": ["pendo-to-aep"], "more": ["y"]}


async def test_profile_goes_where_the_schema_is_in_the_union(empty: World) -> None:
    """The tags for Profile need the schema's tag first, and the permission of their own."""
    await empty.make(*SCHEMA, "dataset")
    add = {"op": "add", "path": "/tags/unifiedProfile", "value": ["enabled:true"]}
    assert (await empty.patch("dataset", add, headers=JSON_PATCH)).status == 400

    await empty.patch("schema", UNION)
    empty.client.platform.permissions.discard(Permission.MANAGE_PROFILES)
    refused = await empty.patch("dataset", add, headers=JSON_PATCH)
    assert refused.status == 403
    assert "Manage Profiles" in refused.body["detail"]

    empty.client.platform.permissions.add(Permission.MANAGE_PROFILES)
    assert (await empty.patch("dataset", add, headers=JSON_PATCH)).status == 200
    assert (await empty.post("dataset", tags=PROFILE)).status == 201


async def test_a_dataset_that_is_gone_is_deleted_again(empty: World) -> None:
    """DELETE names what it deleted; the second time that is nothing, and it changes nothing."""
    await empty.make(*SCHEMA, "dataset")
    path = empty.path("dataset")
    first, second = [await empty.client.call("DELETE", path) for _ in range(2)]

    assert (first.status, first.body) == (200, [f"@/dataSets/{empty.ids['dataset']}"])
    assert (second.status, second.body) == (200, [])
    assert (await empty.client.call("GET", path)).status == 404
    state = empty.client.platform.state
    assert [call.method for call in state.changing_calls].count("DELETE") == 1


async def test_sandboxes_are_apart(empty: World) -> None:
    """What is made in one sandbox is not seen in the other, where its title is free."""
    await empty.make("fieldgroup")
    dev = {"x-sandbox-name": "dev"}
    path, body = PATHS["fieldgroup"], empty.body("fieldgroup")

    assert (await empty.client.call("POST", path, body, dev)).status == 201
    assert len(empty.client.platform.states["dev"].field_groups) == 1
    assert len(empty.client.platform.states["prod"].field_groups) == 1
