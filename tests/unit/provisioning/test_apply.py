"""Apply creates what is missing and changes what differs; an interrupted run can be repeated."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest

from local.aep_platform import Call, Delay, Drop
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from tests.unit.provisioning.harness import (
    ALL_CHOICES,
    Harness,
    actions,
    changes,
    different_calls,
    ids_of,
    new_harness,
    only,
    own_fields,
    shape,
)

EVERY_CHOICE = pytest.mark.parametrize("choices", ALL_CHOICES.values(), ids=ALL_CHOICES)


@EVERY_CHOICE
async def test_a_second_run_changes_nothing(harness: Harness, choices: Choices) -> None:
    """All that was created is reported with its id; then a plan and a run find nothing to do."""
    first = await harness.apply(choices)
    calls, created = len(harness.state.changing_calls), shape(harness.state)

    planned = await harness.plan(choices)
    second = await harness.apply(choices)

    assert {step.action for step in first} <= {Action.CREATE, Action.CHANGE}
    assert {step.id for step in first} == ids_of(harness.state)
    resources = dict.fromkeys((step.kind, step.name) for step in first)
    assert actions(second) == [(Action.KEEP, kind) for kind, _ in resources]
    assert planned == second
    assert (len(harness.state.changing_calls), shape(harness.state)) == (calls, created)


async def test_two_names_share_only_the_namespaces(harness: Harness) -> None:
    """A second set-up in the same sandbox has everything else of its own."""
    await harness.apply()

    steps = await harness.apply(Choices(source="http", format="xdm", name="Pendo.Test_2-b"))

    assert [step.kind for step in steps if step.action is Action.KEEP] == [Kind.NAMESPACE] * 2
    assert len(harness.state.flows) == 2


async def test_what_is_missing_inside_is_added(harness: Harness) -> None:
    """A field and a mapping: the mapping set gets a version, and the flow gets that version.

    A schema with the title that somebody else has created gets our field group.
    """
    await harness.set_up()
    created = shape(harness.state)
    del own_fields(harness.state)["visitorId"]
    mapping_set = only(harness.state.mapping_sets)
    mapping_set.versions[0]["mappings"].pop()
    schema = only(harness.state.schemas)
    schema.body["meta:extends"].remove(schema.body["allOf"].pop()["$ref"])

    steps = await harness.apply()

    assert [*changes(steps)] == [Kind.FIELD_GROUP, Kind.SCHEMA, Kind.MAPPING_SET, Kind.FLOW]
    assert only(harness.state.flows).body["transformations"][0] == {
        "name": "Mapping",
        "params": {"mappingId": mapping_set.id, "mappingVersion": 1},
    }
    for kind in ("field groups", "schemas", "mapping sets"):
        assert shape(harness.state)[kind] == created[kind]


async def test_profile_can_be_added_later(harness: Harness) -> None:
    """Schema and dataset are enabled for it; nothing else changes, and it is not removed."""
    await harness.set_up()

    later = await harness.apply(Choices(profile=True))
    without = await harness.apply()

    assert changes(later).keys() == {Kind.SCHEMA, Kind.DATASET}
    assert only(harness.state.datasets).body["tags"] == {
        "adobe/pqs/table": ["pendo_events"],
        "managedBy": ["pendo-to-aep"],
        "unifiedProfile": ["enabled:true"],
        "unifiedIdentity": ["enabled:true"],
    }
    assert {step.action for step in without} == {Action.KEEP}


async def test_a_disabled_flow_is_enabled(harness: Harness) -> None:
    """A flow that exists but takes no data is not as it should be."""
    await harness.set_up()
    only(harness.state.flows).enabled = False

    steps = await harness.apply()

    assert changes(steps).keys() == {Kind.FLOW}
    assert only(harness.state.flows).enabled


async def test_a_standard_namespace_is_used(harness: Harness) -> None:
    """If visitor ids are e-mail addresses, Adobe's own namespace takes them."""
    harness.overrides["AEP_IDENTITY_NAMESPACE"] = "Email"

    steps = await harness.apply()

    assert actions(steps)[0] == (Action.KEEP, Kind.NAMESPACE)


@pytest.mark.parametrize(
    ("settings", "types"),
    [
        ({}, {"PendoVisitor": "Cross_device", "PendoAnonymous": "Cookie"}),
        ({"AEP_ANONYMOUS_VISITORS": "same"}, {"PendoVisitor": "Cross_device"}),
        ({"AEP_ANONYMOUS_VISITORS": "none"}, {"PendoVisitor": "Cross_device"}),
        (
            {"AEP_ANONYMOUS_VISITORS": "none", "AEP_EMAIL_NAMESPACE": "PendoMail"},
            {"PendoVisitor": "Cross_device", "PendoMail": "Email"},
        ),
        (
            {"AEP_EMAIL_NAMESPACE": "Email", "AEP_IDENTITY_NAMESPACE": "Crm"},
            {"Crm": "Cross_device", "PendoAnonymous": "Cookie"},  # AEP has Email already
        ),
    ],
)
async def test_the_namespaces_that_the_settings_need(
    harness: Harness, settings: dict[str, str], types: dict[str, str]
) -> None:
    """Each is created with its type, and `deliver` is told the same settings."""
    harness.overrides.update(settings)

    await harness.apply()

    found = harness.state.namespaces.items()
    assert {code: one["idType"] for code, one in found if one["custom"]} == types
    mappings = only(harness.state.mapping_sets).versions[0]["mappings"]
    (identities,) = [one["source"] for one in mappings if one["destination"] == "identityMap"]
    assert [code for code in types if f'"{code}"' not in identities] == []
    assert ("PendoAnonymous" in identities) is ("PendoAnonymous" in types)
    assert settings.items() <= (await harness.show()).items()
    assert {step.action for step in await harness.apply()} == {Action.KEEP}


async def test_an_interrupted_call_is_reported(harness: Harness) -> None:
    """After Ctrl-C during a call, the report says what may have been created."""
    reached = asyncio.Event()

    def is_reached(call: Call) -> bool:
        if call.method == "POST" and call.path.endswith("/dataSets"):
            reached.set()
        return reached.is_set()

    harness.platform.fail(Delay(30), matching=is_reached)
    applying = asyncio.create_task(harness.apply())
    await asyncio.wait_for(reached.wait(), 10)
    applying.cancel()

    with pytest.raises(asyncio.CancelledError):
        await applying
    assert actions(harness.reported)[-1] == (Action.UNKNOWN, Kind.DATASET)


@EVERY_CHOICE
async def test_an_interrupted_run_is_finished_by_the_next(choices: Choices) -> None:
    """AEP becomes unreachable at each call in turn; what was created is reported.

    A call that AEP did not get leaves what the call before it has left, if only its answer was
    lost: the next run need not finish both.
    """
    expected, calls = await uninterrupted(choices)
    left: dict[int, dict[str, list[Any]]] = {}

    for number, drop in product(calls, Drop):
        done = number + (drop is Drop.AFTER)
        async with new_harness() as harness:
            harness.cut_off(drop, number)
            with pytest.raises(PlatformError):
                await harness.apply(choices)
            assert len(harness.state.changing_calls) == done
            assert_reported(harness)
            if done in left:
                assert shape(harness.state) == left[done], number
                continue
            left[done] = shape(harness.state)

            harness.platform.heal()
            await harness.apply(choices)

            assert shape(harness.state) == expected, number


@EVERY_CHOICE
@pytest.mark.parametrize("drop", Drop)
async def test_a_lost_answer_duplicates_nothing(choices: Choices, drop: Drop) -> None:
    """Each call is dropped, and repeated only if it had no effect; every other one in one run."""
    expected, calls = await uninterrupted(choices)

    for numbers in (calls[::2], calls[1::2]):
        async with new_harness() as harness:
            for number in numbers:
                harness.platform.fail(drop, after=number)

            steps = await harness.apply(choices)

            assert [call.status for call in harness.state.calls].count(None) == len(numbers)
            assert shape(harness.state) == expected, numbers
            assert {step.id for step in steps} == ids_of(harness.state), numbers
            assert Action.UNKNOWN not in {step.action for step in steps}, numbers


async def uninterrupted(choices: Choices) -> tuple[dict[str, list[Any]], list[int]]:
    """Returns what apply creates, and the numbers of the changing calls to interrupt."""
    async with new_harness() as harness:
        await harness.apply(choices)
        return shape(harness.state), different_calls(harness.state.changing_calls)


def assert_reported(harness: Harness) -> None:
    """Asserts that all that exists is reported, and the call without an answer as unknown."""
    created = {step.id for step in harness.reported if step.action is Action.CREATE}
    (unknown,) = [step for step in harness.reported if step.action is Action.UNKNOWN]
    assert unknown == harness.reported[-1]
    assert created <= ids_of(harness.state)
    assert len(ids_of(harness.state) - created) <= 1
