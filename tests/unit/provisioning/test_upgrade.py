"""Upgrading a dataflow that was made from an older mapping table, with fewer rows than today's."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any, Final

import aiohttp
import orjson
import pytest

from local.aep_platform import Answering, Drop, MappingSet, PlatformState, assumed
from local.samples import load_samples
from pendo_aep.aep.client import StreamingClient
from pendo_aep.aep.format import Raw
from pendo_aep.aep.mapping import FIELDS
from pendo_aep.event import read_event
from pendo_aep.http import http_connection
from pendo_aep.provisioning import field_group, mapping_set
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.part import Kind
from pendo_aep.provisioning.plan import Action
from tests.unit.provisioning.desk import ALL_CHOICES, Desk, ids_of, new_desk, only, shape

NEW_ROWS: Final = {"track.name", "track.source", "browser.name", "browser.version"}
OLD_TABLE: Final = tuple(field for field in FIELDS if field.source not in NEW_ROWS)
SAMPLES: Final = [
    sample
    for sample in load_samples()
    if sample.name in {"track_event_received", "visitor_created", "account_created"}
]
RAW: Final = {name: choices for name, choices in ALL_CHOICES.items() if choices.format == "raw"}
# What the upgrade of a flow that maps is made of, in this order.
CHANGES: Final = {
    Kind.FIELD_GROUP: ("field _acme.pendo.track",),
    Kind.MAPPING_SET: (
        "mapping of _acme.pendo.track.name",
        "mapping of _acme.pendo.track.source",
        "mapping of environment.browserDetails.name",
        "mapping of environment.browserDetails.version",
    ),
    Kind.FLOW: ("the mapping",),
}


async def apply_old_table(desk: Desk, choices: Choices | None = None) -> None:
    """Sets the platform up as the release before the new rows did."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field_group, "FIELDS", OLD_TABLE)
        patch.setattr(mapping_set, "FIELDS", OLD_TABLE)
        await desk.apply(choices)


async def send_samples(desk: Desk) -> list[dict[str, Any]]:
    """Sends the samples the way `deliver` does in the format `raw`; returns the rows stored."""
    messages = [
        Raw().encode(data, read_event(data))
        for data in (orjson.dumps(sample.event) for sample in SAMPLES)
    ]
    environment = await desk.show()
    async with desk.connected() as platform, aiohttp.ClientSession() as session:
        inlet = StreamingClient(
            http_connection("AEP", lambda: session),
            endpoint=environment["AEP_ENDPOINT"],
            flow_id=environment["AEP_FLOW_ID"],
            sandbox=environment["AEP_SANDBOX"],
            tokens=platform.tokens,
        )
        answer = await inlet.post(messages, asyncio.get_running_loop().time() + 10)
    assert answer.status == 207
    assert (desk.state.lost, only(desk.state.flows).errors) == ([], [])
    rows: list[dict[str, Any]] = only(desk.state.datasets).rows
    return rows


def settled_shape(state: PlatformState) -> dict[str, list[Any]]:
    """What there is, once the flow has the latest version of its mapping set.

    How many versions there are does not matter: aiohttp repeats a PUT whose answer was lost.
    """
    made = shape(state)
    for step in made["flows"][0].get("transformations", []):
        assert step["params"].pop("mappingVersion") == len(only(state.mapping_sets).versions) - 1
    return made


async def fresh_shape(choices: Choices) -> dict[str, list[Any]]:
    """What today's table makes on an empty platform."""
    async with new_desk() as desk:
        await desk.apply(choices)
        return settled_shape(desk.state)


@pytest.mark.parametrize("choices", RAW.values(), ids=RAW)
async def test_the_plan_shows_an_upgrade_as_changes(desk: Desk, choices: Choices) -> None:
    """Field group, mapping set and flow are to be changed; nothing is to be made again."""
    await apply_old_table(desk, choices)
    calls, made = len(desk.state.changing_calls), ids_of(desk.state)

    steps = await desk.plan(choices)

    assert {s.kind: s.details for s in steps if s.action is Action.CHANGE} == CHANGES
    assert {step.action for step in steps} == {Action.CHANGE, Action.KEEP}
    assert {step.id for step in steps} == made
    assert len(desk.state.changing_calls) == calls


async def test_an_xdm_flow_needs_only_the_new_fields(desk: Desk) -> None:
    """A flow without a mapping set is upgraded by its field group alone."""
    await apply_old_table(desk, ALL_CHOICES["http xdm"])

    planned = await desk.plan(ALL_CHOICES["http xdm"])
    await desk.apply(ALL_CHOICES["http xdm"])

    changed = {s.kind: s.details for s in planned if s.action is not Action.KEEP}
    assert changed == {Kind.FIELD_GROUP: CHANGES[Kind.FIELD_GROUP]}
    assert settled_shape(desk.state) == await fresh_shape(ALL_CHOICES["http xdm"])


@pytest.mark.parametrize("choices", RAW.values(), ids=RAW)
async def test_an_upgrade_stores_the_new_fields(desk: Desk, choices: Choices) -> None:
    """The same flow stores today's XDM of the samples, which it did not before."""
    await apply_old_table(desk, choices)
    made = ids_of(desk.state)
    old_rows = list(await send_samples(desk))

    steps = await desk.apply(choices)

    assert {s.kind: s.details for s in steps if s.action is Action.CHANGE} == CHANGES
    assert ids_of(desk.state) == made
    assert settled_shape(desk.state) == await fresh_shape(choices)
    assert {step.action for step in await desk.apply(choices)} == {Action.KEEP}
    new_rows = (await send_samples(desk))[len(old_rows) :]
    assert new_rows == [sample.xdm for sample in SAMPLES]
    assert old_rows != new_rows


@pytest.mark.parametrize("number", range(len(CHANGES)))
@pytest.mark.parametrize("drop", Drop)
async def test_an_interrupted_upgrade_is_finished_by_the_next(
    desk: Desk, drop: Drop, number: int
) -> None:
    """AEP goes out of reach at any of the changes: the next run makes the rest, and nothing twice.

    Until then the flow goes on with the old mapping.
    """
    await apply_old_table(desk)
    made, before = ids_of(desk.state), len(desk.state.changing_calls)
    desk.go_dark(drop, number)
    with pytest.raises(PlatformError):
        await desk.apply()
    done = number + (drop is Drop.AFTER)
    assert len(desk.state.changing_calls) - before == done
    desk.platform.heal()
    stored = len(await send_samples(desk))
    assert stored == len(SAMPLES)

    await desk.apply()

    assert len(desk.state.changing_calls) - before == len(CHANGES)
    assert ids_of(desk.state) == made
    assert settled_shape(desk.state) == await fresh_shape(Choices())
    assert (await send_samples(desk))[stored:] == [sample.xdm for sample in SAMPLES]


@pytest.mark.parametrize("number", range(len(CHANGES)))
@pytest.mark.parametrize("drop", Drop)
async def test_an_upgrade_looks_after_a_lost_answer(desk: Desk, drop: Drop, number: int) -> None:
    """One call of the upgrade is cut off: it is made again only if it had no effect."""
    await apply_old_table(desk)
    desk.platform.fail(drop, after=number)

    steps = await desk.apply()

    assert {s.kind for s in steps if s.action is Action.CHANGE} == CHANGES.keys()
    assert settled_shape(desk.state) == await fresh_shape(Choices())


async def test_a_mapping_set_is_found_by_its_flow(desk: Desk) -> None:
    """Whatever it is called now, and whoever else has its name: the flow says which is used."""
    await apply_old_table(desk)
    ours = only(desk.state.mapping_sets)
    other = MappingSet(id="other", versions=[deepcopy(ours.versions[0])])
    desk.state.mapping_sets[other.id] = other
    ours.versions[0]["body"]["name"] = "Renamed in AEP"

    steps = await desk.apply()

    changed = {step.kind: step.id for step in steps if step.action is Action.CHANGE}
    assert changed[Kind.MAPPING_SET] == ours.id
    params = only(desk.state.flows).body["transformations"][0]["params"]
    assert params == {"mappingId": ours.id, "mappingVersion": 1}
    assert len(other.versions) == 1
    assert {step.action for step in await desk.apply()} == {Action.KEEP}


async def test_the_version_is_that_of_the_answer_to_the_put(desk: Desk) -> None:
    """It goes into the flow, also when the list does not show the mapping set."""
    await apply_old_table(desk)
    desk.platform.fail(
        Answering(200, {"data": [], "_page": {"count": 0, "limit": 100}}),
        matching=lambda call: call.method == "GET" and call.path.endswith("/mappingSets"),
        times=None,
    )

    await desk.apply()

    assert settled_shape(desk.state) == await fresh_shape(Choices())
    assert {step.action for step in await desk.apply()} == {Action.KEEP}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAPPING_SET_IS_READ_AT_FIRST_VERSION", True),
        ("MAPPING_SET_IS_READ_AT_FIRST_VERSION", False),
        ("MAPPING_SET_LIST_HAS_NAMES", True),
        ("MAPPING_SET_LIST_HAS_NAMES", False),
        ("FLOW_SHOWS_MAPPING_VERSION_AS_TEXT", True),
        ("FLOW_SHOWS_MAPPING_VERSION_AS_TEXT", False),
    ],
)
async def test_an_upgrade_depends_on_no_assumption(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: bool
) -> None:
    """Where Adobe's documents leave open what AEP answers, either answer will do."""
    monkeypatch.setattr(assumed, name, value)
    await apply_old_table(desk)

    await desk.apply()

    assert settled_shape(desk.state) == await fresh_shape(Choices())
    assert {step.action for step in await desk.apply()} == {Action.KEEP}
