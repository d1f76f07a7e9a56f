"""Upgrades of a dataflow that the version before created: one `apply` is enough."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

import pytest

from local.aep_platform import Answering, Drop, MappingSet, PlatformState, assumed
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.field_texts import field_texts
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from pendo_aep.provisioning.schema import is_own
from tests.unit.provisioning.harness import (
    ALL_CHOICES,
    SAMPLES,
    Harness,
    apply_version_before,
    changes,
    ids_of,
    new_harness,
    only,
    send_samples,
    shape,
)

TEXTS: Final = field_texts()
NEW_FIELDS: Final = (
    "{tenant}.pendo.nps.category",
    *(f"{{tenant}}.pendo.answers[].{name}" for name in ("number", "question", "text", "type")),
)
OLD_FIELDS: Final = [path for path in TEXTS if is_own(path) and path not in NEW_FIELDS]
# The changes of an upgrade of a flow that maps, in this order.
CHANGES: Final = {
    Kind.FIELD_GROUP: (
        *(f"field {path.format(tenant='_acme')}" for path in NEW_FIELDS),
        "title of _acme.pendo.properties: 'Properties, as JSON'",
        f"descriptions and suggested values of {len(OLD_FIELDS)} fields",
    ),
    Kind.DATASET: ("error diagnostics switched on",),
    Kind.MAPPING_SET: (
        "mapping of _acme.pendo.nps.category",
        "mapping of eventType",
        "mapping of identityMap",
        "mapping of surveyResponse.surveyID",
    ),
    Kind.FLOW: ("the mapping",),
}
# What did not exist: the namespace of anonymous visitors is created first, and the others, with a
# call for each field, after the field group.
CREATED: Final = [Kind.NAMESPACE, Kind.FRIENDLY_NAMES, Kind.LABELS]
DESCRIPTORS: Final = sum(not is_own(path) for path in TEXTS) + sum(
    bool(text.label) for text in TEXTS.values()
)
CALLS: Final = 1 + len(CHANGES) + DESCRIPTORS
# Of the calls for descriptors, which are alike, the last.
EVERY_CALL: Final = [n for n in range(CALLS) if n <= len(CHANGES) or n >= CALLS - 3]


def settled_shape(state: PlatformState) -> dict[str, list[Any]]:
    """Returns what exists, once the flow has the latest version of its mapping set.

    How many versions there are does not matter: aiohttp repeats a PUT whose answer was lost.
    """
    found = shape(state)
    for step in found["flows"][0].get("transformations", []):
        assert step["params"].pop("mappingVersion") == len(only(state.mapping_sets).versions) - 1
    return found


async def assert_upgraded(harness: Harness, choices: Choices | None = None) -> None:
    """Asserts that it is what today's table creates on an empty platform."""
    async with new_harness() as fresh:
        await fresh.set_up(choices)
        assert settled_shape(harness.state) == settled_shape(fresh.state)
    assert {step.action for step in await harness.plan(choices)} == {Action.KEEP}


@pytest.mark.parametrize("name", ["pendo", "http raw", "profile"])
async def test_an_upgrade_stores_the_new_fields(harness: Harness, name: str) -> None:
    """It is planned as changes; then the same flow stores today's XDM, which it did not before."""
    choices = ALL_CHOICES[name]
    await apply_version_before(harness, choices)
    created, calls = ids_of(harness.state), len(harness.state.changing_calls)
    harness.overrides["AEP_ANONYMOUS_VISITORS"] = "same"  # as `deliver` was set until then
    old_rows = list(await send_samples(harness))
    harness.overrides.clear()

    planned = await harness.plan(choices)
    assert len(harness.state.changing_calls) == calls
    steps = await harness.apply(choices)

    assert changes(planned) == changes(steps) == CHANGES
    for found in (planned, steps):
        assert [s.kind for s in found if s.action is Action.CREATE] == CREATED
    assert {step.id for step in steps} == ids_of(harness.state) > created
    await assert_upgraded(harness, choices)
    new_rows = (await send_samples(harness))[len(old_rows) :]
    assert new_rows == [sample.xdm for sample in SAMPLES]
    assert old_rows != new_rows


async def test_an_xdm_flow_needs_only_the_new_fields(harness: Harness) -> None:
    """A flow without a mapping set is upgraded by a namespace, its field group and its dataset."""
    choices = ALL_CHOICES["http xdm"]
    await apply_version_before(harness, choices)

    steps = await harness.apply(choices)

    assert changes(steps) == {kind: CHANGES[kind] for kind in (Kind.FIELD_GROUP, Kind.DATASET)}
    await assert_upgraded(harness, choices)


@pytest.mark.parametrize("number", EVERY_CALL)
@pytest.mark.parametrize("drop", Drop)
async def test_an_interrupted_upgrade_is_finished_by_the_next(
    harness: Harness, drop: Drop, number: int
) -> None:
    """AEP becomes unreachable at any of the changes: the next run makes the rest, nothing twice.

    Until then the flow continues with the old mapping.
    """
    await apply_version_before(harness)
    created, before = ids_of(harness.state), len(harness.state.changing_calls)
    harness.cut_off(drop, number)
    with pytest.raises(PlatformError):
        await harness.apply()
    done = number + (drop is Drop.AFTER)
    assert len(harness.state.changing_calls) - before == done
    harness.platform.heal()
    harness.overrides["AEP_ANONYMOUS_VISITORS"] = "same"  # as `deliver` was set until then
    stored = len(await send_samples(harness))
    assert stored == len(SAMPLES)
    harness.overrides.clear()

    await harness.apply()

    assert len(harness.state.changing_calls) - before == CALLS
    assert ids_of(harness.state) > created
    await assert_upgraded(harness)
    assert (await send_samples(harness))[stored:] == [sample.xdm for sample in SAMPLES]


@pytest.mark.parametrize("numbers", [EVERY_CALL[::2], EVERY_CALL[1::2]], ids=["even", "odd"])
@pytest.mark.parametrize("drop", Drop)
async def test_a_lost_answer_is_looked_up(harness: Harness, drop: Drop, numbers: list[int]) -> None:
    """Each call of the upgrade is dropped: it is repeated only if it had no effect."""
    await apply_version_before(harness)
    for number in numbers:
        harness.platform.fail(drop, after=number)

    steps = await harness.apply()

    # Labels of which some were there when the call was repeated are a change.
    assert changes(steps).keys() - {Kind.LABELS} == CHANGES.keys()
    await assert_upgraded(harness)


async def test_a_mapping_set_is_found_by_its_flow(harness: Harness) -> None:
    """The flow says which set it uses, even if the set is renamed and another has its name."""
    await apply_version_before(harness)
    ours = only(harness.state.mapping_sets)
    other = MappingSet(id="other", versions=[deepcopy(ours.versions[0])])
    harness.state.mapping_sets[other.id] = other
    ours.versions[0]["body"]["name"] = "Renamed in AEP"

    steps = await harness.apply()

    changed = {step.kind: step.id for step in steps if step.action is Action.CHANGE}
    assert changed[Kind.MAPPING_SET] == ours.id
    params = only(harness.state.flows).body["transformations"][0]["params"]
    assert params == {"mappingId": ours.id, "mappingVersion": 1}
    assert len(other.versions) == 1
    assert {step.action for step in await harness.apply()} == {Action.KEEP}


async def test_the_version_comes_from_the_answer_to_the_put(harness: Harness) -> None:
    """The flow gets it even if the list does not show the mapping set."""
    await apply_version_before(harness)
    harness.platform.fail(
        Answering(200, {"data": [], "_page": {"count": 0, "limit": 100}}),
        matching=lambda call: call.method == "GET" and call.path.endswith("/mappingSets"),
        times=None,
    )

    await harness.apply()

    await assert_upgraded(harness)


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "MAPPING_SET_IS_READ_AT_FIRST_VERSION",
        "MAPPING_SET_LIST_HAS_NAMES",
        "FLOW_SHOWS_MAPPING_VERSION_AS_TEXT",
    ],
)
async def test_an_upgrade_depends_on_no_assumption(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, name: str, value: bool
) -> None:
    """Where Adobe's documents do not say what AEP answers, either answer works."""
    monkeypatch.setattr(assumed, name, value)
    await apply_version_before(harness)

    await harness.apply()

    await assert_upgraded(harness)
