"""The schema and the tenant's field group have a field for every row of the mapping table."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from pendo_aep.aep.mapping import FIELDS, Field
from pendo_aep.provisioning.client import Operation
from tests.unit.provisioning.harness import Harness, only


async def test_the_schema_has_every_row(harness: Harness) -> None:
    """The registry resolves it to a field of the row's type, and of the row's title if it is ours.

    The other fields are Adobe's. The sandbox has no other schema, so nothing else is ours.
    """
    await harness.apply()
    schema_id = quote(only(harness.state.schemas).id, "")
    path = f"/data/foundation/schemaregistry/tenant/schemas/{schema_id}"
    accept = "application/vnd.adobe.xed-full+json; version=1"
    async with harness.connected() as platform:
        resolved = await platform.client.read(Operation("read", "GET", path, accept=accept))

    found = {field.xdm: shown(resolved, field) for field in FIELDS}
    assert found == {field.xdm: expected(field) for field in FIELDS}


def is_ours(field: Field) -> bool:
    """Returns whether a row is in the tenant's own object."""
    return field.xdm.startswith("{tenant}.")


def shown(resolved: Any, field: Field) -> tuple[str, str]:
    """Returns the type of the field at a row's path, and its title if it is ours."""
    path = field.xdm.format(tenant="_acme")
    for step in re.findall(r"\[\]|[^.\[\]]+", path):
        resolved = resolved["items"] if step == "[]" else resolved["properties"][step]
    return resolved.get("format", resolved["type"]), resolved["title"] if is_ours(field) else ""


def expected(field: Field) -> tuple[str, str]:
    """Returns what XDM calls the type of a row, and its title if it is ours."""
    types = {"json": "string", "identity": "object", "question": "string", "answer": "string"}
    type_ = types.get(field.type, field.type)
    if field.xdm == "_id":
        type_ = "uri-reference"
    return type_, field.title if is_ours(field) else ""
