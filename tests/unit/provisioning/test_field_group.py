"""The tenant's field group: every field that is the tenant's own, and nothing of the server's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pendo_aep.aep.mapping import FIELDS
from pendo_aep.provisioning.field_group import field_group
from pendo_aep.provisioning.schema import EXPERIENCE_EVENT
from tests.unit.provisioning.tenant import tenant

CASES = json.loads(Path(__file__).with_name("field_group.json").read_bytes())


def own_fields(tenant_id: str = "acme") -> Any:
    """What the group has below the tenant's own object."""
    custom = field_group("Pendo Fields", tenant_id)["definitions"]["customFields"]
    return custom["properties"]["_acme"]["properties"]


def leaves(properties: dict[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """Every field that holds no other, by its path as the table writes it, with its title."""
    for name, field in properties.items():
        is_array = field["type"] == "array"
        here, inner = f"{at}{name}{'[]' * is_array}", field["items"] if is_array else field
        if "properties" in inner:
            yield from leaves(inner["properties"], f"{here}.")
        else:
            yield here, field["title"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_field(case: dict[str, Any]) -> None:
    """Each type of the table has its form in XDM."""
    assert own_fields()["pendo"]["properties"][case["name"]] == case["field"]


@pytest.mark.parametrize("tenant_id", ["acme", "_acme"])
def test_every_own_field_is_in_it(tenant_id: str) -> None:
    """It has the fields of the table that are the tenant's own, under their titles, no other."""
    own = {f.xdm: f.title for f in FIELDS if f.xdm.startswith("{tenant}.")}
    assert dict(leaves(own_fields(tenant_id), "{tenant}.")) == own


def test_only_what_is_ours() -> None:
    """What the registry generates is not sent: ids, versions, types of its own."""
    body = field_group("Pendo Fields", "acme")
    assert set(body) == {
        *("title", "description", "type", "meta:intendedToExtend", "definitions", "allOf")
    }
    assert body["title"] == "Pendo Fields"
    assert body["meta:intendedToExtend"] == [EXPERIENCE_EVENT]
    assert "meta:" not in json.dumps(body["definitions"])


async def test_the_registry_takes_it() -> None:
    """The registry makes it as a field group of the tenant's."""
    async with tenant() as made:
        assert made.group["$id"].startswith("https://ns.adobe.com/acme/mixins/")
        assert made.group["title"] == "Pendo Fields"
