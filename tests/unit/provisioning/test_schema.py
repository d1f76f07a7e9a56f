"""The schema: one class, Adobe's field groups and ours; a place for every row of the table."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from local.aep_platform.schema_resources import standard_resources
from pendo_aep.aep.mapping import FIELDS, Field
from pendo_aep.provisioning.schema import EXPERIENCE_EVENT, schema
from pendo_aep.provisioning.standard_groups import STANDARD_GROUPS
from tests.local.aep_platform.client import FULL, REGISTRY
from tests.unit.provisioning.tenant import tenant


def test_body() -> None:
    """The class comes first, then the groups of Adobe's, then ours."""
    body = schema("Pendo Events", "https://ns.adobe.com/acme/mixins/1")
    assert [part["$ref"] for part in body["allOf"]] == [
        EXPERIENCE_EVENT,
        *(group.id for group in STANDARD_GROUPS),
        "https://ns.adobe.com/acme/mixins/1",
    ]
    assert set(body) == {"title", "description", "type", "allOf"}


@pytest.mark.parametrize("group_id", [group.id for group in STANDARD_GROUPS])
def test_adobes_groups_are_all_used(group_id: str) -> None:
    """Each group of Adobe's is there for a row of the table."""
    roots = standard_resources()[group_id].body["properties"]
    assert any(field.xdm.partition(".")[0] in roots for field in FIELDS)


async def test_every_row_has_its_place() -> None:
    """AEP's own view of the schema has a field for each row, of the row's type."""
    async with tenant() as made:
        path = f"{REGISTRY}/tenant/schemas/{quote(made.schema['$id'], '')}"
        resolved = await made.client.get(path, FULL)
    found = {field.xdm: type_at(resolved, field) for field in FIELDS}
    assert found == {field.xdm: expected(field) for field in FIELDS}


def type_at(resolved: Any, field: Field) -> str:
    """The type of the field at a row's place."""
    path = field.xdm.removesuffix(".{namespace}").format(tenant="_acme")
    for step in re.findall(r"\[\]|[^.\[\]]+", path):
        resolved = resolved["items"] if step == "[]" else resolved["properties"][step]
    kind: str = resolved.get("format", resolved["type"])
    return kind


def expected(field: Field) -> str:
    """What XDM calls the type of a row."""
    if field.xdm == "_id":
        return "uri-reference"
    return {"json": "string", "identity": "object"}.get(field.type, field.type)
