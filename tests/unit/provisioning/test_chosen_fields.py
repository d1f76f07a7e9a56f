"""The fields of `AEP_FIELDS` in AEP: created with their types, added later, and never retyped."""

from __future__ import annotations

from typing import Any, Final

import pytest

from local.samples import load_samples
from pendo_aep.provisioning.desired import Choices, with_available_groups
from pendo_aep.provisioning.errors import Conflict
from pendo_aep.provisioning.mapping_check import check_mapping
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from tests.unit.provisioning.harness import Harness, changes, only, own_fields, plan_of

TYPES: Final[dict[str, dict[str, Any]]] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date-time": {"type": "string", "format": "date-time"},
    # Adobe: "XDM field type constraints", a long; without bounds it has 32 bits.
    "integer": {"type": "integer", "minimum": 1 - 2**53, "maximum": 2**53 - 1},
}
TRACK: Final = "properties.eventProperties"
TIER: Final = f"{TRACK}.toTier:string"
PLACE: Final = "_acme.pendo.track.properties"


async def irrevocable(harness: Harness) -> list[str]:
    """Returns what the plan says of types that can never change."""
    async with harness.connected() as platform:
        plan = await plan_of(platform, None)
    return [one for one in plan.irrevocable if one.startswith("the type of ")]


async def test_fields_of_each_type(harness: Harness) -> None:
    """Each has its type, title and description; AEP maps the samples; `deliver` is told."""
    entries = [f"properties.a.{name}:{name}" for name in TYPES]
    entries += [f"{TRACK}.plan:string", f"{TRACK}.durationSeconds:number", f"{TRACK}.trial:boolean"]
    harness.overrides["AEP_FIELDS"] = "\n".join(entries)
    assert await irrevocable(harness) == [
        *(f"the type of _acme.pendo.custom.a.{name}: {name}" for name in TYPES),
        f"the type of {PLACE}.plan: string",
        f"the type of {PLACE}.durationSeconds: number",
        f"the type of {PLACE}.trial: boolean",
    ]

    await harness.apply()

    fields = own_fields(harness.state)
    assert fields["custom"]["properties"]["a"]["properties"] == {
        name: {"title": f"a.{name}", "description": f"Pendo property a.{name}", **type_}
        for name, type_ in TYPES.items()
    }
    assert fields["track"]["properties"].keys() == {"name", "source", "properties"}
    assert (await harness.show())["AEP_FIELDS"] == ",".join(entries)
    assert {step.action for step in await harness.apply()} == {Action.KEEP}
    assert await irrevocable(harness) == []
    async with harness.connected() as platform:
        tenant = await with_available_groups(platform.client, platform.tenant, Choices())
        schema_id = only(harness.state.schemas).id
        samples = [sample for sample in load_samples() if sample.event is not None]
        assert await check_mapping(platform.client, tenant, schema_id) == len(samples)


async def test_a_field_is_added_and_taken_out(harness: Harness) -> None:
    """An existing field group gains it, and keeps it; only the mapping goes."""
    await harness.set_up()
    harness.overrides["AEP_FIELDS"] = TIER
    assert await irrevocable(harness) == [f"the type of {PLACE}.toTier: string"]
    assert changes(await harness.apply()) == {
        Kind.FIELD_GROUP: (f"field {PLACE}",),
        Kind.MAPPING_SET: (f"mapping of {PLACE}.toTier",),
        Kind.FLOW: ("the mapping",),
    }

    harness.overrides["AEP_FIELDS"] = f"{TIER} {TRACK}.plan:string properties.x-y.size:integer"
    assert await irrevocable(harness) == [
        f"the type of {PLACE}.plan: string",
        "the type of _acme.pendo.custom.x-y.size: integer",
    ]
    await harness.apply()
    sources: Any = only(harness.state.mapping_sets).versions[-1]["body"]["mappings"]
    found = [one.get("source") or one["sourceAttribute"] for one in sources]
    assert "fields.track.properties.toTier" in found
    assert "fields.custom.${x-y}.${size}" in found  # names that Data Prep reserves

    harness.overrides["AEP_FIELDS"] = TIER
    assert await irrevocable(harness) == []
    taken_out = changes(await harness.apply())
    assert Kind.FIELD_GROUP not in taken_out
    assert taken_out[Kind.MAPPING_SET] == (
        "mapping of _acme.pendo.custom.x-y.size",
        f"mapping of {PLACE}.plan",
    )
    assert own_fields(harness.state)["custom"]["properties"].keys() == {"x-y"}


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (TIER, f"{TRACK}.toTier:number", "type is 'string', but must be 'number'"),
        (TIER, f"{TRACK}.toTier:date-time", "format is None, but must be 'date-time'"),
        (f"{TRACK}.toTier:integer", f"{TRACK}.toTier:number", "'integer', but must be 'number'"),
        (TIER, f"{TRACK}.toTier.name:string", "type is 'string', but must be 'object'"),
        (f"{TRACK}.toTier.name:string", TIER, "type is 'object', but must be 'string'"),
    ],
)
async def test_a_type_never_changes(harness: Harness, before: str, after: str, says: str) -> None:
    """The conflict names the field, the setting, and what to do, before anything changes."""
    harness.overrides["AEP_FIELDS"] = before
    await harness.set_up()
    made = len(harness.state.changing_calls)
    harness.overrides["AEP_FIELDS"] = after

    with pytest.raises(Conflict) as conflict:
        await harness.apply()

    advice = (
        f"AEP never changes a field's type: give {after.partition(':')[0]} its former type back in "
        "AEP_FIELDS, or leave it out"
    )
    assert f"{PLACE}.toTier: " in str(conflict.value)
    assert says in str(conflict.value)
    assert advice in str(conflict.value)
    assert "--name" in str(conflict.value)
    assert len(harness.state.changing_calls) == made


async def test_a_conflict_of_another_field(harness: Harness) -> None:
    """Where our own fields conflict, nothing is said of the setting."""
    harness.overrides["AEP_FIELDS"] = TIER
    await harness.set_up()
    own_fields(harness.state)["track"]["properties"]["name"]["type"] = "number"
    with pytest.raises(Conflict) as conflict:
        await harness.plan()
    assert "AEP_FIELDS" not in str(conflict.value)


async def test_another_case(harness: Harness) -> None:
    """A field cannot be added whose name differs in case only: AEP would refuse it."""
    harness.overrides["AEP_FIELDS"] = TIER
    await harness.set_up()
    harness.overrides["AEP_FIELDS"] = TIER.replace("toTier", "ToTier")
    with pytest.raises(Conflict, match=rf"{PLACE}\.ToTier: AEP has 'toTier', and ignores case"):
        await harness.plan()


async def test_an_integer_of_32_bits(harness: Harness) -> None:
    """A field that somebody made narrower than ours would refuse values."""
    harness.overrides["AEP_FIELDS"] = "properties.count:integer"
    await harness.set_up()
    field = own_fields(harness.state)["custom"]["properties"]["count"]
    field.update(minimum=-(2**31), maximum=2**31)
    with pytest.raises(Conflict, match=r"custom\.count: minimum -2147483648 could refuse"):
        await harness.plan()
