"""The mapping set: one mapping for each destination of the table, in Data Prep's own language."""

from __future__ import annotations

from collections import Counter

import pytest

from local.aep_platform.expressions import MAX_CHARACTERS
from pendo_aep.aep.mapping import FIELDS, MappingOptions
from pendo_aep.provisioning.mapping_set import mappings
from tests.cases import Case, cases

NONE = MappingOptions(anonymous_visitors="none", properties="none")
# The longest that could be set.
LONG = MappingOptions("N" * 255, "separate", "E" * 255)


@pytest.mark.parametrize("tenant_id", ["acme", "_acme"])
@pytest.mark.parametrize("case", cases("aep_mappings"))
def test_mapping(case: Case, tenant_id: str) -> None:
    """Each kind of row has its mapping, with the tenant's id in either form."""
    assert case["mapping"] in mappings(tenant_id)


def test_every_row_is_mapped_once() -> None:
    """Each row of the table is mapped to its destination, under its title, and nothing else is."""
    titles: dict[str, list[str]] = {}
    for field in FIELDS:
        path = field.xdm.partition("[]")[0].format(tenant="_acme")
        titles.setdefault(path, []).append(field.title)
    lines = mappings("acme")
    assert {line["destination"]: line["name"].split(", ") for line in lines} == {
        path: ", ".join(names).split(", ") for path, names in titles.items()
    }
    assert set(Counter(line["destination"] for line in lines).values()) == {1}


def test_required_fields_are_copied_unconditionally() -> None:
    """`_id` and `timestamp`, without which AEP drops an event, depend on no function."""
    plain = {m["destination"]: m["sourceType"] for m in mappings("acme")}
    assert {plain[name] for name in ("_id", "timestamp")} == {"ATTRIBUTE"}


def test_expressions_are_short_enough() -> None:
    """Adobe: a calculated field has 4,096 characters at most, also with long namespaces."""
    assert max(len(m["source"]) for m in mappings("acme", LONG)) <= MAX_CHARACTERS


def test_identities_have_one_mapping_whatever_is_set() -> None:
    """No setting adds a mapping, so that each is changed by the next version of the set."""
    destinations = [[m["destination"] for m in mappings("acme", o)] for o in (LONG, NONE)]
    assert destinations[0] == destinations[1]
