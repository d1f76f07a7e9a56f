"""The mapping set: one mapping for each place of the table, in Data Prep's own language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.aep_platform.expressions import MAX_CHARACTERS
from pendo_aep.aep.mapping import FIELDS, Field
from pendo_aep.provisioning.mapping_set import mapping_set, mappings
from tests.local.aep_platform.client import CONVERSION
from tests.unit.provisioning.tenant import NAMESPACE, tenant

CASES = json.loads(Path(__file__).with_name("mappings.json").read_bytes())


@pytest.mark.parametrize("tenant_id", ["acme", "_acme"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_mapping(case: dict[str, Any], tenant_id: str) -> None:
    """Each kind of row has its mapping, however the tenant is given."""
    assert case["mapping"] in mappings(tenant_id, NAMESPACE)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.xdm)
def test_every_row_is_mapped(field: Field) -> None:
    """Each row of the table is mapped to its place, once."""
    place = field.xdm.partition("[]")[0].removesuffix(".{namespace}").format(tenant="_acme")
    [line] = [m for m in mappings("acme", NAMESPACE) if m["destination"] == place]
    assert field.title in line["name"]


def test_nothing_else_is_mapped() -> None:
    """There is no mapping without a row."""
    assert len(mappings("acme", NAMESPACE)) == len({f.xdm.partition("[]")[0] for f in FIELDS})


def test_what_every_event_must_have_is_copied_as_it_is() -> None:
    """`_id`, `timestamp` and `eventType` depend on no condition and on no function."""
    plain = {m["destination"]: m["sourceType"] for m in mappings("acme", NAMESPACE)}
    assert {plain[name] for name in ("_id", "timestamp", "eventType")} == {"ATTRIBUTE"}


def test_expressions_are_short_enough() -> None:
    """Adobe: a calculated field has 4,096 characters at most, also with a long namespace."""
    assert max(len(m["source"]) for m in mappings("acme", "N" * 255)) <= MAX_CHARACTERS


async def test_data_prep_takes_it() -> None:
    """Data Prep finds nothing wrong with it for the schema that we make, and keeps it whole."""
    async with tenant() as made:
        body = mapping_set("Pendo Events", made.schema["$id"], "acme", NAMESPACE)
        checked = await made.post(f"{CONVERSION}/mappingSets/validate", body)
        assert checked == {"validationResponse": [{"status": "SUCCESS", "errors": None}]}
        kept = await made.post(f"{CONVERSION}/mappingSets", body)
        stored = await made.client.get(f"{CONVERSION}/mappingSets/{kept['id']}")
    assert [(m["source"], m["destination"]) for m in stored["mappings"]] == [
        (m["source"], m["destination"]) for m in body["mappings"]
    ]
