"""The schema and the tenant's field group: a field for every row of the mapping table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from pendo_aep.aep.mapping import FIELDS, Field
from pendo_aep.provisioning.client import Operation
from pendo_aep.provisioning.schema import EXPERIENCE_EVENT, field_group_body
from tests.cases import Case, cases
from tests.unit.provisioning.harness import Harness, only


def fields(tenant_id: str = "acme") -> Any:
    """Returns the fields of the group below the tenant's own object."""
    custom = field_group_body("Pendo Fields", tenant_id)["definitions"]["customFields"]
    return custom["properties"]["_acme"]["properties"]


@pytest.mark.parametrize("case", cases("aep_field_group"))
def test_field(case: Case) -> None:
    """Each type of the table has its form in XDM."""
    assert fields()["pendo"]["properties"][case["name"]] == case["field"]


@pytest.mark.parametrize("tenant_id", ["acme", "_acme"])
def test_the_group_has_every_field_of_the_tenant(tenant_id: str) -> None:
    """It has the tenant's own rows of the table, under their titles, and no others."""
    own = {f.xdm: f.title for f in FIELDS if f.xdm.startswith("{tenant}.")}
    assert dict(leaves(fields(tenant_id), "{tenant}.")) == own


def leaves(properties: dict[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """Yields the path of every field that has no inner fields, and its title."""
    for name, field in properties.items():
        is_array = field["type"] == "array"
        path, inner = f"{at}{name}{'[]' * is_array}", field["items"] if is_array else field
        if "properties" in inner:
            yield from leaves(inner["properties"], f"{path}.")
        else:
            yield path, field["title"]


def test_nothing_that_the_registry_generates_is_sent() -> None:
    """Such as ids, versions, types of its own."""
    body = field_group_body("Pendo Fields", "acme")
    assert set(body) == {
        *("title", "description", "type", "meta:intendedToExtend", "definitions", "allOf")
    }
    assert body["meta:intendedToExtend"] == [EXPERIENCE_EVENT]
    assert "meta:" not in json.dumps(body["definitions"])


async def test_the_schema_has_every_row(harness: Harness) -> None:
    """The registry resolves the schema to a field for each row, of the row's type."""
    await harness.apply()
    schema_id = quote(only(harness.state.schemas).id, "")
    path = f"/data/foundation/schemaregistry/tenant/schemas/{schema_id}"
    accept = "application/vnd.adobe.xed-full+json; version=1"
    async with harness.connected() as platform:
        resolved = await platform.client.read(Operation("read", "GET", path, accept=accept))

    found = {field.xdm: type_at(resolved, field) for field in FIELDS}
    assert found == {field.xdm: expected_type(field) for field in FIELDS}


def type_at(resolved: Any, field: Field) -> str:
    """Returns the type of the field at a row's path."""
    path = field.xdm.removesuffix(".{namespace}").format(tenant="_acme")
    for step in re.findall(r"\[\]|[^.\[\]]+", path):
        resolved = resolved["items"] if step == "[]" else resolved["properties"][step]
    found: str = resolved.get("format", resolved["type"])
    return found


def expected_type(field: Field) -> str:
    """Returns what XDM calls the type of a row."""
    if field.xdm == "_id":
        return "uri-reference"
    return {"json": "string", "identity": "object"}.get(field.type, field.type)
